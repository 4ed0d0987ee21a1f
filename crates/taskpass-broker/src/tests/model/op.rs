//! What can happen to a broker.

use proptest::prelude::*;

use super::picture::{AGENTS, LIVES, OWNERS, SCOPES, TARGETS};
use crate::testing::faulty::Fault;

/// More than there are tasks or credentials: what is beyond means one that lives.
const MANY: usize = 40;

/// One step. Agents, owners, targets, scopes, tasks and credentials are numbers.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// An agent starts a task with a set of scopes (as bits), for one of the lives.
    Start(usize, usize, usize),
    /// The agent of a task hands a set of scopes on to an agent, perhaps to itself. What is beyond all sets is
    /// a part of what the task has.
    HandOn(usize, usize, usize, usize),
    /// A token for a scope; what is beyond all scopes is one of those of the task.
    Token(usize, usize),
    Certificate(usize),
    /// By the agent of the task so many places above, or by one that has nothing to do with it.
    Complete(usize, usize),
    /// A process keeps a task alive from now on.
    Hold(usize),
    /// One of the processes that keep a task alive goes.
    Leave(usize),
    RevokeCredential(usize),
    RevokeTask(usize),
    /// With or without suspending, as the next two.
    RevokeAgent(usize, bool),
    RevokeOwner(usize, bool),
    RevokeTarget(usize, bool),
    /// The key that signed a credential.
    Taint(usize),
    RevokeEverything,
    /// Agents, then owners, then targets.
    Suspend(usize),
    /// The same, then the broker as a whole.
    Resume(usize),
    Enrol(usize),
    /// With the newest key, or one of before: then it was copied.
    Renew(usize, usize),
    Rotate(usize, bool),
    RotateDue,
    Advance(u64),
    NextMonth,
    Drain,
    Reap,
    Settle,
    Restart,
    /// The process dies when so many commits of a step have succeeded.
    Die(usize, Fault, Box<Op>),
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let fault = prop_oneof![Just(Fault::NotDone), Just(Fault::DoneUnheard)];
    prop_oneof![
        6 => alive(),
        1 => (0_usize..4, fault, alive()).prop_map(|(n, fault, op)| Op::Die(n, fault, Box::new(op))),
    ]
}

fn alive() -> impl Strategy<Value = Op> {
    prop_oneof![16 => work(), 3 => control(), 4 => background()]
}

fn work() -> impl Strategy<Value = Op> {
    let (agent, task) = (0..AGENTS.len(), 0..MANY);
    let (scopes, part) = (1_usize..1 << SCOPES.len(), 1_usize..2 << SCOPES.len());
    let life = 0..LIVES.len();
    prop_oneof![
        4 => (agent.clone(), scopes.clone(), life.clone()).prop_map(|(a, s, l)| Op::Start(a, s, l)),
        7 => (task.clone(), agent.clone(), part, life).prop_map(|(t, a, s, l)| Op::HandOn(t, a, s, l)),
        8 => (task.clone(), 0..2 * SCOPES.len()).prop_map(|(t, s)| Op::Token(t, s)),
        3 => task.clone().prop_map(Op::Certificate),
        2 => (task.clone(), 0_usize..4).prop_map(|(t, up)| Op::Complete(t, up)),
        3 => task.clone().prop_map(Op::Hold),
        3 => task.prop_map(Op::Leave),
        2 => agent.clone().prop_map(Op::Enrol),
        2 => (agent, 0_usize..3).prop_map(|(a, back)| Op::Renew(a, back)),
    ]
}

fn control() -> impl Strategy<Value = Op> {
    let rows = AGENTS.len() + OWNERS.len() + TARGETS.len();
    prop_oneof![
        3 => (0..MANY).prop_map(Op::RevokeCredential),
        2 => (0..MANY).prop_map(Op::RevokeTask),
        2 => (0..AGENTS.len(), any::<bool>()).prop_map(|(a, s)| Op::RevokeAgent(a, s)),
        1 => (0..OWNERS.len(), any::<bool>()).prop_map(|(o, s)| Op::RevokeOwner(o, s)),
        1 => (0..TARGETS.len(), any::<bool>()).prop_map(|(t, s)| Op::RevokeTarget(t, s)),
        1 => (0..MANY).prop_map(Op::Taint),
        1 => Just(Op::RevokeEverything),
        1 => (0..rows).prop_map(Op::Suspend),
        8 => (0..=rows).prop_map(Op::Resume),
    ]
}

fn background() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (0_usize..5, any::<bool>()).prop_map(|(key, now)| Op::Rotate(key, now)),
        2 => Just(Op::RotateDue),
        6 => (1_u64..60).prop_map(Op::Advance),
        2 => (60_u64..600).prop_map(Op::Advance),
        1 => Just(Op::NextMonth),
        3 => Just(Op::Drain),
        2 => Just(Op::Reap),
        2 => Just(Op::Settle),
        2 => Just(Op::Restart),
    ]
}
