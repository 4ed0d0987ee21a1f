use taskpass_core::audit::Attestation;
use taskpass_core::identity::Principal;
use taskpass_core::secret::Sha256;

use crate::testing::{TestBroker, csr, ops};
use crate::{Error, Proved, RevokeWhat};

fn reader() -> Principal {
    Principal::from_parts("agent", "reader").unwrap()
}

async fn token(t: &TestBroker) -> String {
    let fresh = t
        .broker
        .create_enrolment_token(&ops(), &reader())
        .await
        .unwrap();
    fresh.token.expose().to_owned()
}

#[tokio::test]
async fn a_token_enrols_once_and_for_ten_minutes() {
    let t = TestBroker::new().await;
    let first = token(&t).await;
    let late = token(&t).await;
    t.advance(10 * 60 - 1);
    let enrolled = t.broker.enrol(&first, &csr()).await.unwrap();
    assert_eq!((enrolled.generation, enrolled.principal), (1, reader()));
    t.advance(1);
    for refused in [&first, &late, "tpe_", "", &late.replace("tpe_", "TPE_")] {
        let error = t.broker.enrol(refused, &csr()).await.unwrap_err();
        assert!(matches!(error, Error::EnrolmentRefused), "{error:?}");
    }
}

#[tokio::test]
async fn a_refused_request_does_not_use_the_token_up() {
    let t = TestBroker::new().await;
    let token = token(&t).await;
    let malformed = t.broker.enrol(&token, b"no request").await.unwrap_err();
    assert_eq!(malformed.reason(), "INVALID_CSR");
    assert!(t.broker.enrol(&token, &csr()).await.is_ok());
}

#[tokio::test]
async fn revoking_the_agent_voids_what_is_pending_and_what_it_holds() {
    let t = TestBroker::new().await;
    let held = token(&t).await;
    t.broker.enrol(&held, &csr()).await.unwrap();
    let line = taskpass_store::Store::identity(&*t.store, &reader())
        .await
        .unwrap()
        .unwrap();
    let proved = |key: Sha256| Proved {
        principal: reader(),
        attestation: Attestation::Mtls { key },
        issued_at: line.current.issued_at,
        expires_at: line.current.expires_at,
        issued_by: None,
    };
    assert!(
        t.broker
            .standing(&proved(line.current.key), None)
            .await
            .is_ok()
    );
    let stranger = t.broker.standing(&proved(Sha256::of(b"other")), None).await;
    assert_eq!(stranger.unwrap_err().reason(), "UNAUTHENTICATED");

    let pending = token(&t).await;
    t.revoke_with(RevokeWhat::Agent("reader".parse().unwrap()), true)
        .await
        .unwrap();
    t.advance(2);
    let voided = t.broker.enrol(&pending, &csr()).await.unwrap_err();
    assert!(matches!(voided, Error::EnrolmentRefused));
    let old = t.broker.standing(&proved(line.current.key), None).await;
    assert_eq!(old.unwrap_err().reason(), "UNAUTHENTICATED");
    // With a fresh token it is itself again, one generation on.
    let fresh = token(&t).await;
    assert_eq!(t.broker.enrol(&fresh, &csr()).await.unwrap().generation, 2);
}

#[tokio::test]
async fn an_identity_ends_by_the_clock() {
    let t = TestBroker::new().await;
    let held = token(&t).await;
    t.broker.enrol(&held, &csr()).await.unwrap();
    let line = taskpass_store::Store::identity(&*t.store, &reader())
        .await
        .unwrap()
        .unwrap();
    let proved = Proved {
        principal: reader(),
        attestation: Attestation::Mtls {
            key: line.current.key,
        },
        issued_at: line.current.issued_at,
        expires_at: line.current.expires_at,
        issued_by: None,
    };
    t.advance(24 * 3600 - 1);
    assert!(t.broker.standing(&proved, None).await.is_ok());
    t.advance(1);
    let ended = t.broker.standing(&proved, None).await.unwrap_err();
    assert_eq!(ended.reason(), "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_key_that_two_holders_had_does_not_enrol_again() {
    let t = TestBroker::new().await;
    let first = token(&t).await;
    t.broker.enrol(&first, &csr()).await.unwrap();
    let line = taskpass_store::Store::identity(&*t.store, &reader())
        .await
        .unwrap()
        .unwrap();
    let caller = crate::Standing {
        decision: None,
        attestation: Attestation::Mtls {
            key: line.current.key,
        },
        ..crate::testing::as_agent("reader")
    };
    let second = csr();
    t.broker.renew_identity(&caller, &second).await.unwrap();
    let theft = t.broker.renew_identity(&caller, &csr()).await.unwrap_err();
    assert_eq!(theft.reason(), "IDENTITY_CONFLICT");

    let fresh = token(&t).await;
    let copied = t.broker.enrol(&fresh, &second).await.unwrap_err();
    assert_eq!(copied.reason(), "INVALID_CSR");
    let anew = t.broker.enrol(&fresh, &csr()).await.unwrap();
    assert_eq!(anew.generation, 3);
}

#[tokio::test]
async fn somebody_can_be_stopped_while_the_clock_is_not_trusted() {
    use taskpass_core::registry::{RowKey, State};

    let t = TestBroker::new().await;
    t.start("reader", &["read"]).await.unwrap();
    t.clock
        .jump_to(t.now().minus(std::time::Duration::from_mins(10)));
    assert!(!t.broker.clock_is_safe());
    let ledger = RowKey::Verifier("ledger".parse().unwrap());
    let row = t.broker.suspend(&ops(), ledger, "stolen").await.unwrap();
    let taskpass_core::registry::Row::Verifier(verifier) = row.value.clone() else {
        panic!("another kind");
    };
    assert_eq!(verifier.state, State::Suspended);
}

/// What happens to a line, and whether it ends: each step names the certificate that calls, by its
/// place, and the signing request that it brings, by its number.
#[tokio::test]
async fn only_a_second_successor_of_one_generation_is_a_theft() {
    for (what, steps, theft) in [
        (
            "each renews in its turn",
            &[(0, 1), (1, 2), (2, 3)][..],
            false,
        ),
        (
            "lost replies and retries",
            &[(0, 1), (0, 1), (0, 1), (1, 2), (1, 2)],
            false,
        ),
        (
            "a pooled connection repeats, and the next goes on",
            &[(0, 1), (1, 2), (1, 2)],
            false,
        ),
        (
            "a copy follows after the holder did",
            &[(0, 1), (0, 2)],
            true,
        ),
        (
            "the holder follows after a copy did",
            &[(0, 2), (0, 1)],
            true,
        ),
        ("a copy of a later one", &[(0, 1), (1, 2), (1, 3)], true),
        ("a retry, and then a copy", &[(0, 1), (0, 1), (0, 2)], true),
        (
            "the holder follows after a copy did twice",
            &[(0, 1), (1, 2), (0, 3)],
            true,
        ),
        (
            "a request that was answered long ago comes again",
            &[(0, 1), (1, 2), (0, 1)],
            false,
        ),
    ] {
        let t = TestBroker::new().await;
        let requests = [csr(), csr(), csr(), csr()];
        let held = token(&t).await;
        t.broker.enrol(&held, &requests[0]).await.unwrap();
        let mut keys = vec![current_key(&t).await];
        let mut outcomes = Vec::new();
        for (by, request) in steps {
            let caller = crate::Standing {
                attestation: Attestation::Mtls { key: keys[*by] },
                ..crate::testing::as_agent("reader")
            };
            let outcome = t.broker.renew_identity(&caller, &requests[*request]).await;
            outcomes.push(
                outcome
                    .map(|enrolled| enrolled.generation)
                    .map_err(|e| e.reason()),
            );
            let newest = current_key(&t).await;
            if !keys.contains(&newest) {
                keys.push(newest);
            }
        }
        let ended = outcomes.last() == Some(&Err("IDENTITY_CONFLICT"));
        assert_eq!(ended, theft, "{what}: {outcomes:?}");
        assert!(
            outcomes.iter().rev().skip(1).all(Result::is_ok),
            "{what}: {outcomes:?}"
        );
        // Of a theft both ends of the line are told, and nobody else is.
        let line = taskpass_store::Store::identity(&*t.store, &reader()).await;
        let line = line.unwrap().unwrap();
        assert_eq!(line.broken_at.is_some(), theft, "{what}");
        for key in [Some(line.current.key), line.previous.map(|link| link.key)] {
            let Some(key) = key else { continue };
            let accepted = line.standing(key, t.now());
            assert_eq!(
                accepted == taskpass_core::identity::Standing::Refused,
                theft,
                "{what}"
            );
        }
        let entries = taskpass_store::Store::outbox(&*t.store, usize::MAX)
            .await
            .unwrap();
        let alerts = entries
            .iter()
            .filter(|entry| String::from_utf8_lossy(&entry.json).contains("\"identity.theft\""));
        assert_eq!(alerts.count(), usize::from(theft), "{what}");
    }
}

async fn current_key(t: &TestBroker) -> Sha256 {
    let line = taskpass_store::Store::identity(&*t.store, &reader()).await;
    line.unwrap().unwrap().current.key
}
