//! The sum of what the reaper removed and no audit entry tells yet.
//!
//! Each step of the reaper adds to it in its own transaction, under [`MetaKey::Swept`]; the commit
//! that records the entry writes [`Swept::NONE`] there, guarded by [`Guard::MetaIs`]. So every removed
//! row is in exactly one entry, wherever a crash falls and however many reapers there are.
//!
//! [`Guard::MetaIs`]: crate::Guard::MetaIs
//! [`MetaKey::Swept`]: crate::MetaKey::Swept

use prost::Message as _;
use taskpass_core::Timestamp;

use super::Reaped;
use crate::error::StoreError;
use crate::record::{self, SweptRecord};

/// What was removed and is not told yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Expired credentials.
    pub credentials: u64,
    /// Tasks past their deadline and retention.
    pub tasks: u64,
    /// Rules that could match nothing any more.
    pub rules: u64,
    /// Expired enrolments and other small rows.
    pub others: u64,
    /// All of it expired before this.
    pub before: Timestamp,
}

impl Swept {
    /// Nothing.
    pub const NONE: Self = Self {
        credentials: 0,
        tasks: 0,
        rules: 0,
        others: 0,
        before: Timestamp::ZERO,
    };

    /// Whether there is nothing to tell.
    pub fn is_none(&self) -> bool {
        let Self {
            credentials,
            tasks,
            rules,
            others,
            before: _,
        } = self;
        [credentials, tasks, rules, others]
            .iter()
            .all(|count| **count == 0)
    }

    /// Reads what is kept; where nothing was ever kept, nothing was removed.
    pub fn from_kept(kept: Option<&[u8]>) -> Result<Self, StoreError> {
        kept.map_or(Ok(Self::NONE), |bytes| {
            record::read("meta", bytes, SweptRecord::into_swept)
        })
    }

    /// As it is kept.
    pub fn to_kept(&self) -> Vec<u8> {
        SweptRecord::from(self).encode_to_vec()
    }

    /// What is kept once a step that removed `step` is done too. Nothing if it removed nothing.
    pub(crate) fn after(
        kept: Option<&[u8]>,
        step: &Reaped,
        before: Timestamp,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let step = Self {
            credentials: step.credentials,
            tasks: step.tasks,
            rules: step.rules,
            others: step.others,
            before,
        };
        if step.is_none() {
            return Ok(None);
        }
        let kept = Self::from_kept(kept)?;
        let sum = Self {
            credentials: kept.credentials.saturating_add(step.credentials),
            tasks: kept.tasks.saturating_add(step.tasks),
            rules: kept.rules.saturating_add(step.rules),
            others: kept.others.saturating_add(step.others),
            before: kept.before.max(before),
        };
        Ok(Some(sum.to_kept()))
    }
}
