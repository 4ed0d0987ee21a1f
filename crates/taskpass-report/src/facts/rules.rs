//! Revocations, and which credentials each ended.
//!
//! The same reading as the broker's: a rule ends what it names and what was issued before it.

use std::collections::BTreeMap;

use taskpass_core::Timestamp;

use super::lives::Issued;
use crate::entry::{Ancestor, Revocation};

/// The revocations of a log, by what they name.
#[derive(Debug, Default)]
pub(super) struct Rules {
    by: BTreeMap<String, BTreeMap<String, Vec<Timestamp>>>,
}

impl Rules {
    pub(super) fn add(&mut self, revocation: &Revocation, at: Timestamp) {
        let of_kind = self.by.entry(revocation.selector.clone()).or_default();
        let times = of_kind.entry(revocation.value.clone()).or_default();
        // The log is in order but for moments: keep it so.
        let place = times.partition_point(|other| *other <= at);
        times.insert(place, at);
    }

    /// The first rule that names `value`, from `from` on.
    fn first(&self, selector: &str, value: &str, from: Timestamp) -> Option<Timestamp> {
        let times = self.by.get(selector)?.get(value)?;
        times
            .get(times.partition_point(|time| *time < from))
            .copied()
    }

    /// When a credential was first revoked, if it was.
    pub(super) fn end_of<'o>(
        &self,
        issued: &Issued,
        above: &[Ancestor],
        owner: impl Fn(&str) -> Option<&'o str>,
    ) -> Option<Timestamp> {
        let from = issued.issued_at;
        let of = |selector, value: Option<&str>| self.first(selector, value?, from);
        [
            of("credential", Some(&issued.id)),
            of("target", issued.target.as_deref()),
            of("key", issued.key.as_deref()),
            self.end_of_task(issued, above, owner, from),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When a rule first ended the task of a credential, if one did from `from` on.
    pub(super) fn end_of_task<'o>(
        &self,
        issued: &Issued,
        above: &[Ancestor],
        owner: impl Fn(&str) -> Option<&'o str>,
        from: Timestamp,
    ) -> Option<Timestamp> {
        let own = (&*issued.task, &*issued.agent);
        let above = above.iter().map(|a| (a.task.as_str(), a.agent.as_str()));
        let chain = std::iter::once(own).chain(above).flat_map(|(task, agent)| {
            let owner = owner(agent).and_then(|owner| self.first("owner", owner, from));
            [
                self.first("task", task, from),
                self.first("agent", agent, from),
                owner,
            ]
        });
        chain.chain([self.first("all", "", from)]).flatten().min()
    }
}
