//! What credentials were used for: by the word of the verifiers of their targets, and of the agents
//! that have them.
//!
//! Each batch is recorded whole and once, on disk before it is answered: the entries about its
//! credentials, what its verifier covers from now on, and that it was taken, in one commit. What is
//! reported is tied to a credential that is recorded here, and through it to agent, owner, task and
//! decision; of what is not, only the number is kept, in the coverage, so that nobody fills the trail
//! with inventions. A verifier is believed about its own targets and nothing else; what an agent says
//! is marked as its word, covers nothing, and is worth what its word is.
//!
//! Nothing here allows or ends anything. Reports give way to issuing: a batch is refused while the
//! log is behind.

mod entries;
mod judge;
mod limit;
mod tie;

use taskpass_core::audit::{EntryKind, Outcome, UseItem, UsedBy};
use taskpass_core::caller::Caller;
use taskpass_core::coverage::{BatchId, Covered, Window};
use taskpass_core::{AgentName, CredentialId, TargetUri, VerifierName};
use taskpass_store::{Commit, CommitError, Guard, Refusal, Reporter};

use crate::broker::Broker;
use crate::error::Error;
use crate::standing::Standing;
use judge::{own_target, sane};
use tie::{Bounds, Tied};

pub(crate) use limit::UsePaces;
pub use limit::{MAX_USE_ITEMS_PER_MINUTE, UseLimits};

/// The most items in one batch.
pub const MAX_USE_BATCH: usize = 256;
/// How often a batch is tried that meets others of the same verifier.
const ATTEMPTS: u32 = 8;

/// One use, or several that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedUse {
    /// Of which credential.
    pub credential: CredentialId,
    /// What it was used for.
    pub item: UseItem,
}

/// What a verifier says of a batch as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseBatch {
    /// What makes it the same batch when it is sent again.
    pub id: BatchId,
    /// One of the verifier's targets.
    pub target: TargetUri,
    /// The window of which it, with others that name the same, reports everything.
    pub window: Window,
    /// What the verifier saw and could not keep. Of what can be said in one batch, sums stay true.
    pub lost: u32,
    /// Whether it stops with this.
    pub last: bool,
}

/// Uses that somebody reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseReport {
    /// Of a verifier; an agent says nothing of the kind.
    pub batch: Option<UseBatch>,
    /// The uses.
    pub items: Vec<ReportedUse>,
    /// Items that could not be read.
    pub unreadable: u64,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reported {
    /// Items that are recorded.
    pub accepted: u64,
    /// Items about credentials that are not known, or not the reporter's.
    pub unknown: u64,
    /// Items that could not be read.
    pub refused: u64,
    /// Whether it was recorded before, and therefore not again.
    pub repeated: bool,
}

impl Broker {
    /// Records what credentials were used for. For verifiers, of their targets, and for agents, of
    /// their own credentials.
    pub async fn report_use(
        &self,
        caller: &Standing,
        report: &UseReport,
    ) -> Result<Reported, Error> {
        let error = match self.take_report(caller, report).await {
            Ok(reported) => return Ok(reported),
            Err(error) => error,
        };
        if !self.count_limited(caller, &error) && error.is_denial() {
            let now = self.clock.now();
            let mut entry = self.entry(caller, now, EntryKind::Call, Outcome::Deny);
            if let Error::ForeignTarget { target } = &error {
                entry.subject = Some(format!("report of uses at target {target}"));
            }
            self.record_denial(entry, &error).await?;
        }
        Err(error)
    }

    async fn take_report(&self, caller: &Standing, report: &UseReport) -> Result<Reported, Error> {
        let found = report
            .items
            .len()
            .saturating_add(usize::try_from(report.unreadable).unwrap_or(usize::MAX));
        if found > MAX_USE_BATCH {
            let max = MAX_USE_BATCH;
            return Err(Error::TooManyItems { found, max });
        }
        match (&caller.caller, &report.batch) {
            (Caller::Verifier(name, _), Some(batch)) => {
                self.by_verifier(caller, name, batch, report, found).await
            }
            (Caller::Agent(name), None) => self.by_agent(caller, name, report, found).await,
            (other, _) => Err(Error::MethodNotAllowed {
                caller: other.to_string(),
                method: "for verifiers with a target, and agents without one".to_owned(),
            }),
        }
    }

    async fn by_verifier(
        &self,
        caller: &Standing,
        verifier: &VerifierName,
        batch: &UseBatch,
        report: &UseReport,
        found: usize,
    ) -> Result<Reported, Error> {
        // By a clock that went back the verifier's would be ahead, and its windows refused for ever.
        let now = self.clock.safe_now()?;
        let window = sane(batch.window, now)?;
        own_target(&self.registry.load(), verifier, &batch.target)?;
        self.room_for_uses(caller, found)?;
        let bounds = Bounds::Target(&batch.target, window);
        let tied = self.tie_uses(&report.items, &bounds, now).await?;
        let reporter = Reporter {
            verifier: verifier.clone(),
            target: batch.target.clone(),
        };
        for _ in 0..ATTEMPTS {
            let kept = self.store.reporting(&reporter).await?;
            let (kept, version) = kept.map_or_else(Default::default, |k| (k.value, k.version));
            if kept.knows(batch.id) {
                self.metrics.use_batches_repeated.one();
                return Ok(Reported {
                    repeated: true,
                    ..Reported::default()
                });
            }
            let covered = Covered {
                window,
                lost: u64::from(batch.lost).saturating_add(report.unreadable),
                unknown: tied.unknown_uses,
                last: batch.last,
            };
            let (next, told) = kept.after(batch.id, &covered, now);
            let guard = own_target(&self.registry.load(), verifier, &batch.target)?;
            let mut commit = self
                .commit_uses(caller, now, UsedBy::Verifier, &bounds, &tied)?
                .guard(guard)
                .guard(Guard::ReportingIs {
                    reporter: reporter.clone(),
                    version,
                });
            for facts in told {
                commit = commit.change(self.coverage(caller, now, &batch.target, facts)?);
            }
            let commit = commit.change(taskpass_store::Change::PutReporting {
                reporter: reporter.clone(),
                reporting: next,
            });
            if self.commit_report(commit).await? {
                self.metrics.uses_lost.add(batch.lost.into());
                return Ok(self.reported(&tied, report.unreadable));
            }
        }
        Err(Error::QueueFull)
    }

    async fn by_agent(
        &self,
        caller: &Standing,
        agent: &AgentName,
        report: &UseReport,
        found: usize,
    ) -> Result<Reported, Error> {
        if found == 0 {
            let max = MAX_USE_BATCH;
            return Err(Error::TooManyItems { found, max });
        }
        let now = self.clock.safe_now()?;
        self.room_for_uses(caller, found)?;
        let bounds = Bounds::Own(agent);
        let tied = self.tie_uses(&report.items, &bounds, now).await?;
        if !tied.credentials.is_empty() {
            let commit = self.commit_uses(caller, now, UsedBy::Agent, &bounds, &tied)?;
            let committed = self.commit(commit).await;
            committed.map_err(Error::from_commit)?;
        }
        Ok(self.reported(&tied, report.unreadable))
    }

    /// Whether the batch is on disk; if not, something that it rests on has changed, and is read anew.
    async fn commit_report(&self, commit: Commit) -> Result<bool, Error> {
        match self.commit(commit).await {
            Ok(_) => Ok(true),
            Err(CommitError::Refused(Refusal::ReportingChanged { .. })) => Ok(false),
            Err(CommitError::Refused(Refusal::Changed { .. })) => {
                self.reload_registry().await?;
                Ok(false)
            }
            Err(error) => Err(Error::from_commit(error)),
        }
    }

    fn reported(&self, tied: &Tied, unreadable: u64) -> Reported {
        let metrics = &self.metrics;
        metrics.use_batches.one();
        metrics.uses_recorded.add(tied.accepted);
        metrics.uses_late.add(tied.late);
        metrics
            .uses_unknown
            .add(tied.unknown.saturating_sub(tied.late));
        metrics.uses_refused.add(unreadable);
        Reported {
            accepted: tied.accepted,
            unknown: tied.unknown,
            refused: unreadable,
            repeated: false,
        }
    }
}
