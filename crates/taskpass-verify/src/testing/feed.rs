//! The broker's end of the feed, message by message, for the tests of this crate.

use ed25519_dalek::{Signer as _, SigningKey};
use taskpass_api::v1::revocation_selector::Selector as Wire;
use taskpass_api::v1::watch_revocations_response::{Frame, Heartbeat, Message, Resumed, Snapshot};
use taskpass_api::v1::{Revocation, RevocationSelector, WatchRevocationsResponse};
use taskpass_core::Timestamp;
use taskpass_core::revocation::{DigestView, Rule, Selector};

use super::jwk;

/// The broker's end of the feed.
pub(crate) struct Broker {
    pub(crate) epoch: u64,
    key: SigningKey,
}

impl Broker {
    pub(crate) fn new(epoch: u64) -> Self {
        Self::with_key(epoch, [2; 32])
    }

    pub(crate) fn with_key(epoch: u64, seed: [u8; 32]) -> Self {
        Self {
            epoch,
            key: SigningKey::from_bytes(&seed),
        }
    }

    pub(crate) fn wire(rule: &Rule) -> Revocation {
        let selector = match &rule.selector {
            Selector::Credential(id) => Wire::CredentialId(id.to_string()),
            Selector::Task(id) => Wire::TaskId(id.to_string()),
            Selector::Agent(name) => Wire::Agent(name.to_string()),
            Selector::Target(uri) => Wire::Target(uri.to_string()),
            Selector::Key(id) => Wire::KeyId(id.to_string()),
            Selector::Everything => Wire::Everything(true),
        };
        Revocation {
            seq: rule.seq,
            selector: Some(RevocationSelector {
                selector: Some(selector),
            }),
            issued_before: rule.issued_before,
            prune_at: Some(timestamp(rule.prune_at)),
            ..Revocation::default()
        }
    }

    pub(crate) fn snapshot(&self, rules: &[Rule], seq: u64) -> WatchRevocationsResponse {
        response(Message::Snapshot(Snapshot {
            epoch: self.epoch,
            seq,
            revocations: rules.iter().map(Self::wire).collect(),
            feed_jwk: jwk(&self.key).to_json(),
        }))
    }

    pub(crate) fn resumed(&self, seq: u64) -> WatchRevocationsResponse {
        response(Message::Resumed(Resumed {
            epoch: self.epoch,
            seq,
            feed_jwk: jwk(&self.key).to_json(),
        }))
    }

    pub(crate) fn frame(from: u64, to: u64, rules: &[Rule]) -> WatchRevocationsResponse {
        Self::raw_frame(from, to, rules.iter().map(Self::wire).collect())
    }

    pub(crate) fn raw_frame(
        from_seq: u64,
        to_seq: u64,
        revocations: Vec<Revocation>,
    ) -> WatchRevocationsResponse {
        response(Message::Frame(Frame {
            from_seq,
            to_seq,
            revocations,
        }))
    }

    pub(crate) fn heartbeat(
        &self,
        rules: &[Rule],
        seq: u64,
        at: Timestamp,
    ) -> WatchRevocationsResponse {
        let mut view = DigestView::default();
        for rule in rules {
            view.add(rule);
        }
        let digest = *view.at(at).as_bytes();
        let beat = taskpass_token::Heartbeat {
            epoch: self.epoch,
            seq,
            at,
            digest,
        };
        response(Message::Heartbeat(Heartbeat {
            epoch: self.epoch,
            seq,
            at: Some(timestamp(at)),
            digest: digest.to_vec().into(),
            signature: self.key.sign(&beat.to_bytes()).to_vec().into(),
        }))
    }
}

fn response(message: Message) -> WatchRevocationsResponse {
    WatchRevocationsResponse {
        message: Some(message),
    }
}

fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(at.secs()).unwrap(),
        nanos: i32::try_from(at.millis() % 1000 * 1_000_000).unwrap(),
    }
}
