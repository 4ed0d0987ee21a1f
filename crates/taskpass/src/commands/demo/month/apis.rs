//! What is protected in the month, who reports what it was used for, and who answers for agents.

use taskpass_core::access::Access::{self, Actuate, Read, Write};
use taskpass_core::access::{Risk, TokenAlg};

/// A protected API.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) uri: &'static str,
    pub(super) risk: Risk,
    pub(super) alg: TokenAlg,
    pub(super) scopes: &'static [(&'static str, Access)],
}

/// How a verifier reports what credentials were used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// Everything, all the time.
    Always,
    /// From the middle of the month on.
    Late,
    /// Not for some days.
    Silent,
    /// But for what it loses.
    Lossy,
}

/// Verifiers that report, and where.
pub(super) const REPORTERS: [(&str, &str, Habit); 5] = [
    ("ledger", "https://ledger.example", Habit::Always),
    ("mail", "https://mail.example", Habit::Late),
    ("tickets", "https://tickets.example", Habit::Always),
    ("deploy", "https://deploy.example", Habit::Silent),
    ("metrics", "https://metrics.example", Habit::Lossy),
];

/// The API on which a narrower set of policies is tried out.
pub(super) const ON_TRIAL: &str = "https://warehouse.example";
/// The label of agents that the narrower policies permit there.
pub(super) const TRIAL_LABEL: (&str, &str) = ("team", "data");
pub(super) const OWNERS: [&str; 20] = [
    "payments",
    "support",
    "platform",
    "data",
    "people",
    "sales",
    "search",
    "security",
    "finance",
    "logistics",
    "marketing",
    "legal",
    "research",
    "quality",
    "mobile",
    "web",
    "partners",
    "fraud",
    "training",
    "archive",
];

pub(super) const APIS: [Api; 9] = [
    Api {
        uri: "https://ledger.example",
        risk: Risk::High,
        alg: TokenAlg::Es256,
        scopes: &[
            ("invoices:read", Read),
            ("invoices:write", Write),
            ("payments:send", Actuate),
        ],
    },
    Api {
        uri: "https://mail.example",
        risk: Risk::Medium,
        alg: TokenAlg::EdDsa,
        scopes: &[
            ("inbox:read", Read),
            ("drafts:write", Write),
            ("messages:send", Actuate),
        ],
    },
    Api {
        uri: "https://crm.example",
        risk: Risk::Medium,
        alg: TokenAlg::Es256,
        scopes: &[
            ("contacts:read", Read),
            ("contacts:write", Write),
            ("deals:read", Read),
            ("deals:write", Write),
        ],
    },
    Api {
        uri: "https://tickets.example",
        risk: Risk::Low,
        alg: TokenAlg::EdDsa,
        scopes: &[
            ("tickets:read", Read),
            ("tickets:write", Write),
            ("tickets:close", Write),
        ],
    },
    Api {
        uri: "https://deploy.example",
        risk: Risk::High,
        alg: TokenAlg::Es256,
        scopes: &[
            ("status:read", Read),
            ("releases:write", Write),
            ("releases:roll-out", Actuate),
        ],
    },
    Api {
        uri: "https://storage.example",
        risk: Risk::Medium,
        alg: TokenAlg::EdDsa,
        scopes: &[
            ("objects:read", Read),
            ("objects:write", Write),
            ("buckets:delete", Actuate),
        ],
    },
    Api {
        uri: ON_TRIAL,
        risk: Risk::Medium,
        alg: TokenAlg::EdDsa,
        scopes: &[("tables:read", Read), ("tables:write", Write)],
    },
    Api {
        uri: "https://hr.example",
        risk: Risk::High,
        alg: TokenAlg::Es256,
        scopes: &[
            ("people:read", Read),
            ("reviews:read", Read),
            ("people:write", Write),
        ],
    },
    Api {
        uri: "https://metrics.example",
        risk: Risk::Low,
        alg: TokenAlg::EdDsa,
        scopes: &[
            ("series:read", Read),
            ("series:write", Write),
            ("alerts:silence", Actuate),
        ],
    },
];
