//! Random trees of tasks that agents hand to each other, while agents are suspended, narrowed and
//! revoked: after each step the broker and a model of a page agree on what may start, what may be
//! issued, and what is active; and no task exceeds any above it.

use proptest::prelude::*;
use taskpass_core::access::Stage;
use taskpass_core::registry::State;

use super::*;
use crate::testing::cases;
use crate::{IssuedCertificate, IssuedToken, RevokeWhat};

const AGENTS: [&str; 4] = ["payer", "stranger", "reader", "third"];
const SCOPES: [&str; 2] = ["read", "write"];
/// Minutes that a task asks for.
const LIVES: [u64; 3] = [2, 8, 20];

#[derive(Debug, Clone)]
enum Op {
    Start(usize, usize, usize),
    HandOn(usize, usize, usize, usize),
    Token(usize, usize),
    Certificate(usize),
    /// By the agent of the task so many places above.
    Complete(usize, usize),
    RevokeTask(usize),
    RevokeAgent(usize),
    Suspend(usize),
    Resume(usize),
    Narrow(usize, usize),
    Advance(u64),
    Reap,
    Settle,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let (agent, task, scopes) = (0_usize..4, 0_usize..10, 1_usize..4);
    let life = 0_usize..LIVES.len();
    prop_oneof![
        3 => (agent.clone(), scopes.clone(), life.clone()).prop_map(|(a, s, l)| Op::Start(a, s, l)),
        8 => (task.clone(), agent.clone(), scopes, life).prop_map(|(t, a, s, l)| Op::HandOn(t, a, s, l)),
        8 => (task.clone(), 0_usize..2).prop_map(|(t, s)| Op::Token(t, s)),
        3 => task.clone().prop_map(Op::Certificate),
        1 => (task.clone(), 0_usize..4).prop_map(|(t, up)| Op::Complete(t, up)),
        1 => task.prop_map(Op::RevokeTask),
        1 => agent.clone().prop_map(Op::RevokeAgent),
        1 => agent.clone().prop_map(Op::Suspend),
        2 => agent.clone().prop_map(Op::Resume),
        1 => (agent, 0_usize..4).prop_map(|(a, s)| Op::Narrow(a, s)),
        2 => (1_u64..90).prop_map(Op::Advance),
        1 => Just(Op::Reap),
        1 => Just(Op::Settle),
        1 => Just(Op::Restart),
    ]
}

/// The scopes of a set that is written as bits.
fn names(set: usize) -> Vec<&'static str> {
    let of = SCOPES.iter().enumerate();
    of.filter(|(at, _)| set & (1 << at) != 0)
        .map(|(_, name)| *name)
        .collect()
}

struct TaskModel {
    id: TaskId,
    /// Indices of tasks: its own, its parent's, and so on.
    line: Vec<usize>,
    agent: usize,
    scopes: usize,
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

struct Model {
    tasks: Vec<TaskModel>,
    credentials: Vec<CredentialModel>,
    active: [bool; 4],
    registered: [usize; 4],
}

impl Model {
    /// The agents of a task and of those above it.
    fn chain(&self, task: usize) -> Vec<usize> {
        let line = self.tasks[task].line.iter();
        line.map(|index| self.tasks[*index].agent).collect()
    }

    fn is_live(&self, now: Timestamp, task: usize) -> bool {
        let line = self.tasks[task].line.iter();
        line.map(|index| &self.tasks[*index])
            .all(|task| !task.over && now < task.id.deadline())
    }

    fn could(&self, agent: usize, scopes: usize) -> bool {
        self.active[agent] && scopes & !self.registered[agent] == 0
    }

    fn may_issue(&self, now: Timestamp, task: usize, scopes: usize) -> bool {
        self.is_live(now, task)
            && scopes & !self.tasks[task].scopes == 0
            && self
                .chain(task)
                .into_iter()
                .all(|agent| self.could(agent, scopes))
    }

    fn may_hand_on(&self, now: Timestamp, parent: usize, to: usize, scopes: usize) -> bool {
        self.may_issue(now, parent, scopes)
            && self.could(to, scopes)
            && self.tasks[parent].line.len() <= 3
    }

    fn end(&mut self, matches: impl Fn(&Self, usize) -> bool) {
        let ended: Vec<bool> = (0..self.tasks.len())
            .map(|task| matches(self, task))
            .collect();
        for (task, ended) in self.tasks.iter_mut().zip(&ended) {
            task.over |= ended;
        }
        for credential in &mut self.credentials {
            credential.revoked |= ended[credential.task];
        }
    }
}

async fn third(world: &World) {
    let mut agent = world.agent("payer").await;
    agent.name = "third".parse().unwrap();
    world.elsewhere(Row::Agent(agent)).await;
    // Of one trust: what differs is who is above whom.
    world
        .change("reader", |agent| agent.stage = Stage::Bounded)
        .await;
    for name in AGENTS {
        world
            .change(name, |agent| agent.scopes = refs(&SCOPES))
            .await;
    }
    world.t.broker.reload_registry().await.unwrap();
}

async fn start(
    world: &World,
    model: &mut Model,
    parent: Option<usize>,
    wish: (usize, usize, usize),
) {
    let (agent, scopes, life) = wish;
    let now = world.t.now();
    let by = parent.map_or(agent, |parent| model.tasks[parent].agent);
    let request = StartRequest {
        purpose: "random".into(),
        scopes: refs(&names(scopes)),
        ttl: Some(Ttl::from_mins(LIVES[life])),
        parent: parent.map(|parent| model.tasks[parent].id),
        agent: parent.map(|_| AGENTS[agent].parse().unwrap()),
        idempotency_key: None,
    };
    let caller = as_agent(AGENTS[by]);
    let allowed = match parent {
        Some(parent) => model.may_hand_on(now, parent, agent, scopes),
        None => model.could(agent, scopes),
    };
    match world.t.broker.start_task(&caller, request).await {
        Ok(reply) => {
            assert!(allowed, "{} was started", reply.task.id);
            let mut lineage = vec![model.tasks.len()];
            lineage.extend(parent.iter().flat_map(|index| &model.tasks[*index].line));
            exceeds_nothing_above(model, &reply.task, &lineage);
            model.tasks.push(TaskModel {
                id: reply.task.id,
                line: lineage,
                agent,
                scopes,
                over: false,
            });
        }
        Err(error) => assert!(!allowed, "{error:?}"),
    }
}

fn exceeds_nothing_above(model: &Model, task: &Task, line: &[usize]) {
    assert!(task.ancestors.len() <= 3);
    assert_eq!(task.ancestors.len(), line.len() - 1);
    for (above, index) in task.ancestors.iter().zip(&line[1..]) {
        let known = &model.tasks[*index];
        assert_eq!(
            (above.task, above.agent.as_str()),
            (known.id, AGENTS[known.agent])
        );
        assert!(task.deadline_at() <= known.id.deadline());
        assert!(task.scopes.is_subset(&refs(&names(known.scopes))));
    }
}

async fn issue(world: &World, model: &mut Model, task: usize, scope: Option<usize>) {
    let Some(known) = model.tasks.get(task) else {
        return;
    };
    let (t, now) = (&world.t, world.t.now());
    let who = AGENTS[known.agent];
    let (scopes, held) = match scope {
        Some(scope) => {
            let held = t.token_with(who, known.id, &[SCOPES[scope]], None, 5).await;
            (1 << scope, held.map(Held::Token))
        }
        None => (0, t.certificate(who, known.id).await.map(Held::Certificate)),
    };
    let allowed = model.may_issue(now, task, scopes);
    match held {
        Ok(held) => {
            assert!(allowed, "issued under {}", known.id);
            let ends = match &held {
                Held::Token(token) => token.credential.expires_at(),
                Held::Certificate(certificate) => certificate.credential.expires_at(),
            };
            for above in &known.line {
                assert!(ends <= model.tasks[*above].id.deadline());
            }
            model.credentials.push(CredentialModel {
                held,
                task,
                revoked: false,
            });
        }
        // In the last second of its life there is nothing left to live in.
        Err(Error::TaskNotActive { .. }) if known.id.deadline().secs() <= now.secs() + 1 => {}
        Err(error) => assert!(!allowed, "{error:?}"),
    }
}

async fn complete(world: &World, model: &mut Model, task: usize, up: usize) {
    let Some(known) = model.tasks.get(task) else {
        return;
    };
    let by = known.line.get(up).map(|index| model.tasks[*index].agent);
    let by = by.unwrap_or((known.agent + up) % AGENTS.len());
    let may = model.chain(task).contains(&by);
    let outcome = world
        .t
        .broker
        .complete_task(&as_agent(AGENTS[by]), known.id)
        .await;
    match outcome {
        Ok(_) => {
            assert!(may);
            model.end(|model, other| model.tasks[other].line.contains(&task));
        }
        // What the reaper has removed is as unknown as another's.
        Err(error) => {
            assert_eq!(error.reason(), "TASK_NOT_FOUND");
            assert!(!may || known.id.deadline() <= world.t.now());
        }
    }
}

async fn step(world: &mut World, model: &mut Model, op: Op) {
    match op {
        Op::Start(agent, scopes, life) => start(world, model, None, (agent, scopes, life)).await,
        Op::HandOn(parent, agent, scopes, life) => {
            if parent < model.tasks.len() {
                start(world, model, Some(parent), (agent, scopes, life)).await;
            }
        }
        Op::Token(task, scope) => issue(world, model, task, Some(scope)).await,
        Op::Certificate(task) => issue(world, model, task, None).await,
        Op::Complete(task, up) => complete(world, model, task, up).await,
        Op::RevokeTask(index) => {
            if let Some(task) = model.tasks.get(index)
                && world.t.revoke(RevokeWhat::Task(task.id)).await.is_ok()
            {
                model.end(|model, other| model.tasks[other].line.contains(&index));
            }
        }
        Op::RevokeAgent(agent) => {
            // What is suspended elsewhere may not be known here yet: read it first.
            world.t.broker.reload_registry().await.unwrap();
            let name = AGENTS[agent].parse().unwrap();
            world
                .t
                .revoke_with(RevokeWhat::Agent(name), true)
                .await
                .unwrap();
            model.end(|model, other| model.chain(other).contains(&agent));
        }
        Op::Suspend(agent) => {
            model.active[agent] = false;
            let suspend = |row: &mut Agent| row.state = State::Suspended;
            world.change(AGENTS[agent], suspend).await;
        }
        // What is wider than this broker remembers it has to be told.
        Op::Resume(agent) => {
            model.active[agent] = true;
            model.registered[agent] = 3;
            let resume = |row: &mut Agent| {
                row.state = State::Active;
                row.scopes = refs(&SCOPES);
            };
            world.change(AGENTS[agent], resume).await;
            world.t.broker.reload_registry().await.unwrap();
        }
        Op::Narrow(agent, scopes) => {
            model.registered[agent] &= scopes;
            let left = refs(&names(model.registered[agent]));
            world.change(AGENTS[agent], |row| row.scopes = left).await;
        }
        Op::Advance(secs) => world.t.advance(secs),
        Op::Reap => drop(world.t.broker.reap().await.unwrap()),
        Op::Settle => drop(world.t.broker.settle().await.unwrap()),
        Op::Restart => {
            world.t.reopen().await;
            let mut directory = PolicyDirectory::new(world.policies.path().to_owned());
            directory.look(&world.t.broker, true).await.unwrap();
        }
    }
}

async fn check(world: &World, model: &Model, after: &str) {
    for (index, credential) in model.credentials.iter().enumerate() {
        let t = &world.t;
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
    #![proptest_config(ProptestConfig {
        cases: cases(24),
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn broker_and_model_agree_on_whatever_is_handed_on(
        seed: u64,
        ops in proptest::collection::vec(op(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::with(seed, ANY_PAIR).await;
            third(&world).await;
            let mut model = Model {
                tasks: Vec::new(),
                credentials: Vec::new(),
                active: [true; 4],
                registered: [3; 4],
            };
            for op in ops {
                let name = format!("{op:?}");
                // A revocation covers its whole second; the model knows no seconds.
                world.t.advance(1);
                step(&mut world, &mut model, op).await;
                check(&world, &model, &name).await;
                world.t.advance(1);
            }
        });
    }
}
