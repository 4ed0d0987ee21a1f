//! Every key slot and both hierarchies, made once, before the first start.
//!
//! Of each purpose that rotates there is one key that signs and one prepared to follow, so that a
//! tainted key can be replaced by one that verifiers already know. Roots have no successor waiting.

use std::time::Duration;

use rcgen::KeyIdMethod;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use taskpass_core::key::{KeyId, KeyPurpose, KeyRecord, KeyState};
use taskpass_core::spiffe::TrustDomain;
use taskpass_core::time::Timestamp;
use taskpass_token::spki;
use taskpass_token::{Jwk, PublicKey};
use zeroize::Zeroizing;

use crate::authority::{Authority, BadAuthority, CaFacts, Hierarchy};
use crate::keys::{self, AuthorityKey, KeyError};
use crate::profile::{self, Validity};
use crate::random::{self, RandomError};
use crate::seal::{KeyEncryptionKey, SealError, SealedFor};

/// How long a root's certificate lasts: ten years.
pub const ROOT_LIFE: Duration = Duration::from_hours(24 * 3652);
/// How long an issuing authority's certificate lasts: a year.
pub const ISSUING_LIFE: Duration = Duration::from_hours(24 * 365);

/// A key or certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// No key.
    #[error("a {purpose} key could not be made")]
    Key {
        /// Its purpose.
        purpose: KeyPurpose,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// No seal.
    #[error("a {purpose} key could not be sealed")]
    Seal {
        /// Its purpose.
        purpose: KeyPurpose,
        /// Why.
        #[source]
        source: SealError,
    },
    /// No serial number.
    #[error("a serial number could not be drawn")]
    Serial(#[from] RandomError),
    /// No certificate.
    #[error("an authority's certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    /// A certificate that cannot be read back.
    #[error("an authority's certificate cannot be used")]
    Authority(#[from] BadAuthority),
    /// The root that would certify it is not here.
    #[error("the root's private half is not here: a {0} key needs a certificate made elsewhere")]
    RootElsewhere(KeyPurpose),
    /// Roots are made at the beginning only.
    #[error("a {0} key has no successor: a new root is a new trust anchor for everybody")]
    Root(KeyPurpose),
}

/// Makes the keys of a new broker.
pub fn init(
    trust_domain: &TrustDomain,
    now: Timestamp,
    kek: &KeyEncryptionKey,
) -> Result<Vec<KeyRecord>, InitError> {
    let maker = Maker {
        trust_domain,
        now,
        kek,
    };
    let mut records = Vec::new();
    for purpose in [
        KeyPurpose::TokenEs256,
        KeyPurpose::TokenEdDsa,
        KeyPurpose::LogCheckpoint,
        KeyPurpose::Feed,
    ] {
        records.push(activated(maker.plain(purpose)?, now));
        records.push(maker.plain(purpose)?);
    }
    for hierarchy in Hierarchy::ALL {
        let (root_record, root) = maker.root(hierarchy)?;
        records.push(activated(root_record, now));
        let purpose = hierarchy.issuing();
        records.push(activated(maker.issuing(purpose, &root)?, now));
        records.push(maker.issuing(purpose, &root)?);
    }
    Ok(records)
}

fn activated(record: KeyRecord, now: Timestamp) -> KeyRecord {
    KeyRecord {
        state: KeyState::Active,
        activated_at: Some(now),
        ..record
    }
}

/// Makes prepared keys.
#[derive(Clone, Copy)]
pub(crate) struct Maker<'a> {
    pub(crate) trust_domain: &'a TrustDomain,
    pub(crate) now: Timestamp,
    pub(crate) kek: &'a KeyEncryptionKey,
}

/// A key just drawn.
struct Fresh {
    private: Zeroizing<Vec<u8>>,
    public: PublicKey,
    id: KeyId,
}

impl Maker<'_> {
    /// A key that signs tokens, checkpoints or heartbeats.
    pub(crate) fn plain(self, purpose: KeyPurpose) -> Result<KeyRecord, InitError> {
        let fresh = draw(purpose)?;
        let public = Jwk::new(fresh.public.clone()).to_json().into_bytes();
        self.record(purpose, &fresh, public, None)
    }

    /// A self-signed root, with its key open to sign what stands beneath it.
    fn root(self, hierarchy: Hierarchy) -> Result<(KeyRecord, Authority), InitError> {
        let purpose = hierarchy.root();
        let fresh = draw(purpose)?;
        let key = AuthorityKey::from_private(&fresh.private)
            .map_err(|source| InitError::Key { purpose, source })?;
        let mut params = self.params(purpose, &fresh, ROOT_LIFE, 1)?;
        // A root is its own authority; naming itself again says nothing.
        params.use_authority_key_identifier_extension = false;
        let der = params.self_signed(&key)?.der().to_vec();
        let public = spki::to_der(&fresh.public);
        let record = self.record(purpose, &fresh, public, Some(der))?;
        let root = Authority::new(&record, key)?;
        Ok((record, root))
    }

    /// An issuing authority beneath `root`.
    pub(crate) fn issuing(
        self,
        purpose: KeyPurpose,
        root: &Authority,
    ) -> Result<KeyRecord, InitError> {
        let fresh = draw(purpose)?;
        let key = AuthorityKey::from_private(&fresh.private)
            .map_err(|source| InitError::Key { purpose, source })?;
        let life = root.not_after.since(self.now).min(ISSUING_LIFE);
        let params = self.params(purpose, &fresh, life, 0)?;
        let der = params.signed_by(&key, &root.signer)?.der().to_vec();
        self.record(purpose, &fresh, spki::to_der(&fresh.public), Some(der))
    }

    fn params(
        self,
        purpose: KeyPurpose,
        fresh: &Fresh,
        life: Duration,
        below: u8,
    ) -> Result<rcgen::CertificateParams, InitError> {
        let name = common_name(purpose, &fresh.id);
        let validity = Validity {
            from: self.now,
            until: self.now.plus(life),
        };
        let organisation = self.trust_domain.as_str();
        let serial = serial()?;
        let mut params = profile::authority(serial, validity, &name, organisation, below);
        params.key_identifier_method = KeyIdMethod::PreSpecified(key_identifier(&fresh.public));
        Ok(params)
    }

    /// An authority's key whose certificate is asked for elsewhere.
    pub(crate) fn waiting(self, purpose: KeyPurpose) -> Result<KeyRecord, InitError> {
        let fresh = draw(purpose)?;
        let record = self.record(purpose, &fresh, spki::to_der(&fresh.public), None)?;
        Ok(KeyRecord {
            state: KeyState::Waiting,
            ..record
        })
    }

    fn record(
        self,
        purpose: KeyPurpose,
        fresh: &Fresh,
        public: Vec<u8>,
        certificate: Option<Vec<u8>>,
    ) -> Result<KeyRecord, InitError> {
        let what = SealedFor {
            purpose,
            id: &fresh.id,
        };
        let sealed = self
            .kek
            .seal(what, &fresh.private)
            .map_err(|source| InitError::Seal { purpose, source })?;
        let not_after = match &certificate {
            Some(der) => Some(CaFacts::read(der)?.until),
            None => None,
        };
        Ok(KeyRecord {
            id: fresh.id.clone(),
            purpose,
            state: KeyState::Prepared,
            created_at: self.now,
            activate_at: None,
            activated_at: None,
            retired_at: None,
            not_after,
            public,
            certificate,
            chain: Vec::new(),
            crl: None,
            sealed,
        })
    }
}

/// The name of an authority, with a part of its key's id: no two share one.
pub(crate) fn common_name(purpose: KeyPurpose, id: &KeyId) -> String {
    let mark: String = id.as_str().chars().take(12).collect();
    format!("taskpass {} {mark}", purpose.as_str().replace('-', " "))
}

/// A key's identifier by RFC 5280 §4.2.1.2, method 1, as nearly every authority computes it: another one
/// that certifies the same key gives it the same, and the certificates beneath find either. It tells
/// keys apart and protects nothing.
pub(crate) fn key_identifier(public: &PublicKey) -> Vec<u8> {
    let bits: &[u8] = match public {
        PublicKey::P256(point) => point,
        PublicKey::Ed25519(key) => key.as_bytes(),
    };
    digest(&SHA1_FOR_LEGACY_USE_ONLY, bits).as_ref().to_vec()
}

/// A fresh key. One whose id begins with a hyphen, as one in 64 does, is let go: on every command line it
/// would be taken for an option.
fn draw(purpose: KeyPurpose) -> Result<Fresh, InitError> {
    loop {
        let (private, public) = keys::generate(keys::kind(purpose))
            .map_err(|source| InitError::Key { purpose, source })?;
        let id = Jwk::new(public.clone()).id().clone();
        if !id.as_str().starts_with('-') {
            return Ok(Fresh {
                private,
                public,
                id,
            });
        }
    }
}

/// Sixteen random bytes that make a positive number of full length.
pub(crate) fn serial() -> Result<[u8; 16], RandomError> {
    let mut bytes: [u8; 16] = random::bytes()?;
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(bytes)
}
