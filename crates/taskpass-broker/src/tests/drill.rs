//! Drills: what is revoked, what is measured, what is recorded.

use std::sync::Arc;
use std::time::Duration;

use taskpass_core::CredentialId;
use taskpass_core::caller::Caller;
use taskpass_core::registry::{Row, RowKey};
use taskpass_store::Store as _;

use crate::testing::{LEDGER, TestBroker, as_agent, ops, verifier};
use crate::{CANARY, Drill, Drilled, Error, IssuedToken, Standing, Subscription};

/// Makes an agent a canary.
pub(super) async fn label(t: &TestBroker, name: &str) {
    let key = RowKey::Agent(name.parse().unwrap());
    let found = t.broker.entry_of(&ops(), &key).await.unwrap();
    let Row::Agent(mut agent) = found.value else {
        panic!("{key} is none");
    };
    let (label, value) = CANARY;
    agent.labels.insert(label.into(), value.into());
    t.broker
        .update(&ops(), Row::Agent(agent), found.version, "a canary")
        .await
        .unwrap();
}

pub(super) fn request(credential: CredentialId) -> Drill {
    Drill {
        credential,
        reason: "practice".into(),
        timeout: Some(Duration::from_millis(100)),
    }
}

async fn issued(t: &TestBroker, who: &str) -> IssuedToken {
    let task = t.start(who, &["read"]).await.unwrap();
    t.token(who, task).await.unwrap()
}

async fn held(t: &TestBroker, token: &IssuedToken) -> Result<Drilled, Error> {
    t.broker.drill(&ops(), &request(token.credential.id)).await
}

/// An operator without the roles that revoke.
fn idle() -> Standing {
    Standing {
        caller: Caller::Operator("ops".parse().unwrap(), [].into()),
        ..ops()
    }
}

fn subscribed(t: &TestBroker) -> Subscription {
    t.broker.subscribe(&verifier(), 0, 0).unwrap().0
}

/// Takes the frame with the drill's rule, and confirms it as a verifier does.
async fn confirms(t: &TestBroker, mut feed: Subscription, id: CredentialId) -> Subscription {
    feed.changed().await;
    let frame = feed.next_frame().unwrap();
    let tokens: Vec<_> = frame
        .rules
        .iter()
        .filter_map(|rule| Some((rule.seq, feed.drill(rule)?)))
        .collect();
    let [(seq, token)] = tokens.as_slice() else {
        panic!("{tokens:?}");
    };
    // Not before there is such a rule, and only a verifier.
    let said = |who, seq| t.broker.confirm_drill(&who, token, id, seq);
    assert!(!said(verifier(), 0) && !said(verifier(), seq + 1) && !said(ops(), *seq));
    t.clock.advance(Duration::from_millis(7));
    assert!(said(verifier(), *seq));
    feed
}

#[tokio::test]
async fn what_confirms_is_measured_and_what_does_not_is_silent() {
    let t = Arc::new(TestBroker::new().await);
    label(&t, "reader").await;
    let token = issued(&t, "reader").await;
    let id = token.credential.id;
    let (feed, _silent) = (subscribed(&t), subscribed(&t));
    let confirming = confirms(&t, feed, id);
    let (drilled, _feed) = tokio::join!(held(&t, &token), confirming);
    let drilled = drilled.unwrap();
    let facts = drilled.facts;
    assert_eq!((facts.connected, facts.confirmed, facts.silent), (2, 1, 1));
    // The clock moves while the commit is on its way, or after it: whoever is woken first.
    for micros in [facts.commit_us, facts.introspect_us.unwrap()] {
        assert!([0, 7_000].contains(&micros), "{facts:?}");
    }
    assert!(facts.commit_us <= facts.introspect_us.unwrap());
    let seven = Some(7_000);
    assert_eq!(
        (facts.first_us, facts.p50_us, facts.last_us),
        (seven, seven, seven)
    );
    assert!(facts.timed_out && !facts.all_refused());
    let times: Vec<_> = drilled.verifiers.iter().map(|(_, at)| *at).collect();
    assert_eq!(times, [Some(Duration::from_millis(7)), None]);
    assert!(!t.is_active(&token).await);
    assert_eq!(t.broker.metrics().drills.get(), 1);
    assert_eq!(t.broker.metrics().drill_silent.get(), 1);
    assert_eq!(t.broker.metrics().drill_micros.get(), 7_000);

    let waiting = t.store.outbox(usize::MAX).await.unwrap();
    let entries: Vec<serde_json::Value> = waiting
        .iter()
        .map(|entry| serde_json::from_slice(&entry.json).unwrap())
        .collect();
    let of = |kind: &str| {
        let mut found = entries.iter().filter(|entry| entry["kind"] == kind);
        (found.next().unwrap(), found.count())
    };
    let ((revocation, _), (drill, more)) = (of("revocation"), of("drill"));
    assert_eq!(more, 0);
    assert_eq!(drill["id"], drilled.entry.to_string());
    assert_eq!(drill["cause"]["entry"], revocation["id"]);
    assert_eq!(drill["credential"]["id"], id.to_string());
    assert_eq!(drill["agent"], "reader");
    assert_eq!(drill["target"], LEDGER);
    assert_eq!(drill["drill"], serde_json::to_value(facts).unwrap());
}

#[tokio::test]
async fn with_nobody_on_the_feed_the_broker_alone_is_measured() {
    let t = TestBroker::new().await;
    label(&t, "reader").await;
    let mut feed = subscribed(&t);
    drop(subscribed(&t));
    let token = issued(&t, "reader").await;
    // The other stream has gone before; and an operator's is nobody's refusal.
    let _watching = t.broker.subscribe(&ops(), 0, 0).unwrap();
    feed.next_frame();
    drop(feed);
    let facts = held(&t, &token).await.unwrap().facts;
    assert_eq!((facts.connected, facts.silent, facts.last_us), (0, 0, None));
    assert!(facts.all_refused() && !facts.timed_out);
}

#[tokio::test]
async fn only_a_live_credential_of_a_canary_is_taken() {
    let t = TestBroker::new().await;
    label(&t, "reader").await;
    let canarys = issued(&t, "reader").await;
    let workers = issued(&t, "payer").await;
    let refused = async |who, id, change: fn(&mut Drill)| {
        let mut request = request(id);
        change(&mut request);
        let outcome = t.broker.drill(&who, &request).await;
        outcome.err().map(|error| error.reason())
    };
    let id = canarys.credential.id;
    let unknown = CredentialId::first_at(t.now());
    for (found, expected) in [
        (
            refused(ops(), workers.credential.id, |_| {}).await,
            "NOT_DRILLABLE",
        ),
        (
            refused(ops(), unknown, |_| {}).await,
            "CREDENTIAL_NOT_FOUND",
        ),
        (
            refused(ops(), id, |drill| drill.reason.clear()).await,
            "INVALID_REASON",
        ),
        (
            refused(ops(), id, |drill| {
                drill.timeout = Some(Duration::from_secs(21));
            })
            .await,
            "INVALID_FIELD",
        ),
        (
            refused(ops(), id, |drill| drill.timeout = Some(Duration::ZERO)).await,
            "INVALID_FIELD",
        ),
        (
            refused(as_agent("reader"), id, |_| {}).await,
            "METHOD_NOT_ALLOWED",
        ),
        (refused(verifier(), id, |_| {}).await, "METHOD_NOT_ALLOWED"),
        // As for any revocation, policy is asked about who does it.
        (refused(idle(), id, |_| {}).await, "POLICY_DENIED"),
    ] {
        assert_eq!(found, Some(expected));
    }
    assert!(t.is_active(&canarys).await && t.is_active(&workers).await);
    assert_eq!(t.broker.rules_in_force().0, 0);
    // None of these made a rule, so none counts.
    held(&t, &canarys).await.unwrap();
    let again = issued(&t, "reader").await;
    assert_eq!(
        held(&t, &again).await.unwrap_err().reason(),
        "DRILL_NOT_NOW"
    );
    t.advance(61);
    assert_eq!(
        held(&t, &canarys).await.unwrap_err().reason(),
        "NOT_DRILLABLE"
    );
    held(&t, &again).await.unwrap();
}
