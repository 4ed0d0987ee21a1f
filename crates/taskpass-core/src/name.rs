//! Names of owners, agents, operators and verifiers.
//!
//! A name becomes a path segment of a SPIFFE ID, so its alphabet is the intersection of what
//! SPIFFE allows and what reads well: `a-z 0-9 - _ .`, starting with a letter or digit, at most 63
//! characters. Upper case is left out so that no two names differ by case alone.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name.
pub const MAX_NAME_LEN: usize = 63;

/// A text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name is 1 to 63 characters of a-z, 0-9, `-`, `_` and `.`, starting with a letter or digit"
)]
pub struct ParseNameError;

fn is_name(text: &str) -> bool {
    let starts_well = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    starts_well
        && text.len() <= MAX_NAME_LEN
        && text.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.')
        })
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseNameError;

            fn from_str(text: &str) -> Result<Self, ParseNameError> {
                if is_name(text) { Ok(Self(Arc::from(text))) } else { Err(ParseNameError) }
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

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

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

name!(
    /// The accountable person or team of agents.
    OwnerName
);
name!(
    /// A non-human workload with an identity of its own.
    AgentName
);
name!(
    /// A person or pipeline that runs the broker.
    OperatorName
);
name!(
    /// A downstream API that asks the broker about credentials.
    VerifierName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_and_refuses() {
        for good in ["a", "0", "invoice-bot", "team.payments_2", &"x".repeat(63)] {
            assert_eq!(
                good.parse::<AgentName>().map(|n| n.to_string()).as_deref(),
                Ok(good)
            );
        }
        for bad in [
            "",
            ".",
            "..",
            "-a",
            "_a",
            ".a",
            "A",
            "a b",
            "a/b",
            "a*",
            "a,b",
            "ä",
            "a\n",
            "a%2f",
            &"x".repeat(64),
        ] {
            assert_eq!(bad.parse::<AgentName>(), Err(ParseNameError), "{bad:?}");
        }
    }
}
