//! A whole run, as small as it can be: every part measures something, over real sockets, and leaves
//! nothing behind. No time is asserted.

#![expect(clippy::unwrap_used, reason = "what fails here is the test")]

use std::sync::Arc;
use std::time::Duration;

use taskpass_bench::{Outcome, Plan, Progress, Section, Size, run};
use taskpass_core::rng::SystemRng;
use taskpass_core::time::SystemClock;

const TINY: Size = Size {
    rounds: 1,
    turn: Duration::from_millis(200),
    warm: Duration::from_millis(50),
    open: Duration::from_secs(3),
    live: 1_000,
    expired: 3_000,
    idle: 100,
};

async fn measured(sections: &[Section], soak: Option<Duration>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        sections: sections.iter().copied().collect(),
        size: TINY,
        soak,
        data: folder.path().to_owned(),
        // Nothing that runs here starts it.
        program: "/nonexistent".into(),
    };
    let (clock, rng) = (Arc::new(SystemClock::new()), Arc::new(SystemRng::new()));
    let outcome = run(&plan, clock, rng, &Progress::silent()).await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_has_figures_and_floors() {
    let mut sections = Section::ALL.to_vec();
    sections.retain(|section| *section != Section::Start);
    let outcome = measured(&sections, None).await;
    assert_eq!(outcome.results.len(), 17, "{outcome}");
    for figure in &outcome.results {
        assert!(figure.value > 0.0 && figure.met.is_some(), "{figure:?}");
    }
    let floors = &outcome.floors;
    for floor in [floors.commit_p50_ms, floors.es256_per_second_per_core] {
        assert!(floor.before > 0.0 && floor.after > 0.0, "{floor:?}");
    }
    let calls: Vec<_> = floors.calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(
        calls,
        [
            "signing alone, ES256",
            "signing alone, EdDSA",
            "checking a request and signing",
            "an empty call"
        ]
    );
    assert!(outcome.to_string().contains("IssueToken ES256"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soak_tells_what_it_holds() {
    let outcome = measured(&[], Some(Duration::from_secs(4))).await;
    assert_eq!(outcome.results.len(), 4, "{outcome}");
    assert!(outcome.results[0].value > 0.0, "{outcome}");
}
