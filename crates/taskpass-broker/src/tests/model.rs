//! Random lives of a broker beside a model of it: agents start tasks, hand them on, keep them alive, take
//! credentials, renew their identities; operators revoke by every selector, suspend, resume, rotate and taint
//! keys; months pass; the process dies in the middle of whatever it does. After each step the two agree on
//! which tasks are live, which credentials are active, what every tree says, who may call; at the end every
//! effect has its one entry in the log, which verifies.
//!
//! | module | what is in it |
//! |---|---|
//! | `op`, `pick` | what can happen, and to what |
//! | `picture` | the model: what must be so |
//! | `run` | a broker, its store that can die, its log; time |
//! | `work` | what agents do |
//! | `control` | what operators do |
//! | `identity` | enrolling, renewing, and renewing with a copied key |
//! | `check` | whether broker and model agree |
//!
//! A failure is written to `proptest-regressions` and tried first from then on.

mod check;
mod control;
mod identity;
mod op;
mod pick;
mod picture;
mod run;
mod work;

use proptest::prelude::*;

use crate::testing::cases;
use crate::testing::faulty::Fault;
use op::{Op, op};
use run::Run;

fn live(seed: u64, ops: &[Op]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut run = Run::new(seed).await;
        for op in ops {
            // A revocation covers its whole second; the model knows no seconds.
            run.pass(1).await;
            run.step(op).await;
            run.check(op).await;
            run.pass(1).await;
        }
        run.finish().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn broker_and_model_agree(seed: u64, ops in proptest::collection::vec(op(), 1..50)) {
        let mut all = tree();
        all.extend(ops);
        live(seed, &all);
    }
}

/// A tree over three agents, with something issued at each level.
fn tree() -> Vec<Op> {
    vec![
        Op::Start(0, 7, 2),
        Op::HandOn(0, 1, 7, 2),
        Op::HandOn(1, 2, 5, 2),
        Op::HandOn(0, 3, 1, 1),
        Op::Token(0, 0),
        Op::Token(1, 2),
        Op::Token(2, 0),
        Op::Certificate(1),
        Op::Certificate(3),
    ]
}

/// Every selector over one such tree, alone and with the process dying at each of its commits.
#[test]
fn every_selector_over_a_tree_that_three_agents_share() {
    let selectors = [
        Op::RevokeCredential(1),
        Op::RevokeTask(1),
        Op::RevokeAgent(1, true),
        Op::RevokeAgent(2, false),
        Op::RevokeOwner(0, true),
        Op::RevokeOwner(1, false),
        Op::RevokeTarget(0, true),
        Op::RevokeTarget(1, false),
        Op::Taint(1),
        Op::RevokeEverything,
        Op::Complete(1, 0),
        Op::Complete(1, 1),
        Op::Complete(0, 0),
    ];
    for selector in selectors {
        let after = [Op::Settle, Op::Token(0, 0), Op::Token(3, 0), Op::Resume(8)];
        let mut plain = tree();
        plain.push(selector.clone());
        plain.extend(after.clone());
        live(7, &plain);
        for (commits, fault) in [
            (0, Fault::NotDone),
            (0, Fault::DoneUnheard),
            (1, Fault::NotDone),
        ] {
            let mut dying = tree();
            dying.push(Op::Die(commits, fault, Box::new(selector.clone())));
            // Whoever asked asks again.
            dying.push(selector.clone());
            dying.extend(after.clone());
            live(8, &dying);
        }
    }
}

/// What was revoked one by one before, and would have outlived the rest, is not counted with it.
#[test]
fn completing_counts_what_lived_and_no_more() {
    live(
        9,
        &[
            Op::Start(0, 1, 2),
            Op::Token(0, 0),
            Op::Certificate(0),
            Op::RevokeCredential(1),
            Op::Complete(0, 0),
        ],
    );
}
