//! What a taskpass token is made of, and the one way to check it.
//!
//! Everything here is pure: bytes in, values or typed refusals out. No key is made or kept, no
//! clock read, nothing fetched. The issuer builds tokens from these parts, and the broker's own
//! introspection and every downstream verifier check them with the same [`check::check`].
//!
//! | module | what is in it |
//! |---|---|
//! | [`jws`] | compact JWS: putting one together, taking one apart strictly |
//! | [`jwk`] | public keys, their thumbprints, key sets, and checking a signature |
//! | [`spki`] | public keys as they stand in certificates |
//! | [`claims`] | the claims of a token |
//! | [`mod@check`] | from a text to claims that can be relied on |
//! | [`bundle`] | the SPIFFE trust bundle |
//! | [`foreign`] | tokens of other issuers, by which callers prove themselves |
//! | [`feed`] | the signed heartbeat of the revocation feed |
//! | [`strict`] | JSON read more strictly than usual |
//! | [`task_extension`] | what a certificate says about its task |

pub mod bundle;
pub mod check;
pub mod claims;
pub mod feed;
pub mod foreign;
pub mod jwk;
pub mod jws;
pub mod spki;
pub mod task_extension;

mod der;
pub mod strict;

pub use bundle::SpiffeBundle;
pub use check::{Checked, Expect, KeyRing, TokenError, check};
pub use claims::{Claims, StatusRef, TaskClaims};
pub use feed::Heartbeat;
pub use jwk::{Jwk, JwkSet, PublicKey};
pub use task_extension::TaskExtension;
