//! Tainting a key: a rule refuses whatever it signed, and the next key takes over in the same commit.

use taskpass_core::audit::Cause;
use taskpass_core::key::{KeyId, KeyPurpose, KeyState};
use taskpass_core::revocation::Selector;
use taskpass_core::verb::Verb;
use taskpass_core::{DecisionId, Timestamp};
use taskpass_issuer::KeyView;
use taskpass_issuer::rotation::{self, TaintError};
use taskpass_store::Change;

use super::plan::Plan;
use super::{ATTEMPTS, Revoke, RevokeWhat, check_reason};
use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;
use crate::keys::{KeysRead, made};
use crate::live::Live;
use crate::standing::Standing;
use crate::start::Attempt;

/// A key that is distrusted from now on.
#[derive(Debug, Clone)]
pub struct Tainted {
    /// The place of the rule; 0 if nothing that the key signed is a credential.
    pub seq: u64,
    /// What it ended.
    pub live: Live,
    /// The key that signs from now on, if the tainted one did.
    pub next: Option<KeyView>,
}

/// Which keys may be tainted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that sign what tasks hold.
    OfTasks,
    /// Also those of identities and of the feed.
    Any,
}

impl Broker {
    /// Distrusts a key, of any purpose that rotates. On disk before this returns.
    pub async fn taint_key(
        &self,
        caller: &Standing,
        key: &str,
        reason: &str,
    ) -> Result<Tainted, Error> {
        check_reason(reason)?;
        let request = Revoke {
            what: RevokeWhat::Key(key.to_owned()),
            reason: reason.to_owned(),
            dry_run: false,
            no_suspend: false,
        };
        for _ in 0..ATTEMPTS {
            let now = self.clock.now().max(self.store.last_committed_at());
            let registry = self.registry.load_full();
            let id = self.decision_id(now);
            let plan = self.plan_key(key, id, Which::Any, now).await?;
            let caller = &self
                .let_revoke(caller, Verb::TaintKey, &registry, &request, &plan, now)
                .await?;
            let live = plan.live.unwrap_or(Live::NONE);
            let next = plan.changes.iter().find_map(|change| match change {
                Change::PutKey(record)
                    if record.state == KeyState::Active
                        && rotation::period(record.purpose).is_some() =>
                {
                    Some(KeyView::of(record))
                }
                _ => None,
            });
            let committed = self
                .commit_plan(caller, &request, id, &registry, plan, now)
                .await;
            match committed {
                Ok(committed) => {
                    let seq = super::newest(&committed);
                    self.reload_keys().await?;
                    return Ok(Tainted { seq, live, next });
                }
                Err(Attempt::Again) => self.read_again().await?,
                Err(Attempt::Failed(error)) => return Err(error),
            }
        }
        Err(Error::QueueFull)
    }

    /// What tainting a key changes. If it was the active one, the prepared one signs from now on.
    pub(super) async fn plan_key(
        &self,
        text: &str,
        cause: DecisionId,
        which: Which,
        now: Timestamp,
    ) -> Result<Plan, Error> {
        let unknown = || Error::KeyNotFound {
            key: text.chars().take(64).collect(),
        };
        let id = KeyId::parse(text).ok_or_else(unknown)?;
        let keys = KeysRead::from(&*self.store).await?;
        let key = keys.records.iter().find(|key| key.id == id);
        let key = key.ok_or_else(unknown)?;
        let of_tasks = matches!(
            key.purpose,
            KeyPurpose::TokenEs256 | KeyPurpose::TokenEdDsa | KeyPurpose::TaskIssuing
        );
        if which == Which::OfTasks && !of_tasks {
            return Err(Error::field(
                "selector",
                "a key that signs tokens or task certificates; `taskpass keys taint` is for the others",
            ));
        }
        let mut records = keys.records.clone();
        let signing = matches!(key.state, KeyState::Active | KeyState::Prepared);
        let fresh = if signing && rotation::can_make(&records, key.purpose) {
            Some(self.fresh(&records, key.purpose, now)?)
        } else {
            None
        };
        records.extend(fresh.clone());
        let mut changed =
            rotation::taint(&records, &id, now).map_err(|error| refused(&error, key.purpose))?;
        changed.extend(fresh.filter(|fresh| changed.iter().all(|record| record.id != fresh.id)));
        let mut plan = Plan {
            guards: vec![keys.guard()],
            changes: vec![keys.raise()],
            keys_change: true,
            ..Plan::default()
        };
        for record in changed {
            let mut entry = made(&record, &*self.rng, now);
            entry.cause = Some(Cause::Entry(cause));
            plan.changes.push(outbox(&entry)?);
            plan.changes.push(Change::PutKey(record));
        }
        // A waiting authority has certified nothing, and the feed's key signs no credential.
        if key.purpose != KeyPurpose::Feed && key.state != KeyState::Waiting {
            plan.drafts = vec![(Selector::Key(id), None, Some((key.purpose, key.not_after)))];
        }
        if of_tasks {
            plan.live = Some(self.live_at_all(now).await?);
        }
        Ok(plan)
    }
}

fn refused(error: &TaintError, purpose: KeyPurpose) -> Error {
    match error {
        TaintError::NoSuccessor(_) => Broker::nothing_follows(purpose),
        TaintError::Unknown(_) | TaintError::Root(_) | TaintError::Log(_) => {
            Error::field("key", error.to_string())
        }
    }
}
