//! What a new store is given before a broker opens on it: keys, registry rows, a first enrolment.
//!
//! There is no caller yet; the entries say that nobody but the broker acted.

use std::time::Duration;

use taskpass_core::audit::{EnrolmentFacts, Entry, EntryKind, Outcome};
use taskpass_core::enrolment::{self, Enrolment};
use taskpass_core::identity::Principal;
use taskpass_core::registry::{Row, RowKey};
use taskpass_core::rng::Rng;
use taskpass_core::secret::Secret;
use taskpass_core::spiffe::TrustDomain;
use taskpass_core::{DecisionId, Timestamp};
use taskpass_issuer::KeyEncryptionKey;
use taskpass_store::{Change, Commit, Guard, Store};

use crate::entry::outbox;
use crate::error::Error;
use crate::keys::made;
use crate::registry::state;

/// Makes both hierarchies and every signing key, and records them. Once, for an empty store.
pub async fn first_keys(
    store: &dyn Store,
    trust_domain: &TrustDomain,
    kek: &KeyEncryptionKey,
    rng: &dyn Rng,
    now: Timestamp,
) -> Result<(), Error> {
    if !store.keys().await?.is_empty() {
        return Err(Error::field("store", "a store without keys"));
    }
    let records = taskpass_issuer::init(trust_domain, now, kek).map_err(Error::internal)?;
    let mut commit = Commit::new(now);
    for record in records {
        let entry = made(&record, rng, now);
        commit = commit
            .change(Change::PutKey(record))
            .change(outbox(&entry)?);
    }
    store
        .commit(commit)
        .await
        .map(drop)
        .map_err(Error::from_commit)
}

/// Registers the first rows, in order. A row that is there already is left alone.
pub async fn first_rows(
    store: &dyn Store,
    rows: Vec<Row>,
    rng: &dyn Rng,
    now: Timestamp,
) -> Result<(), Error> {
    let present: Vec<RowKey> = store
        .registry()
        .await?
        .iter()
        .map(|row| row.value.key())
        .collect();
    for row in rows {
        let key = row.key();
        if present.contains(&key) {
            continue;
        }
        let mut entry = Entry::new(
            DecisionId::generate(now, rng),
            now,
            EntryKind::Registry,
            Outcome::Done,
        );
        describe_row(&mut entry, &row, 1);
        entry.reason = Some("registered when the broker was made".to_owned());
        let commit = Commit::new(now)
            .guard(Guard::Unchanged { key, version: 0 })
            .change(Change::PutRow(row))
            .change(outbox(&entry)?);
        store.commit(commit).await.map_err(Error::from_commit)?;
    }
    Ok(())
}

/// Makes a single-use enrolment token that works for `ttl`, on the machine of the store.
pub async fn first_enrolment(
    store: &dyn Store,
    principal: &Principal,
    ttl: Duration,
    rng: &dyn Rng,
    now: Timestamp,
) -> Result<Secret, Error> {
    let (token, hash) = enrolment::generate(rng);
    let expires_at = now.plus(ttl);
    let enrolment = Enrolment {
        principal: principal.clone(),
        created_at: now,
        expires_at,
        used_at: None,
    };
    let mut entry = Entry::new(
        DecisionId::generate(now, rng),
        now,
        EntryKind::EnrolmentToken,
        Outcome::Done,
    );
    entry.subject = Some(principal.to_string());
    if let Principal::Agent(name) = principal {
        entry.agent = Some(name.clone());
    }
    entry.enrolment = Some(EnrolmentFacts {
        token: hash,
        expires_at,
    });
    entry.reason = Some("made on the broker's own machine".to_owned());
    let commit = Commit::new(now)
        .change(Change::PutEnrolment { hash, enrolment })
        .change(outbox(&entry)?);
    store.commit(commit).await.map_err(Error::from_commit)?;
    Ok(token)
}

/// Says of an entry which row was written, and whom that concerns.
pub(crate) fn describe_row(entry: &mut Entry, row: &Row, version: u64) {
    entry.subject = Some(row.key().to_string());
    entry.version = Some(version);
    entry.state = Some(state(row).as_str());
    match row {
        Row::Agent(agent) => {
            entry.agent = Some(agent.name.clone());
            entry.owner = Some(agent.owner.clone());
        }
        Row::Owner(owner) => entry.owner = Some(owner.name.clone()),
        Row::Target(target) => entry.target = Some(target.uri.clone()),
        Row::Operator(_) | Row::Verifier(_) | Row::System(_) => {}
    }
}
