//! From records to open keys, with every check that a record can fail.

use std::sync::Arc;

use taskpass_core::key::{KeyId, KeyPurpose, KeyRecord, KeyState};
use taskpass_token::spki;
use taskpass_token::{Jwk, PublicKey};

use super::{Branch, Issuer, IssuerConfig, Slot};
use crate::authority::{self, Authority, BadAuthority, Hierarchy, Root};
use crate::keys::{self, AuthorityKey, KeyError, SigningKey};
use crate::seal::{KeyEncryptionKey, SealedFor, UnsealError};

/// The recorded keys cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// They are sealed under another key-encryption key.
    #[error("the keys are sealed under another key-encryption key than the one given")]
    WrongKeyEncryptionKey,
    /// A seal is broken.
    #[error("the {purpose} key {id} cannot be unsealed")]
    Unseal {
        /// The key's purpose.
        purpose: KeyPurpose,
        /// The key.
        id: KeyId,
        /// Why.
        #[source]
        source: UnsealError,
    },
    /// What was sealed is no private key.
    #[error("the {purpose} key {id} is unusable")]
    Key {
        /// The key's purpose.
        purpose: KeyPurpose,
        /// The key.
        id: KeyId,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// Id, public half and private half of a record do not belong together.
    #[error("the parts of the {purpose} key {id} do not belong together")]
    Mismatch {
        /// The key's purpose.
        purpose: KeyPurpose,
        /// The key.
        id: KeyId,
    },
    /// An authority's record lacks its certificate, or has another's.
    #[error("the {purpose} key {id} has no certificate of its own")]
    Certificate {
        /// The key's purpose.
        purpose: KeyPurpose,
        /// The key.
        id: KeyId,
        /// Why.
        #[source]
        source: BadAuthority,
    },
    /// A purpose has no active key.
    #[error("there is no active {0} key")]
    NoActive(KeyPurpose),
    /// A purpose has two active keys.
    #[error("there are two active {0} keys")]
    TwoActive(KeyPurpose),
    /// A URL of the configuration cannot stand in a credential.
    #[error("the {0} is not an absolute http or https URL of ASCII characters")]
    Url(&'static str),
}

pub(super) fn open(
    records: Vec<KeyRecord>,
    config: IssuerConfig,
    kek: &KeyEncryptionKey,
) -> Result<Issuer, OpenError> {
    let crl_url = config.crl_url.trim_end_matches('/').to_owned();
    let config = IssuerConfig { crl_url, ..config };
    check_url("issuer URL", &config.issuer_url)?;
    check_url("CRL URL", &config.crl_url)?;
    let all = All {
        records: &records,
        kek,
    };
    Ok(Issuer {
        es256: Arc::new(all.slot(KeyPurpose::TokenEs256)?),
        eddsa: Arc::new(all.slot(KeyPurpose::TokenEdDsa)?),
        checkpoint: all.slot(KeyPurpose::LogCheckpoint)?,
        feed: all.slot(KeyPurpose::Feed)?,
        control: all.branch(Hierarchy::Control)?,
        task: all.branch(Hierarchy::Task)?,
        config,
        records,
    })
}

/// The open key of an authority's record.
pub(crate) fn open_key(
    record: &KeyRecord,
    kek: &KeyEncryptionKey,
) -> Result<AuthorityKey, OpenError> {
    let records = &[];
    All { records, kek }.open_key(record)
}

fn check_url(name: &'static str, url: &str) -> Result<(), OpenError> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let good = rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(|b| b.is_ascii_graphic())
    });
    if good {
        Ok(())
    } else {
        Err(OpenError::Url(name))
    }
}

struct All<'a> {
    records: &'a [KeyRecord],
    kek: &'a KeyEncryptionKey,
}

impl All<'_> {
    fn of(&self, purpose: KeyPurpose) -> impl Iterator<Item = &KeyRecord> {
        self.records
            .iter()
            .filter(move |record| record.purpose == purpose)
    }

    fn active(&self, purpose: KeyPurpose) -> Result<&KeyRecord, OpenError> {
        let mut active = self
            .of(purpose)
            .filter(|record| record.state == KeyState::Active);
        let only = active.next().ok_or(OpenError::NoActive(purpose))?;
        match active.next() {
            None => Ok(only),
            Some(_) => Err(OpenError::TwoActive(purpose)),
        }
    }

    /// The active key of `purpose`. Prepared ones are opened as well, and let go again: a key that
    /// cannot sign must be known before its turn comes.
    fn slot(&self, purpose: KeyPurpose) -> Result<Slot, OpenError> {
        for record in self.of(purpose) {
            if record.state == KeyState::Prepared {
                self.open_slot(record)?;
            }
        }
        self.open_slot(self.active(purpose)?)
    }

    fn open_slot(&self, record: &KeyRecord) -> Result<Slot, OpenError> {
        let private = self.unseal(record)?;
        let key = SigningKey::from_private(keys::kind(record.purpose), &private)
            .map_err(|source| bad_key(record, source))?;
        let public = key.public().map_err(|source| bad_key(record, source))?;
        let jwk = Jwk::from_json(&record.public).map_err(|_| mismatch(record))?;
        belongs(record, &public)?;
        if *jwk.key() != public {
            return Err(mismatch(record));
        }
        Ok(Slot { jwk, key })
    }

    fn branch(&self, hierarchy: Hierarchy) -> Result<Branch, OpenError> {
        let active_root = self.active(hierarchy.root())?;
        let root = self.open_root(active_root)?;
        let mut former = Vec::new();
        for record in self.of(hierarchy.root()) {
            if record.id != active_root.id && record.state == KeyState::Retired {
                former.push(self.open_root(record)?);
            }
        }
        let active_id = &self.active(hierarchy.issuing())?.id;
        let mut issuing = Vec::new();
        let mut active = None;
        for record in self.of(hierarchy.issuing()) {
            match record.state {
                KeyState::Tainted => continue,
                KeyState::Retired if !record.has_private() => continue,
                // It cannot sign yet; that it will be able to is checked all the same.
                KeyState::Waiting => {
                    self.open_key(record)?;
                    continue;
                }
                KeyState::Prepared | KeyState::Active | KeyState::Retired => {}
            }
            let mut authority = self.open_authority(record)?;
            let roots = std::iter::once(&root).chain(&former);
            let above_it = roots
                .clone()
                .find(|root| authority::is_beneath(record, &root.record));
            if let Some(root) = above_it {
                authority.root_key.clone_from(&root.key_identifier);
            }
            authority.above = above(record, above_it);
            let authority = Arc::new(authority);
            if record.id == *active_id {
                active = Some(Arc::clone(&authority));
            }
            issuing.push(authority);
        }
        Ok(Branch {
            root,
            former,
            active: active.ok_or(OpenError::NoActive(hierarchy.issuing()))?,
            issuing,
        })
    }

    fn open_root(&self, record: &KeyRecord) -> Result<Root, OpenError> {
        let signer = if record.has_private() {
            Some(self.open_authority(record)?)
        } else {
            None
        };
        Root::new(record, signer).map_err(|source| no_certificate(record, source))
    }

    fn open_authority(&self, record: &KeyRecord) -> Result<Authority, OpenError> {
        let key = self.open_key(record)?;
        Authority::new(record, key).map_err(|source| no_certificate(record, source))
    }

    fn open_key(&self, record: &KeyRecord) -> Result<AuthorityKey, OpenError> {
        let private = self.unseal(record)?;
        let key = AuthorityKey::from_private(&private).map_err(|source| bad_key(record, source))?;
        let public = key.public().map_err(|source| bad_key(record, source))?;
        belongs(record, &public)?;
        if record.public != spki::to_der(&public) {
            return Err(mismatch(record));
        }
        Ok(key)
    }

    fn unseal(&self, record: &KeyRecord) -> Result<zeroize::Zeroizing<Vec<u8>>, OpenError> {
        let what = SealedFor {
            purpose: record.purpose,
            id: &record.id,
        };
        self.kek
            .unseal(what, &record.sealed)
            .map_err(|source| match source {
                UnsealError::WrongKey => OpenError::WrongKeyEncryptionKey,
                UnsealError::Form | UnsealError::Damaged => OpenError::Unseal {
                    purpose: record.purpose,
                    id: record.id.clone(),
                    source,
                },
            })
    }
}

/// What stands above an authority up to where others end: between it and its root, and above that.
fn above(
    record: &KeyRecord,
    root: Option<&Root>,
) -> Vec<rustls_pki_types::CertificateDer<'static>> {
    let beyond = root.map_or(&[][..], |root| &root.record.chain);
    let ders = record.chain.iter().chain(beyond);
    ders.map(|der| der.clone().into()).collect()
}

fn no_certificate(record: &KeyRecord, source: BadAuthority) -> OpenError {
    OpenError::Certificate {
        purpose: record.purpose,
        id: record.id.clone(),
        source,
    }
}

fn belongs(record: &KeyRecord, public: &PublicKey) -> Result<(), OpenError> {
    if *Jwk::new(public.clone()).id() == record.id {
        Ok(())
    } else {
        Err(mismatch(record))
    }
}

fn mismatch(record: &KeyRecord) -> OpenError {
    OpenError::Mismatch {
        purpose: record.purpose,
        id: record.id.clone(),
    }
}

fn bad_key(record: &KeyRecord, source: KeyError) -> OpenError {
    OpenError::Key {
        purpose: record.purpose,
        id: record.id.clone(),
        source,
    }
}
