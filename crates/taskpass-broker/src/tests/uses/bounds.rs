//! How much, how fast, of which time, and while which clock holds.

use std::sync::Arc;
use std::time::Duration;

use taskpass_core::coverage::Window;
use taskpass_issuer::KeyEncryptionKey;
use taskpass_policy::{Engine, PolicySet};
use taskpass_store::Store as _;

use super::*;
use crate::testing::KEK;
use crate::{Deps, Limits, MAX_USE_BATCH, UseLimits};

/// The same store under a broker with these limits.
async fn limited(t: &TestBroker, uses: UseLimits) -> Arc<Broker> {
    let limits = Limits {
        uses,
        ..Limits::default()
    };
    let deps = Deps {
        store: Arc::clone(&t.store) as _,
        policy: Engine::new(PolicySet::shipped().unwrap()),
        kek: KeyEncryptionKey::from_bytes(KEK),
        clock: Arc::new(t.clock.clone()),
        rng: Arc::clone(&t.rng),
        limits,
    };
    Broker::open(deps).await.unwrap()
}

#[tokio::test]
async fn windows_and_batches_have_bounds() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let token = t.token("payer", task).await.unwrap().credential.id;
    let now = t.now();
    let (minute, day) = (Duration::from_mins(1), Duration::from_hours(24));
    let ms = Duration::from_millis(1);
    let week = day * 7;
    for (from, until, good) in [
        (now, now, true),
        (now, now.plus(minute), true),
        (now.minus(day), now, true),
        (now.minus(week).minus(day), now.minus(week), true),
        (now, now.plus(minute).plus(ms), false),
        (now, now.minus(ms), false),
        (now.minus(day).minus(ms), now, false),
        (now.minus(week), now.minus(week).minus(ms), false),
        (now.minus(week).minus(ms), now.minus(week).minus(ms), false),
    ] {
        let mut report = batch(&t, 1, Vec::new());
        report.batch.as_mut().unwrap().window = Window { from, until };
        let outcome = t.broker.report_use(&verifier(), &report).await;
        let outcome = outcome.map_err(|error| error.reason());
        let expected = if good {
            Ok(accepted(0, 0, 0))
        } else {
            Err("INVALID_FIELD")
        };
        // The same batch again, after the first that was good.
        let outcome = outcome.map(|one| Reported {
            repeated: false,
            ..one
        });
        assert_eq!(outcome, expected, "{from} {until}");
    }
    // What is ahead by less than a minute ends now.
    let told = coverage(&t).await;
    assert_eq!(told[0]["until"], now.to_string());

    let many = |n| vec![used(&t, token, "read", 1); n];
    let full = batch(&t, 2, many(MAX_USE_BATCH));
    let full = t.broker.report_use(&verifier(), &full).await;
    assert_eq!(full.unwrap(), accepted(256, 0, 0));
    // 32 in an entry.
    assert_eq!(uses(&t).await.len(), 8);
    let mut beyond = batch(&t, 3, many(MAX_USE_BATCH));
    beyond.unreadable = 1;
    let outcome = t.broker.report_use(&verifier(), &beyond).await;
    assert_eq!(reason(outcome), "TOO_MANY_ITEMS");
}

/// What docs/LIMITS.md says of how much log a reporter makes: at the defaults, by the size of an entry.
#[tokio::test]
async fn an_item_makes_so_much_log_at_most() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let token = t.token("payer", task).await.unwrap().credential.id;
    let plain = used(&t, token, "read", 1);
    // Each of these characters is two in the log.
    let longest = ReportedUse {
        credential: token,
        item: UseItem::new(
            "read".parse().ok(),
            Some("\"".repeat(128)),
            Some("\\".repeat(256)),
            UseOutcome::Refused,
            u64::from(u32::MAX),
            (t.now(), t.now()),
        )
        .unwrap(),
    };
    for item in [plain.clone(), longest] {
        let (payer, report) = (as_agent("payer"), own(vec![item]));
        let answer = t.broker.report_use(&payer, &report).await;
        assert_eq!(answer.unwrap(), accepted(1, 0, 0));
    }
    let mut sizes: Vec<_> = uses(&t)
        .await
        .iter()
        .map(|it| it.to_string().len())
        .collect();
    sizes.sort_unstable();
    assert!(
        sizes[0] < 1_000 && sizes[1] > 1_000 && sizes[1] < 2_000,
        "{sizes:?}"
    );
    // Of the 60 of this minute two are taken.
    for (items, expected) in [(59, Err("USE_ITEMS_PER_MINUTE")), (58, Ok(58))] {
        let answer = own(vec![plain.clone(); items]);
        let answer = t.broker.report_use(&as_agent("payer"), &answer).await;
        let answer = answer.map(|answer| answer.accepted);
        assert_eq!(answer.map_err(|error| error.reason()), expected);
    }
}

#[tokio::test]
async fn nobody_reports_faster_than_it_may_or_into_a_full_outbox() {
    let limits = UseLimits {
        verifier_items_per_minute: 300,
        agent_items_per_minute: 2,
    };
    let mut t = TestBroker::new().await;
    t.broker = limited(&t, limits).await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let token = t.token("payer", task).await.unwrap().credential.id;
    let many = |n, count| batch(&t, n, vec![used(&t, token, "read", 1); count]);
    let answer = t.broker.report_use(&verifier(), &many(1, 200)).await;
    assert_eq!(answer.unwrap(), accepted(200, 0, 0));
    let error = t.broker.report_use(&verifier(), &many(2, 200)).await;
    let Err(Error::LimitReached(reached)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(reached.limit.as_str(), "USE_ITEMS_PER_MINUTE");
    assert_eq!(reached.retry_after, Some(Duration::from_secs(20)));
    assert_eq!(reached.whose, "verifier/ledger");
    // An agent has its own, and so has an empty batch its place.
    let items = || vec![used(&t, token, "read", 1)];
    for expected in [Ok(1), Ok(1), Err("USE_ITEMS_PER_MINUTE")] {
        let answer = t.broker.report_use(&as_agent("payer"), &own(items())).await;
        let answer = answer.map(|answer| answer.accepted);
        assert_eq!(answer.map_err(|error| error.reason()), expected);
    }
    t.advance(20);
    let answer = t.broker.report_use(&verifier(), &many(2, 200)).await;
    assert_eq!(answer.unwrap(), accepted(200, 0, 0));
    let outcome = t.broker.report_use(&verifier(), &many(3, 0)).await;
    assert_eq!(reason(outcome), "USE_ITEMS_PER_MINUTE");

    // Issuing has the other half.
    let t = TestBroker::with_outbox(200).await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let mut last = None;
    while t.store.stats().outbox <= 100 {
        last = Some(t.token("payer", task).await.unwrap().credential.id);
    }
    let report = batch(&t, 1, vec![used(&t, last.unwrap(), "read", 1)]);
    let outcome = t.broker.report_use(&verifier(), &report).await;
    assert_eq!(reason(outcome), "STORE_UNAVAILABLE");
    assert!(t.token("payer", task).await.is_ok());
}

/// The standing of the call is from before; the registry is asked again when it is recorded.
#[tokio::test]
async fn a_target_that_was_taken_away_is_foreign_at_once() {
    let t = TestBroker::new().await;
    let report = batch(&t, 1, Vec::new());
    speaks_for(&t, "ledger", MAIL).await;
    let outcome = t.broker.report_use(&verifier(), &report).await;
    assert_eq!(reason(outcome), "FOREIGN_TARGET");
}

/// Whose clock is wrong is not known then: the batch is not refused for ever.
#[tokio::test]
async fn while_the_clock_is_behind_nothing_is_taken_and_nothing_refused() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let token = t.token("payer", task).await.unwrap().credential.id;
    let report = batch(&t, 1, vec![used(&t, token, "read", 1)]);
    let own = own(vec![used(&t, token, "read", 1)]);
    let now = t.now();
    t.clock.jump_to(now.minus(Duration::from_hours(1)));
    let outcome = t.broker.report_use(&verifier(), &report).await;
    assert_eq!(reason(outcome), "CLOCK_UNSAFE");
    let outcome = t.broker.report_use(&as_agent("payer"), &own).await;
    assert_eq!(reason(outcome), "CLOCK_UNSAFE");
    t.clock.jump_to(now);
    let reported = t.broker.report_use(&verifier(), &report).await;
    assert_eq!(reported.unwrap(), accepted(1, 0, 0));
}
