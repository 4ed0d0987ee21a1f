//! What a scope does, how far an agent is trusted, how risky a target is.

/// A word that is none of the allowed ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of: {expected}")]
pub struct UnknownWord {
    /// The allowed words, separated by commas.
    pub expected: &'static str,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $expected:literal, { $($(#[$vdoc:meta])* $variant:ident => $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every variant, least first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in configuration, API and audit trail.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::access::UnknownWord;

            fn from_str(text: &str) -> Result<Self, $crate::access::UnknownWord> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err($crate::access::UnknownWord { expected: $expected }) }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words!(
    /// What using a scope does at the target.
    Access, "read, write, actuate", {
    /// Looks at data.
    Read => "read",
    /// Changes data.
    Write => "write",
    /// Changes infrastructure, security or money.
    Actuate => "actuate",
});

words!(
    /// How far an agent is trusted, least first.
    Stage, "read-only, bounded, autonomous", {
    /// Only scopes that read.
    ReadOnly => "read-only",
    /// Also scopes that write.
    Bounded => "bounded",
    /// Also scopes that actuate.
    Autonomous => "autonomous",
});

words!(
    /// How much harm a target can do.
    Risk, "low, medium, high", {
    /// Little.
    Low => "low",
    /// Some.
    Medium => "medium",
    /// Much.
    High => "high",
});

words!(
    /// The algorithm that signs tokens for a target.
    TokenAlg, "ES256, EdDSA", {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4): understood everywhere, the default.
    Es256 => "ES256",
    /// Ed25519 (RFC 8037 §3.1): where every consumer is known to accept it.
    EdDsa => "EdDSA",
});

words!(
    /// The form of the tokens for a target.
    TokenProfile, "oauth, cloud", {
    /// RFC 9068 (`typ: at+jwt`): for APIs that check what they accept. The default.
    OAuth => "oauth",
    /// `typ: JWT`, ES256 only: for clouds that exchange a token of ours for one of their own, and
    /// for whoever takes JWT-SVIDs.
    Cloud => "cloud",
});

words!(
    /// What a task certificate may be used for.
    CertificateProfile, "client, spiffe-svid", {
    /// To prove the task to a server. The default.
    Client => "client",
    /// As an X.509-SVID: also to be a server under the task's name.
    SpiffeSvid => "spiffe-svid",
});

impl Stage {
    /// Whether an agent of this stage may be granted scopes of `access` at all.
    pub const fn admits(self, access: Access) -> bool {
        match self {
            Self::ReadOnly => matches!(access, Access::Read),
            Self::Bounded => matches!(access, Access::Read | Access::Write),
            Self::Autonomous => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_admits_what_its_name_says() {
        for (stage, admitted) in [
            (Stage::ReadOnly, [true, false, false]),
            (Stage::Bounded, [true, true, false]),
            (Stage::Autonomous, [true, true, true]),
        ] {
            for (access, expected) in Access::ALL.iter().zip(admitted) {
                assert_eq!(stage.admits(*access), expected, "{stage} {access}");
            }
        }
    }

    #[test]
    fn words_read_back() {
        for stage in Stage::ALL {
            assert_eq!(stage.as_str().parse(), Ok(*stage));
        }
        assert_eq!(
            "Read-Only".parse::<Stage>().map_err(|e| e.expected),
            Err("read-only, bounded, autonomous")
        );
    }
}
