//! Published lists: they say what the rules say, never too much and never for too long.

mod history;
mod places;

use std::time::Duration;

use taskpass_core::credential::{Credential, CredentialKind};
use taskpass_core::listing::{ListId, list_hour};
use taskpass_issuer::{AuthorityId, Hierarchy};
use taskpass_status::{Expect, StatusList};
use taskpass_store::{Change, Commit, Store as _};

use crate::testing::{LEDGER, TestBroker, as_agent, csr, ops};
use crate::{
    Broker, CertificateRequest, Error, IssuedToken, ListError, ListLane, RevokeWhat, TokenRequest,
};

pub(super) async fn list_all(broker: &Broker) {
    for lane in ListLane::ALL {
        broker.list_revoked(lane).await.unwrap();
    }
}

fn id_of(credential: &Credential) -> ListId {
    ListId {
        hour: list_hour(credential.expires_at()),
        list: credential.listed.unwrap().list(),
    }
}

fn checked(broker: &Broker, id: ListId, document: &[u8]) -> StatusList {
    let expect = Expect {
        uri: &broker.issuer().status_location(id),
        now: broker.now(),
        leeway: Duration::ZERO,
    };
    let text = std::str::from_utf8(document).unwrap();
    StatusList::verify(text, &broker.issuer().jwks(broker.now()), &expect).unwrap()
}

/// What its status list says of a token, as somebody downstream reads it.
pub(super) async fn says_revoked(broker: &Broker, credential: &Credential) -> bool {
    let id = id_of(credential);
    let document = broker.status_list(id).await.unwrap();
    let list = checked(broker, id, &document.body);
    let index = credential.listed.unwrap().index();
    !list.status(index.into()).unwrap().is_valid()
}

fn authority_of(broker: &Broker, credential: &Credential) -> AuthorityId {
    let authorities = broker.issuer().authorities(Hierarchy::Task, broker.now());
    let own = authorities
        .into_iter()
        .find(|view| view.key == credential.key);
    own.unwrap().id
}

/// Whether its CRL names a certificate.
pub(super) async fn crl_names(broker: &Broker, credential: &Credential) -> bool {
    let authority = authority_of(broker, credential);
    let list = broker.crl(&authority, id_of(credential)).await.unwrap();
    let serial = credential.id.as_bytes();
    list.body.windows(16).any(|window| window == serial)
}

fn signed(t: &TestBroker) -> (u64, u64) {
    let metrics = t.broker.metrics();
    (metrics.signed_status_lists.get(), metrics.signed_crls.get())
}

async fn revoke_one(t: &TestBroker, token: &IssuedToken) {
    t.revoke(RevokeWhat::Credential(token.credential.id))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_revocation_is_on_the_list_and_nothing_else_is() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let (one, other) = (
        t.token("reader", task).await.unwrap(),
        t.token("reader", task).await.unwrap(),
    );
    let certificate = t.certificate("reader", task).await.unwrap();
    list_all(&t.broker).await;
    assert!(!says_revoked(&t.broker, &one.credential).await);
    revoke_one(&t, &one).await;
    t.revoke(RevokeWhat::Credential(certificate.credential.id))
        .await
        .unwrap();
    list_all(&t.broker).await;
    t.advance(1);
    list_all(&t.broker).await;
    assert!(says_revoked(&t.broker, &one.credential).await);
    assert!(!says_revoked(&t.broker, &other.credential).await);
    assert!(crl_names(&t.broker, &certificate.credential).await);
}

#[tokio::test]
async fn many_revocations_at_once_cost_one_signature() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(t.token("reader", task).await.unwrap());
    }
    let id = id_of(&tokens[0].credential);
    list_all(&t.broker).await;
    let first = t.broker.status_list(id).await.unwrap();
    for token in &tokens {
        revoke_one(&t, token).await;
        list_all(&t.broker).await;
        t.clock.advance(Duration::from_millis(4));
        let again = t.broker.status_list(id).await.unwrap();
        assert_eq!(again.etag, first.etag);
    }
    assert_eq!(signed(&t).0, 1);
    // A tenth of a second after the last signature all of them are there.
    t.clock.advance(Duration::from_millis(20));
    for token in &tokens {
        assert!(says_revoked(&t.broker, &token.credential).await);
    }
    assert_eq!(signed(&t).0, 2);
    // Without a change it is signed anew after ten seconds.
    for (pause, expected) in [(9_900, 2), (100, 3)] {
        t.clock.advance(Duration::from_millis(pause));
        list_all(&t.broker).await;
        t.broker.status_list(id).await.unwrap();
        assert_eq!(signed(&t).0, expected);
    }
}

#[tokio::test]
async fn a_list_is_never_newer_than_what_it_contains() {
    let mut t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let token = t.token_with("reader", task, &["read"], None, 25).await;
    let token = token.unwrap();
    let certificate = t.certificate("reader", task).await.unwrap().credential;
    let id = id_of(&token.credential);
    let authority = authority_of(&t.broker, &certificate);
    // Not before everything was worked through once.
    let early = t.broker.status_list(id).await;
    assert!(matches!(early, Err(ListError::NotReady)));
    list_all(&t.broker).await;
    let first = t.broker.status_list(id).await.unwrap();
    assert_eq!(
        checked(&t.broker, id, &first.body).issued_at().secs(),
        t.now().secs()
    );

    // A rule that nobody works through: the list's time stands still, and then it is over.
    revoke_one(&t, &token).await;
    let stood = t.now();
    t.advance(200);
    let stale = t.broker.status_list(id).await.unwrap();
    let list = checked(&t.broker, id, &stale.body);
    assert_eq!(list.issued_at().secs(), stood.secs());
    assert_eq!(list.expires_at().secs(), stood.secs() + 300);
    assert_eq!(t.broker.lists_behind(), Duration::from_secs(200));
    t.broker.crl(&authority, id_of(&certificate)).await.unwrap();
    t.advance(100);
    for over in [
        t.broker.status_list(id).await,
        t.broker.crl(&authority, id_of(&certificate)).await,
    ] {
        assert!(matches!(over, Err(ListError::NotReady)));
    }
    list_all(&t.broker).await;
    assert!(says_revoked(&t.broker, &token.credential).await);
    assert_eq!(t.broker.lists_behind(), Duration::ZERO);

    // A restart begins anew, and forgets nothing.
    t.reopen().await;
    let early = t.broker.status_list(id).await;
    assert!(matches!(early, Err(ListError::NotReady)));
    list_all(&t.broker).await;
    assert!(says_revoked(&t.broker, &token.credential).await);
}

#[tokio::test]
async fn a_clock_that_leapt_ahead_leaves_nothing_off_the_lists() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let token = t.token_with("reader", task, &["read"], None, 10).await;
    let token = token.unwrap().credential;
    // To everybody else it lives for ten minutes yet.
    t.clock.jump_to(t.now().plus(Duration::from_mins(20)));
    t.revoke(RevokeWhat::Agent("reader".parse().unwrap()))
        .await
        .unwrap();
    list_all(&t.broker).await;
    assert!(says_revoked(&t.broker, &token).await);
}

#[tokio::test]
async fn what_has_just_ended_is_on_a_list_also_after_a_restart() {
    let mut t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let certificate = t.certificate("reader", task).await.unwrap().credential;
    t.revoke(RevokeWhat::Task(task)).await.unwrap();
    t.advance(certificate.expires_at().secs() + 60 - t.now().secs());
    t.reopen().await;
    list_all(&t.broker).await;
    assert!(crl_names(&t.broker, &certificate).await);
}

#[tokio::test]
async fn there_are_lists_of_hours_in_which_something_ends_and_no_others() {
    let t = TestBroker::new().await;
    list_all(&t.broker).await;
    assert_eq!(t.broker.status_lists().await.unwrap(), [""; 0]);
    let task = t.start("reader", &["read"]).await.unwrap();
    let token = t.token("reader", task).await.unwrap();
    let id = id_of(&token.credential);
    let location = t.broker.issuer().status_location(id);
    assert_eq!(t.broker.status_lists().await.unwrap(), [location]);
    for other in [
        ListId { list: 1, ..id },
        ListId {
            hour: id.hour + 1,
            ..id
        },
        ListId {
            hour: id.hour - 2,
            ..id
        },
        ListId {
            hour: u64::MAX,
            list: u32::MAX,
        },
    ] {
        let found = t.broker.status_list(other).await;
        assert!(matches!(found, Err(ListError::Unknown)), "{other}");
    }
    assert!(t.broker.status_list(id).await.is_ok());
    // For a minute after its hour, for clocks that are behind; then it is over.
    let end = (id.hour + 1) * 3600;
    t.advance(end + 59 - t.now().secs());
    list_all(&t.broker).await;
    assert!(t.broker.status_list(id).await.is_ok());
    t.advance(1);
    assert!(matches!(
        t.broker.status_list(id).await,
        Err(ListError::Unknown)
    ));
    assert_eq!(t.broker.status_lists().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn another_key_signs_at_once() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let token = t.token("reader", task).await.unwrap();
    let id = id_of(&token.credential);
    list_all(&t.broker).await;
    let before = t.broker.status_list(id).await.unwrap();
    let key = t.broker.issuer().status_key().to_string();
    t.revoke(RevokeWhat::Key(key.clone())).await.unwrap();
    list_all(&t.broker).await;
    assert_ne!(t.broker.issuer().status_key().as_str(), key);
    let after = t.broker.status_list(id).await.unwrap();
    assert_ne!(before.etag, after.etag);
    // It verifies by the keys of now, and says that what the other key signed is revoked.
    assert!(says_revoked(&t.broker, &token.credential).await);
}

#[tokio::test]
async fn crl_numbers_grow_over_a_restart_with_a_clock_that_was_set_back() {
    use x509_parser::prelude::{FromDer as _, ParsedExtension};
    use x509_parser::revocation_list::CertificateRevocationList;

    async fn number(t: &TestBroker, credential: &Credential) -> u64 {
        let authority = authority_of(&t.broker, credential);
        let list = t.broker.crl(&authority, id_of(credential)).await.unwrap();
        let (_, list) = CertificateRevocationList::from_der(&list.body).unwrap();
        let number = list
            .extensions()
            .iter()
            .find_map(|e| match e.parsed_extension() {
                ParsedExtension::CRLNumber(number) => Some(number.to_u64_digits()),
                _ => None,
            });
        number.unwrap()[0]
    }

    let mut t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let certificate = t.certificate("reader", task).await.unwrap().credential;
    list_all(&t.broker).await;
    let mut last = number(&t, &certificate).await;
    assert_eq!(last, t.now().millis());
    // The same list as long as nothing happens, then the next number.
    assert_eq!(number(&t, &certificate).await, last);
    for step in 0..6 {
        t.advance(if step == 3 { 90 } else { 31 });
        if step % 2 == 1 {
            t.clock.jump_to(t.now().minus(Duration::from_mins(2)));
        }
        if step > 2 {
            t.reopen().await;
        }
        list_all(&t.broker).await;
        let next = number(&t, &certificate).await;
        assert!(next > last, "{next} after {last} at step {step}");
        last = next;
    }
}

#[tokio::test]
async fn the_root_has_a_list_that_is_kept() {
    let t = TestBroker::new().await;
    let first = t.broker.root_crl().await.unwrap();
    t.advance(3599);
    assert_eq!(t.broker.root_crl().await.unwrap().etag, first.etag);
    t.advance(1);
    assert_ne!(t.broker.root_crl().await.unwrap().etag, first.etag);
}

#[tokio::test]
async fn certificates_go_to_another_list_before_one_grows_too_large() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let first = t.certificate("reader", task).await.unwrap().credential;
    let hour = list_hour(first.expires_at());
    let full = Commit::new(t.now()).change(Change::LeasePlaces {
        kind: CredentialKind::Certificate,
        hour,
        next: 1 << 16,
    });
    t.store.commit(full).await.unwrap();
    // The block that is held is used up first.
    let broker = crate::testing::open_on(t.store.clone(), &t.clock, &t.rng).await;
    let request = CertificateRequest {
        task,
        csr: csr(),
        profile: taskpass_core::access::CertificateProfile::Client,
        ttl: Some(taskpass_core::Ttl::from_mins(10)),
    };
    let second = broker
        .issue_certificate(&as_agent("reader"), &request)
        .await;
    let second = second.unwrap().credential;
    assert_eq!(first.listed.unwrap().list(), 0);
    assert_eq!(second.listed.unwrap().list(), 1);
    t.revoke(RevokeWhat::Task(task)).await.unwrap();
    list_all(&broker).await;
    let authority = authority_of(&broker, &first);
    for (credential, other) in [(&first, &second), (&second, &first)] {
        assert!(crl_names(&broker, credential).await);
        let list = broker.crl(&authority, id_of(credential)).await.unwrap();
        let serial = other.id.as_bytes();
        assert!(!list.body.windows(16).any(|window| window == serial));
    }
    let third = ListId { hour, list: 2 };
    assert!(matches!(
        broker.crl(&authority, third).await,
        Err(ListError::Unknown)
    ));
    let all = broker.crls().await.unwrap();
    let named = |id| all.contains(&broker.issuer().crl_location(&authority, id));
    assert!(named(ListId { hour, list: 0 }) && named(ListId { hour, list: 1 }));
    assert!(!named(third));
    let root = broker.issuer().root_crl_location();
    assert_eq!(root, "http://broker.example/crl/root.crl");
    assert!(
        all.contains(&root),
        "whoever checks whole chains needs it too"
    );
}

#[tokio::test]
async fn profiles_are_given_where_they_are_allowed() {
    use taskpass_core::access::{CertificateProfile, TokenAlg, TokenProfile};
    use taskpass_core::registry::{Row, RowKey};

    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let svid = CertificateRequest {
        task,
        csr: csr(),
        profile: CertificateProfile::SpiffeSvid,
        ttl: None,
    };
    let denied = t.broker.issue_certificate(&as_agent("payer"), &svid).await;
    assert!(matches!(denied, Err(Error::PolicyDenied(_))));
    let registry = t.broker.registry();
    let agent = registry.agent(&"payer".parse().unwrap()).unwrap();
    let mut labelled = agent.value.clone();
    labelled.labels.insert("svid".into(), "allowed".into());
    t.broker
        .update(&ops(), Row::Agent(labelled), agent.version, "test")
        .await
        .unwrap();
    let issued = t.broker.issue_certificate(&as_agent("payer"), &svid).await;
    assert!(issued.is_ok());

    let key = RowKey::Target(LEDGER.parse().unwrap());
    let target = registry.target(&LEDGER.parse().unwrap()).unwrap();
    let mut cloud = target.value.clone();
    cloud.token_profile = TokenProfile::Cloud;
    let mut impossible = cloud.clone();
    impossible.token_alg = TokenAlg::EdDsa;
    let version = registry.version(&key);
    let refused = t
        .broker
        .update(&ops(), Row::Target(impossible), version, "test")
        .await;
    assert_eq!(refused.unwrap_err().reason(), "INVALID_FIELD");
    t.broker
        .update(&ops(), Row::Target(cloud), version, "test")
        .await
        .unwrap();
    let request = TokenRequest {
        task,
        target: LEDGER.parse().unwrap(),
        scopes: ["read".parse().unwrap()].into(),
        ttl: None,
        bind: None,
    };
    let token = t.broker.issue_token(&as_agent("payer"), &request).await;
    let token = token.unwrap();
    let parsed = taskpass_token::jws::parse(token.token.expose()).unwrap();
    assert_eq!(parsed.header.typ.as_deref(), Some("JWT"));
    let payload: serde_json::Value = serde_json::from_slice(&parsed.payload).unwrap();
    assert_eq!(payload["aud"], LEDGER);
    assert!(payload["status"]["status_list"]["uri"].is_string());
    // It is recognised and revoked like any other.
    assert!(t.is_active(&token).await);
}
