//! Credentials for tests: authorities, keys, a clock that stands still and a feed that says what the
//! test wants, all in memory.
//!
//! A [`World`] stands in for a broker. What it issues is exactly what a broker issues, so an API is
//! tested with its real [`Verifier`]; what a broker would never issue can be made by changing
//! [`World::claims`] or [`World::leaf`] before signing. Time is a [`ManualClock`], revocations take
//! effect when [`World::revoke`] returns. Nothing here is for production: the token key is a
//! constant.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a fixture that cannot be made ends its test"
)]

#[cfg(test)]
mod feed;
#[cfg(feature = "rustls")]
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use taskpass_core::access::{Stage, TokenAlg};
use taskpass_core::id::DecisionId;
use taskpass_core::identity::Principal;
use taskpass_core::revocation::{Rule, RuleDraft, Selector};
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

#[cfg(test)]
pub(crate) use feed::Broker;
#[cfg(feature = "rustls")]
pub use tls::HOST;

/// When the clock of a [`World`] begins.
pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
/// `iss` of its tokens.
pub const ISSUER: &str = "https://broker.example";

/// A certificate authority.
pub type Ca = CertifiedIssuer<'static, KeyPair>;

/// The target of its tokens.
pub fn ledger() -> TargetUri {
    "https://ledger.example".parse().unwrap()
}

/// The `n`th task; the first is that of the tokens and certificates, the second the one above it.
pub fn task_id(n: u64) -> TaskId {
    TaskId::generate(NOW.plus(Duration::from_hours(24)), &SeededRng::new(n))
}

/// A rule of that place in the feed.
pub fn rule(seq: u64, selector: Selector, at: Timestamp) -> Rule {
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

/// A whole world: a hierarchy, a token key, a clock, and revocations.
#[derive(Debug)]
pub struct World {
    /// The time, for everybody in it.
    pub clock: ManualClock,
    /// The root of the Task hierarchy.
    pub root: Ca,
    /// The issuing authority beneath it.
    pub issuing: Ca,
    /// What signs the tokens.
    pub token_key: SigningKey,
    rng: SeededRng,
    seq: AtomicU64,
}

/// The public half of a token key.
pub fn jwk(key: &SigningKey) -> Jwk {
    Jwk::new(PublicKey::Ed25519(key.verifying_key()))
}

/// The parameters of an authority.
pub fn authority(name: &str, from: Timestamp, until: Timestamp) -> CertificateParams {
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

/// A new P-256 key.
pub fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Authorities of its own, at [`NOW`].
    pub fn new() -> Self {
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
            seq: AtomicU64::new(0),
        }
    }

    /// Root and issuing authority, in PEM: a broker's `/ca.pem`.
    pub fn anchors(&self) -> String {
        format!("{}{}", self.root.pem(), self.issuing.pem())
    }

    /// What a verifier of this world is told: two audiences, the default staleness.
    pub fn settings(&self) -> Settings {
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
    pub fn blank(&self, settings: Settings) -> Verifier {
        Verifier::new(settings, Arc::new(self.clock.clone())).unwrap()
    }

    /// A verifier whose feed has just confirmed that there is no rule.
    pub fn verifier(&self) -> Verifier {
        let verifier = self.blank(self.settings());
        self.confirm(&verifier, 0);
        verifier
    }

    /// The feed confirms that the rules up to `seq` are all there are.
    pub fn confirm(&self, verifier: &Verifier, seq: u64) {
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        verifier.shared().confirm(seq, now, monotonic);
    }

    /// The feed brings one more rule, and confirms it. Its place in the feed is the answer.
    pub fn revoke(&self, verifier: &Verifier, selector: Selector) -> u64 {
        let seq = self.seq.fetch_add(1, Ordering::SeqCst) + 1;
        let rule = rule(seq, selector, self.clock.now());
        verifier.shared().add(vec![rule], seq);
        self.confirm(verifier, seq);
        seq
    }

    /// An id that carries this end.
    pub fn id_until(&self, end: Timestamp) -> CredentialId {
        CredentialId::generate(end, &self.rng)
    }

    /// Claims of a good token for the ledger, five minutes long.
    pub fn claims(&self) -> Claims {
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

    /// A token that says this.
    pub fn sign(&self, claims: &Claims) -> String {
        let kid = jwk(&self.token_key).id().clone();
        let header = jws::header_json(TokenAlg::EdDsa, &kid, jws::TOKEN_TYPE);
        let input = jws::signing_input(&header, &claims.to_json());
        let signature = self.token_key.sign(input.as_bytes()).to_bytes();
        jws::assemble(&input, &signature)
    }

    /// A good token for [`ledger`], with the scope `invoices:read`, five minutes long.
    pub fn token(&self) -> String {
        self.sign(&self.claims())
    }

    /// The same, bound to a certificate.
    pub fn bound_token(&self, certificate: &[u8], task: TaskId) -> String {
        let mut claims = self.claims();
        claims.bound_to = Some(Sha256::of(certificate));
        claims.task.task = task;
        self.sign(&claims)
    }

    /// A good task certificate's parameters, fifteen minutes long.
    pub fn leaf(&self) -> CertificateParams {
        let now = self.clock.now();
        let end = now.plus(Duration::from_mins(15));
        self.leaf_between(now, end)
    }

    /// A good task certificate's parameters, between two instants.
    pub fn leaf_between(&self, issued: Timestamp, end: Timestamp) -> CertificateParams {
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

    /// A certificate of the issuing authority, for a key that is forgotten.
    pub fn issue(&self, params: &CertificateParams) -> Vec<u8> {
        self.issue_for(params, &key())
    }

    /// A certificate of the issuing authority for `key`, in DER.
    pub fn issue_for(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &self.issuing).unwrap().der().to_vec()
    }

    /// A good task certificate, in DER.
    pub fn certificate(&self) -> Vec<u8> {
        self.issue(&self.leaf())
    }
}

/// The task extension of a certificate that was issued then.
pub fn extension(issued: Timestamp) -> CustomExtension {
    let value = TaskExtension {
        issued_at: issued.secs(),
        ancestors: vec![Ancestor {
            task: task_id(2),
            agent: "planner".parse().unwrap(),
        }],
    };
    CustomExtension::from_oid_content(task_extension::OID, value.to_der())
}

/// A URI as an alternative name.
pub fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}
