//! Making audit entries, and the commits that hold nothing else.

use taskpass_core::Timestamp;
use taskpass_core::audit::{DecisionFacts, Entry, EntryKind, Outcome};
use taskpass_core::identity::Principal;
use taskpass_store::{Change, Commit, Lane, MetaKey, Outboxed};

use crate::broker::Broker;
use crate::error::Error;
use crate::standing::Standing;

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
        entry.generation = Some(caller.generation);
        entry.trace_id.clone_from(&caller.trace_id);
        if let Principal::Agent(name) = caller.caller.principal() {
            entry.owner = self
                .registry
                .load()
                .agent(&name)
                .map(|row| row.value.owner.clone());
            entry.agent = Some(name);
        }
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
        if let Error::PolicyDenied(denial) = error {
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
        principal: &Principal,
        method: &str,
        error: &Error,
    ) -> Result<(), Error> {
        let now = self.background_now();
        let mut entry = Entry::new(self.decision_id(now), now, EntryKind::Call, Outcome::Deny);
        entry.actor = Some(principal.clone());
        if let Principal::Agent(name) = principal {
            entry.owner = self
                .registry
                .load()
                .agent(name)
                .map(|row| row.value.owner.clone());
            entry.agent = Some(name.clone());
        }
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
    pub(crate) async fn record_start(&self) -> Result<(), Error> {
        let now = self.clock.now().max(self.store.last_committed_at());
        let mut started = Entry::new(self.decision_id(now), now, EntryKind::Broker, Outcome::Done);
        started.subject = Some(format!("taskpass {}", env!("CARGO_PKG_VERSION")));
        started.reason = Some("started".to_owned());
        let mut commit = Commit::new(now)
            .in_lane(Lane::Background)
            .change(outbox(&started)?);
        let hash = self.policy_hash();
        let known = self.store.meta(MetaKey::PolicySet).await?;
        if known.as_deref() != Some(hash.as_bytes().as_slice()) {
            let mut loaded =
                Entry::new(self.decision_id(now), now, EntryKind::Policy, Outcome::Done);
            loaded.subject = Some(hash.to_string());
            loaded.reason = Some("a policy set came into force".to_owned());
            commit = commit.change(outbox(&loaded)?).change(Change::PutMeta {
                key: MetaKey::PolicySet,
                value: hash.as_bytes().to_vec(),
            });
        }
        self.commit(commit)
            .await
            .map(drop)
            .map_err(Error::from_commit)
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
        for (caller, count) in self.denials.drain(now) {
            let mut entry = Entry::new(
                self.decision_id(now),
                now,
                EntryKind::Denials,
                Outcome::Deny,
            );
            entry.actor = caller;
            entry.count = Some(count);
            self.record(entry).await?;
        }
        Ok(())
    }
}

/// The change that puts `entry` into the outbox.
pub(crate) fn outbox(entry: &Entry) -> Result<Change, Error> {
    let json = serde_json::to_vec(entry).map_err(Error::internal)?;
    Ok(Change::Outbox(Outboxed {
        id: entry.id,
        json: json.into(),
    }))
}
