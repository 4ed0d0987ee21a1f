//! Becoming a caller and staying one: enrolment once, renewal, and what a stolen key leads to.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use taskpass_api::v1::principal::Kind;
use taskpass_api::v1::{self, RenewIdentityRequest};
use taskpass_client::enrol::renew_in;
use taskpass_client::{EnrolError, Enrolled, Identity, LocalKey, Refused, enrol, renew};
use taskpass_core::secret::Secret;
use taskpass_testkit::calls::Services;
use taskpass_testkit::{Broker, refused, until, within};
use x509_parser::prelude::FromDer as _;

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const READ: &str = "https://ledger.example#invoices:read";

async fn renewed(broker: &Broker, present: &Identity, key: &LocalKey) -> Result<Enrolled, Refused> {
    let channel = broker.connect(present).await;
    match within(renew(channel, key)).await {
        Ok(enrolled) => Ok(enrolled),
        Err(EnrolError::Refused(refused)) => Err(refused),
        Err(error) => panic!("{error}"),
    }
}

async fn enrolled(broker: &Broker, token: &str) -> Result<Enrolled, Refused> {
    let anchors = broker.identity("operator").ca_pem().to_owned();
    let token = Secret::new(token.to_owned());
    match within(enrol(broker.authority(), &anchors, &token)).await {
        Ok(enrolled) => Ok(enrolled),
        Err(EnrolError::Refused(refused)) => Err(refused),
        Err(error) => panic!("{error}"),
    }
}

/// Whether the identity can call.
async fn calls(broker: &Broker, identity: &Identity) -> Result<(), String> {
    let mut tasks = Services(broker.connect(identity).await).tasks();
    match within(tasks.list(v1::ListTasksRequest::default())).await {
        Ok(_) => Ok(()),
        Err(status) => Err(Refused::from(status).reason),
    }
}

async fn bot(broker: &Broker, name: &str) -> Identity {
    broker
        .agent(name, "payments-team", v1::Stage::ReadOnly, &[READ])
        .await
}

fn no() -> Result<(), String> {
    Err("UNAUTHENTICATED".to_owned())
}

#[tokio::test]
async fn renewal_moves_on_and_the_one_before_goes_with_the_next() {
    let broker = Broker::start(BIN);
    let first = bot(&broker, "bot").await;
    let second = renewed(&broker, &first, &LocalKey::generate().unwrap())
        .await
        .unwrap();
    assert_eq!(second.generation, 2);
    assert_eq!(second.identity.name(), first.name());
    // A lost reply must lock nobody out: the one before still calls.
    assert_eq!(calls(&broker, &first).await, Ok(()));
    assert_eq!(calls(&broker, &second.identity).await, Ok(()));
    let third = renewed(&broker, &second.identity, &LocalKey::generate().unwrap())
        .await
        .unwrap();
    assert_eq!(third.generation, 3);
    assert_eq!(calls(&broker, &first).await, no());
    assert_eq!(calls(&broker, &second.identity).await, Ok(()));
    assert_eq!(calls(&broker, &third.identity).await, Ok(()));
    // No key follows itself: a copy of it could go on for ever, and nobody would notice.
    let key = LocalKey::generate().unwrap();
    let fourth = renewed(&broker, &third.identity, &key).await.unwrap();
    assert_eq!(fourth.generation, 4);
    let again = renewed(&broker, &fourth.identity, &key).await.unwrap_err();
    assert_eq!(again.reason, "INVALID_CSR");
    assert_eq!(calls(&broker, &third.identity).await, Ok(()));
}

#[tokio::test]
async fn a_lost_reply_is_no_theft() {
    let mut broker = Broker::start(BIN);
    let first = bot(&broker, "bot").await;
    let key = LocalKey::generate().unwrap();
    for _ in 0..3 {
        // Each time as if the reply before had not arrived.
        let next = renewed(&broker, &first, &key).await.unwrap();
        assert_eq!(next.generation, 2);
        assert_eq!(calls(&broker, &next.identity).await, Ok(()));
    }
    broker.restart();
    let next = renewed(&broker, &first, &key).await.unwrap();
    assert_eq!(next.generation, 2);

    // As the client library does it, on disk.
    let folder = broker.identity_folder("payout-bot");
    let before = broker.identity("payout-bot");
    let renewed = within(renew_in(&folder, broker.authority())).await.unwrap();
    assert_eq!(renewed.generation, 2);
    assert_ne!(broker.identity("payout-bot").cert_pem(), before.cert_pem());
    assert_eq!(calls(&broker, &broker.identity("payout-bot")).await, Ok(()));
}

#[tokio::test]
async fn two_successors_of_one_identity_end_it() {
    let mut broker = Broker::start(BIN);
    let stolen = bot(&broker, "bot").await;
    let thief = renewed(&broker, &stolen, &LocalKey::generate().unwrap())
        .await
        .unwrap();
    let conflict = renewed(&broker, &stolen, &LocalKey::generate().unwrap())
        .await
        .unwrap_err();
    assert_eq!(conflict.reason, "IDENTITY_CONFLICT");
    for restarted in [false, true] {
        if restarted {
            broker.restart();
        }
        assert_eq!(
            calls(&broker, &stolen).await,
            no(),
            "restarted: {restarted}"
        );
        assert_eq!(
            calls(&broker, &thief.identity).await,
            no(),
            "restarted: {restarted}"
        );
        let more = renewed(&broker, &thief.identity, &LocalKey::generate().unwrap()).await;
        assert_eq!(more.unwrap_err().reason, "UNAUTHENTICATED");
    }
    let theft = until("the theft is in the audit log", || {
        let lines = broker.audit();
        lines
            .into_iter()
            .find(|line| line["entry"]["kind"] == json!("identity.theft"))
    });
    assert_eq!(theft["entry"]["actor"], json!("agent/bot"));
    assert_eq!(theft["entry"]["outcome"], json!("deny"));
    // Enrolling anew helps, continues the count, and does not bring the old ones back.
    let token = broker
        .enrolment_token(Kind::Agent("bot".into()))
        .await
        .token;
    let anew = enrolled(&broker, &token).await.unwrap();
    assert_eq!(anew.generation, 3);
    assert_eq!(calls(&broker, &anew.identity).await, Ok(()));
    assert_eq!(calls(&broker, &stolen).await, no());
    assert_eq!(calls(&broker, &thief.identity).await, no());
}

/// Whoever renews twice at once with a copy is found out all the same.
#[tokio::test]
async fn a_copy_that_runs_ahead_is_a_theft_when_the_holder_renews() {
    let broker = Broker::start(BIN);
    let stolen = bot(&broker, "bot").await;
    let mut thief = stolen.clone();
    for _ in 0..2 {
        let key = LocalKey::generate().unwrap();
        thief = renewed(&broker, &thief, &key).await.unwrap().identity;
    }
    // The holder's key is accepted for nothing by now, but noticed.
    assert_eq!(calls(&broker, &stolen).await, no());
    assert_eq!(calls(&broker, &thief).await, Ok(()));
    let key = LocalKey::generate().unwrap();
    let conflict = renewed(&broker, &stolen, &key).await.unwrap_err();
    assert_eq!(conflict.reason, "IDENTITY_CONFLICT");
    assert_eq!(calls(&broker, &thief).await, no());
}

/// A theft by racing renewals: never two lines that both go on.
#[tokio::test(flavor = "multi_thread")]
async fn racing_successors_leave_one_line_or_none() {
    let broker = Broker::start(BIN);
    for round in 0..5 {
        let name = format!("bot-{round}");
        let stolen = bot(&broker, &name).await;
        let (a, b) = (LocalKey::generate().unwrap(), LocalKey::generate().unwrap());
        let (mut one, mut two) = (
            Services(broker.connect(&stolen).await).enrolment(),
            Services(broker.connect(&stolen).await).enrolment(),
        );
        let request = |key: &LocalKey| RenewIdentityRequest {
            csr: key.csr_der().to_vec().into(),
        };
        let (one, two) = tokio::join!(
            within(one.renew_identity(request(&a))),
            within(two.renew_identity(request(&b)))
        );
        assert!(
            one.is_ok() != two.is_ok(),
            "exactly one is served: {one:?} {two:?}"
        );
        let conflict = one.err().or(two.err()).map(Refused::from).unwrap();
        assert_eq!(conflict.reason, "IDENTITY_CONFLICT");
        assert_eq!(calls(&broker, &stolen).await, no());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_race_for_a_token_one_wins() {
    let broker = Broker::start(BIN);
    bot(&broker, "bot").await;
    for round in 0..5 {
        let token = broker
            .enrolment_token(Kind::Agent("bot".into()))
            .await
            .token;
        let racers: Vec<_> = (0..4).map(|_| enrolled(&broker, &token)).collect();
        let mut racers = racers.into_iter();
        let mut next = || racers.next().unwrap();
        let (a, b, c, d) = tokio::join!(next(), next(), next(), next());
        let (won, lost): (Vec<_>, Vec<_>) = [a, b, c, d].into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 3), "round {round}: {lost:?}");
        for lost in lost {
            assert_eq!(lost.unwrap_err().reason, "ENROLMENT_REFUSED");
        }
        for won in won {
            assert_eq!(calls(&broker, &won.unwrap().identity).await, Ok(()));
        }
    }
}

#[tokio::test]
async fn a_token_is_for_one_principal_and_survives_a_restart() {
    let mut broker = Broker::start(BIN);
    bot(&broker, "bot").await;
    let pending = broker
        .enrolment_token(Kind::Agent("bot".into()))
        .await
        .token;
    let used = broker
        .enrolment_token(Kind::Agent("bot".into()))
        .await
        .token;
    enrolled(&broker, &used).await.unwrap();
    broker.restart();
    assert_eq!(
        enrolled(&broker, &used).await.unwrap_err().reason,
        "ENROLMENT_REFUSED"
    );
    let anew = enrolled(&broker, &pending).await.unwrap();
    assert!(anew.identity.name().to_string().ends_with("/agent/bot"));
    assert_eq!(
        enrolled(&broker, &pending).await.unwrap_err().reason,
        "ENROLMENT_REFUSED"
    );
}

/// Who stops being trusted cannot come back by a token from before.
#[tokio::test]
async fn a_token_of_somebody_who_is_refused_is_refused() {
    let broker = Broker::start(BIN);
    for name in ["suspended", "retired"] {
        bot(&broker, name).await;
    }
    let suspended = broker
        .enrolment_token(Kind::Agent("suspended".into()))
        .await
        .token;
    let retired = broker
        .enrolment_token(Kind::Agent("retired".into()))
        .await
        .token;
    broker
        .cli("", &["agent", "suspend", "suspended", "--reason", "drill"])
        .ok();
    broker
        .cli("", &["agent", "retire", "retired", "--reason", "drill"])
        .ok();
    for token in [&suspended, &retired] {
        assert_eq!(
            enrolled(&broker, token).await.unwrap_err().reason,
            "ENROLMENT_REFUSED"
        );
    }
    assert_eq!(
        calls(&broker, &broker.identity("suspended")).await,
        Err("AGENT_SUSPENDED".into())
    );
    assert_eq!(calls(&broker, &broker.identity("retired")).await, no());
    // Suspending is not revoking: the token works once it is resumed.
    broker
        .cli("", &["agent", "resume", "suspended", "--reason", "drill"])
        .ok();
    enrolled(&broker, &suspended).await.unwrap();
    for args in [
        &["agent", "enrol-token", "retired"][..],
        &["agent", "resume", "retired", "--reason", "drill"],
        &["agent", "suspend", "retired", "--reason", "drill"],
        &["agent", "update", "retired", "--purpose", "another"],
        &[
            "agent", "promote", "retired", "--stage", "bounded", "--force", "--reason", "drill",
        ],
    ] {
        broker.cli("", args).refused("RETIRED", &["agent retired"]);
    }
    let again = [
        "agent",
        "register",
        "retired",
        "--owner",
        "payments-team",
        "--purpose",
        "x",
    ];
    broker
        .cli("", &again)
        .refused("ALREADY_REGISTERED", &["retired"]);
    // Not by revoking it either, which suspends what is active.
    broker
        .cli("", &["revoke", "--agent", "retired", "--reason", "drill"])
        .ok();
    let shown = broker.cli("", &["agent", "show", "retired"]).json();
    assert_eq!(shown["state"], json!("retired"));
}

/// Retired is for ever, also for an owner that is revoked afterwards.
#[tokio::test]
async fn a_retired_owner_stays_retired() {
    let broker = Broker::start(BIN);
    broker.owner("gone").await;
    let bot = broker
        .agent("orphan", "gone", v1::Stage::ReadOnly, &[READ])
        .await;
    let request = v1::RetireRequest {
        kind: v1::Kind::Owner.into(),
        name: "gone".into(),
        reason: "drill".into(),
        dry_run: false,
    };
    within(broker.services("").await.registry().retire(request))
        .await
        .unwrap();
    assert_eq!(calls(&broker, &bot).await, no());
    broker
        .cli("", &["revoke", "--owner", "gone", "--reason", "drill"])
        .ok();
    let shown = broker.cli("", &["owner", "show", "gone"]).json();
    assert_eq!(
        shown["state"],
        json!("retired"),
        "revoking does not bring it back"
    );
    broker
        .cli("", &["owner", "resume", "gone", "--reason", "drill"])
        .refused("RETIRED", &["owner gone"]);
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let broker = Broker::start(BIN);
    let last = |broker: &Broker| {
        for args in [
            &["operator", "retire", "operator", "--reason", "drill"][..],
            &["operator", "suspend", "operator", "--reason", "drill"],
            &["operator", "update", "operator", "--role", "auditor"],
        ] {
            broker.cli("", args).refused("LAST_ADMIN", &["`operator`"]);
        }
    };
    last(&broker);
    // Neither responders nor suspended administrators count.
    broker.operator("responder", &[v1::Role::Responder]).await;
    broker.operator("second", &[v1::Role::Admin]).await;
    broker
        .cli("", &["operator", "suspend", "second", "--reason", "drill"])
        .ok();
    last(&broker);
    broker
        .cli("", &["operator", "resume", "second", "--reason", "drill"])
        .ok();
    broker
        .cli("", &["operator", "retire", "operator", "--reason", "drill"])
        .ok();
    broker
        .cli("", &["keys", "list"])
        .refused("CALLER_SUSPENDED", &[]);
    let args = ["operator", "retire", "second", "--reason", "drill"];
    broker
        .cli("second", &args)
        .refused("LAST_ADMIN", &["`second`"]);
    broker.cli("second", &["keys", "list"]).ok();
}

/// Two administrators retire each other at the same moment: one of them stays.
#[tokio::test(flavor = "multi_thread")]
async fn two_administrators_cannot_both_go() {
    let broker = Broker::start(BIN);
    broker.operator("second", &[v1::Role::Admin]).await;
    let retire = |name: &str| v1::RetireRequest {
        kind: v1::Kind::Operator.into(),
        name: name.into(),
        reason: "drill".into(),
        dry_run: false,
    };
    let mut first = broker.services("").await.registry();
    let mut second = broker.services("second").await.registry();
    let (one, two) = tokio::join!(
        within(first.retire(retire("second"))),
        within(second.retire(retire("operator")))
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
}

/// An enrolled certificate says who, and nothing else; the private key never left the client.
#[tokio::test]
async fn who_the_certificate_says_is_the_brokers_choice() {
    let broker = Broker::start(BIN);
    bot(&broker, "bot").await;
    let token = broker
        .enrolment_token(Kind::Agent("bot".into()))
        .await
        .token;
    // A request that names the operator is refused, one that names nobody becomes the agent.
    let mut params = rcgen::CertificateParams::default();
    let name = "spiffe://dev.taskpass.test/operator/operator"
        .try_into()
        .unwrap();
    params.subject_alt_names.push(rcgen::SanType::URI(name));
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = params
        .serialize_request(&key)
        .unwrap()
        .der()
        .to_vec()
        .into();
    let mut nobody = Services(broker.anonymous().await).enrolment();
    let request = v1::EnrolRequest {
        token: token.clone(),
        csr,
    };
    assert_eq!(
        refused(within(nobody.enrol(request)).await).reason,
        "INVALID_CSR"
    );
    let mut params = rcgen::CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "operator");
    let csr = params
        .serialize_request(&key)
        .unwrap()
        .der()
        .to_vec()
        .into();
    let request = v1::EnrolRequest { token, csr };
    let reply = within(nobody.enrol(request)).await.unwrap().into_inner();
    assert_eq!(
        reply.principal.unwrap().kind,
        Some(Kind::Agent("bot".into()))
    );
    let pem = reply.identity.unwrap().cert_pem;
    let leaf = taskpass_testkit::watch::ders(&pem).remove(0);
    let (_, leaf) = x509_parser::certificate::X509Certificate::from_der(&leaf).unwrap();
    assert_eq!(leaf.subject().iter().count(), 0, "an empty subject");
    assert_eq!(
        leaf.public_key().subject_public_key.data.as_ref(),
        key.public_key_raw()
    );
}
