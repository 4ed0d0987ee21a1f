//! What is kept of a verifier's reports at a target, on disk.

use taskpass_core::coverage::{BatchId, MAX_BATCHES, Reporting, Span};
use taskpass_core::registry::Versioned;

use crate::record::{instant, optional};

/// A [`Reporting`] with its version; whose it is, and of which target, is the key.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReportingRecord {
    /// Raised with every write, from 1.
    #[prost(uint64, tag = "1")]
    version: u64,
    #[prost(bytes = "vec", repeated, tag = "2")]
    batches: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "3")]
    span: Option<SpanRecord>,
}

/// A [`Span`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct SpanRecord {
    #[prost(uint64, tag = "1")]
    since: u64,
    #[prost(uint64, tag = "2")]
    from: u64,
    #[prost(uint64, tag = "3")]
    until: u64,
    #[prost(uint64, tag = "4")]
    lost: u64,
    #[prost(uint64, tag = "5")]
    unknown: u64,
    #[prost(uint64, tag = "6")]
    told_at: u64,
}

impl From<&Span> for SpanRecord {
    fn from(span: &Span) -> Self {
        Self {
            since: span.since.millis(),
            from: span.from.millis(),
            until: span.until.millis(),
            lost: span.lost,
            unknown: span.unknown,
            told_at: span.told_at.millis(),
        }
    }
}

impl SpanRecord {
    fn into_span(self) -> Option<Span> {
        Some(Span {
            since: instant(self.since)?,
            from: instant(self.from)?,
            until: instant(self.until)?,
            lost: self.lost,
            unknown: self.unknown,
            told_at: instant(self.told_at)?,
        })
    }
}

impl ReportingRecord {
    /// `reporting` at this version.
    pub(crate) fn new(reporting: &Reporting, version: u64) -> Self {
        Self {
            version,
            batches: (reporting.batches.iter())
                .map(|batch| batch.as_bytes().to_vec())
                .collect(),
            span: reporting.span.as_ref().map(Into::into),
        }
    }

    /// What it holds, with its version.
    pub(crate) fn into_reporting(self) -> Option<Versioned<Reporting>> {
        if self.version == 0 || self.batches.len() > MAX_BATCHES {
            return None;
        }
        let batches = self.batches.iter().map(|bytes| BatchId::from_slice(bytes));
        Some(Versioned {
            value: Reporting {
                batches: batches.collect::<Option<_>>()?,
                span: optional(self.span, SpanRecord::into_span)?,
            },
            version: self.version,
        })
    }
}
