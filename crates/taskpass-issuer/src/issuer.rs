//! The snapshot of all keys, opened: what signs now, and what must still be checked.
//!
//! Opening checks everything once: that each purpose has exactly one active key, that private and
//! public halves, certificate and id belong together, that the key-encryption key is the right
//! one. A snapshot that opened can sign. A tainted key is not opened at all, nor one whose private
//! half was destroyed; a root may be without its own, if authorities are certified elsewhere.

pub(crate) mod open;

use std::fmt;
use std::sync::Arc;

use taskpass_core::access::TokenAlg;
use taskpass_core::key::{KeyId, KeyPurpose, KeyRecord};
use taskpass_core::spiffe::TrustDomain;
use taskpass_core::time::Timestamp;
use taskpass_token::{Heartbeat, Jwk};

use crate::authority::{Authority, CaFacts, Hierarchy, Root};
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
    pub(crate) root: Root,
    /// Roots of before, beneath which something may still live.
    pub(crate) former: Vec<Root>,
    pub(crate) active: Arc<Authority>,
    /// The active one, the prepared and the retired.
    pub(crate) issuing: Vec<Arc<Authority>>,
}

impl Branch {
    /// The root above the authority that signs now: not the newest, while that is being made known.
    pub(crate) fn root_in_use(&self) -> &Root {
        let roots = std::iter::once(&self.root).chain(&self.former);
        let mut above = roots.filter(|root| root.key_identifier == self.active.root_key);
        above.next().unwrap_or(&self.root)
    }
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
            KeyPurpose::ControlIssuing | KeyPurpose::TaskIssuing => {
                let hierarchy = crate::rotation::hierarchy(purpose);
                let root = hierarchy.and_then(|hierarchy| self.root_signer(hierarchy));
                maker.issuing(purpose, root.ok_or(InitError::RootElsewhere(purpose))?)
            }
            KeyPurpose::ControlRoot | KeyPurpose::TaskRoot => Err(InitError::Root(purpose)),
        }
    }

    /// The key that issued a certificate, by the authority key identifier that it carries; `None`
    /// if no authority of the hierarchy, present or past, has that identifier.
    pub fn issuing_key(&self, hierarchy: Hierarchy, authority_key: &[u8]) -> Option<&KeyId> {
        let branch = self.branch(hierarchy);
        let open = branch
            .issuing
            .iter()
            .find(|authority| authority.key_identifier == authority_key)
            .map(|authority| &authority.key);
        // A tainted one is not open, and is what a rule names.
        open.or_else(|| {
            let mut records = self.records.iter();
            let found = records.find(|record| {
                let der = record.certificate.as_deref().unwrap_or_default();
                record.purpose == hierarchy.issuing()
                    && CaFacts::read(der).is_ok_and(|facts| facts.key_identifier == authority_key)
            });
            found.map(|record| &record.id)
        })
    }

    /// The hierarchy's root, if its private half is here.
    pub(crate) fn root_signer(&self, hierarchy: Hierarchy) -> Option<&Authority> {
        self.branch(hierarchy).root.signer.as_ref()
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
