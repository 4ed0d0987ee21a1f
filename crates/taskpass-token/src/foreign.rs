//! Tokens of other issuers: a Kubernetes service account's, a GitHub Actions job's, any OIDC provider's.
//!
//! They prove who calls the broker, and never pass as a token of ours: those have another `typ`, are
//! checked by other code under other keys. Whom a token is believed for is pinned by whoever asks:
//! the issuer, the one audience, the algorithms, the greatest age. Of the header nothing is believed but
//! which key to take from the issuer's own set; that key decides which algorithms it can check.

mod alg;
mod keys;
mod token;

pub use alg::{ForeignAlg, UnknownAlg};
pub use keys::{ForeignKey, ForeignKeySet, KeySetError, MAX_KEY_SET_LEN};
pub use token::{Believed, Believes, ForeignToken, ForeignTokenError, LEEWAY};

#[cfg(test)]
mod tests;
