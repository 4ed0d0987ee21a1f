//! Random histories: after any of them each list says of each credential what the rules say.

use proptest::prelude::*;
use taskpass_core::TaskId;
use taskpass_core::credential::{Credential, CredentialKind};

use super::{crl_names, list_all, says_revoked};
use crate::testing::{LEDGER, MAIL, TestBroker};
use crate::{ListLane, RevokeWhat};

const AGENTS: [&str; 3] = ["reader", "payer", "stranger"];

#[derive(Debug, Clone)]
enum Step {
    Start { agent: usize, under: usize },
    Token { task: usize, mins: u64 },
    Certificate { task: usize },
    Revoke { what: u8, which: usize },
    Complete { task: usize },
    List { lane: usize },
    Wait { secs: u64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_usize..3, 0_usize..4).prop_map(|(agent, under)| Step::Start { agent, under }),
        6 => (0_usize..6, 1_u64..20).prop_map(|(task, mins)| Step::Token { task, mins }),
        2 => (0_usize..6).prop_map(|task| Step::Certificate { task }),
        3 => (0_u8..6, 0_usize..12).prop_map(|(what, which)| Step::Revoke { what, which }),
        1 => (0_usize..3).prop_map(|n| Step::Revoke { what: 3, which: n }),
        1 => (0_usize..6).prop_map(|task| Step::Complete { task }),
        2 => (0_usize..3).prop_map(|lane| Step::List { lane }),
        2 => (1_u64..120).prop_map(|secs| Step::Wait { secs }),
        1 => Just(Step::Restart),
    ]
}

struct World {
    t: TestBroker,
    tasks: Vec<(&'static str, TaskId)>,
    issued: Vec<Credential>,
}

impl World {
    fn task(&self, n: usize) -> Option<(&'static str, TaskId)> {
        self.tasks.get(n % self.tasks.len().max(1)).copied()
    }

    /// What is refused changes nothing, which is right here.
    async fn take(&mut self, step: Step) {
        match step {
            Step::Start { agent, under } => {
                let agent = AGENTS[agent];
                let parent = self.tasks.get(under).filter(|(other, _)| *other == agent);
                let parent = parent.map(|(_, task)| *task);
                if let Ok(task) = self.t.start_under(agent, &["read"], parent).await {
                    self.tasks.push((agent, task));
                }
            }
            Step::Token { task, mins } => {
                let Some((agent, task)) = self.task(task) else {
                    return;
                };
                let issued = self.t.token_with(agent, task, &["read"], None, mins).await;
                self.issued.extend(issued.map(|issued| issued.credential));
            }
            Step::Certificate { task } => {
                let Some((agent, task)) = self.task(task) else {
                    return;
                };
                let issued = self.t.certificate(agent, task).await;
                self.issued.extend(issued.map(|issued| issued.credential));
            }
            Step::Revoke { what, which } => self.revoke(what, which).await,
            Step::Complete { task } => {
                let Some((agent, task)) = self.task(task) else {
                    return;
                };
                let caller = crate::testing::as_agent(agent);
                let _ = self.t.broker.complete_task(&caller, task).await;
            }
            Step::List { lane } => {
                let lane = ListLane::ALL[lane];
                self.t.broker.list_revoked(lane).await.unwrap();
            }
            Step::Wait { secs } => self.t.advance(secs),
            Step::Restart => self.t.reopen().await,
        }
    }

    async fn revoke(&self, what: u8, which: usize) {
        let what = match (what, self.issued.get(which), self.task(which)) {
            (0, Some(credential), _) => RevokeWhat::Credential(credential.id),
            (1, _, Some((_, task))) => RevokeWhat::Task(task),
            (2, ..) => RevokeWhat::Agent(AGENTS[which % 3].parse().unwrap()),
            (3, ..) => RevokeWhat::Target([LEDGER, MAIL][which % 2].parse().unwrap()),
            (4, Some(credential), _) if which == 7 => RevokeWhat::Key(credential.key.to_string()),
            (5, ..) if which == 11 => RevokeWhat::Everything,
            _ => return,
        };
        let _ = self.t.revoke_with(what, true).await;
    }

    async fn check(&self) -> Result<(), TestCaseError> {
        let broker = &self.t.broker;
        list_all(broker).await;
        self.t.advance(1);
        let now = self.t.now();
        for credential in self.issued.iter().filter(|c| !c.is_expired(now)) {
            let rules = self.t.store_rules();
            let revoked = rules.matching(&credential.facts()).is_some();
            let listed = match credential.kind() {
                CredentialKind::Token => says_revoked(broker, credential).await,
                CredentialKind::Certificate => {
                    // A tainted authority has no list: it is on the root's itself.
                    let known = broker
                        .issuer()
                        .authorities(taskpass_issuer::Hierarchy::Task, now)
                        .iter()
                        .any(|view| view.key == credential.key);
                    if !known {
                        continue;
                    }
                    crl_names(broker, credential).await
                }
            };
            prop_assert_eq!(listed, revoked, "{:?}", credential.id);
        }
        Ok(())
    }
}

impl TestBroker {
    fn store_rules(&self) -> std::sync::Arc<taskpass_store::SharedRules> {
        taskpass_store::Store::rules(&*self.store)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lists_say_what_the_rules_say(seed: u64, steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let t = TestBroker::seeded(seed).await;
            let mut world = World { t, tasks: Vec::new(), issued: Vec::new() };
            // Something to revoke.
            for agent in 0..3 {
                world.take(Step::Start { agent, under: 9 }).await;
            }
            for task in 0..3 {
                world.take(Step::Token { task, mins: 19 }).await;
                world.take(Step::Certificate { task }).await;
            }
            world.t.advance(1);
            for step in steps {
                world.take(step).await;
            }
            world.check().await
        })?;
    }
}
