//! A file of cases as TOML holds it. Unknown fields are refused: a misspelt one would not be checked.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The instant of every case that names none.
    pub(super) at: String,
    #[serde(default)]
    pub(super) owner: Vec<OwnerRow>,
    #[serde(default)]
    pub(super) target: Vec<TargetRow>,
    #[serde(default)]
    pub(super) agent: Vec<AgentRow>,
    #[serde(default)]
    pub(super) case: Vec<CaseRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnerRow {
    pub(super) name: String,
    pub(super) state: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetRow {
    pub(super) uri: String,
    pub(super) scopes: BTreeMap<String, String>,
    pub(super) risk: String,
    pub(super) state: Option<String>,
    pub(super) observe_until: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentRow {
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) stage: String,
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    pub(super) state: Option<String>,
    pub(super) valid_until: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseRow {
    pub(super) name: String,
    pub(super) agent: Option<String>,
    pub(super) operator: Option<String>,
    #[serde(default)]
    pub(super) roles: Vec<String>,
    pub(super) action: Option<String>,
    pub(super) on: Option<String>,
    #[serde(default)]
    pub(super) on_roles: Vec<String>,
    pub(super) reason: Option<String>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) certificate: Option<String>,
    pub(super) from: Option<String>,
    pub(super) purpose: Option<String>,
    pub(super) ttl: Option<String>,
    pub(super) depth: Option<usize>,
    pub(super) attestation: Option<String>,
    pub(super) at: Option<String>,
    pub(super) decision: String,
    pub(super) policies: Vec<String>,
    #[serde(default)]
    pub(super) errored: bool,
    #[serde(default)]
    pub(super) would_deny: bool,
    pub(super) would_allow: Option<Vec<String>>,
}
