//! Three agents of two owners, one of which handed work on to another owner's, with all that they hold, and what a row of the table is checked
//! against.

use std::collections::{BTreeMap, BTreeSet};

use taskpass_api::v1::revocation_selector::Selector;
use taskpass_api::v1::{self, principal};
use taskpass_client::{Agent, AgentError, Certificate, EnrolError, Refused, Task, Token, enrol};
use taskpass_core::secret::Secret;
use taskpass_testkit::{Broker, Watcher, eventually, pair, policies, within};
use taskpass_verify::Reason;

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
/// A target whose tokens are ES256, and one whose tokens are EdDSA.
pub(crate) const LEDGER: &str = "https://ledger.example";
pub(crate) const BANK: &str = "https://bank.example";
pub(crate) const SCOPES: [&str; 2] = [
    "https://ledger.example#invoices:read",
    "https://bank.example#read",
];

pub(crate) enum Held {
    Token(Token, &'static str),
    Certificate(Certificate),
}

/// Three agents of two owners, with everything that they hold, by name.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) watcher: Watcher,
    pub(crate) tasks: BTreeMap<&'static str, Task>,
    pub(crate) held: BTreeMap<&'static str, Held>,
    /// An enrolment token of `worker` that nobody has used.
    pub(crate) pending: Secret,
    _policies: tempfile::TempDir,
}

/// Whose task each is.
pub(crate) const TASKS: [(&str, &str); 6] = [
    ("task", "worker"),
    ("child", "worker"),
    ("handed on", "stranger"),
    ("other task", "worker"),
    ("mate's", "mate"),
    ("stranger's", "stranger"),
];

impl World {
    pub(crate) async fn new() -> Self {
        let policies = policies(&pair("worker", "stranger"));
        let folder = policies.path().display().to_string();
        let broker = Broker::builder(BIN).option("--policies").option(&folder);
        let broker = broker.start();
        broker
            .target(BANK, v1::TokenAlg::Eddsa, &[("read", v1::Access::Read)])
            .await;
        broker.verifier("both", &[LEDGER, BANK]).await;
        for (name, owner) in [
            ("worker", "team-a"),
            ("mate", "team-a"),
            ("stranger", "team-b"),
        ] {
            if name != "mate" {
                broker.owner(owner).await;
            }
            broker
                .agent(name, owner, v1::Stage::ReadOnly, &SCOPES)
                .await;
        }
        let mut tasks = BTreeMap::new();
        for (name, agent) in TASKS {
            let task = if name == "child" {
                let above: &Task = &tasks["task"];
                above.start_child(name, SCOPES, None).await
            } else if name == "handed on" {
                let above: &Task = &tasks["task"];
                let to = agent.parse().unwrap();
                let given = above.delegate(&to, name, SCOPES, None).await.unwrap();
                broker
                    .services(agent)
                    .await
                    .agent()
                    .take_up(given.id())
                    .await
            } else {
                let agent = broker.services(agent).await.agent();
                agent.start_task(name, SCOPES, None).await
            };
            tasks.insert(name, task.unwrap());
        }
        let mut held = BTreeMap::new();
        for (name, task, target) in [
            ("token", "task", Some(LEDGER)),
            ("twin", "task", Some(LEDGER)),
            ("bank token", "task", Some(BANK)),
            ("certificate", "task", None),
            ("child's token", "child", Some(LEDGER)),
            ("child's certificate", "child", None),
            ("handed on token", "handed on", Some(BANK)),
            ("handed on certificate", "handed on", None),
            ("other task's token", "other task", Some(BANK)),
            ("mate's token", "mate's", Some(LEDGER)),
            ("mate's certificate", "mate's", None),
            ("stranger's token", "stranger's", Some(LEDGER)),
            ("stranger's bank token", "stranger's", Some(BANK)),
            ("stranger's certificate", "stranger's", None),
        ] {
            let task = &tasks[task];
            held.insert(
                name,
                match target {
                    Some(target) => Held::Token(token(task, target).await.unwrap(), target),
                    None => Held::Certificate(task.certificate(None).await.unwrap()),
                },
            );
        }
        let pending = broker
            .enrolment_token(principal::Kind::Agent("worker".into()))
            .await;
        let watcher = broker.watch("both", &[LEDGER, BANK]).await;
        Self {
            watcher,
            tasks,
            held,
            pending: Secret::new(pending.token),
            _policies: policies,
            broker,
        }
    }

    pub(crate) async fn agent(&self, name: &str) -> Agent {
        self.broker.services(name).await.agent()
    }

    /// Which of them hold by the broker's word, and which by the verifier's.
    pub(crate) async fn alive(&self) -> [BTreeSet<&'static str>; 2] {
        let mut verification = self.broker.services("").await.verification();
        let mut alive = [BTreeSet::new(), BTreeSet::new()];
        for (name, held) in &self.held {
            let (asked, refusal) = match held {
                Held::Token(token, target) => {
                    let asked = v1::introspect_request::Credential::Token(token.expose().into());
                    (asked, self.watcher.token(token.expose(), target))
                }
                Held::Certificate(certificate) => {
                    let der = certificate.leaf_der().to_vec().into();
                    let asked = v1::introspect_request::Credential::Certificate(der);
                    (asked, self.watcher.certificate(certificate.cert_pem()))
                }
            };
            let request = v1::IntrospectRequest {
                credential: Some(asked),
            };
            let reply = within(verification.introspect(request))
                .await
                .unwrap()
                .into_inner();
            if reply.active {
                alive[0].insert(*name);
            }
            match refusal {
                None => {
                    alive[1].insert(*name);
                }
                Some(Reason::Revoked) => {}
                Some(other) => panic!("{name}: the verifier refuses for another reason: {other}"),
            }
        }
        alive
    }

    pub(crate) async fn revoke(&self, selector: &Selector) -> v1::RevokeResponse {
        self.revoke_so(selector, false, false).await
    }

    pub(crate) async fn revoke_so(
        &self,
        selector: &Selector,
        no_suspend: bool,
        dry_run: bool,
    ) -> v1::RevokeResponse {
        let request = v1::RevokeRequest {
            selector: Some(v1::RevocationSelector {
                selector: Some(selector.clone()),
            }),
            reason: "drill".to_owned(),
            dry_run,
            no_suspend,
        };
        let mut revocations = self.broker.services("").await.revocations();
        within(revocations.revoke(request))
            .await
            .unwrap()
            .into_inner()
    }

    pub(crate) async fn rules(&self) -> usize {
        let mut revocations = self.broker.services("").await.revocations();
        let request = v1::ListRevocationsRequest::default();
        let reply = within(revocations.list(request)).await.unwrap();
        reply.into_inner().revocations.len()
    }

    pub(crate) async fn ended_tasks(&self) -> BTreeSet<&'static str> {
        let mut tasks = self.broker.services("").await.tasks();
        let mut ended = BTreeSet::new();
        for (name, task) in &self.tasks {
            let request = v1::GetTaskRequest {
                task_id: task.id().to_string(),
            };
            let reply = within(tasks.get(request)).await.unwrap().into_inner();
            if reply.task.unwrap().state() != v1::TaskState::Active {
                ended.insert(*name);
            }
        }
        ended
    }

    /// The key that signed a token, or a certificate.
    pub(crate) async fn key_of(&self, name: &str) -> String {
        let id = match &self.held[name] {
            Held::Token(token, _) => token.id(),
            Held::Certificate(certificate) => certificate.id(),
        };
        let mut credentials = self.broker.services("").await.credentials();
        let request = v1::GetCredentialRequest {
            credential_id: id.to_string(),
        };
        let reply = within(credentials.get(request)).await.unwrap().into_inner();
        reply.credential.unwrap().key_id
    }

    /// Before, as it would be, as it is: everything that a row of the table says.
    pub(crate) async fn check(&self, row: Row) -> v1::RevokeResponse {
        let all: BTreeSet<_> = self.held.keys().copied().collect();
        assert_eq!(self.alive().await, [all.clone(), all.clone()], "before");

        let dry = self.revoke_so(&row.selector, row.no_suspend, true).await;
        assert_eq!(
            (dry.seq, self.rules().await),
            (0, 0),
            "a dry run makes no rule"
        );
        assert_eq!(
            self.alive().await,
            [all.clone(), all.clone()],
            "after a dry run"
        );
        assert!(self.ended_tasks().await.is_empty(), "after a dry run");

        let reply = self.revoke_so(&row.selector, row.no_suspend, false).await;
        self.watcher.reaches(reply.seq).await;
        let dead: BTreeSet<_> = row.dead.iter().copied().collect();
        assert!(dead.is_subset(&all), "the row names what there is");
        let living: BTreeSet<_> = all.difference(&dead).copied().collect();
        assert_eq!(
            self.alive().await,
            [living.clone(), living],
            "{:?}",
            row.selector
        );
        let ended: BTreeSet<_> = row.ended.iter().copied().collect();
        assert_eq!(self.ended_tasks().await, ended, "{:?}", row.selector);

        assert_eq!(reply.suspended, row.suspended, "{:?}", row.selector);
        assert_eq!(reply.exact, row.exact, "{:?}", row.selector);
        let count = dead.len() as u64;
        if reply.exact {
            assert_eq!(reply.credentials, count, "{:?}", row.selector);
        } else {
            assert!(
                reply.credentials >= count,
                "{} < {count}",
                reply.credentials
            );
        }
        assert_eq!(
            (dry.credentials, dry.exact),
            (reply.credentials, reply.exact)
        );
        assert_eq!(dry.suspended, reply.suspended);
        reply
    }
}

pub(crate) struct Row {
    pub(crate) selector: Selector,
    pub(crate) no_suspend: bool,
    /// Which credentials end.
    pub(crate) dead: &'static [&'static str],
    /// Which tasks end.
    pub(crate) ended: &'static [&'static str],
    pub(crate) suspended: &'static [&'static str],
    /// Whether the reply's count is exact.
    pub(crate) exact: bool,
}

pub(crate) const OF_TASK: &[&str] = &[
    "token",
    "twin",
    "bank token",
    "certificate",
    "child's token",
    "child's certificate",
    "handed on token",
    "handed on certificate",
];
pub(crate) const OF_WORKER: &[&str] = &[
    "token",
    "twin",
    "bank token",
    "certificate",
    "child's token",
    "child's certificate",
    "handed on token",
    "handed on certificate",
    "other task's token",
];
pub(crate) const OF_OWNER: &[&str] = &[
    "token",
    "twin",
    "bank token",
    "certificate",
    "child's token",
    "child's certificate",
    "handed on token",
    "handed on certificate",
    "other task's token",
    "mate's token",
    "mate's certificate",
];

pub(crate) async fn token(task: &Task, target: &str) -> Result<Token, AgentError> {
    let scope = if target == LEDGER {
        "invoices:read"
    } else {
        "read"
    };
    task.token(target, [scope], None).await
}

/// A token as soon as the second of a revocation is over.
pub(crate) async fn fresh(world: &World, task: &Task, target: &'static str) -> Token {
    let issued = eventually(
        "the second of the revocation is over",
        async || match token(task, target).await {
            Ok(issued) => Some(issued),
            Err(AgentError::Refused(refused)) if refused.is("RETRY_AFTER_REVOCATION") => None,
            Err(error) => panic!("{error}"),
        },
    )
    .await;
    world.watcher.reaches(issued.revocation_seq()).await;
    assert_eq!(
        world.watcher.token(issued.expose(), target),
        None,
        "a token issued afterwards"
    );
    issued
}

pub(crate) fn why<T: std::fmt::Debug>(outcome: Result<T, AgentError>) -> String {
    match outcome {
        Err(AgentError::Refused(refused)) => refused.reason,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn enrols(world: &World, token: &Secret) -> Result<(), Refused> {
    let anchors = world.broker.identity("operator").ca_pem().to_owned();
    match within(enrol(world.broker.authority(), &anchors, token)).await {
        Ok(enrolled) => {
            let folder = world.broker.identity_folder("worker");
            enrolled.identity.save(&folder).unwrap();
            Ok(())
        }
        Err(EnrolError::Refused(refused)) => Err(refused),
        Err(error) => panic!("{error}"),
    }
}

/// Enrols an agent anew, as soon as the second of a revocation is over.
pub(crate) async fn enrol_anew(world: &World, name: &str) {
    let who = principal::Kind::Agent(name.to_owned());
    let fresh = Secret::new(world.broker.enrolment_token(who).await.token);
    eventually(
        "the second of the revocation is over",
        async || match enrols(world, &fresh).await {
            Ok(()) => Some(()),
            Err(refused) if refused.is("RETRY_AFTER_REVOCATION") => None,
            Err(refused) => panic!("{refused}"),
        },
    )
    .await;
}

pub(crate) async fn resume(world: &World, subject: v1::resume_request::Subject) {
    let request = v1::ResumeRequest {
        subject: Some(subject),
        reason: "drill is over".to_owned(),
    };
    let mut registry = world.broker.services("").await.registry();
    within(registry.resume(request)).await.unwrap();
}

pub(crate) fn named(kind: v1::Kind, name: &str) -> v1::resume_request::Subject {
    v1::resume_request::Subject::Entry(v1::Named {
        kind: kind.into(),
        name: name.to_owned(),
    })
}
