//! Whom a drill waits for, whom it believes, and how often there is one.

use taskpass_core::Timestamp;

use super::*;
use crate::testing::{LEDGER, MAIL, TestBroker};

const SECOND: Duration = Duration::from_secs(1);

async fn credentials() -> (TestBroker, Credential, Credential) {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let one = t.token("reader", task).await.unwrap().credential;
    let two = t.token("reader", task).await.unwrap().credential;
    (t, one, two)
}

fn verifier(name: &str) -> Principal {
    Principal::from_parts("verifier", name).unwrap()
}

fn seat(drills: &Drills, name: &str, target: &str) -> Seat {
    drills.seat(verifier(name), [target.parse().unwrap()].into())
}

fn rule(selector: Selector) -> Rule {
    Rule {
        seq: 1,
        selector,
        issued_before: 0,
        only_target: None,
        reason: String::new(),
        actor: verifier("x"),
        owner: None,
        at: Timestamp::ZERO,
        prune_at: Timestamp::ZERO,
    }
}

#[tokio::test]
async fn a_token_is_for_one_stream_and_one_credential_while_the_drill_runs() {
    let (t, one, two) = credentials().await;
    let drills = Drills::default();
    let ledger = seat(&drills, "ledger", LEDGER);
    let again = seat(&drills, "ledger", LEDGER);
    let mail = seat(&drills, "mail", MAIL);
    let (of_one, of_two) = (
        rule(Selector::Credential(one.id)),
        rule(Selector::Credential(two.id)),
    );
    assert_eq!(ledger.token(&of_one), None, "before");
    let slot = drills.begin(SECOND, SECOND).unwrap();
    assert_eq!(ledger.token(&of_one), None, "before it is armed");
    slot.arm(&one, &*t.rng);
    let late = seat(&drills, "ledger", LEDGER);
    let (first, second) = (ledger.token(&of_one), again.token(&of_one));
    assert!(first.is_some() && second.is_some() && first != second);
    for none in [
        mail.token(&of_one),
        late.token(&of_one),
        ledger.token(&of_two),
        ledger.token(&rule(Selector::Everything)),
    ] {
        assert_eq!(none, None);
    }
    assert_eq!(slot.result().len(), 2, "of the target, and there before");
    drop(slot);
    assert_eq!(ledger.token(&of_one), None, "after");
}

#[tokio::test]
async fn nobody_confirms_for_another_nor_twice_nor_something_else() {
    let (t, one, two) = credentials().await;
    let drills = Drills::default();
    let ledger = seat(&drills, "ledger", LEDGER);
    let other = seat(&drills, "other", LEDGER);
    let said = |who: &str, token: &[u8], credential: &Credential| {
        drills.confirm(&verifier(who), token, credential.id, SECOND)
    };
    assert!(!said("ledger", &[0; 16], &one), "no drill runs");
    let slot = drills.begin(Duration::ZERO, SECOND).unwrap();
    slot.arm(&one, &*t.rng);
    let of_one = rule(Selector::Credential(one.id));
    let token = ledger.token(&of_one).unwrap();
    assert!(!said("other", &token, &one), "another's");
    assert!(!said("ledger", &other.token(&of_one).unwrap(), &one));
    assert!(!said("ledger", &token, &two), "another credential");
    assert!(!said("ledger", &token[..15], &one), "a part of it");
    assert!(!said("ledger", &[], &one));
    assert!(slot.result().iter().all(|(_, refused)| refused.is_none()));
    assert!(said("ledger", &token, &one));
    assert!(!said("ledger", &token, &one), "twice");
    let expected = [
        (verifier("ledger"), Some(SECOND)),
        (verifier("other"), None),
    ];
    assert_eq!(slot.result(), expected);
    assert!(!slot.nobody_is_missing());
    drop(slot);
    assert!(!said("other", &[0; 16], &one), "it is over");
}

#[tokio::test]
async fn a_stream_that_leaves_is_silent_and_not_waited_for() {
    let (t, one, _) = credentials().await;
    let drills = Drills::default();
    let ledger = seat(&drills, "ledger", LEDGER);
    let slot = drills.begin(Duration::ZERO, SECOND).unwrap();
    slot.arm(&one, &*t.rng);
    let waiting = slot.everybody();
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        () = &mut waiting => panic!("nobody has confirmed"),
        () = tokio::task::yield_now() => {}
    }
    drop(ledger);
    waiting.await;
    assert_eq!(slot.result(), [(verifier("ledger"), None)]);
}

#[tokio::test]
async fn one_at_a_time_and_one_a_minute_unless_it_made_no_rule() {
    let drills = Drills::default();
    let refused = |at: Duration| match drills.begin(at, SECOND).map(drop) {
        Ok(()) => None,
        Err(Error::DrillNotNow { retry_after, .. }) => Some(retry_after),
        Err(other) => panic!("{other:?}"),
    };
    let minute = Duration::from_mins(1);
    let slot = drills.begin(minute, 5 * SECOND).unwrap();
    assert_eq!(refused(minute + 2 * SECOND), Some(3 * SECOND));
    assert_eq!(refused(minute + 9 * SECOND), Some(SECOND), "it is slow");
    drop(slot);
    assert_eq!(refused(minute), None, "it revoked nothing");
    let slot = drills.begin(minute, SECOND).unwrap();
    slot.held();
    drop(slot);
    assert_eq!(refused(minute + SECOND), Some(59 * SECOND));
    assert_eq!(refused(2 * minute), None);
}
