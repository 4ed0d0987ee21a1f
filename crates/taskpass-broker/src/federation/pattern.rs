//! What a value must be: exactly this, or beneath a beginning that ends with a separator.
//!
//! `repo:acme/` cannot be met by `repo:acme-evil/x`, because a beginning ends where a part ends; and it
//! is not met by itself, because something must follow. Characters that others read as wildcards are
//! refused: whoever writes `*` expects it to mean something, and it would mean nothing here.

use super::RuleError;

/// The longest value.
const MAX_LEN: usize = 512;
/// Beginnings that everybody of a well-known kind of issuer has.
const EVERYBODY: [&str; 5] = [
    "repo:",
    "system:",
    "system:serviceaccount:",
    "project_path:",
    "spiffe://",
];

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// Exactly this.
    Exact(Box<str>),
    /// This, and something after it.
    Prefix(Box<str>),
}

impl Pattern {
    /// Exactly `text`. `field` is what a refusal names.
    pub fn exact(field: &str, text: &str) -> Result<Self, RuleError> {
        checked(field, text).map(|text| Self::Exact(text.into()))
    }

    /// Something beneath `text`, which ends with a separator.
    pub fn prefix(field: &str, text: &str) -> Result<Self, RuleError> {
        let text = checked(field, text)?;
        if !text.ends_with([':', '/']) {
            return Err(RuleError::new(
                field,
                format!(
                    "the prefix `{text}` must end with `:` or `/`, or it would also begin other \
                     names"
                ),
            ));
        }
        if EVERYBODY.contains(&text) || text.trim_end_matches([':', '/']).is_empty() {
            return Err(RuleError::new(
                field,
                format!("the prefix `{text}` would let everybody of the issuer in"),
            ));
        }
        Ok(Self::Prefix(text.into()))
    }

    /// Whether `value` is as demanded.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => &**text == value,
            Self::Prefix(text) => value
                .strip_prefix(&**text)
                .is_some_and(|rest| !rest.is_empty()),
        }
    }

    /// The text of either kind.
    pub fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text,
        }
    }
}

fn checked<'a>(field: &str, text: &'a str) -> Result<&'a str, RuleError> {
    if text.trim().is_empty() || text.len() > MAX_LEN || text.chars().any(char::is_control) {
        return Err(RuleError::new(
            field,
            format!("one line of 1 to {MAX_LEN} bytes, and not only spaces"),
        ));
    }
    if text.contains(['*', '?']) {
        return Err(RuleError::new(
            field,
            format!("`{text}` has a wildcard, which means nothing here; name values exactly"),
        ));
    }
    Ok(text)
}
