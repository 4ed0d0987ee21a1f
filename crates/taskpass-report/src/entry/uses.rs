//! What an entry says of the use of credentials, and of which time that is known.

use serde::Deserialize;
use taskpass_core::Timestamp;

use super::instant;

/// What a credential was used for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Used {
    /// By whose word: `verifier` or `agent`.
    pub by: String,
    /// Each use.
    #[serde(default)]
    pub items: Vec<UsedItem>,
}

/// Uses that have everything but the time in common.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UsedItem {
    /// The scope that was checked, by its name in the target; `None` if none was.
    pub scope: Option<String>,
    /// `allowed` or `refused`.
    pub outcome: String,
    /// How often.
    pub count: u64,
    /// The last of them.
    #[serde(deserialize_with = "instant")]
    pub last_at: Timestamp,
}

/// Time of which a verifier reported what it saw at a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Covered {
    /// From when.
    #[serde(deserialize_with = "instant")]
    pub from: Timestamp,
    /// Up to when.
    #[serde(deserialize_with = "instant")]
    pub until: Timestamp,
    /// Uses that it saw and could not report.
    #[serde(default)]
    pub lost: u64,
    /// Uses that it reported of credentials that the broker did not know.
    #[serde(default)]
    pub unknown: u64,
}
