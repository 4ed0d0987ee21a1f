//! Targets and the scopes at them.
//!
//! A scope is named together with its target, `https://ledger.example#invoices:read`, because the
//! same word means something else at another API. A target is known by its audience URI, compared
//! byte for byte: no normalisation, so no second spelling.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest target URI.
pub const MAX_TARGET_LEN: usize = 255;
/// The longest scope name.
pub const MAX_SCOPE_LEN: usize = 63;

/// A text is no target or scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseScopeError {
    /// Not an absolute URI of the narrow form that targets have.
    #[error(
        "a target is an absolute URI without query, fragment or spaces, such as \
         `https://ledger.example`, at most 255 characters"
    )]
    Target,
    /// Not a scope name.
    #[error(
        "a scope is 1 to 63 characters of a-z, 0-9, `:`, `.`, `_`, `-` and `/`, such as `invoices:read`"
    )]
    Scope,
    /// Not of the form `TARGET#SCOPE`.
    #[error(
        "a scope at a target is written TARGET#SCOPE, such as `https://ledger.example#invoices:read`"
    )]
    Form,
}

/// The audience URI of a protected API.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetUri(Arc<str>);

/// The name of a scope at some target.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeName(Arc<str>);

/// A scope together with its target.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeRef {
    /// The API that honours the scope.
    pub target: TargetUri,
    /// The scope there.
    pub scope: ScopeName,
}

impl TargetUri {
    /// The URI as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ScopeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TargetUri {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        let (scheme, rest) = text.split_once(':').ok_or(ParseScopeError::Target)?;
        let scheme_is_good = scheme
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_lowercase())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'+');
        let rest_is_good = !rest.is_empty()
            && rest.bytes().all(|b| {
                b.is_ascii_alphanumeric() || matches!(b, b'/' | b':' | b'.' | b'-' | b'_' | b'~')
            });
        let authority_is_good = match rest.strip_prefix("//") {
            Some(after) => !after.is_empty() && !after.starts_with('/'),
            None => scheme == "urn" || scheme == "api",
        };
        if text.len() <= MAX_TARGET_LEN && scheme_is_good && rest_is_good && authority_is_good {
            Ok(Self(Arc::from(text)))
        } else {
            Err(ParseScopeError::Target)
        }
    }
}

impl FromStr for ScopeName {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        let good = (1..=MAX_SCOPE_LEN).contains(&text.len())
            && text.bytes().all(|b| {
                b.is_ascii_lowercase()
                    || b.is_ascii_digit()
                    || matches!(b, b':' | b'.' | b'_' | b'-' | b'/')
            });
        if good {
            Ok(Self(Arc::from(text)))
        } else {
            Err(ParseScopeError::Scope)
        }
    }
}

impl FromStr for ScopeRef {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        let (target, scope) = text.split_once('#').ok_or(ParseScopeError::Form)?;
        Ok(Self {
            target: target.parse()?,
            scope: scope.parse()?,
        })
    }
}

impl fmt::Display for ScopeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.target, self.scope)
    }
}

impl fmt::Debug for ScopeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for ScopeRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

macro_rules! text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}
text!(TargetUri);
text!(ScopeName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        for good in [
            "https://ledger.example",
            "https://a.b:8443/v1",
            "urn:tool:search",
            "api://x",
        ] {
            assert!(good.parse::<TargetUri>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "ledger",
            "https:",
            "https://",
            "https:///x",
            "HTTPS://a",
            "https://a b",
            "https://a#b",
            "https://a?b",
            "https://a,b",
            "https://*",
            "mailto:x",
            "https://ä",
        ] {
            assert_eq!(
                bad.parse::<TargetUri>(),
                Err(ParseScopeError::Target),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn scope_refs() {
        let text = "https://ledger.example#invoices:read";
        assert_eq!(
            text.parse::<ScopeRef>().map(|s| s.to_string()).as_deref(),
            Ok(text)
        );
        for (bad, why) in [
            ("invoices:read", ParseScopeError::Form),
            ("#invoices:read", ParseScopeError::Target),
            ("https://a#", ParseScopeError::Scope),
            ("https://a#x y", ParseScopeError::Scope),
            ("https://a#x#y", ParseScopeError::Scope),
            ("https://a#X", ParseScopeError::Scope),
        ] {
            assert_eq!(bad.parse::<ScopeRef>(), Err(why), "{bad:?}");
        }
    }
}
