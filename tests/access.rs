//! Every method × every kind of caller, over real connections: what the table says is what happens.
//!
//! The methods are those of the compiled descriptors, so that a method nobody thought of is walked
//! too. Each is called with an empty message: whoever may call hears that it is incomplete, and
//! nothing changes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "access/foreign.rs"]
mod foreign;

use foreign::is_turned_away;

use std::collections::BTreeSet;

use http::uri::PathAndQuery;
use prost::Message as _;
use taskpass_api::v1::{self, principal};
use taskpass_client::Refused;
use taskpass_core::caller::Caller;
use taskpass_core::registry::Role;
use taskpass_server::access;
use taskpass_testkit::{Broker, eventually, refused, within};
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
pub(crate) const LEDGER: &str = "https://ledger.example";
pub(crate) const READ: &str = "https://ledger.example#invoices:read";

/// The methods of our API, and of health.
pub(crate) fn methods() -> BTreeSet<String> {
    let files = prost_types::FileDescriptorSet::decode(taskpass_api::DESCRIPTORS).unwrap();
    let mut methods = BTreeSet::new();
    for file in files
        .file
        .iter()
        .filter(|file| file.package() == "taskpass.v1")
    {
        for service in &file.service {
            for method in &service.method {
                methods.insert(format!("/taskpass.v1.{}/{}", service.name(), method.name()));
            }
        }
    }
    assert!(methods.len() >= 31, "{methods:?}");
    methods.insert("/grpc.health.v1.Health/Check".to_owned());
    methods.insert("/grpc.health.v1.Health/Watch".to_owned());
    methods
}

/// What has no first answer of its own: it sends what comes.
const TAIL: &str = "/taskpass.v1.AuditService/Tail";

/// Calls a method with an empty message, and takes the first answer, if it streams.
pub(crate) async fn call(channel: &Channel, method: &str) -> Result<(), Refused> {
    let path = PathAndQuery::try_from(method).unwrap();
    let answer = async {
        let mut client = Grpc::new(channel.clone());
        let unreachable = |error| tonic::Status::unavailable(format!("{error:?}"));
        client.ready().await.map_err(unreachable)?;
        let codec = ProstCodec::<(), ()>::default();
        let request = tonic::Request::new(());
        let mut stream = client
            .server_streaming(request, path, codec)
            .await?
            .into_inner();
        if method == TAIL {
            return Ok(());
        }
        stream.message().await.map(drop)
    };
    within(answer).await.map_err(Refused::from)
}

/// Whether the gate let a call through: what a handler answers is not its refusal.
pub(crate) async fn admitted(channel: &Channel, method: &str) -> Result<(), String> {
    match call(channel, method).await {
        Ok(()) => Ok(()),
        Err(refused) => match refused.reason.as_str() {
            "METHOD_NOT_ALLOWED" | "UNAUTHENTICATED" | "AGENT_SUSPENDED" | "CALLER_SUSPENDED" => {
                Err(refused.reason)
            }
            reason => {
                let handlers = reason.starts_with("INVALID_")
                    || reason.starts_with("UNKNOWN_")
                    || ["TOO_MANY_ITEMS", "ENROLMENT_REFUSED"].contains(&reason);
                assert!(handlers, "{method}: {refused:?}");
                Ok(())
            }
        },
    }
}

pub(crate) async fn suspend(broker: &Broker, kind: v1::Kind, name: &str) {
    let (name, reason) = (name.to_owned(), "drill".to_owned());
    let request = v1::SuspendRequest {
        kind: kind.into(),
        name,
        reason,
    };
    within(broker.services("").await.registry().suspend(request))
        .await
        .unwrap();
}

#[tokio::test]
async fn known_callers_may_do_what_the_table_says() {
    let broker = Broker::start(BIN);
    for (name, roles) in [
        ("responder", &[v1::Role::Responder][..]),
        ("auditor", &[v1::Role::Auditor]),
        ("both", &[v1::Role::Responder, v1::Role::Auditor]),
        ("idle", &[]),
    ] {
        broker.operator(name, roles).await;
    }
    let agent = |name: &str| Caller::Agent(name.parse().unwrap());
    let operator = |name: &str, roles: &[Role]| {
        Caller::Operator(name.parse().unwrap(), roles.iter().copied().collect())
    };
    let callers = [
        ("invoice-bot", agent("invoice-bot")),
        (
            "ledger",
            Caller::Verifier("ledger".parse().unwrap(), BTreeSet::new()),
        ),
        ("operator", operator("operator", &[Role::Admin])),
        ("responder", operator("responder", &[Role::Responder])),
        ("auditor", operator("auditor", &[Role::Auditor])),
        ("both", operator("both", &[Role::Responder, Role::Auditor])),
        ("idle", operator("idle", &[])),
    ];
    for (name, caller) in callers {
        let channel = broker.channel(name).await;
        for method in methods() {
            let row = access::find(&method, true).unwrap();
            let expected = if row.admits(&caller) {
                Ok(())
            } else {
                Err("METHOD_NOT_ALLOWED".into())
            };
            assert_eq!(
                admitted(&channel, &method).await,
                expected,
                "{name} calls {method}"
            );
        }
    }
    let channel = broker.anonymous().await;
    for method in methods() {
        let row = access::find(&method, true).unwrap();
        let expected = if row.anyone {
            Ok(())
        } else {
            Err("UNAUTHENTICATED".into())
        };
        assert_eq!(
            admitted(&channel, &method).await,
            expected,
            "nobody calls {method}"
        );
    }
}

/// The table itself, as it is meant: said once more, so that a slip in it shows.
#[test]
fn the_table_is_as_it_is_meant() {
    let may = |caller: &Caller| -> Vec<String> {
        methods()
            .into_iter()
            .filter(|method| method.starts_with("/taskpass."))
            .filter(|method| access::find(method, false).unwrap().admits(caller))
            .map(|method| method.trim_start_matches("/taskpass.v1.").to_owned())
            .collect()
    };
    let own = ["EnrolmentService/Enrol", "EnrolmentService/RenewIdentity"];
    let sorted = |lists: &[&[&str]]| {
        let mut all: Vec<String> = lists.concat().iter().map(ToString::to_string).collect();
        all.sort();
        all
    };
    let agents = [
        "CredentialService/Get",
        "CredentialService/IssueCertificate",
        "CredentialService/IssueToken",
        "CredentialService/IssueTokens",
        "CredentialService/List",
        "TaskService/Complete",
        "TaskService/Get",
        "TaskService/KeepAlive",
        "TaskService/List",
        "TaskService/Start",
        "TaskService/Tree",
        "VerificationService/ReportUse",
    ];
    assert_eq!(
        may(&Caller::Agent("a".parse().unwrap())),
        sorted(&[&agents, &own])
    );
    let verifiers = [
        "RevocationService/WatchRevocations",
        "VerificationService/Introspect",
    ];
    let verifier = Caller::Verifier("v".parse().unwrap(), BTreeSet::new());
    let reports = ["RevocationService/Confirm", "VerificationService/ReportUse"];
    assert_eq!(may(&verifier), sorted(&[&verifiers, &reports, &own]));
    let reads = [
        "ApprovalService/ListProposals",
        "AuditService/Export",
        "AuditService/GetCheckpoint",
        "AuditService/GetConsistencyProof",
        "AuditService/GetInclusionProof",
        "AuditService/ListLogs",
        "AuditService/Query",
        "AuditService/Tail",
        "CredentialService/Get",
        "CredentialService/List",
        "KeyService/List",
        "PolicyService/Explain",
        "PolicyService/WhatCan",
        "PolicyService/WhoCan",
        "RegistryService/Get",
        "RegistryService/List",
        "RevocationService/List",
        "TaskService/Get",
        "TaskService/List",
        "TaskService/Tree",
    ];
    let responds = [
        "RegistryService/Suspend",
        "RevocationService/Drill",
        "RevocationService/Revoke",
    ];
    let administers = [
        "ApprovalService/Approve",
        "ApprovalService/ApprovePolicy",
        "ApprovalService/Reject",
        "BackupService/Backup",
        "BackupService/Unseal",
        "EnrolmentService/CreateEnrolmentToken",
        "KeyService/ExportCsr",
        "KeyService/ForgetRoot",
        "KeyService/ImportCertificate",
        "KeyService/Rotate",
        "KeyService/Taint",
        "RegistryService/Apply",
        "RegistryService/Register",
        "RegistryService/Resume",
        "RegistryService/Retire",
        "RegistryService/Update",
    ];
    let operator = |role| Caller::Operator("o".parse().unwrap(), BTreeSet::from([role]));
    let auditor = sorted(&[&reads, &verifiers, &own]);
    assert_eq!(may(&operator(Role::Auditor)), auditor);
    assert_eq!(
        may(&operator(Role::Responder)),
        sorted(&[&reads, &verifiers, &own, &responds])
    );
    let admin = sorted(&[&reads, &verifiers, &own, &responds, &administers]);
    assert_eq!(may(&operator(Role::Admin)), admin);
    assert!(may(&Caller::Operator("o".parse().unwrap(), BTreeSet::new())).is_empty());
}

#[tokio::test]
async fn who_lost_its_standing_may_do_nothing_but_enrol() {
    let broker = Broker::start(BIN);
    let scopes = [READ];
    for name in ["suspended-bot", "revoked-bot", "retired-bot", "anew-bot"] {
        broker
            .agent(name, "payments-team", v1::Stage::ReadOnly, &scopes)
            .await;
    }
    broker.operator("leaver", &[v1::Role::Admin]).await;
    broker.operator("retiree", &[v1::Role::Admin]).await;
    broker.verifier("old-ledger", &[LEDGER]).await;
    // Connections from before show that what counts is today.
    let mut channels = Vec::new();
    for (name, reason) in [
        ("suspended-bot", "AGENT_SUSPENDED"),
        ("revoked-bot", "UNAUTHENTICATED"),
        ("retired-bot", "UNAUTHENTICATED"),
        ("anew-bot", "UNAUTHENTICATED"),
        ("leaver", "CALLER_SUSPENDED"),
        ("retiree", "CALLER_SUSPENDED"),
        ("old-ledger", "CALLER_SUSPENDED"),
    ] {
        let channel = broker.channel(name).await;
        let method = "/grpc.health.v1.Health/Check";
        assert_eq!(call(&channel, method).await, Ok(()));
        channels.push((name, channel, broker.identity(name), reason));
    }
    suspend(&broker, v1::Kind::Agent, "suspended-bot").await;
    suspend(&broker, v1::Kind::Operator, "leaver").await;
    suspend(&broker, v1::Kind::Verifier, "old-ledger").await;
    for (kind, name) in [
        (v1::Kind::Agent, "retired-bot"),
        (v1::Kind::Operator, "retiree"),
    ] {
        let request = v1::RetireRequest {
            kind: kind.into(),
            name: name.to_owned(),
            reason: "drill".to_owned(),
            dry_run: false,
        };
        within(broker.services("").await.registry().retire(request))
            .await
            .unwrap();
    }
    let args = [
        "revoke",
        "--agent",
        "revoked-bot",
        "--no-suspend",
        "--reason",
        "drill",
    ];
    broker.cli("", &args).ok();
    broker
        .enrol(principal::Kind::Agent("anew-bot".to_owned()))
        .await;

    for (name, before, identity, reason) in channels {
        let after = broker.connect(&identity).await;
        for method in methods() {
            let row = access::find(&method, true).unwrap();
            let expected = if row.anyone {
                Ok(())
            } else {
                Err(reason.to_owned())
            };
            for channel in [&before, &after] {
                assert_eq!(
                    admitted(channel, &method).await,
                    expected,
                    "{name} calls {method}"
                );
            }
        }
    }
    // Who enrolled anew calls by the new certificate.
    let anew = broker.channel("anew-bot").await;
    assert_eq!(
        admitted(&anew, "/taskpass.v1.TaskService/List").await,
        Ok(())
    );
}

#[tokio::test]
async fn what_is_not_in_the_table_is_denied_to_everybody() {
    let broker = Broker::start(BIN);
    for who in ["operator", "invoice-bot", "ledger"] {
        let channel = broker.channel(who).await;
        for method in [
            "/taskpass.v1.KeyService/Reveal",
            "/taskpass.v1.KeyService/list",
            "/taskpass.v1.KeyService/List/",
            "/taskpass.v2.KeyService/List",
            "/grpc.channelz.v1.Channelz/GetTopChannels",
            "/",
        ] {
            let refused = call(&channel, method).await.unwrap_err();
            assert_eq!(refused.reason, "METHOD_NOT_ALLOWED", "{who} calls {method}");
        }
    }
}

/// Reflection is for development; the method is not even known where it is off.
#[tokio::test]
async fn serve_offers_no_reflection() {
    let broker = Broker::builder(BIN).serve("").start();
    let channel = broker.channel("").await;
    for row in access::REFLECTION {
        let refused = call(&channel, row.method).await.unwrap_err();
        assert_eq!(refused.reason, "METHOD_NOT_ALLOWED");
    }
    assert_eq!(call(&channel, "/taskpass.v1.KeyService/List").await, Ok(()));
}

/// Of an identity whose time is over: on the connection that it had, and on a new one.
#[tokio::test]
async fn an_expired_identity_is_refused() {
    let broker = Broker::builder(BIN)
        .serve("[issue]\nidentity_ttl = \"2s\"\n")
        .start();
    // The administrator's own has the same short life: one channel at once, and what it needs.
    let identity = broker.identity("admin");
    let channel = broker.connect(&identity).await;
    assert_eq!(call(&channel, "/taskpass.v1.KeyService/List").await, Ok(()));
    let refused = eventually("the identity has expired", async || {
        call(&channel, "/taskpass.v1.KeyService/List").await.err()
    })
    .await;
    assert_eq!(refused.reason, "UNAUTHENTICATED");
    assert!(refused.message.contains("expired"), "{refused:?}");
    assert_eq!(call(&channel, "/grpc.health.v1.Health/Check").await, Ok(()));
    is_turned_away(&broker, &identity, "an expired identity").await;
    let outcome = broker.cli("", &["keys", "list"]);
    outcome.refused("IDENTITY_EXPIRED", &["operator/admin"]);
}

/// An agent sees and moves only its own; an operator's reading is by role.
#[tokio::test]
async fn own_things_only() {
    let broker = Broker::start(BIN);
    let task = broker.services("invoice-bot").await.agent();
    let task = task.start_task("x", [READ], None).await.unwrap();
    let token = task.token(LEDGER, ["invoices:read"], None).await.unwrap();
    let other = broker.services("payout-bot").await;
    let task_id = task.id().to_string();
    let get = v1::GetTaskRequest {
        task_id: task_id.clone(),
    };
    assert!(refused(within(other.tasks().get(get)).await).is("TASK_NOT_FOUND"));
    let complete = v1::CompleteRequest {
        task_id: task_id.clone(),
    };
    assert!(refused(within(other.tasks().complete(complete)).await).is("TASK_NOT_FOUND"));
    let get = v1::GetCredentialRequest {
        credential_id: token.id().to_string(),
    };
    let answer = refused(within(other.credentials().get(get)).await);
    assert!(answer.is("CREDENTIAL_NOT_FOUND"));
    let list = v1::ListCredentialsRequest {
        task_id,
        page: None,
    };
    let answer = refused(within(other.credentials().list(list)).await);
    assert!(answer.is("TASK_NOT_FOUND"));
    // Naming somebody else in a list gives nothing of theirs.
    let list = v1::ListTasksRequest {
        agent: "invoice-bot".into(),
        ..Default::default()
    };
    match within(other.tasks().list(list)).await {
        Ok(reply) => assert!(reply.into_inner().tasks.is_empty()),
        Err(status) => {
            let refused = Refused::from(status);
            assert!(
                refused.is("METHOD_NOT_ALLOWED") || refused.is("INVALID_FIELD"),
                "{refused:?}"
            );
        }
    }
    // A verifier that speaks for another target learns nothing.
    broker
        .target("https://x.example", v1::TokenAlg::Es256, &[])
        .await;
    broker.verifier("other", &["https://x.example"]).await;
    let credential = v1::introspect_request::Credential::Token(token.expose().to_owned());
    let request = v1::IntrospectRequest {
        credential: Some(credential),
    };
    let mut theirs = broker.services("other").await.verification();
    let reply = within(theirs.introspect(request.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(reply, v1::IntrospectResponse::default());
    let mut ours = broker.services("ledger").await.verification();
    assert!(
        within(ours.introspect(request))
            .await
            .unwrap()
            .into_inner()
            .active
    );
}
