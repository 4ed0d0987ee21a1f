//! Making audit entries, and the commits that hold nothing else.

use taskpass_core::Timestamp;
use taskpass_core::audit::{Attestation, DecisionFacts, Entry, EntryKind, MAX_ENTRY_LEN, Outcome};
use taskpass_core::identity::Principal;
use taskpass_core::registry::Registry;
use taskpass_store::{Change, Commit, CommitError, Lane, MetaKey, Outboxed, Refusal};

use crate::broker::Broker;
use crate::denials::Counted;
use crate::error::Error;
use crate::standing::{Proved, Standing};

impl Broker {
    /// An entry about what `caller` did, with the fields that every such entry has.
    pub(crate) fn entry(
        &self,
        caller: &Standing,
        now: Timestamp,
        kind: EntryKind,
        outcome: Outcome,
    ) -> Entry {
        let mut entry = Entry::new(self.decision_id(now), now, kind, outcome);
        entry.actor = Some(caller.caller.principal());
        if matches!(caller.attestation, Attestation::Mtls { .. }) {
            entry.generation = Some(caller.generation);
        }
        entry.attestation = Some(caller.attestation.clone());
        entry.trace_id.clone_from(&caller.trace_id);
        entry.decision = caller.decision.as_ref().map(DecisionFacts::from);
        concern(
            &mut entry,
            &self.registry.load(),
            &caller.caller.principal(),
        );
        entry
    }

    /// Records a refusal, if it is one to record and within the caller's budget.
    ///
    /// The refusal is answered only after it is on disk; if it cannot be recorded, that is the
    /// answer.
    pub(crate) async fn record_denial(&self, mut entry: Entry, error: &Error) -> Result<(), Error> {
        self.metrics.denials.one();
        if !self.denials.admit(entry.actor.as_ref(), entry.at) {
            return Ok(());
        }
        entry.outcome = Outcome::Deny;
        entry.reason = Some(error.reason().to_owned());
        if let Error::PolicyDenied(denial) | Error::AboveDenied { denial, .. } = error {
            entry.id = denial.basis.id;
            entry.decision = Some(DecisionFacts {
                errored: denial.errored,
                ..DecisionFacts::from(&denial.basis)
            });
        }
        self.record(entry).await
    }

    /// Records that a call of a proved identity was refused before any handler saw it.
    pub async fn record_refused_call(
        &self,
        proved: &Proved,
        method: &str,
        error: &Error,
    ) -> Result<(), Error> {
        let now = self.background_now();
        let mut entry = Entry::new(self.decision_id(now), now, EntryKind::Call, Outcome::Deny);
        entry.actor = Some(proved.principal.clone());
        entry.attestation = Some(proved.attestation.clone());
        concern(&mut entry, &self.registry.load(), &proved.principal);
        entry.subject = Some(method.to_owned());
        self.record_denial(entry, error).await
    }

    /// Records an operator's read of `subject`; other callers' reads of their own are not recorded.
    pub(crate) async fn record_read(
        &self,
        caller: &Standing,
        subject: impl Into<String>,
    ) -> Result<(), Error> {
        if !matches!(caller.caller, taskpass_core::caller::Caller::Operator(..)) {
            return Ok(());
        }
        let now = self.clock.now();
        let mut entry = self.entry(caller, now, EntryKind::Read, Outcome::Done);
        entry.subject = Some(subject.into());
        self.record(entry).await
    }

    /// Commits one entry by itself.
    pub(crate) async fn record(&self, entry: Entry) -> Result<(), Error> {
        let commit = Commit::new(entry.at).change(outbox(&entry)?);
        self.commit(commit)
            .await
            .map(drop)
            .map_err(Error::from_commit)
    }

    /// Records that the broker started, and under which policy set.
    ///
    /// If more entries wait for the log than may (the limit was lowered), the broker starts all the
    /// same, because only then the log is written; this entry waits with it, and whatever else would
    /// add one is refused until there is room.
    pub(crate) async fn record_start(&self) -> Result<(), Error> {
        let commit = self.start().await?;
        match self.commit(commit.clone()).await {
            Ok(_) => Ok(()),
            Err(CommitError::OutboxFull) => {
                tracing::warn!(
                    waiting = self.store.stats().outbox,
                    limit = self.store.stats().outbox_limit,
                    "more entries wait for the audit log than may; until it has them, nothing is issued"
                );
                *self.late_start.lock().await = Some(commit);
                Ok(())
            }
            Err(error) => Err(Error::from_commit(error)),
        }
    }

    /// The commit that says it.
    async fn start(&self) -> Result<Commit, Error> {
        let now = self.clock.now().max(self.store.last_committed_at());
        let mut started = Entry::new(self.decision_id(now), now, EntryKind::Broker, Outcome::Done);
        started.subject = Some(format!("taskpass {}", env!("CARGO_PKG_VERSION")));
        started.reason = Some("started".to_owned());
        // Beside revocations: a broker that cannot start cannot empty the outbox either.
        let mut commit = Commit::new(now)
            .in_lane(Lane::Urgent)
            .change(outbox(&started)?);
        let hash = self.policy_hash();
        let known = self.store.meta(MetaKey::PolicySet).await?;
        if known.as_deref() != Some(hash.as_bytes().as_slice()) {
            commit = self.came_into_force(commit, now, hash).await?;
        }
        Ok(commit)
    }

    /// Records the start if there was no room for it before.
    pub(crate) async fn record_late_start(&self) -> Result<(), Error> {
        let mut late = self.late_start.lock().await;
        let Some(commit) = late.as_ref() else {
            return Ok(());
        };
        match self.commit(commit.clone()).await {
            Ok(_) => *late = None,
            Err(CommitError::OutboxFull) => {}
            // Whether the policies may come into force is asked again at the next time.
            Err(CommitError::Refused(Refusal::MetaChanged { .. } | Refusal::Changed { .. })) => {
                *late = Some(self.start().await?);
            }
            Err(error) => return Err(Error::from_commit(error)),
        }
        Ok(())
    }

    /// Records that the broker stops, as the last thing it does.
    pub async fn record_stop(&self) -> Result<(), Error> {
        let now = self.clock.now().max(self.store.last_committed_at());
        let mut stopped = Entry::new(self.decision_id(now), now, EntryKind::Broker, Outcome::Done);
        stopped.reason = Some("stopped".to_owned());
        self.record(stopped).await
    }

    /// Records the denials that were beyond their callers' budgets, one entry a window.
    pub async fn record_counted_denials(&self) -> Result<(), Error> {
        let now = self.clock.now();
        self.record_counts(self.denials.drain(now), now).await
    }

    /// Records also those of windows that have not ended, before a stop.
    pub async fn record_all_denials(&self) -> Result<(), Error> {
        let now = self.clock.now();
        self.record_counts(self.denials.drain_all(), now).await
    }

    /// What cannot be recorded now is kept for the next time.
    async fn record_counts(&self, counts: Vec<Counted>, now: Timestamp) -> Result<(), Error> {
        let mut outcome = Ok(());
        for (caller, count) in counts {
            let id = self.decision_id(now);
            let mut entry = Entry::new(id, now, EntryKind::Denials, Outcome::Deny);
            if let Some(caller) = &caller {
                concern(&mut entry, &self.registry.load(), caller);
            }
            entry.actor.clone_from(&caller);
            entry.count = Some(count);
            if let Err(error) = self.record(entry).await {
                self.denials.put_back((caller, count), now);
                outcome = Err(error);
            }
        }
        outcome
    }
}

/// Says of an entry that it concerns `principal`: of an agent also who answers for it.
pub(crate) fn concern(entry: &mut Entry, registry: &Registry, principal: &Principal) {
    if let Principal::Agent(name) = principal {
        entry.owner = registry.agent(name).map(|row| row.value.owner.clone());
        entry.agent = Some(name.clone());
    }
}

/// An entry that the log cannot hold. The limits of its fields are such that there is none.
#[derive(Debug, thiserror::Error)]
#[error("an audit entry of kind {kind} has {found} bytes, more than {MAX_ENTRY_LEN}")]
struct EntryTooLarge {
    kind: EntryKind,
    found: usize,
}

/// The change that puts `entry` into the outbox.
pub(crate) fn outbox(entry: &Entry) -> Result<Change, Error> {
    Ok(Change::Outbox(Outboxed {
        id: entry.id,
        json: to_json(entry)?,
    }))
}

/// The entry as it is logged.
///
/// What cannot be recorded does not happen: an entry that the log could not hold fails the commit
/// that it belongs to.
pub(crate) fn to_json(entry: &Entry) -> Result<bytes::Bytes, Error> {
    let json = serde_json::to_vec(entry).map_err(Error::internal)?;
    if json.len() > MAX_ENTRY_LEN {
        return Err(Error::internal(EntryTooLarge {
            kind: entry.kind,
            found: json.len(),
        }));
    }
    Ok(json.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_core::DecisionId;
    use taskpass_core::rng::SeededRng;

    #[test]
    fn what_the_log_cannot_hold_is_not_committed() {
        let id = DecisionId::generate(Timestamp::ZERO, &SeededRng::new(1));
        let mut entry = Entry::new(id, Timestamp::ZERO, EntryKind::Read, Outcome::Done);
        entry.subject = Some(String::new());
        let empty = serde_json::to_vec(&entry).unwrap().len();
        for (longer, fits) in [(0, true), (1, false)] {
            entry.subject = Some("x".repeat(MAX_ENTRY_LEN - empty + longer));
            match outbox(&entry) {
                Ok(_) => assert!(fits),
                Err(error) => {
                    assert!(!fits);
                    assert_eq!(error.reason(), "INTERNAL");
                    let source = std::error::Error::source(&error).unwrap().to_string();
                    assert_eq!(
                        source,
                        "an audit entry of kind read has 65536 bytes, more than 65535"
                    );
                }
            }
        }
    }
}
