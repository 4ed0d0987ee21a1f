//! Securing a store that came out of a backup, before any broker opens on it.
//!
//! What happened after the backup is unknown to it: revocations, ended tasks, spent enrolments. So nothing
//! that was out is believed. In one commit every credential of every task is revoked by a rule, and the keys
//! that signed tokens and task certificates are tainted, which also reaches what was issued later than the
//! clock of this machine says; the CRL number leaps; and the next log names the checkpoint that it goes on
//! from. If a mirror of the audit log is given, what can be told from its entries is done again, but only what
//! takes something away.
//!
//! The store is sealed already, and stays so: who may unseal it is `Broker::unseal`'s matter.

mod apply;
mod keys;
mod mark;
mod operator;
mod replay;

use taskpass_core::audit::{Entry, EntryKind, Outcome};
use taskpass_core::identity::{IdentityLine, Principal};
use taskpass_core::registry::{Registry, Row, Versioned};
use taskpass_core::revocation::{RuleDraft, Selector};
use taskpass_core::rng::Rng;
use taskpass_core::{AgentName, DecisionId, OperatorName, Timestamp};
use taskpass_issuer::{Issuer, KeyEncryptionKey};
use taskpass_log::LogName;
use taskpass_log::chain::ChainError;
use taskpass_log::read::ReadError;
use taskpass_store::{ArchiveCursor, BackupHeader, Change, Commit, Lane, MetaKey, Store};

use crate::broker::issuer_config;
use crate::entry::outbox;
use crate::error::Error;
use crate::keys::KeysRead;
use apply::Told;
use keys::Distrust;

pub(crate) use mark::{Mark, note_key};
use replay::Mirror;

/// What every rule and entry of it says.
const WHY: &str = "restored from a backup";
/// How far the CRL number leaps at least: further than any broker can have counted ahead of the clock.
const CRL_LEAP: u64 = 24 * 3600 * 1000;

/// What a store is secured with.
pub struct Restoring<'a> {
    /// The restored store; no broker has it open.
    pub store: &'a dyn Store,
    /// Unseals its keys.
    pub kek: &'a KeyEncryptionKey,
    /// Ids.
    pub rng: &'a dyn Rng,
    /// The wall clock.
    pub now: Timestamp,
    /// What the backup is of.
    pub header: &'a BackupHeader,
    /// A mirror of the audit log, if there is one.
    pub mirror: Option<&'a std::path::Path>,
    /// Who is to unseal it; the only active administrator if absent.
    pub operator: Option<&'a OperatorName>,
}

impl std::fmt::Debug for Restoring<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restoring").finish_non_exhaustive()
    }
}

/// What was done to a restored store.
#[derive(Debug, Clone)]
pub struct Secured {
    /// Who is to unseal it.
    pub operator: OperatorName,
    /// Keys that are not believed any more, as `purpose id`.
    pub tainted: Vec<String>,
    /// Keys that stay because nothing could follow them: what they signed before is revoked by rule.
    pub kept: Vec<String>,
    /// The name of the log that begins next.
    pub log: LogName,
    /// The checkpoint from which that goes on.
    pub previous: Option<String>,
    /// What the mirror told, if there was one.
    pub replayed: Option<Replayed>,
}

/// What was done again because entries of the mirror tell it, and what could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Entries after the backup.
    pub entries: u64,
    /// Revocations of credentials, tasks, targets or everything: all of that is revoked anyway.
    pub revocations: u64,
    /// Entries of the registry that are suspended again.
    pub suspended: Vec<String>,
    /// Entries of the registry that are retired again.
    pub retired: Vec<String>,
    /// Agents whose identities are revoked again.
    pub revoked: Vec<String>,
    /// Identities that enrolled, renewed or were stolen since: they end, and their holders enrol anew.
    pub ended_identities: Vec<String>,
    /// Registered or changed since: must be applied again, from its file or by hand.
    pub apply_again: Vec<String>,
    /// Resumed since: stay as they were.
    pub resume_again: Vec<String>,
}

/// Why a store was not secured.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Nobody could unseal it.
    #[error("{0}")]
    Operator(String),
    /// The mirror does not verify, or is not of this broker, or does not go on from the backup.
    #[error("the mirror of the audit log is not accepted")]
    Mirror(#[source] Box<ChainError>),
    /// The mirror could not be read.
    #[error("the mirror of the audit log could not be read")]
    Read(#[from] ReadError),
    /// The key-encryption key is not that of the backup.
    #[error("the signing keys could not be unsealed")]
    Keys(#[source] taskpass_issuer::OpenError),
    /// The store or the log failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<taskpass_store::StoreError> for RestoreError {
    fn from(error: taskpass_store::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// Secures a restored store. Done once, in one commit.
pub async fn secure(restoring: &Restoring<'_>) -> Result<Secured, RestoreError> {
    let store = restoring.store;
    let now = restoring.now.max(store.last_committed_at());
    let keys = KeysRead::from(store).await?;
    let config = issuer_config(store.birth());
    let issuer = Issuer::open(keys.records.clone(), config, restoring.kek);
    let issuer = issuer.map_err(RestoreError::Keys)?;
    let signed = mark::signed_end(restoring.header, &issuer)?;
    let mirror = match restoring.mirror {
        Some(root) => {
            let header = restoring.header;
            Some(Mirror::read(
                root,
                header,
                store,
                &issuer,
                signed.as_deref(),
            )?)
        }
        None => None,
    };
    let registry = Registry::from_rows(store.registry().await?);
    let told = match &mirror {
        Some(mirror) => apply::tell(mirror, &registry, store).await?,
        None => Told::default(),
    };
    let replayed = mirror.as_ref().map(|_| told.report.clone());
    let operator = operator::who(&after(&registry, &told.rows), restoring.operator)?;
    let work = keys::distrust(&keys.records, &issuer, restoring.kek, &told.keys, now)?;
    let mark = Mark::new(restoring.header, mirror.as_ref(), signed, now);
    if mark.before.is_some_and(|before| mark.log <= before) {
        return Err(RestoreError::Operator(
            "the clock of this machine is behind the newest log; set it first".to_owned(),
        ));
    }
    let (tainted, kept) = (work.tainted.clone(), work.kept.clone());
    let mut commit = Commit::new(now)
        .in_lane(Lane::Urgent)
        .guard(keys.guard())
        .change(keys.raise());
    let actor = Principal::Operator(operator.clone());
    commit = refuse(commit, restoring, &actor, work, told.revoked.iter())?;
    commit = again(commit, restoring, &registry, told)?;
    commit = commit
        .change(outbox(&told_entry(restoring, now))?)
        .change(Change::PutMeta {
            key: MetaKey::CrlNumber,
            value: crl_number(store, now).await?,
        })
        .change(Change::PutMeta {
            key: MetaKey::Restored,
            value: mark.to_bytes(),
        })
        // What waited for a second operator may have been rejected since.
        .change(Change::PutMeta {
            key: MetaKey::Proposals,
            value: taskpass_store::proposals_value(&[]),
        })
        .change(Change::PutMeta {
            key: MetaKey::PolicyApprovals,
            value: taskpass_store::policy_approvals_value(&[]),
        })
        // What the mirror has is not logged twice.
        .change(Change::Archived {
            ids: mirror.map(|mirror| mirror.ids).unwrap_or_default(),
            cursor: ArchiveCursor::default(),
        });
    store.commit(commit).await.map_err(Error::from_commit)?;
    Ok(Secured {
        operator,
        tainted,
        kept,
        log: mark.log,
        previous: mark.previous,
        replayed,
    })
}

/// The registry once `rows` are in it.
fn after(registry: &Registry, rows: &[Row]) -> Registry {
    let mut after = registry.clone();
    for row in rows {
        let version = registry.version(&row.key()).saturating_add(1);
        after.put(Versioned {
            value: row.clone(),
            version,
        });
    }
    after
}

/// Refuses all that was out, and what the doubted keys signed.
fn refuse<'a>(
    mut commit: Commit,
    restoring: &Restoring<'_>,
    actor: &Principal,
    work: Distrust,
    agents: impl Iterator<Item = &'a AgentName>,
) -> Result<Commit, Error> {
    let rule = |selector, key| {
        Change::Revoke(RuleDraft {
            selector,
            only_target: None,
            reason: WHY.to_owned(),
            actor: actor.clone(),
            owner: None,
            key,
            live_until: None,
        })
    };
    commit = commit.change(rule(Selector::Everything, None));
    for (id, key) in work.drafts {
        commit = commit.change(rule(Selector::Key(id), Some(key)));
    }
    for agent in agents {
        commit = commit.change(rule(Selector::Agent(agent.clone()), None));
    }
    for record in work.changed {
        let entry = crate::keys::made(&record, restoring.rng, commit.at);
        commit = commit
            .change(outbox(&entry)?)
            .change(Change::PutKey(record));
    }
    Ok(commit)
}

/// Does again what the mirror told.
fn again(
    mut commit: Commit,
    restoring: &Restoring<'_>,
    registry: &Registry,
    told: Told,
) -> Result<Commit, Error> {
    let now = commit.at;
    for line in told.lines {
        commit = commit.change(Change::PutIdentity(IdentityLine {
            broken_at: Some(now),
            ..line
        }));
    }
    for row in told.rows {
        let id = DecisionId::generate(now, restoring.rng);
        let mut entry = Entry::new(id, now, EntryKind::Registry, Outcome::Done);
        let version = registry.version(&row.key()).saturating_add(1);
        crate::first::describe_row(&mut entry, &row, version);
        entry.reason = Some("told by the audit log after the backup".to_owned());
        commit = commit.change(outbox(&entry)?).change(Change::PutRow(row));
    }
    Ok(commit)
}

fn told_entry(restoring: &Restoring<'_>, now: Timestamp) -> Entry {
    let id = DecisionId::generate(now, restoring.rng);
    let mut entry = Entry::new(id, now, EntryKind::Broker, Outcome::Done);
    entry.subject = Some(format!("backup of {}", restoring.header.made_at));
    entry.reason = Some("restored".to_owned());
    entry
}

/// Beyond any number that a CRL can have had.
async fn crl_number(store: &dyn Store, now: Timestamp) -> Result<Vec<u8>, Error> {
    let stored = store.meta(MetaKey::CrlNumber).await?;
    let stored = stored
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes);
    let number = stored.max(now.millis()).saturating_add(CRL_LEAP);
    Ok(number.to_be_bytes().to_vec())
}
