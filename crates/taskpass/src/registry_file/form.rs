//! The form of the file, as TOML has it: every value with its place.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::limits::FileLimits;

/// A text and where it stands.
pub(super) type Text = Spanned<String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) owner: Vec<Spanned<FileOwner>>,
    #[serde(default)]
    pub(super) target: Vec<Spanned<FileTarget>>,
    #[serde(default)]
    pub(super) agent: Vec<Spanned<FileAgent>>,
    #[serde(default)]
    pub(super) operator: Vec<Spanned<FileOperator>>,
    #[serde(default)]
    pub(super) verifier: Vec<Spanned<FileVerifier>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileOwner {
    pub(super) name: Text,
    pub(super) contact: Text,
    pub(super) limits: Option<Spanned<FileLimits>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileTarget {
    pub(super) uri: Text,
    pub(super) risk: Text,
    #[serde(default)]
    pub(super) scopes: BTreeMap<String, Text>,
    pub(super) token_alg: Option<Text>,
    pub(super) token_profile: Option<Text>,
    pub(super) max_ttl: Option<Text>,
    pub(super) limits: Option<Spanned<FileLimits>>,
    pub(super) observe: Option<Spanned<FileObserve>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileObserve {
    pub(super) until: Text,
    pub(super) reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileAgent {
    pub(super) name: Text,
    pub(super) owner: Text,
    pub(super) purpose: Text,
    pub(super) stage: Text,
    #[serde(default)]
    pub(super) scopes: Vec<Text>,
    pub(super) valid_until: Option<Text>,
    pub(super) max_ttl: Option<Text>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) client_keys: Vec<Spanned<FileClientKey>>,
    pub(super) limits: Option<Spanned<FileLimits>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileClientKey {
    pub(super) jwk: String,
    pub(super) until: Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileOperator {
    pub(super) name: Text,
    pub(super) roles: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileVerifier {
    pub(super) name: Text,
    pub(super) targets: Vec<Text>,
}
