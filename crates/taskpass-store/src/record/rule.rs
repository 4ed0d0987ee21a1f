//! A rule on disk.

use taskpass_core::identity::Principal;
use taskpass_core::revocation::{Rule, Selector};

use crate::record::{instant, optional};

/// A [`Rule`] without its `seq`, which is the key.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RuleRecord {
    #[prost(string, tag = "1")]
    selects: String,
    #[prost(string, tag = "2")]
    value: String,
    #[prost(uint64, tag = "3")]
    issued_before: u64,
    #[prost(string, optional, tag = "4")]
    only_target: Option<String>,
    #[prost(string, tag = "5")]
    reason: String,
    #[prost(string, tag = "6")]
    actor_kind: String,
    #[prost(string, tag = "7")]
    actor_name: String,
    #[prost(string, optional, tag = "8")]
    owner: Option<String>,
    #[prost(uint64, tag = "9")]
    at: u64,
    #[prost(uint64, tag = "10")]
    prune_at: u64,
}

impl From<&Rule> for RuleRecord {
    fn from(rule: &Rule) -> Self {
        Self {
            selects: rule.selector.kind().to_owned(),
            value: rule.selector.value(),
            issued_before: rule.issued_before,
            only_target: rule.only_target.as_ref().map(ToString::to_string),
            reason: rule.reason.clone(),
            actor_kind: rule.actor.kind().to_owned(),
            actor_name: rule.actor.name().to_owned(),
            owner: rule.owner.as_ref().map(ToString::to_string),
            at: rule.at.millis(),
            prune_at: rule.prune_at.millis(),
        }
    }
}

impl RuleRecord {
    /// The rule `seq`.
    pub(crate) fn into_rule(self, seq: u64) -> Option<Rule> {
        Some(Rule {
            seq,
            selector: Selector::from_parts(&self.selects, &self.value)?,
            issued_before: self.issued_before,
            only_target: optional(self.only_target, |target| target.parse().ok())?,
            reason: self.reason,
            actor: Principal::from_parts(&self.actor_kind, &self.actor_name)?,
            owner: optional(self.owner, |owner| owner.parse().ok())?,
            at: instant(self.at)?,
            prune_at: instant(self.prune_at)?,
        })
    }
}
