//! The broker's keys and what they sign: tokens, certificates, CRLs, heartbeats, checkpoints.
//!
//! An [`Issuer`] is an immutable snapshot of the key slots; when a key changes its state, the broker
//! opens a new one and swaps it as a whole. It signs a credential only from a [`Grant`], which it
//! consumes: first *prepare* checks that the grant covers the terms, then *sign* consumes what was
//! prepared. It records nothing and releases nothing: that the record is on disk before the
//! credential leaves is the broker's part. Private keys exist sealed in [`KeyRecord`]s and open in
//! an `Issuer`, nowhere else; a workload's private key is never seen here.
//!
//! | module | what is in it |
//! |---|---|
//! | [`seal`] | private keys at rest |
//! | [`mod@init`] | every slot and both hierarchies, made once |
//! | [`rotation`] | which key is to follow which, and when |
//! | [`request`], [`import`] | authorities that are certified elsewhere |
//! | [`mod@rewrap`] | another key-encryption key |
//! | [`issuer`] | the snapshot |
//! | [`token`], [`certificate`] | credentials of tasks |
//! | [`identity`], [`server`] | certificates of callers, and of the broker itself |
//! | [`csr`] | what a request to certify a key may say |
//! | [`crl`] | lists of revoked task certificates |
//! | [`status`] | lists of revoked tokens |
//! | [`publish`] | what the public may read: JWKS, anchors, views of keys |
//!
//! [`Grant`]: taskpass_core::grant::Grant
//! [`KeyRecord`]: taskpass_core::key::KeyRecord

pub mod authority;
pub mod certificate;
pub mod crl;
pub mod csr;
pub mod identity;
pub mod import;
pub mod init;
pub mod issuer;
pub mod prepare;
pub mod publish;
pub mod request;
pub mod rewrap;
pub mod rotation;
pub mod seal;
pub mod serial;
pub mod server;
pub mod status;
pub mod token;

mod keys;
mod pem;
mod profile;
mod random;
#[cfg(test)]
mod testing_path;

pub use authority::{AuthorityId, Hierarchy};
pub use certificate::{CertificateTerms, PreparedCertificate, SignedCertificate};
pub use crl::{CrlEntry, CrlError, CrlReason};
pub use csr::{CsrError, CsrKey};
pub use identity::{IdentityError, SignedIdentity};
pub use import::{ImportError, Imported, NEW_ROOT_LEAD};
pub use init::{InitError, init};
pub use issuer::{Issuer, IssuerConfig, OpenError};
pub use prepare::{PrepareError, SignError, TaskFacts};
pub use publish::{AuthorityView, KeyView};
pub use request::RequestError;
pub use rewrap::{RewrapError, rewrap};
pub use seal::KeyEncryptionKey;
pub use serial::serial_number;
pub use server::{ServerCertificate, ServerNames};
pub use token::{PreparedToken, SignedToken, TokenTerms};
