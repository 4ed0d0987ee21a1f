//! A story in which everything happens once that the broker records: every kind of entry with every
//! outcome that it can have. It remembers each secret and each error that it met.

mod approvals;
mod identities;
mod liveness;
mod operators;
mod uses;
mod work;

use std::path::Path;

use serde_json::Value;
use taskpass_core::audit::Attestation;
use taskpass_core::caller::Caller;
use taskpass_core::identity::Principal;
use taskpass_core::secret::Sha256;
use taskpass_store::Store;

use crate::testing::log::lines;
use crate::testing::{TestBroker, as_agent};
use crate::{Archiver, Error, LogSettings, Standing};

/// Text that is no secret: it must be found where it is said to be.
pub(super) const PURPOSE: &str = "reconcile the \"books\" of \u{1f4d2} November";
/// The words of the operator.
pub(super) const REASON: &str = "drill № 7 \\ exercise";
/// What came with the requests of [`Story::caller`].
pub(super) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The story as it goes on.
pub(super) struct Story {
    pub(super) t: TestBroker,
    /// What nobody may find, by what it is.
    pub(super) secrets: Vec<(&'static str, Vec<u8>)>,
    /// What was answered to what was refused.
    pub(super) errors: Vec<Error>,
    /// What is printed of what was answered.
    pub(super) shown: Vec<String>,
    /// Every entry.
    pub(super) entries: Vec<Value>,
}

impl Story {
    /// Tells it all on `t`, and logs it in `folder`.
    pub(super) async fn tell(t: TestBroker, folder: &Path) -> Self {
        let mut story = Self {
            t,
            secrets: Vec::new(),
            errors: Vec::new(),
            shown: Vec::new(),
            entries: Vec::new(),
        };
        story.keys().await;
        story.identities().await;
        story.work().await;
        story.uses().await;
        story.liveness().await;
        story.denials().await;
        story.registry().await;
        story.approvals().await;
        story.revocations().await;
        story.ends(folder).await;
        story
    }

    pub(super) fn secret(&mut self, what: &'static str, secret: impl AsRef<[u8]>) {
        self.secrets.push((what, secret.as_ref().to_vec()));
    }

    /// What must have failed, for this reason.
    fn failed<T>(&mut self, outcome: Result<T, Error>, reason: &str) {
        let error = outcome.err().unwrap();
        assert_eq!(error.reason(), reason, "{error:?}");
        self.errors.push(error);
    }

    fn show(&mut self, what: &impl std::fmt::Debug) {
        self.shown.push(format!("{what:?}"));
    }

    /// An agent that calls by the newest certificate of its line.
    async fn caller(&self, name: &str) -> Standing {
        let principal = Principal::from_parts("agent", name).unwrap();
        let line = self.t.store.identity(&principal).await.unwrap();
        Standing {
            decision: None,
            trace_id: Some(TRACE.to_owned()),
            attestation: Attestation::Mtls {
                key: line.map_or(Sha256::of(name.as_bytes()), |line| line.current.key),
            },
            caller: Caller::Agent(name.parse().unwrap()),
            ..as_agent(name)
        }
    }

    /// The signing keys, as they are before they are sealed.
    async fn keys(&mut self) {
        self.secret("the key-encryption key", crate::testing::KEK);
        let kek = taskpass_issuer::KeyEncryptionKey::from_bytes(crate::testing::KEK);
        let records = self.t.store.keys().await.unwrap();
        assert!(records.len() >= 8);
        for record in &records {
            let what = taskpass_issuer::seal::SealedFor {
                purpose: record.purpose,
                id: &record.id,
            };
            let key = kek.unseal(what, &record.sealed).unwrap();
            self.secret("a signing key", &*key);
            // Of P-256 in PKCS#8 the number itself, too.
            if let Some(at) = key.windows(2).position(|two| two == [0x04, 0x20]) {
                self.secret("the number of a signing key", &key[at + 2..at + 34]);
            }
        }
    }

    /// Time passes: what has expired is removed, the broker stops, months begin and are removed.
    async fn ends(&mut self, folder: &Path) {
        let settings = LogSettings {
            folder: folder.to_owned(),
            keep_months: Some(1),
        };
        let broker = self.t.broker.clone();
        let mut archiver = Archiver::open(broker.clone(), settings).await.unwrap();
        self.t.advance(26 * 3600);
        broker.reap().await.unwrap();
        broker.record_stop().await.unwrap();
        self.log(&mut archiver, folder).await;
        // The log of another month begins, and the one before goes.
        self.t.advance(31 * 24 * 3600);
        for _ in 0..2 {
            broker.record_stop().await.unwrap();
            self.log(&mut archiver, folder).await;
        }
    }

    /// Takes the entries that wait, and then those that logs begin with.
    async fn log(&mut self, archiver: &mut Archiver, folder: &Path) {
        let waiting = self.t.store.outbox(usize::MAX).await.unwrap();
        assert!(!waiting.is_empty());
        for entry in waiting {
            self.entries
                .push(serde_json::from_slice(&entry.json).unwrap());
        }
        archiver.drain().await.unwrap();
        for line in lines(folder) {
            if line.index == 0 && !self.entries.contains(&line.entry) {
                self.entries.push(line.entry);
            }
        }
    }
}
