//! Random runs against a model of a page: after each step the broker and the model agree on which
//! credentials are active, and on whether a task may issue.

use std::collections::BTreeSet;

use proptest::prelude::*;
use taskpass_core::TaskId;

use crate::testing::{LEDGER, TestBroker, as_agent, ops};
use crate::{IssuedCertificate, IssuedToken, Resume, RevokeWhat};

#[derive(Debug, Clone)]
enum Op {
    Start(usize),
    Child(usize),
    Token(usize),
    Certificate(usize),
    RevokeCredential(usize),
    RevokeTask(usize),
    RevokeAgent(usize),
    RevokeTarget,
    RevokeEverything,
    Complete(usize),
    Advance(u64),
    Reap,
    Settle,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0_usize..2).prop_map(Op::Start),
        2 => (0_usize..8).prop_map(Op::Child),
        6 => (0_usize..8).prop_map(Op::Token),
        2 => (0_usize..8).prop_map(Op::Certificate),
        1 => (0_usize..16).prop_map(Op::RevokeCredential),
        1 => (0_usize..8).prop_map(Op::RevokeTask),
        1 => (0_usize..2).prop_map(Op::RevokeAgent),
        1 => Just(Op::RevokeTarget),
        1 => Just(Op::RevokeEverything),
        2 => (0_usize..8).prop_map(Op::Complete),
        3 => (1_u64..400).prop_map(Op::Advance),
        1 => Just(Op::Reap),
        1 => Just(Op::Settle),
        1 => Just(Op::Restart),
    ]
}

const AGENTS: [&str; 2] = ["reader", "payer"];

struct TaskModel {
    id: TaskId,
    agent: usize,
    /// Its own index, and those of the tasks above.
    line: BTreeSet<usize>,
    over: bool,
}

enum Held {
    Token(IssuedToken),
    Certificate(IssuedCertificate),
}

struct CredentialModel {
    held: Held,
    task: usize,
    revoked: bool,
}

#[derive(Default)]
struct Model {
    tasks: Vec<TaskModel>,
    credentials: Vec<CredentialModel>,
}

impl Model {
    fn end(&mut self, matches: impl Fn(&TaskModel) -> bool) {
        for task in self.tasks.iter_mut().filter(|task| matches(task)) {
            task.over = true;
        }
        for credential in &mut self.credentials {
            credential.revoked |= matches(&self.tasks[credential.task]);
        }
    }

    fn may_issue(&self, t: &TestBroker, task: usize) -> bool {
        let task = &self.tasks[task];
        t.now() < task.id.deadline() && task.line.iter().all(|index| !self.tasks[*index].over)
    }
}

async fn issue(t: &TestBroker, model: &mut Model, index: usize, certificate: bool) {
    let Some(task) = model.tasks.get(index) else {
        return;
    };
    let who = AGENTS[task.agent];
    let held = if certificate {
        t.certificate(who, task.id).await.map(Held::Certificate)
    } else {
        t.token(who, task.id).await.map(Held::Token)
    };
    match held {
        Ok(held) => {
            assert!(
                model.may_issue(t, index),
                "issued under a task that is over"
            );
            model.credentials.push(CredentialModel {
                held,
                task: index,
                revoked: false,
            });
        }
        Err(error) => assert!(!model.may_issue(t, index), "{error:?}"),
    }
}

async fn start(t: &TestBroker, model: &mut Model, agent: usize, parent: Option<usize>) {
    let parent_id = parent.map(|index| model.tasks[index].id);
    let started = t.start_under(AGENTS[agent], &["read"], parent_id).await;
    let mut line: BTreeSet<_> = parent
        .map(|index| model.tasks[index].line.clone())
        .unwrap_or_default();
    let allowed = parent.is_none_or(|index| model.may_issue(t, index)) && line.len() <= 3;
    match started {
        Ok(id) => {
            assert!(allowed, "started under a task that is over, or too deep");
            line.insert(model.tasks.len());
            model.tasks.push(TaskModel {
                id,
                agent,
                line,
                over: false,
            });
        }
        Err(error) => assert!(!allowed, "{error:?}"),
    }
}

async fn step(t: &mut TestBroker, model: &mut Model, op: Op) {
    match op {
        Op::Start(agent) => start(t, model, agent, None).await,
        Op::Child(parent) => {
            if let Some(task) = model.tasks.get(parent) {
                let agent = task.agent;
                start(t, model, agent, Some(parent)).await;
            }
        }
        Op::Token(task) => issue(t, model, task, false).await,
        Op::Certificate(task) => issue(t, model, task, true).await,
        Op::RevokeCredential(index) => {
            if let Some(credential) = model.credentials.get_mut(index) {
                let id = match &credential.held {
                    Held::Token(token) => token.credential.id,
                    Held::Certificate(certificate) => certificate.credential.id,
                };
                if t.revoke(RevokeWhat::Credential(id)).await.is_ok() {
                    credential.revoked = true;
                }
            }
        }
        Op::RevokeTask(index) => {
            if let Some(task) = model.tasks.get(index)
                && t.revoke(RevokeWhat::Task(task.id)).await.is_ok()
            {
                model.end(|task| task.line.contains(&index));
            }
        }
        Op::RevokeAgent(agent) => {
            let name = AGENTS[agent].parse().unwrap();
            t.revoke_with(RevokeWhat::Agent(name), true).await.unwrap();
            model.end(|task| task.agent == agent);
        }
        Op::RevokeTarget => {
            t.revoke_with(RevokeWhat::Target(LEDGER.parse().unwrap()), true)
                .await
                .unwrap();
            for credential in &mut model.credentials {
                credential.revoked |= matches!(credential.held, Held::Token(_));
            }
        }
        Op::RevokeEverything => {
            t.revoke(RevokeWhat::Everything).await.unwrap();
            t.broker
                .resume(&ops(), Resume::Everything, "model")
                .await
                .unwrap();
            model.end(|_| true);
        }
        Op::Complete(index) => {
            if let Some(task) = model.tasks.get(index) {
                let caller = as_agent(AGENTS[task.agent]);
                if t.broker.complete_task(&caller, task.id).await.is_ok() {
                    model.end(|task| task.line.contains(&index));
                }
            }
        }
        Op::Advance(secs) => t.advance(secs),
        Op::Reap => drop(t.broker.reap().await.unwrap()),
        Op::Settle => drop(t.broker.settle().await.unwrap()),
        Op::Restart => t.reopen().await,
    }
}

async fn check(t: &TestBroker, model: &Model, after: &str) {
    for (index, credential) in model.credentials.iter().enumerate() {
        let (active, expires_at) = match &credential.held {
            Held::Token(token) => (t.is_active(token).await, token.credential.expires_at()),
            Held::Certificate(certificate) => (
                t.certificate_is_active(certificate).await,
                certificate.credential.expires_at(),
            ),
        };
        let expected = !credential.revoked && t.now() < expires_at;
        assert_eq!(active, expected, "credential {index} after {after}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn broker_and_model_agree(seed: u64, ops in proptest::collection::vec(op(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut t = TestBroker::seeded(seed).await;
            let mut model = Model::default();
            for op in ops {
                let name = format!("{op:?}");
                // A revocation covers its whole second; the model knows no seconds.
                t.advance(1);
                step(&mut t, &mut model, op).await;
                check(&t, &model, &name).await;
                t.advance(1);
            }
        });
    }
}

/// More by `TASKPASS_TEST_CASES`.
#[expect(clippy::disallowed_methods, reason = "a test's own knob")]
fn cases() -> u32 {
    std::env::var("TASKPASS_TEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(24)
}
