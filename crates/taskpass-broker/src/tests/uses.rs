//! Reports of what credentials were used for: tied, corrected, counted once, bounded.

mod bounds;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use taskpass_core::audit::{UseItem, UseOutcome};
use taskpass_core::caller::Caller;
use taskpass_core::coverage::{BatchId, Window};
use taskpass_core::registry::{Row, State, Verifier};
use taskpass_core::rng::SeededRng;
use taskpass_core::{CredentialId, Timestamp};
use taskpass_store::{Change, Commit, Reporter, Store as _};

use crate::testing::faulty::{Fault, Faulty};
use crate::testing::{LEDGER, MAIL, TestBroker, as_agent, open_on, ops, verifier};
use crate::{Broker, Error, Reported, ReportedUse, RevokeWhat, Standing, UseBatch, UseReport};

/// Uses within the last seconds, allowed.
fn used(t: &TestBroker, credential: CredentialId, scope: &str, count: u64) -> ReportedUse {
    used_at(credential, scope, count, (t.now(), t.now()))
}

fn used_at(
    credential: CredentialId,
    scope: &str,
    count: u64,
    times: (Timestamp, Timestamp),
) -> ReportedUse {
    let (scope, action) = (scope.parse().ok(), Some("GET".to_owned()));
    let item = UseItem::new(scope, action, None, UseOutcome::Allowed, count, times);
    ReportedUse {
        credential,
        item: item.unwrap(),
    }
}

/// A batch of the last half minute.
fn batch(t: &TestBroker, n: u8, items: Vec<ReportedUse>) -> UseReport {
    let window = Window {
        from: t.now().minus(Duration::from_secs(30)),
        until: t.now(),
    };
    UseReport {
        batch: Some(UseBatch {
            id: BatchId::from_slice(&[n; 16]).unwrap(),
            target: LEDGER.parse().unwrap(),
            window,
            lost: 0,
            last: false,
        }),
        items,
        unreadable: 0,
    }
}

fn own(items: Vec<ReportedUse>) -> UseReport {
    UseReport {
        batch: None,
        items,
        unreadable: 0,
    }
}

/// Writes a verifier's row, as another broker on the store would: this one is not told.
async fn speaks_for(t: &TestBroker, name: &str, target: &str) {
    let row = Row::Verifier(Verifier {
        name: name.parse().unwrap(),
        targets: [target.parse().unwrap()].into(),
        state: State::Active,
    });
    let commit = Commit::new(t.now()).change(Change::PutRow(row));
    t.store.commit(commit).await.unwrap();
}

/// The entries of a kind that wait for the log.
async fn entries(t: &TestBroker, kind: &str) -> Vec<Value> {
    let waiting = t.store.outbox(usize::MAX).await.unwrap();
    let all = waiting
        .iter()
        .map(|entry| serde_json::from_slice::<Value>(&entry.json).unwrap());
    all.filter(|entry| entry["kind"] == kind).collect()
}

async fn uses(t: &TestBroker) -> Vec<Value> {
    let mut entries = entries(t, "use").await;
    entries.retain(|entry| !entry["use"].is_null());
    entries
}

async fn coverage(t: &TestBroker) -> Vec<Value> {
    let entries = entries(t, "use").await;
    let all = entries.iter().map(|entry| entry["coverage"].clone());
    all.filter(|coverage| !coverage.is_null()).collect()
}

const fn accepted(accepted: u64, unknown: u64, refused: u64) -> Reported {
    Reported {
        accepted,
        unknown,
        refused,
        repeated: false,
    }
}

fn reason(outcome: Result<Reported, Error>) -> &'static str {
    outcome.unwrap_err().reason()
}

#[tokio::test]
async fn a_report_is_tied_to_agent_owner_task_and_decision_and_corrected() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read", "write"]).await.unwrap();
    let token = t.token("payer", task).await.unwrap();
    t.advance(20);
    let id = token.credential.id;
    let long_ago = t.now().minus(Duration::from_hours(1));
    let items = vec![
        used(&t, id, "read", 3),
        // The token has `read` alone.
        used(&t, id, "write", 1),
        // Before it was issued, and before the window.
        used_at(id, "read", 2, (long_ago, t.now())),
    ];
    let reported = t.broker.report_use(&verifier(), &batch(&t, 1, items)).await;
    assert_eq!(reported.unwrap(), accepted(3, 0, 0));
    let found = uses(&t).await;
    assert_eq!(found.len(), 1);
    let entry = &found[0];
    let credential = &token.credential;
    for (field, expected) in [
        ("actor", "verifier/ledger".to_owned()),
        ("outcome", "done".to_owned()),
        ("agent", "payer".to_owned()),
        ("owner", "team".to_owned()),
        ("task", task.to_string()),
        ("target", LEDGER.to_owned()),
    ] {
        assert_eq!(entry[field], expected, "{field}");
    }
    let decision = json!({ "decision": credential.decision.to_string() });
    assert_eq!(entry["cause"], decision);
    assert_eq!(entry["credential"]["id"], id.to_string());
    assert_eq!(entry["credential"]["sha256"], credential.digest.to_string());
    let (now, issued) = (t.now().to_string(), credential.issued_at.to_string());
    let item = |scope: &str, outcome: &str, count: u64, first_at: &str| {
        json!({
            "scope": scope, "action": "GET", "outcome": outcome, "count": count,
            "first_at": first_at, "last_at": now,
        })
    };
    let expected = json!({ "by": "verifier", "items": [
        item("read", "allowed", 3, &now),
        item("write", "refused", 1, &now),
        item("read", "allowed", 2, &issued),
    ] });
    assert_eq!(entry["use"], expected);
    let from = t.now().minus(Duration::from_secs(30)).to_string();
    let begun = json!({ "from": from, "until": now, "lost": 0, "unknown": 0 });
    assert_eq!(coverage(&t).await, [begun]);
}

#[tokio::test]
async fn what_is_not_the_verifier_s_is_unknown_and_a_foreign_target_is_denied() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let token = t.token("payer", task).await.unwrap().credential.id;
    let certificate = t.certificate("payer", task).await.unwrap();
    let certificate = certificate.credential.id;
    let invented = CredentialId::generate(t.now().plus(Duration::from_mins(1)), &SeededRng::new(9));
    // A verifier of another target: the token is none of its business, the certificate is.
    let other = Standing {
        caller: Caller::Verifier("mail".parse().unwrap(), [MAIL.parse().unwrap()].into()),
        ..verifier()
    };
    speaks_for(&t, "mail", MAIL).await;
    t.broker.reload_registry().await.unwrap();
    let mut report = batch(
        &t,
        1,
        vec![
            used(&t, token, "read", 5),
            used(&t, invented, "read", 2),
            used(&t, certificate, "", 1),
        ],
    );
    report.unreadable = 4;
    let mut to_mail = report.clone();
    to_mail.batch.as_mut().unwrap().target = MAIL.parse().unwrap();
    let reported = t.broker.report_use(&other, &to_mail).await.unwrap();
    assert_eq!(reported, accepted(1, 2, 4));
    let found = uses(&t).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["credential"]["kind"], "certificate");
    assert_eq!(found[0]["target"], MAIL);
    // Uses, not items: of the unknown; what cannot be read is lost.
    let covered = &coverage(&t).await[0];
    assert_eq!(
        (&covered["unknown"], &covered["lost"]),
        (&json!(7), &json!(4))
    );
    let metrics = t.broker.metrics();
    assert_eq!(
        (metrics.uses_unknown.get(), metrics.uses_late.get()),
        (2, 0)
    );

    for target in [MAIL, "https://nowhere.example"] {
        let mut foreign = report.clone();
        foreign.batch.as_mut().unwrap().target = target.parse().unwrap();
        let outcome = t.broker.report_use(&verifier(), &foreign).await;
        assert_eq!(reason(outcome), "FOREIGN_TARGET");
    }
    let denied = entries(&t, "call").await;
    assert_eq!(denied.len(), 2);
    assert_eq!(
        denied[0]["subject"],
        format!("report of uses at target {MAIL}")
    );
    assert_eq!(uses(&t).await.len(), 1);
}

#[tokio::test]
async fn an_agent_speaks_of_its_own_and_it_is_its_word() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let token = t.token("payer", task).await.unwrap().credential.id;
    let certificate = t.certificate("payer", task).await.unwrap();
    let items = || {
        vec![
            used(&t, token, "read", 1),
            used(&t, certificate.credential.id, "read", 1),
        ]
    };
    let reported = t.broker.report_use(&as_agent("payer"), &own(items())).await;
    assert_eq!(reported.unwrap(), accepted(2, 0, 0));
    let found = uses(&t).await;
    let said: Vec<_> = found
        .iter()
        .map(|entry| {
            (
                entry["use"]["by"].as_str().unwrap(),
                entry["actor"].as_str().unwrap(),
                entry["target"].as_str(),
                entry["use"]["items"][0]["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    let actor = "agent/payer";
    assert!(said.contains(&("agent", actor, Some(LEDGER), "allowed")));
    // No certificate has a scope.
    assert!(said.contains(&("agent", actor, None, "refused")));
    assert_eq!(coverage(&t).await, Vec::<Value>::new());

    let before = uses(&t).await.len();
    let stranger = t
        .broker
        .report_use(&as_agent("stranger"), &own(items()))
        .await;
    assert_eq!(stranger.unwrap(), accepted(0, 2, 0));
    assert_eq!(uses(&t).await.len(), before);
    let nothing = t
        .broker
        .report_use(&as_agent("payer"), &own(Vec::new()))
        .await;
    assert_eq!(reason(nothing), "TOO_MANY_ITEMS");
    // Nobody covers anything but a verifier, and no verifier speaks without saying of what.
    let of_target = batch(&t, 1, items());
    let as_verifier = t.broker.report_use(&as_agent("payer"), &of_target).await;
    assert_eq!(reason(as_verifier), "METHOD_NOT_ALLOWED");
    let as_agent = t.broker.report_use(&verifier(), &own(items())).await;
    assert_eq!(reason(as_agent), "METHOD_NOT_ALLOWED");
    let as_operator = t.broker.report_use(&ops(), &own(items())).await;
    assert_eq!(reason(as_operator), "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn a_batch_is_recorded_once_also_after_a_restart_and_at_one_time() {
    let mut t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let token = t.token("payer", task).await.unwrap().credential.id;
    let report = batch(&t, 1, vec![used(&t, token, "read", 3)]);
    let repeated = Reported {
        repeated: true,
        ..Reported::default()
    };
    let first = t.broker.report_use(&verifier(), &report).await.unwrap();
    assert_eq!(first, accepted(1, 0, 0));
    let again = t.broker.report_use(&verifier(), &report).await.unwrap();
    assert_eq!(again, repeated);
    t.reopen().await;
    let again = t.broker.report_use(&verifier(), &report).await.unwrap();
    assert_eq!(again, repeated);
    assert_eq!((uses(&t).await.len(), coverage(&t).await.len()), (1, 1));
    assert_eq!(t.broker.metrics().use_batches_repeated.get(), 1);

    // Several at one time, two of each.
    let batches: Vec<_> = (2..6)
        .flat_map(|n| [n, n])
        .map(|n| batch(&t, n, vec![used(&t, token, "read", 1)]))
        .collect();
    let caller = verifier();
    let answers = at_one_time(&t.broker, &caller, batches).await;
    let recorded = answers.iter().filter(|answer| !answer.repeated).count();
    assert_eq!((recorded, answers.len()), (4, 8));
    assert_eq!(uses(&t).await.len(), 1 + 4);
}

/// Whether the work was lost, or only the answer: the same batch again, and it is recorded once.
#[tokio::test]
async fn what_was_not_answered_is_sent_again_and_recorded_once() {
    for (fault, repeated) in [(Fault::DoneUnheard, true), (Fault::NotDone, false)] {
        let mut t = TestBroker::new().await;
        let task = t.start("payer", &["read"]).await.unwrap();
        let token = t.token("payer", task).await.unwrap().credential.id;
        let report = batch(&t, 1, vec![used(&t, token, "read", 3)]);
        let faulty = Faulty::over(Arc::clone(&t.store) as _).await;
        t.broker = open_on(Arc::clone(&faulty) as _, &t.clock, &t.rng).await;
        faulty.die_after(0, fault);
        let unheard = t.broker.report_use(&verifier(), &report).await;
        assert_eq!(reason(unheard), "STORE_UNAVAILABLE");
        faulty.revive();
        t.broker = open_on(Arc::clone(&faulty) as _, &t.clock, &t.rng).await;
        let again = t.broker.report_use(&verifier(), &report).await.unwrap();
        assert_eq!(again.repeated, repeated, "{fault:?}");
        assert_eq!((uses(&t).await.len(), coverage(&t).await.len()), (1, 1));
    }
}

/// All at one time.
async fn at_one_time(
    broker: &Arc<Broker>,
    caller: &Standing,
    reports: Vec<UseReport>,
) -> Vec<Reported> {
    let mut running = tokio::task::JoinSet::new();
    for report in reports {
        let (broker, caller) = (Arc::clone(broker), caller.clone());
        running.spawn(async move { broker.report_use(&caller, &report).await.unwrap() });
    }
    running.join_all().await
}

#[tokio::test]
async fn coverage_goes_on_as_long_as_windows_meet() {
    let t = TestBroker::new().await;
    let say = async |n: u8, last: bool| {
        t.advance(30);
        let mut report = batch(&t, n, Vec::new());
        let batch = report.batch.as_mut().unwrap();
        (batch.lost, batch.last) = (1, last);
        t.broker.report_use(&verifier(), &report).await.unwrap()
    };
    for n in 1..=31 {
        assert_eq!(say(n, false).await, accepted(0, 0, 0));
    }
    // At once, and after a quarter of an hour.
    let told = coverage(&t).await;
    let lost: Vec<_> = told
        .iter()
        .map(|one| one["lost"].as_u64().unwrap())
        .collect();
    assert_eq!(lost, [1, 30]);
    assert_eq!(told[0]["until"], told[1]["from"]);
    say(32, true).await;
    t.advance(600);
    say(33, false).await;
    let told = coverage(&t).await;
    assert_eq!(told.len(), 4);
    assert_eq!(told[1]["until"], told[2]["from"]);
    assert_ne!(told[2]["until"], told[3]["from"]);
    assert_eq!(t.broker.metrics().uses_lost.get(), 33);
    let kept = Reporter {
        verifier: "ledger".parse().unwrap(),
        target: LEDGER.parse().unwrap(),
    };
    let kept = t.store.reporting(&kept).await.unwrap().unwrap();
    assert_eq!((kept.version, kept.value.batches.len()), (33, 33));
}

#[tokio::test]
async fn what_ended_a_while_ago_is_tied_and_what_is_gone_is_late() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let token = t.token("payer", task).await.unwrap();
    let id = token.credential.id;
    // Ended, and revoked: its use before that is still its use.
    t.revoke(RevokeWhat::Credential(id)).await.unwrap();
    t.advance(5 * 60 + 30);
    assert!(t.now() > token.credential.expires_at());
    let reported = t
        .broker
        .report_use(&verifier(), &batch(&t, 1, vec![used(&t, id, "read", 1)]))
        .await;
    assert_eq!(reported.unwrap(), accepted(1, 0, 0));
    // Nobody let it through after its end.
    let last_at = uses(&t).await[0]["use"]["items"][0]["last_at"].clone();
    assert_eq!(last_at, token.credential.expires_at().to_string());

    t.advance(10 * 60);
    t.broker.reap().await.unwrap();
    let late = batch(&t, 2, vec![used(&t, id, "read", 9)]);
    let reported = t.broker.report_use(&verifier(), &late).await.unwrap();
    assert_eq!(reported, accepted(0, 1, 0));
    let metrics = t.broker.metrics();
    assert_eq!(
        (metrics.uses_late.get(), metrics.uses_unknown.get()),
        (1, 0)
    );
}
