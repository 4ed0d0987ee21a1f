//! The kinds of agents in the month.
//!
//! Each kind is registered for more than it uses, asks for some of it in ceilings without ever taking
//! a token for it, and now and then asks for what it is not registered for: as they do.

use taskpass_core::access::Stage;

/// When agents work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hours {
    /// While people do, on weekdays most of all.
    Office,
    /// While they do not.
    Night,
    /// At any time.
    Always,
}

/// A kind of agents.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) word: &'static str,
    pub(super) purpose: &'static str,
    pub(super) stage: Stage,
    /// How many of a hundred agents are of it.
    pub(super) share: u64,
    pub(super) hours: Hours,
    /// Tasks in ten days.
    pub(super) pace: u64,
    /// What its tokens are for.
    pub(super) used: &'static [&'static str],
    /// What it has in some ceilings, and in no token.
    pub(super) ceiling: &'static [&'static str],
    /// What it is registered for and never asks for.
    pub(super) spare: &'static [&'static str],
    /// What it asks for at times, and is not registered for.
    pub(super) beyond: &'static [&'static str],
    pub(super) tasks: &'static [&'static str],
}

/// The kind that hands parts of its work on, and the kind that takes them.
pub(super) const PLANNER: &str = "planner";
/// See [`PLANNER`].
pub(super) const HELPER: &str = "support";

pub(super) const ROLES: [Role; 9] = [
    Role {
        word: "invoices",
        purpose: "enters invoices and matches them with orders",
        stage: Stage::Bounded,
        share: 16,
        hours: Hours::Office,
        pace: 14,
        used: &[
            "https://ledger.example#invoices:read",
            "https://ledger.example#invoices:write",
        ],
        ceiling: &["https://mail.example#inbox:read"],
        spare: &[
            "https://crm.example#contacts:read",
            "https://ledger.example#payments:send",
        ],
        beyond: &["https://hr.example#people:read"],
        tasks: &[
            "match invoices with orders",
            "enter the invoices of the day",
            "find invoices paid twice",
        ],
    },
    Role {
        word: "reports",
        purpose: "writes the figures of the week for those who asked for them",
        stage: Stage::ReadOnly,
        share: 15,
        hours: Hours::Night,
        pace: 9,
        used: &[
            "https://warehouse.example#tables:read",
            "https://metrics.example#series:read",
        ],
        ceiling: &["https://crm.example#deals:read"],
        spare: &[
            "https://ledger.example#invoices:read",
            "https://warehouse.example#tables:write",
        ],
        beyond: &["https://hr.example#reviews:read"],
        tasks: &["figures of yesterday", "figures of the week"],
    },
    Role {
        word: "mail",
        purpose: "sorts the inbox and drafts answers",
        stage: Stage::Bounded,
        share: 14,
        hours: Hours::Office,
        pace: 16,
        used: &[
            "https://mail.example#inbox:read",
            "https://mail.example#drafts:write",
        ],
        ceiling: &["https://crm.example#contacts:read"],
        spare: &["https://mail.example#messages:send"],
        beyond: &["https://ledger.example#invoices:read"],
        tasks: &["sort the inbox", "draft answers"],
    },
    Role {
        word: "release",
        purpose: "rolls releases out, and back",
        stage: Stage::Autonomous,
        share: 9,
        hours: Hours::Office,
        pace: 7,
        used: &[
            "https://deploy.example#status:read",
            "https://deploy.example#releases:write",
            "https://deploy.example#releases:roll-out",
        ],
        ceiling: &["https://metrics.example#series:read"],
        spare: &[
            "https://metrics.example#alerts:silence",
            "https://storage.example#buckets:delete",
        ],
        beyond: &["https://ledger.example#payments:send"],
        tasks: &["roll a release out", "roll a release back"],
    },
    Role {
        word: HELPER,
        purpose: "answers tickets",
        stage: Stage::Bounded,
        share: 16,
        hours: Hours::Office,
        pace: 14,
        used: &[
            "https://tickets.example#tickets:read",
            "https://tickets.example#tickets:write",
            "https://crm.example#contacts:read",
        ],
        ceiling: &["https://tickets.example#tickets:close"],
        spare: &[
            "https://crm.example#contacts:write",
            "https://crm.example#deals:read",
        ],
        beyond: &["https://ledger.example#invoices:read"],
        tasks: &["answer new tickets", "follow old tickets up"],
    },
    Role {
        word: "indexer",
        purpose: "keeps the archive complete",
        stage: Stage::Bounded,
        share: 10,
        hours: Hours::Night,
        pace: 10,
        used: &[
            "https://storage.example#objects:read",
            "https://storage.example#objects:write",
        ],
        ceiling: &[],
        spare: &[
            "https://hr.example#people:read",
            "https://mail.example#inbox:read",
        ],
        beyond: &["https://storage.example#buckets:delete"],
        tasks: &["index what is new", "repair the index"],
    },
    Role {
        word: PLANNER,
        purpose: "plans the day of others, and hands their parts on",
        stage: Stage::Bounded,
        share: 6,
        hours: Hours::Office,
        pace: 10,
        used: &[
            "https://crm.example#deals:read",
            "https://tickets.example#tickets:read",
        ],
        ceiling: &["https://crm.example#deals:write"],
        spare: &["https://crm.example#contacts:write"],
        beyond: &["https://hr.example#people:write"],
        tasks: &["plan the day", "plan the week"],
    },
    Role {
        word: "payouts",
        purpose: "pays what was approved",
        stage: Stage::Autonomous,
        share: 6,
        hours: Hours::Office,
        pace: 8,
        used: &[
            "https://ledger.example#invoices:read",
            "https://ledger.example#payments:send",
        ],
        ceiling: &["https://ledger.example#invoices:write"],
        spare: &["https://mail.example#messages:send"],
        beyond: &["https://crm.example#deals:write"],
        tasks: &["pay what was approved"],
    },
    Role {
        word: "watch",
        purpose: "looks whether all is well",
        stage: Stage::ReadOnly,
        share: 8,
        hours: Hours::Always,
        pace: 24,
        used: &[
            "https://metrics.example#series:read",
            "https://deploy.example#status:read",
        ],
        ceiling: &["https://storage.example#objects:read"],
        spare: &["https://tickets.example#tickets:read"],
        beyond: &["https://metrics.example#alerts:silence"],
        tasks: &["look whether all is well"],
    },
];

#[cfg(test)]
mod tests {
    use super::super::apis::{APIS, ON_TRIAL, REPORTERS};
    use super::*;

    #[test]
    fn every_scope_is_one_of_an_api_and_every_share_is_given() {
        let known: std::collections::BTreeSet<String> = APIS
            .iter()
            .flat_map(|api| {
                api.scopes
                    .iter()
                    .map(|(name, _)| format!("{}#{name}", api.uri))
            })
            .collect();
        for role in &ROLES {
            let all = [role.used, role.ceiling, role.spare, role.beyond].concat();
            let each: std::collections::BTreeSet<_> = all.iter().collect();
            assert_eq!(each.len(), all.len(), "{}", role.word);
            for scope in all {
                assert!(known.contains(scope), "{}: {scope}", role.word);
            }
            assert!(!role.used.is_empty() && !role.tasks.is_empty());
        }
        assert_eq!(ROLES.iter().map(|role| role.share).sum::<u64>(), 100);
        assert!(APIS.iter().any(|api| api.uri == ON_TRIAL));
        for (_, uri, _) in REPORTERS {
            assert!(APIS.iter().any(|api| api.uri == uri), "{uri}");
        }
    }
}
