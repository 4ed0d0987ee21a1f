//! What the real issuer makes, and what it makes for others.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use taskpass_core::access::{Stage, TokenAlg};
use taskpass_core::grant::{Ask, Basis, Grant};
use taskpass_core::id::DecisionId;
use taskpass_core::identity::Principal;
use taskpass_core::listing::{ListId, list_hour};
use taskpass_core::name::AgentName;
use taskpass_core::revocation::Selector;
use taskpass_core::rng::SeededRng;
use taskpass_core::scope::ScopeRef;
use taskpass_core::secret::Sha256;
use taskpass_core::spiffe::{SpiffeId, Subject};
use taskpass_core::task::Ancestor;
use taskpass_core::time::ManualClock;
use taskpass_core::{ScopeName, ttl};
use taskpass_issuer::{
    CertificateTerms, CrlEntry, CrlReason, CsrKey, Hierarchy, Issuer, IssuerConfig,
    KeyEncryptionKey, ServerNames, SignedCertificate, SignedToken, TaskFacts, TokenTerms,
};

use super::*;
use crate::certificate::CrlVerifier;
use crate::refusal::Reason;
use crate::testing::{ISSUER, NOW, key, ledger, rule, task_id};

struct Real {
    issuer: Issuer,
    clock: ManualClock,
    rng: SeededRng,
}

impl Real {
    fn new() -> Self {
        let kek = KeyEncryptionKey::from_bytes([7; 32]);
        let trust_domain: TrustDomain = "example.org".parse().unwrap();
        let records = taskpass_issuer::init(&trust_domain, NOW, &kek).unwrap();
        let config = IssuerConfig {
            trust_domain,
            issuer_url: ISSUER.into(),
            crl_url: ISSUER.into(),
        };
        Self {
            issuer: Issuer::open(records, config, &kek).unwrap(),
            clock: ManualClock::new(NOW),
            rng: SeededRng::new(1),
        }
    }

    fn verifier(&self) -> Verifier {
        let settings = Settings {
            issuer: ISSUER.into(),
            trust_domain: "example.org".parse().unwrap(),
            audiences: [ledger()].into(),
            staleness: Staleness::default(),
            jwks: JwkSet::from_json(self.issuer.jwks(NOW).to_json().as_bytes()).unwrap(),
            task_anchors_pem: self.issuer.anchors(Hierarchy::Task, NOW),
        };
        let verifier = Verifier::new(settings, Arc::new(self.clock.clone())).unwrap();
        verifier.shared().confirm(0, NOW, Duration::ZERO);
        verifier
    }

    #[expect(clippy::disallowed_methods, reason = "a test has no policy engine")]
    fn grant(&self, ask: Ask) -> Grant {
        let basis = Basis {
            id: DecisionId::generate(NOW, &self.rng),
            policies: vec!["permit-all".into()],
            would_deny: false,
            policy_set: Sha256::of(b""),
        };
        Grant::decided(basis, agent(), ask, vec![])
    }

    fn task() -> TaskFacts {
        TaskFacts {
            id: task_id(1),
            purpose: "pay invoice 17".into(),
            ancestors: vec![Ancestor {
                task: task_id(2),
                agent: "planner".parse().unwrap(),
            }],
        }
    }

    fn token(&self, alg: TokenAlg, bound_to: Option<Sha256>) -> SignedToken {
        let scope: ScopeName = "invoices:read".parse().unwrap();
        let asked = ScopeRef {
            target: ledger(),
            scope: scope.clone(),
        };
        let terms = TokenTerms {
            agent: agent(),
            owner: "payments".parse().unwrap(),
            task: Self::task(),
            stage: Stage::Bounded,
            target: ledger(),
            alg,
            scopes: BTreeSet::from([scope]),
            now: NOW,
            ends_at: NOW.plus(Duration::from_millis(300_250)),
            bound_to,
        };
        let grant = self.grant(Ask::Scopes([asked].into()));
        let prepared = self.issuer.prepare_token(grant, terms, &self.rng).unwrap();
        self.issuer.sign_token(prepared).unwrap()
    }

    fn csr(subject: Subject) -> CsrKey {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let csr = params.serialize_request(&key()).unwrap();
        let expected = SpiffeId::new("example.org".parse().unwrap(), subject);
        CsrKey::from_request(csr.der(), &expected).unwrap()
    }

    fn certificate(&self, life: Duration) -> SignedCertificate {
        let terms = CertificateTerms {
            agent: agent(),
            owner: "payments".parse().unwrap(),
            task: Self::task(),
            public_key: Self::csr(Subject::Task(agent(), task_id(1))),
            now: NOW,
            ends_at: NOW.plus(life),
        };
        let grant = self.grant(Ask::Certificate);
        let prepared = self
            .issuer
            .prepare_certificate(grant, terms, &self.rng)
            .unwrap();
        self.issuer.sign_certificate(prepared).unwrap()
    }
}

fn agent() -> AgentName {
    "invoice-bot".parse().unwrap()
}

fn chain(pem: &str) -> Vec<Vec<u8>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|der| der.unwrap().to_vec())
        .collect()
}

#[test]
fn tokens_of_both_algorithms_are_accepted() {
    let real = Real::new();
    let verifier = real.verifier();
    for alg in TokenAlg::ALL {
        let issued = real.token(*alg, None);
        let token = verifier
            .verify_token(issued.token.expose(), &ledger())
            .unwrap();
        // Both sides match rules against the same facts.
        assert_eq!(token.checked().facts(), issued.credential.facts());
        assert_eq!(token.purpose(), "pay invoice 17");
        let id = Selector::Credential(token.credential_id());
        verifier.shared().add(vec![rule(1, id, NOW)], 1);
        let outcome = verifier.recheck_token(&token);
        assert!(matches!(outcome, Err(Refusal::Revoked { seq: 1 })));
        verifier.shared().load(vec![]);
        verifier.shared().confirm(1, NOW, Duration::ZERO);
    }
}

#[test]
fn certificates_are_accepted_for_all_their_possible_lives() {
    let real = Real::new();
    let verifier = real.verifier();
    for life in [
        Duration::from_secs(2),
        Duration::from_millis(900_999),
        ttl::MAX_CERTIFICATE_TTL.duration(),
    ] {
        let issued = real.certificate(life);
        let sent = chain(&issued.chain_pem);
        let above: Vec<_> = sent.iter().skip(1).map(Vec::as_slice).collect();
        for intermediates in [&above[..], &[]] {
            let certificate = verifier
                .verify_certificate(&issued.der, intermediates)
                .unwrap();
            assert_eq!(certificate.facts(), issued.credential.facts());
            assert_eq!(certificate.digest(), issued.credential.digest);
        }
    }
}

#[test]
fn a_bound_token_works_with_its_certificate_only() {
    let real = Real::new();
    let verifier = real.verifier();
    let own = real.certificate(Duration::from_mins(15));
    let other = real.certificate(Duration::from_mins(15));
    let token = real
        .token(TokenAlg::Es256, Some(Sha256::of(&own.der)))
        .token;
    let ask = |der: &[u8]| {
        let certificate = verifier.verify_certificate(der, &[]).unwrap();
        verifier.verify_token_with(token.expose(), &ledger(), &certificate)
    };
    assert!(ask(&own.der).is_ok());
    assert!(matches!(ask(&other.der), Err(Refusal::OtherCertificate)));
    let bare = verifier.verify_token(token.expose(), &ledger());
    assert!(matches!(bare, Err(Refusal::CertificateMissing)));
}

#[test]
fn nothing_of_the_control_hierarchy_is_accepted() {
    let real = Real::new();
    let verifier = real.verifier();
    let end = NOW.plus(Duration::from_hours(1));
    for principal in [
        Principal::Agent(agent()),
        Principal::from_parts("operator", "ops").unwrap(),
        Principal::from_parts("verifier", "ledger").unwrap(),
    ] {
        let key = Real::csr(principal.subject());
        let identity = real
            .issuer
            .sign_identity(&principal, &key, NOW, end, &real.rng)
            .unwrap();
        let sent = chain(&identity.chain_pem);
        let mut above: Vec<_> = sent.iter().skip(1).map(Vec::as_slice).collect();
        above.push(real.issuer.root_der(Hierarchy::Control));
        let outcome = verifier.verify_certificate(&identity.der, &above);
        assert_eq!(outcome.unwrap_err().reason(), Reason::Untrusted);
    }
    let names = ServerNames {
        dns: vec!["localhost".into()],
        ips: vec![IpAddr::from([127, 0, 0, 1])],
    };
    let server = real
        .issuer
        .sign_server(&names, NOW, ttl::MAX_CERTIFICATE_TTL)
        .unwrap();
    let leaf = server.chain.first().unwrap();
    assert!(verifier.verify_certificate(leaf, &[]).is_err());
    // The authorities themselves prove no task.
    for hierarchy in [Hierarchy::Control, Hierarchy::Task] {
        for der in chain(&real.issuer.anchors(hierarchy, NOW)) {
            assert!(verifier.verify_certificate(&der, &[]).is_err());
        }
    }
}

#[test]
fn another_brokers_credentials_are_refused() {
    let (ours, theirs) = (Real::new(), Real::new());
    let verifier = ours.verifier();
    let token = theirs.token(TokenAlg::Es256, None).token;
    let outcome = verifier.verify_token(token.expose(), &ledger());
    assert_eq!(outcome.unwrap_err().reason(), Reason::Untrusted);
    let certificate = theirs.certificate(Duration::from_mins(15));
    let outcome = verifier.verify_certificate(&certificate.der, &[]);
    assert_eq!(outcome.unwrap_err().reason(), Reason::Untrusted);
}

/// The heartbeat that the issuer signs is the one that the feed checks.
#[test]
fn the_feeds_key_signs_what_the_feed_expects() {
    let real = Real::new();
    let beat = taskpass_token::Heartbeat {
        epoch: 1,
        seq: 2,
        at: NOW,
        digest: [3; 32],
    };
    let signature = real.issuer.sign_heartbeat(&beat).unwrap();
    let key = taskpass_token::Jwk::from_json(real.issuer.feed_key().to_json().as_bytes()).unwrap();
    assert_eq!(beat.verify(&key, &signature), Ok(()));
    // And no token is ever checked with it.
    assert!(real.issuer.jwks(NOW).get(key.id()).is_none());
}

/// The broker's own lists: taken, enforced, and over after five minutes.
#[test]
fn the_brokers_lists_are_taken() {
    let real = Real::new();
    let anchors = real.issuer.anchors(Hierarchy::Task, NOW);
    let clock = Arc::new(real.clock.clone());
    let lists = CrlVerifier::new("example.org".parse().unwrap(), &anchors, clock).unwrap();
    let (good, bad) = (
        real.certificate(Duration::from_mins(15)),
        real.certificate(Duration::from_mins(15)),
    );
    let id = ListId {
        hour: list_hour(good.credential.expires_at()),
        list: 0,
    };
    let authority = real
        .issuer
        .authorities(Hierarchy::Task, NOW)
        .into_iter()
        .find(|view| view.key == good.credential.key)
        .unwrap();
    let entry = CrlEntry {
        id: bad.credential.id,
        at: NOW,
        reason: CrlReason::PrivilegeWithdrawn,
    };
    let list = real.issuer.crl(&authority.id, id, &[entry], 1, NOW);
    lists.take(&list.unwrap()).unwrap();
    let ask = |der: &[u8]| lists.verify_certificate(der, &[]);
    assert!(matches!(ask(&good.der), Err(Refusal::NotListed)));
    let root = real.issuer.root_crl(Hierarchy::Task, NOW).unwrap();
    lists.take(&root).unwrap();
    assert!(ask(&good.der).is_ok());
    assert!(matches!(ask(&bad.der), Err(Refusal::Listed)));
    real.clock.advance(Duration::from_mins(5));
    assert!(matches!(ask(&good.der), Err(Refusal::ListStale)));
}
