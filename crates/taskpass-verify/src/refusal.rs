//! Why something was refused.
//!
//! The text is for the API's log. What the caller is told is the API's business; the word of
//! [`Reason`] is safe to tell, and stable.

use std::time::Duration;

use taskpass_core::{ScopeName, TargetUri};
use taskpass_token::TokenError;

use crate::certificate::CertificateError;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $word:literal,)+) => {
        /// A refusal in one word, to count and to tell.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $variant),+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

reasons! {
    /// No token of the strict form, or with claims that cannot be used; also a place on a status list
    /// that cannot be looked at.
    Malformed => "malformed",
    /// Signed by no trusted key, or not at all.
    Untrusted => "untrusted",
    /// Another issuer's, or another trust domain's.
    Issuer => "issuer",
    /// For another API.
    Audience => "audience",
    /// Its time is over.
    Expired => "expired",
    /// Its time has not begun.
    NotYetValid => "not_yet_valid",
    /// Lives longer than it may, or contradicts itself.
    Lifetime => "lifetime",
    /// A bound token without its certificate, or with another one.
    Binding => "binding",
    /// No certificate of the shape that tasks have.
    Shape => "shape",
    /// The token does not permit what is asked.
    Scope => "scope",
    /// A rule revokes it.
    Revoked => "revoked",
    /// The rules are not known yet.
    NotReady => "not_ready",
    /// The rules are too old.
    Stale => "stale",
    /// The keys are too old.
    KeysStale => "keys_stale",
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A credential was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The token itself is not good.
    #[error("the token is refused")]
    Token(#[source] TokenError),
    /// The certificate itself is not good.
    #[error("the certificate is refused")]
    Certificate(#[source] CertificateError),
    /// The caller asked for an audience that is not this verifier's.
    #[error("this verifier does not speak for {0}")]
    NotOurAudience(TargetUri),
    /// The token is bound to a certificate and came without one.
    #[error("the token is bound to a certificate, and none was presented")]
    CertificateMissing,
    /// The token is bound to another certificate than the one presented.
    #[error("the token is bound to another certificate")]
    OtherCertificate,
    /// Token and certificate are of different tasks.
    #[error("the token and the certificate are of different tasks")]
    OtherTask,
    /// The token does not permit what is asked.
    #[error("the token does not permit `{needed}`")]
    Scope {
        /// What would have been needed.
        needed: ScopeName,
    },
    /// A rule revokes it.
    #[error("revoked by rule {seq}")]
    Revoked {
        /// The rule's place in the feed.
        seq: u64,
    },
    /// A revocation list names it, or an authority above it.
    #[error("revoked by a revocation list")]
    Listed,
    /// A token's place on a status list cannot be looked at.
    #[cfg(feature = "status")]
    #[error("the token cannot be judged by a status list")]
    Status(#[source] crate::status::PlaceError),
    /// No revocation list that is known speaks of it.
    #[error("no revocation list speaks of the certificate")]
    NotListed,
    /// The revocation list that speaks of it is over.
    #[error("the revocation list is over and cannot be relied on")]
    ListStale,
    /// No complete set of rules has arrived yet.
    #[error("the revocations are not known yet")]
    NotReady,
    /// The newest confirmed view of the rules is too old, or was found to be wrong.
    #[error("the view of the revocations is {}s old and cannot be relied on", age.as_secs())]
    Stale {
        /// Its age.
        age: Duration,
    },
    /// The keys were fetched too long ago.
    #[error("the keys were fetched {}s ago, which is too long", age.as_secs())]
    KeysStale {
        /// Their age.
        age: Duration,
    },
}

impl Refusal {
    /// The refusal in one word.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Token(error) => of_token(error),
            Self::Certificate(error) => error.reason(),
            Self::NotOurAudience(_) => Reason::Audience,
            Self::CertificateMissing | Self::OtherCertificate | Self::OtherTask => Reason::Binding,
            Self::Scope { .. } => Reason::Scope,
            Self::Revoked { .. } | Self::Listed => Reason::Revoked,
            #[cfg(feature = "status")]
            Self::Status(_) => Reason::Malformed,
            Self::NotReady | Self::NotListed => Reason::NotReady,
            Self::Stale { .. } | Self::ListStale => Reason::Stale,
            Self::KeysStale { .. } => Reason::KeysStale,
        }
    }

    /// Whether it is this verifier that cannot say, not the credential that is bad: the caller may
    /// try again later.
    pub const fn is_ours(&self) -> bool {
        matches!(
            self.reason(),
            Reason::NotReady | Reason::Stale | Reason::KeysStale
        )
    }
}

const fn of_token(error: &TokenError) -> Reason {
    match error {
        TokenError::Malformed(_) | TokenError::Type | TokenError::Claims(_) => Reason::Malformed,
        TokenError::NoKey
        | TokenError::UnknownKey(_)
        | TokenError::Algorithm
        | TokenError::Signature => Reason::Untrusted,
        TokenError::Issuer | TokenError::Subject => Reason::Issuer,
        TokenError::Audience(_) => Reason::Audience,
        TokenError::Id | TokenError::Lifetime => Reason::Lifetime,
        TokenError::IssuedInFuture | TokenError::NotYetValid => Reason::NotYetValid,
        TokenError::Expired => Reason::Expired,
    }
}
