//! How far a verifier has reported what credentials are used for at a target: since when, up to when,
//! what it could not keep, and which batches were taken.
//!
//! Pure: a batch's window is joined to what is covered already, and what comes out is what the audit
//! trail is told. Windows that meet are one span, however late one of them arrives; a span that is
//! not continued is never made longer than what was reported. Nothing here says that a report is
//! true: a verifier is believed about its own targets.

use std::time::Duration;

use crate::audit::CoverageFacts;
use crate::time::Timestamp;

/// How many batches are remembered, the newest: twice as many as one stream can have.
pub const MAX_BATCHES: usize = 64;
/// The longest time for which a running span is not told anew.
pub const TOLD_EVERY: Duration = Duration::from_mins(15);
/// How far apart two windows may be that meet.
const MEET: Duration = Duration::from_secs(1);

/// What makes a batch that is sent again the same batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId([u8; 16]);

impl BatchId {
    /// From its bytes; `None` if they are not sixteen, or all zero, which is nobody's choice.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 16] = bytes.try_into().ok()?;
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A stretch of time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end, not before its beginning.
    pub until: Timestamp,
}

/// What a batch says of its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// The window of which everything is reported, but for what is lost.
    pub window: Window,
    /// Uses that were seen, and are in no batch.
    pub lost: u64,
    /// Uses of credentials that are not known.
    pub unknown: u64,
    /// Whether the verifier stops with this.
    pub last: bool,
}

/// Time that is covered without a gap, as it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Since when.
    pub since: Timestamp,
    /// From when on the trail was not told of it.
    pub from: Timestamp,
    /// Up to when.
    pub until: Timestamp,
    /// Lost since the trail was told.
    pub lost: u64,
    /// Unknown since the trail was told.
    pub unknown: u64,
    /// When the trail was told.
    pub told_at: Timestamp,
}

/// What is kept of a verifier at a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reporting {
    /// The newest batches that were taken, the newest last; at most [`MAX_BATCHES`].
    pub batches: Vec<BatchId>,
    /// What is covered and goes on; `None` before the first report, and after the last.
    pub span: Option<Span>,
}

impl Reporting {
    /// Whether a batch was taken before.
    pub fn knows(&self, batch: BatchId) -> bool {
        self.batches.contains(&batch)
    }

    /// What is kept once `batch` is taken at `now`, and what the trail is to be told.
    #[must_use]
    pub fn after(
        &self,
        batch: BatchId,
        covered: &Covered,
        now: Timestamp,
    ) -> (Self, Vec<CoverageFacts>) {
        let mut told = Vec::new();
        let span = join(self.span, covered, now, &mut told);
        let forgotten = (self.batches.len() + 1).saturating_sub(MAX_BATCHES);
        let kept = self.batches.iter().skip(forgotten).copied();
        let batches = kept.chain([batch]).collect();
        (Self { batches, span }, told)
    }
}

/// The span that goes on, once `covered` is added to it.
fn join(
    span: Option<Span>,
    covered: &Covered,
    now: Timestamp,
    told: &mut Vec<CoverageFacts>,
) -> Option<Span> {
    let window = covered.window;
    let mut span = match span {
        // Late, and from before a gap: the span goes on as if it had not come.
        Some(span) if window.until.plus(MEET) < span.since => {
            told.push(covered.alone());
            return Some(span);
        }
        Some(span) if window.from <= span.until.plus(MEET) => span.with(covered),
        ended => {
            told.extend(ended.and_then(Span::untold));
            Span::beginning(covered)
        }
    };
    if covered.last || now.since(span.told_at) >= TOLD_EVERY {
        told.push(span.facts());
        span = Span {
            from: span.until,
            lost: 0,
            unknown: 0,
            told_at: now,
            ..span
        };
    }
    (!covered.last).then_some(span)
}

impl Covered {
    /// What the trail is told of this window by itself.
    fn alone(&self) -> CoverageFacts {
        Span::beginning(self).facts()
    }
}

impl Span {
    /// A span that the trail was never told of.
    fn beginning(covered: &Covered) -> Self {
        let Window { from, until } = covered.window;
        Self {
            since: from,
            from,
            until,
            lost: covered.lost,
            unknown: covered.unknown,
            told_at: Timestamp::ZERO,
        }
    }

    /// This and a window that meets it.
    fn with(self, covered: &Covered) -> Self {
        let Window { from, until } = covered.window;
        // A window that reaches back before all that was told is told with what is next.
        let untold = if from < self.since { from } else { self.from };
        Self {
            since: self.since.min(from),
            from: self.from.min(untold),
            until: self.until.max(until),
            lost: self.lost.saturating_add(covered.lost),
            unknown: self.unknown.saturating_add(covered.unknown),
            told_at: self.told_at,
        }
    }

    fn facts(self) -> CoverageFacts {
        CoverageFacts {
            from: self.from,
            until: self.until,
            lost: self.lost,
            unknown: self.unknown,
        }
    }

    /// What the trail was not told, if there is anything.
    fn untold(self) -> Option<CoverageFacts> {
        let anything = self.until > self.from || self.lost > 0 || self.unknown > 0;
        anything.then(|| self.facts())
    }
}

#[cfg(test)]
mod tests;
