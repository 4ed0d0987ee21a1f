//! Drills of the kill switch: a canary's credential is revoked, and it is measured when everybody refuses.
//!
//! A drill issues nothing and knows no way of its own to revoke: it calls [`Broker::revoke`] as an
//! operator's request does, so that what is measured is what happens in an emergency. Only credentials of
//! an agent that is labelled as a canary are taken, so that a mistyped id ends no work. All times are of
//! the broker's monotonic clock, from the moment at which the call was read.
//!
//! What it cannot say: whether an API asks its verifier at all, and what a verifier does that lost its
//! connection before. A confirmation is a verifier's word, and comes back over the same network: the
//! figures are upper bounds of what they measure.

mod roster;

use std::time::Duration;

use taskpass_core::audit::{Cause, CredentialFacts, DrillFacts, EntryKind, Outcome, micros};
use taskpass_core::caller::Caller;
use taskpass_core::credential::Credential;
use taskpass_core::identity::Principal;
use taskpass_core::{CredentialId, DecisionId, Timestamp};

use crate::broker::Broker;
use crate::error::Error;
use crate::revoke::{Revoke, RevokeWhat, Revoked, check_reason};
use crate::standing::Standing;

pub(crate) use roster::{Drills, Seat};

/// The label that makes an agent a canary.
pub const CANARY: (&str, &str) = ("drill", "canary");
/// How long a drill waits where nothing is said.
pub const DRILL_TIMEOUT: Duration = Duration::from_secs(5);
/// The least and the most that it can be told to wait.
pub const DRILL_TIMEOUTS: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(20));
/// The least time between the beginnings of two drills.
pub(crate) const BETWEEN: Duration = Duration::from_mins(1);
/// How often the broker asks itself again, should it still accept.
const LOOK: Duration = Duration::from_millis(1);

/// A drill as it is asked for.
#[derive(Debug, Clone)]
pub struct Drill {
    /// A live credential of a canary.
    pub credential: CredentialId,
    /// Why.
    pub reason: String,
    /// How long to wait for verifiers.
    pub timeout: Option<Duration>,
}

/// A drill that was held.
#[derive(Debug, Clone)]
pub struct Drilled {
    /// The rule's place.
    pub seq: u64,
    /// The entry of the drill.
    pub entry: DecisionId,
    /// When the revocation was made.
    pub at: Timestamp,
    /// The figures.
    pub facts: DrillFacts,
    /// Each stream, and when it refused; the quickest first, the silent ones last.
    pub verifiers: Vec<(Principal, Option<Duration>)>,
}

impl Broker {
    /// Revokes a canary's credential, and waits until everybody refuses it, or the time is over.
    pub async fn drill(&self, caller: &Standing, request: &Drill) -> Result<Drilled, Error> {
        let arrived = self.clock.monotonic();
        // What an agent may give up by itself is no drill.
        if !matches!(caller.caller, Caller::Operator(..)) {
            return Err(Error::MethodNotAllowed {
                caller: caller.caller.to_string(),
                method: "a drill".to_owned(),
            });
        }
        check_reason(&request.reason)?;
        let timeout = timeout(request.timeout)?;
        let slot = self.drills.begin(arrived, timeout)?;
        let credential = self.canary(request.credential).await?;
        slot.arm(&credential, &*self.rng);
        let revoke = Revoke {
            what: RevokeWhat::Credential(credential.id),
            reason: request.reason.clone(),
            dry_run: false,
            no_suspend: true,
        };
        let revoked = self.revoke(caller, &revoke).await?;
        slot.held();
        let since = |at: Duration| at.saturating_sub(arrived);
        let committed = since(self.clock.monotonic());
        let (refused, in_time) = tokio::join!(
            tokio::time::timeout(timeout, self.refuses(&credential)),
            tokio::time::timeout(timeout, slot.everybody()),
        );
        let introspected = match refused {
            Ok(Ok(at)) => Some(since(at)),
            Ok(Err(error)) => {
                // The revocation stands, and so does whatever was measured of it.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the broker could not ask itself"
                );
                None
            }
            Err(_) => None,
        };
        let verifiers: Vec<_> = slot
            .result()
            .into_iter()
            .map(|(who, at)| (who, at.map(since)))
            .collect();
        let facts = DrillFacts {
            commit_us: micros(committed),
            introspect_us: introspected.map(micros),
            timed_out: in_time.is_err() || introspected.is_none(),
            ..DrillFacts::default()
        }
        .confirmed(
            verifiers.len(),
            verifiers.iter().filter_map(|(_, at)| *at).collect(),
        );
        self.metrics.drilled(&facts);
        let entry = self
            .record_drill(caller, &credential, &revoked, facts, &request.reason)
            .await?;
        Ok(Drilled {
            seq: revoked.seq,
            entry,
            at: revoked.at,
            facts,
            verifiers,
        })
    }

    /// Takes a verifier's word that it refuses the credential of a drill; whether one waited for it.
    pub fn confirm_drill(
        &self,
        caller: &Standing,
        token: &[u8],
        credential: CredentialId,
        seq: u64,
    ) -> bool {
        let at = self.clock.monotonic();
        // A rule that is not made yet cannot refuse anything.
        let made = seq > 0 && seq <= self.store.rules().newest_seq();
        matches!(caller.caller, Caller::Verifier(..))
            && made
            && self
                .drills
                .confirm(&caller.caller.principal(), token, credential, at)
    }

    /// The credential, if it is a live one of a canary.
    async fn canary(&self, id: CredentialId) -> Result<Credential, Error> {
        let found = self.store.credential(id).await?;
        let credential = found.ok_or(Error::CredentialNotFound { credential: id })?;
        let registry = self.registry.load();
        let (label, value) = CANARY;
        let is_canary = registry.agent(&credential.agent).is_some_and(|row| {
            let found = row.value.labels.get(label);
            found.is_some_and(|found| found == value)
        });
        let refused = |why| Error::NotDrillable {
            credential: id,
            why,
        };
        if !is_canary {
            return Err(refused("its agent has no label `drill=canary`"));
        }
        if self.valid(credential.clone()).await?.is_none() {
            return Err(refused("it is not valid any more; take a fresh one"));
        }
        Ok(credential)
    }

    /// When introspection says that the credential is not valid, the first time that it does.
    async fn refuses(&self, credential: &Credential) -> Result<Duration, Error> {
        while self.valid(credential.clone()).await?.is_some() {
            tokio::time::sleep(LOOK).await;
        }
        Ok(self.clock.monotonic())
    }

    async fn record_drill(
        &self,
        caller: &Standing,
        credential: &Credential,
        revoked: &Revoked,
        facts: DrillFacts,
        reason: &str,
    ) -> Result<DecisionId, Error> {
        let now = self.clock.now().max(self.store.last_committed_at());
        let mut entry = self.entry(caller, now, EntryKind::Drill, Outcome::Done);
        entry.agent = Some(credential.agent.clone());
        entry.owner = Some(credential.owner.clone());
        entry.task = Some(credential.task);
        entry.target = credential.target().cloned();
        entry.credential = Some(CredentialFacts::from(credential));
        entry.drill = Some(facts);
        entry.cause = Some(Cause::Entry(revoked.entry));
        entry.reason = Some(reason.to_owned());
        let id = entry.id;
        self.record(entry).await?;
        Ok(id)
    }
}

fn timeout(asked: Option<Duration>) -> Result<Duration, Error> {
    let (least, most) = DRILL_TIMEOUTS;
    match asked {
        None => Ok(DRILL_TIMEOUT),
        Some(asked) if (least..=most).contains(&asked) => Ok(asked),
        Some(_) => Err(Error::field("timeout", "100 ms to 20 s")),
    }
}
