//! Every way to a credential against every state in which there must be none, over real sockets.
//!
//! One broker; for each state an agent of its own, one above it that hands work on to it, and one
//! beneath it. First each way succeeds; then the state is brought about, and each way answers as the
//! [table](expected) says; where the state can be taken back, each way succeeds again. What a state
//! does not concern must go on: that stands in the table too. All wrong cells are printed at once.
//!
//! Not here: races between a state and a request (the broker's own tests), and what verifiers make of
//! credentials that exist already (`selectors`).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "matrix/act.rs"]
mod act;
#[path = "oauth/assertion.rs"]
mod assertion;
#[path = "matrix/change.rs"]
mod change;
#[path = "matrix/column.rs"]
mod column;
#[path = "matrix/expected.rs"]
mod expected;
#[path = "matrix/house.rs"]
mod house;
#[path = "oauth/http.rs"]
mod http;
#[path = "attestation/issuer.rs"]
#[expect(
    dead_code,
    reason = "its own test uses the rest: issuers that answer, signers that may not sign"
)]
mod issuer;
#[path = "matrix/path.rs"]
mod path;
#[path = "matrix/report.rs"]
mod report;
#[path = "matrix/sections.rs"]
mod sections;
#[path = "matrix/state.rs"]
mod state;
#[path = "matrix/svid.rs"]
mod svid;

use std::sync::Arc;

use column::Column;
use expected::expected;
use house::House;
use path::{PATHS, Path};
use report::{Phase, Report};
use state::State;

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_taskpass");

/// How often a refusal that is not the expected one is asked again.
const AGAIN: usize = 3;
const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

fn settled(phase: Phase, column: &Column, path: Path, outcome: &act::Found) -> bool {
    outcome.is_ok() || report::is_right(&expected(phase, column.state, path), outcome)
}

/// Goes every way in every column, and compares with the table.
async fn walk(columns: &[Arc<Column>], phase: Phase, report: &mut Report) {
    let walking = columns.iter().map(|column| {
        let column = Arc::clone(column);
        tokio::spawn(async move {
            let mut found = Vec::new();
            for path in PATHS {
                let mut outcome = column.go(path).await;
                // Within the second of a revocation, and on a machine that is busy, the answer can be
                // "try again". What is granted and should not be is never asked again.
                for _ in 0..AGAIN {
                    if settled(phase, &column, path, &outcome) {
                        break;
                    }
                    tokio::time::sleep(SECOND).await;
                    outcome = column.go(path).await;
                }
                found.push((path, outcome));
            }
            (column, found)
        })
    });
    for walking in walking.collect::<Vec<_>>() {
        let (column, found) = walking.await.unwrap();
        for (path, found) in found {
            let expected = expected(phase, column.state, path);
            report.note(phase, column.state, path, expected, found);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_way_to_a_credential_in_every_state() {
    let house = Arc::new(House::start().await);
    let furnishing = State::ALL.map(|state| {
        let house = Arc::clone(&house);
        tokio::spawn(async move { Arc::new(Column::furnish(house, state).await) })
    });
    let mut columns = Vec::new();
    for furnishing in furnishing {
        columns.push(furnishing.await.unwrap());
    }
    let mut report = Report::default();
    walk(&columns, Phase::Good, &mut report).await;

    house.forbid(&columns);
    for column in &columns {
        change::bring_about(column).await;
    }
    for column in &columns {
        change::holds(column).await;
    }
    change::next_second().await;
    walk(&columns, Phase::Bad, &mut report).await;

    house.permit();
    let mut repaired = Vec::new();
    for column in &columns {
        if change::take_back(column).await {
            repaired.push(Arc::clone(column));
        }
    }
    for column in &repaired {
        change::is_over(column).await;
    }
    walk(&repaired, Phase::Repaired, &mut report).await;

    // Last, because it is everybody's.
    let one = &repaired[..1];
    change::halt(&one[0]).await;
    walk(one, Phase::Halted, &mut report).await;
    change::go_on(&one[0]).await;
    walk(one, Phase::GoesOn, &mut report).await;
    report.check();
}
