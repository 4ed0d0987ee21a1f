//! Credentials, well made and badly made, for the tests of this crate.

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use taskpass_api::v1::revocation_selector::Selector as Wire;
use taskpass_api::v1::watch_revocations_response::{Frame, Heartbeat, Message, Resumed, Snapshot};
use taskpass_api::v1::{Revocation, RevocationSelector, WatchRevocationsResponse};
use taskpass_core::access::{Stage, TokenAlg};
use taskpass_core::id::DecisionId;
use taskpass_core::identity::Principal;
use taskpass_core::revocation::{DigestView, Rule, RuleDraft, Selector};
use taskpass_core::rng::SeededRng;
use taskpass_core::secret::Sha256;
use taskpass_core::spiffe::{SpiffeId, Subject};
use taskpass_core::task::Ancestor;
use taskpass_core::time::{Clock as _, ManualClock};
use taskpass_core::{CredentialId, TargetUri, TaskId, Timestamp};
use taskpass_token::{
    Claims, Jwk, JwkSet, PublicKey, TaskClaims, TaskExtension, jws, task_extension,
};

use crate::settings::{Settings, Staleness};
use crate::verifier::Verifier;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const ISSUER: &str = "https://broker.example";

pub(crate) type Ca = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn ledger() -> TargetUri {
    "https://ledger.example".parse().unwrap()
}

pub(crate) fn task_id(n: u64) -> TaskId {
    TaskId::generate(NOW.plus(Duration::from_hours(24)), &SeededRng::new(n))
}

pub(crate) fn rule(seq: u64, selector: Selector, at: Timestamp) -> Rule {
    RuleDraft {
        selector,
        only_target: None,
        reason: "drill".into(),
        actor: Principal::from_parts("operator", "ops").unwrap(),
        owner: None,
        key: None,
        live_until: None,
    }
    .commit(seq, at, 0)
}

/// A whole world: two hierarchies, a token key, a feed key, a clock, a verifier.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) root: Ca,
    pub(crate) issuing: Ca,
    pub(crate) token_key: SigningKey,
    rng: SeededRng,
}

pub(crate) fn jwk(key: &SigningKey) -> Jwk {
    Jwk::new(PublicKey::Ed25519(key.verifying_key()))
}

pub(crate) fn authority(name: &str, from: Timestamp, until: Timestamp) -> CertificateParams {
    let mut params = dated(from, until);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn dated(from: Timestamp, until: Timestamp) -> CertificateParams {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = epoch + Duration::from_secs(from.secs());
    params.not_after = epoch + Duration::from_secs(until.secs() - 1);
    params
}

pub(crate) fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        let year = Duration::from_hours(24 * 365);
        let (from, until) = (NOW.minus(year), NOW.plus(year));
        let root = Ca::self_signed(authority("task root", from, until), key()).unwrap();
        let params = authority("task issuing", from, until);
        let issuing = Ca::signed_by(params, key(), &root).unwrap();
        Self {
            clock: ManualClock::new(NOW),
            root,
            issuing,
            token_key: SigningKey::from_bytes(&[1; 32]),
            rng: SeededRng::new(3),
        }
    }

    pub(crate) fn anchors(&self) -> String {
        format!("{}{}", self.root.pem(), self.issuing.pem())
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            issuer: ISSUER.into(),
            trust_domain: "example.org".parse().unwrap(),
            audiences: [ledger(), "https://b.example".parse().unwrap()].into(),
            staleness: Staleness::default(),
            jwks: JwkSet::from_keys([jwk(&self.token_key)]).unwrap(),
            task_anchors_pem: self.anchors(),
        }
    }

    /// A verifier that knows nothing of the revocations.
    pub(crate) fn blank(&self, settings: Settings) -> Verifier {
        Verifier::new(settings, Arc::new(self.clock.clone())).unwrap()
    }

    /// A verifier whose feed has just confirmed that there is no rule.
    pub(crate) fn verifier(&self) -> Verifier {
        let verifier = self.blank(self.settings());
        self.confirm(&verifier, 0);
        verifier
    }

    pub(crate) fn confirm(&self, verifier: &Verifier, seq: u64) {
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        verifier.shared().confirm(seq, now, monotonic);
    }

    pub(crate) fn id_until(&self, end: Timestamp) -> CredentialId {
        CredentialId::generate(end, &self.rng)
    }

    /// Claims of a good token for the ledger, five minutes long.
    pub(crate) fn claims(&self) -> Claims {
        let now = self.clock.now();
        let end = now.plus(Duration::from_mins(5));
        Claims {
            issuer: ISSUER.into(),
            subject: "spiffe://example.org/agent/invoice-bot".parse().unwrap(),
            audience: ledger(),
            client_id: "invoice-bot".parse().unwrap(),
            expires_at: end.secs(),
            issued_at: now.secs(),
            not_before: now.secs(),
            id: self.id_until(end),
            scopes: vec!["invoices:read".parse().unwrap()],
            task: TaskClaims {
                task: task_id(1),
                purpose: "pay invoice 17".into(),
                ancestors: vec![Ancestor {
                    task: task_id(2),
                    agent: "planner".parse().unwrap(),
                }],
                stage: Stage::Bounded,
                decision: DecisionId::generate(now, &self.rng),
            },
            bound_to: None,
        }
    }

    pub(crate) fn sign(&self, claims: &Claims) -> String {
        let kid = jwk(&self.token_key).id().clone();
        let header = jws::header_json(TokenAlg::EdDsa, &kid, jws::TOKEN_TYPE);
        let input = jws::signing_input(&header, &claims.to_json());
        let signature = self.token_key.sign(input.as_bytes()).to_bytes();
        jws::assemble(&input, &signature)
    }

    pub(crate) fn token(&self) -> String {
        self.sign(&self.claims())
    }

    pub(crate) fn bound_token(&self, certificate: &[u8], task: TaskId) -> String {
        let mut claims = self.claims();
        claims.bound_to = Some(Sha256::of(certificate));
        claims.task.task = task;
        self.sign(&claims)
    }

    /// A good task certificate's parameters, fifteen minutes long.
    pub(crate) fn leaf(&self) -> CertificateParams {
        let now = self.clock.now();
        let end = now.plus(Duration::from_mins(15));
        self.leaf_between(now, end)
    }

    pub(crate) fn leaf_between(&self, issued: Timestamp, end: Timestamp) -> CertificateParams {
        let mut params = dated(issued.minus(Duration::from_mins(1)), end);
        params.serial_number = Some(SerialNumber::from_slice(self.id_until(end).as_bytes()));
        let subject = Subject::Task("invoice-bot".parse().unwrap(), task_id(1));
        let id = SpiffeId::new("example.org".parse().unwrap(), subject);
        params.subject_alt_names = vec![uri(&id.to_string())];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.custom_extensions = vec![extension(issued)];
        params
    }

    /// A certificate of the issuing authority.
    pub(crate) fn issue(&self, params: &CertificateParams) -> Vec<u8> {
        params
            .signed_by(&key(), &self.issuing)
            .unwrap()
            .der()
            .to_vec()
    }

    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.issue(&self.leaf())
    }
}

pub(crate) fn extension(issued: Timestamp) -> CustomExtension {
    let value = TaskExtension {
        issued_at: issued.secs(),
        ancestors: vec![Ancestor {
            task: task_id(2),
            agent: "planner".parse().unwrap(),
        }],
    };
    CustomExtension::from_oid_content(task_extension::OID, value.to_der())
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

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
