//! The snapshot of all keys, opened: what signs now, and what must still be checked.
//!
//! Opening checks everything once: that each purpose has exactly one active key, that private and
//! public halves, certificate and id belong together, that the key-encryption key is the right
//! one. A snapshot that opened can sign. A tainted key is not opened at all.

mod open;

use std::fmt;
use std::sync::Arc;

use taskpass_core::access::TokenAlg;
use taskpass_core::key::{KeyId, KeyPurpose, KeyRecord};
use taskpass_core::spiffe::TrustDomain;
use taskpass_core::time::Timestamp;
use taskpass_token::{Heartbeat, Jwk};

use crate::authority::{Authority, Hierarchy};
use crate::init::{InitError, Maker};
use crate::keys::SigningKey;
use crate::prepare::SignError;
use crate::seal::KeyEncryptionKey;

pub use open::OpenError;

/// What is fixed at `init` and frozen once something was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerConfig {
    /// The trust domain of every SPIFFE ID.
    pub trust_domain: TrustDomain,
    /// `iss` of every token, byte for byte.
    pub issuer_url: String,
    /// Where CRLs are fetched: `{crl_url}/crl/{issuer}/{bucket}.crl`.
    pub crl_url: String,
}

/// A key that signs tokens, heartbeats or checkpoints.
pub(crate) struct Slot {
    pub(crate) jwk: Jwk,
    pub(crate) key: SigningKey,
}

/// The open authorities of one hierarchy.
pub(crate) struct Branch {
    pub(crate) root: Authority,
    pub(crate) active: Arc<Authority>,
    /// The active one, the prepared and the retired.
    pub(crate) issuing: Vec<Arc<Authority>>,
}

/// All keys, opened.
pub struct Issuer {
    pub(crate) config: IssuerConfig,
    pub(crate) records: Vec<KeyRecord>,
    pub(crate) es256: Arc<Slot>,
    pub(crate) eddsa: Arc<Slot>,
    pub(crate) checkpoint: Slot,
    pub(crate) feed: Slot,
    pub(crate) control: Branch,
    pub(crate) task: Branch,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("config", &self.config)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

impl Issuer {
    /// Opens the recorded keys.
    pub fn open(
        records: Vec<KeyRecord>,
        config: IssuerConfig,
        kek: &KeyEncryptionKey,
    ) -> Result<Self, OpenError> {
        open::open(records, config, kek)
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.config.trust_domain
    }

    /// `iss`.
    pub fn issuer_url(&self) -> &str {
        &self.config.issuer_url
    }

    /// Where CRLs are fetched, without a slash at the end.
    pub fn crl_url(&self) -> &str {
        &self.config.crl_url
    }

    /// The records that this snapshot was opened from.
    pub fn records(&self) -> &[KeyRecord] {
        &self.records
    }

    /// The key that signs tokens of `alg` now.
    pub fn token_key(&self, alg: TokenAlg) -> &Jwk {
        &self.slot(alg).jwk
    }

    /// The key that signs heartbeats now.
    pub fn feed_key(&self) -> &Jwk {
        &self.feed.jwk
    }

    /// Signs a heartbeat of the revocation feed.
    pub fn sign_heartbeat(&self, heartbeat: &Heartbeat) -> Result<Vec<u8>, SignError> {
        Ok(self.feed.key.sign(&heartbeat.to_bytes())?)
    }

    /// The key that signs checkpoints of the log now.
    pub fn checkpoint_key(&self) -> &Jwk {
        &self.checkpoint.jwk
    }

    /// Signs a checkpoint of the log (Ed25519, 64 bytes).
    pub fn sign_checkpoint(&self, note: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.checkpoint.key.sign(note)?)
    }

    /// A fresh key of `purpose`, prepared to follow the active one.
    pub fn make_next(
        &self,
        purpose: KeyPurpose,
        now: Timestamp,
        kek: &KeyEncryptionKey,
    ) -> Result<KeyRecord, InitError> {
        let maker = Maker {
            trust_domain: &self.config.trust_domain,
            now,
            kek,
        };
        match purpose {
            KeyPurpose::TokenEs256
            | KeyPurpose::TokenEdDsa
            | KeyPurpose::LogCheckpoint
            | KeyPurpose::Feed => maker.plain(purpose),
            KeyPurpose::ControlIssuing => maker.issuing(Hierarchy::Control, &self.control.root),
            KeyPurpose::TaskIssuing => maker.issuing(Hierarchy::Task, &self.task.root),
            KeyPurpose::ControlRoot | KeyPurpose::TaskRoot => Err(InitError::Root(purpose)),
        }
    }

    /// The key that issued a certificate, by the authority key identifier that it carries; `None`
    /// if no open authority of the hierarchy has that identifier.
    pub fn issuing_key(&self, hierarchy: Hierarchy, authority_key: &[u8]) -> Option<&KeyId> {
        let branch = self.branch(hierarchy);
        let found = branch
            .issuing
            .iter()
            .find(|authority| authority.key_identifier == authority_key)?;
        Some(&found.key)
    }

    pub(crate) fn slot(&self, alg: TokenAlg) -> &Arc<Slot> {
        match alg {
            TokenAlg::Es256 => &self.es256,
            TokenAlg::EdDsa => &self.eddsa,
        }
    }

    pub(crate) fn branch(&self, hierarchy: Hierarchy) -> &Branch {
        match hierarchy {
            Hierarchy::Control => &self.control,
            Hierarchy::Task => &self.task,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
