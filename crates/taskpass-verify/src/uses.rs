//! What credentials are used for here, for the broker: whoever answers for an agent can then see which of
//! its scopes it uses, and not only which it was granted.
//!
//! [`Uses`] gathers: one count for each credential, scope, action, resource and outcome, in memory, with
//! a bound; beyond the bound a use is counted as lost, and the broker is told how many were.
//! [`UseReports`] sends what was gathered, and of which time that is everything, every half minute and
//! once more at the end. It never holds up a request, and never invents: of a token whose signature did
//! not hold nothing is kept.
//!
//! It is off unless somebody asks for it: an API that wants its uses to leave it says so with
//! `Guard::reporting`, or calls [`Uses::note`] itself. What leaves it are ids of credentials, names of
//! scopes, the actions that the API names, counts and times. Resources, which may say something about
//! people, stay here unless [`UseSettings::resources`] is set.

mod batch;
mod held;
mod send;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use taskpass_core::audit::{MAX_ACTION_LEN, MAX_RESOURCE_LEN};
use taskpass_core::{CredentialId, ScopeName, TargetUri};

use crate::token::VerifiedToken;
use crate::verifier::Verifier;
use held::{Held, What};

pub use held::Outcome;
pub use send::UseReports;

/// How much to gather, and how often to send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseSettings {
    /// The most counts that are held until they are sent: 64 to 65536. One credential gets at most a
    /// sixteenth of them.
    pub most: usize,
    /// How often they are sent: 1 s to 5 min.
    pub every: Duration,
    /// Whether the resources that the API names are sent as well.
    pub resources: bool,
}

impl Default for UseSettings {
    fn default() -> Self {
        Self {
            most: 8192,
            every: Duration::from_secs(30),
            resources: false,
        }
    }
}

impl UseSettings {
    fn bounded(self) -> Self {
        let (least, longest) = (Duration::from_secs(1), Duration::from_mins(5));
        Self {
            most: self.most.clamp(64, 65_536),
            every: self.every.clamp(least, longest),
            ..self
        }
    }
}

/// What a token was used for.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    /// The scope that was checked, if one was.
    pub scope: Option<&'a ScopeName>,
    /// What was done: a tool, a method, an operation. At most 128 bytes, without control characters; what
    /// is otherwise is left out.
    pub action: Option<&'a str>,
    /// To what. At most 256 bytes, without control characters. Sent only if the settings say so.
    pub resource: Option<&'a str>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Gathers uses. Cloning it shares everything.
#[derive(Debug, Clone)]
pub struct Uses {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    verifier: Verifier,
    settings: UseSettings,
    held: Held,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    noted: AtomicU64,
    lost: AtomicU64,
    sent: AtomicU64,
    unknown: AtomicU64,
    refused: AtomicU64,
    batches: AtomicU64,
    failures: AtomicU64,
    waiting: AtomicU64,
    /// In milliseconds of the monotonic clock, and one more: 0 is never.
    delivered_at: AtomicU64,
}

/// The numbers at one instant. Everything but `held` and `waiting` counts from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseMetrics {
    /// Uses that were seen.
    pub noted: u64,
    /// Of these, how many there was no room for, or were never taken. Deserves an alarm: of the time in
    /// which it grows the broker's reports cannot say that a scope was not used.
    pub lost: u64,
    /// Uses that the broker has taken.
    pub sent: u64,
    /// Items, of these, of credentials that the broker did not know (any more).
    pub unknown: u64,
    /// Items that it could not read.
    pub refused: u64,
    /// Batches that it has taken.
    pub batches: u64,
    /// How often sending failed.
    pub failures: u64,
    /// Batches that wait for an answer.
    pub waiting: u64,
    /// Counts that are gathered and not in a batch yet.
    pub held: usize,
    /// How long ago the broker last took something; `None` if never. Deserves an alarm if it is much
    /// longer than [`UseSettings::every`].
    pub delivered_age: Option<Duration>,
}

impl Uses {
    /// Gathers what is used at the audiences of `verifier`.
    pub fn new(verifier: Verifier, settings: UseSettings) -> Self {
        let settings = settings.bounded();
        let inner = Inner {
            verifier,
            held: Held::new(settings.most),
            settings,
            counters: Counters::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Notes a use of a token that was verified: for whoever checks without a `Guard`, which does it by
    /// itself.
    pub fn note(&self, token: &VerifiedToken, used: &Use<'_>) {
        let target = token.audience();
        if self.speaks_for(target) {
            self.add(token.credential_id(), target, used);
        }
    }

    /// The numbers at this instant.
    pub fn metrics(&self) -> UseMetrics {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Inner {
            verifier,
            held,
            counters,
            ..
        } = &*self.inner;
        let delivered_at = load(&counters.delivered_at).checked_sub(1);
        let age = |at| {
            verifier
                .clock()
                .monotonic()
                .saturating_sub(Duration::from_millis(at))
        };
        UseMetrics {
            noted: load(&counters.noted),
            lost: load(&counters.lost),
            sent: load(&counters.sent),
            unknown: load(&counters.unknown),
            refused: load(&counters.refused),
            batches: load(&counters.batches),
            failures: load(&counters.failures),
            waiting: load(&counters.waiting),
            held: held.len(),
            delivered_age: delivered_at.map(age),
        }
    }

    pub(crate) fn speaks_for(&self, target: &TargetUri) -> bool {
        self.inner.verifier.speaks_for(target)
    }

    /// Notes a use; in which gathering it is.
    pub(crate) fn add(&self, id: CredentialId, target: &TargetUri, used: &Use<'_>) -> u64 {
        let Inner {
            verifier,
            held,
            counters,
            ..
        } = &*self.inner;
        let added = held.add(id, &self.what(target, used), verifier.clock().now());
        bump(&counters.noted, 1);
        if !added.kept {
            bump(&counters.lost, 1);
        }
        added.gathering
    }

    /// Says better what a use was that was noted as `was` in a gathering, unless that is on its way
    /// already: it is never counted twice.
    #[cfg(feature = "tower")]
    pub(crate) fn name(
        &self,
        id: CredentialId,
        target: &TargetUri,
        (was, gathering): (&Use<'_>, u64),
        is: &Use<'_>,
    ) {
        let (was, is) = (self.what(target, was), self.what(target, is));
        let now = self.inner.verifier.clock().now();
        self.inner.held.rename(id, gathering, &was, &is, now);
    }

    fn what<'a>(&self, target: &'a TargetUri, used: &Use<'a>) -> What<'a> {
        let resource = used.resource.filter(|_| self.inner.settings.resources);
        What {
            target,
            scope: used.scope,
            action: used.action.filter(|text| is_plain(text, MAX_ACTION_LEN)),
            resource: resource.filter(|text| is_plain(text, MAX_RESOURCE_LEN)),
            outcome: used.outcome,
        }
    }
}

/// What the broker takes as a text; one that it would not costs the text and not the use.
fn is_plain(text: &str, most: usize) -> bool {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    !text.is_empty() && text.len() <= most && !text.chars().any(breaks)
}

fn bump(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
