//! Drills: what is confirmed, and what is not.

use taskpass_api::v1::Revocation;
use taskpass_core::CredentialId;

use super::*;

const TOKEN: [u8; 16] = [7; 16];

/// The rule `seq` about a credential, with a drill's token.
fn drilled(seq: u64, id: CredentialId, token: &[u8]) -> (Rule, Revocation) {
    let rule = rule(seq, Selector::Credential(id), NOW);
    let wire = Revocation {
        drill: token.to_vec().into(),
        ..Broker::wire(&rule)
    };
    (rule, wire)
}

fn credential(bench: &Bench) -> CredentialId {
    bench.world.id_until(NOW.plus(Duration::from_mins(5)))
}

/// A feed that is confirmed at rule 1, with its stream.
async fn begun() -> (Bench, Messages) {
    let mut bench = Bench::start().await;
    let stream = bench.stream((0, 0)).await;
    stream.send(Ok(bench.broker.snapshot(&[], 1))).unwrap();
    bench.beat(&stream, &[], 1);
    bench.verifier.wait_until_ready().await;
    (bench, stream)
}

#[tokio::test]
async fn a_drill_is_confirmed_once_its_rule_holds_and_no_other_rule_is() {
    let (mut bench, stream) = begun().await;
    let (one, two) = (credential(&bench), credential(&bench));
    assert_ne!(one, two);
    assert_eq!(bench.verifier.refuses(two), None);
    let (_, plain) = drilled(2, one, &[]);
    let (_, flagged) = drilled(3, two, &TOKEN);
    let frame = Broker::raw_frame(1, 3, vec![plain, flagged]);
    stream.send(Ok(frame)).unwrap();
    let (confirmed, answer) = bench.confirmations.recv().await.unwrap();
    assert_eq!(confirmed.drill, TOKEN.to_vec());
    assert_eq!(confirmed.credential_id, two.to_string());
    assert_eq!(confirmed.seq, 3);
    assert_eq!(bench.verifier.refuses(two), Some(3), "before it said so");
    // The feed goes on while the answer is not there; and of a second drill nothing is said meanwhile.
    let (_, third) = drilled(4, credential(&bench), &TOKEN);
    stream
        .send(Ok(Broker::raw_frame(3, 4, vec![third])))
        .unwrap();
    bench.verifier.wait_for_seq(4).await;
    answer.send(true).unwrap();
    bench.stop.send(()).unwrap();
    bench.running.await.unwrap();
    assert!(bench.confirmations.try_recv().is_err());
}

#[tokio::test]
async fn a_broker_that_takes_no_confirmation_loses_nothing() {
    let (mut bench, stream) = begun().await;
    let (first, wire) = drilled(2, credential(&bench), &TOKEN);
    stream
        .send(Ok(Broker::raw_frame(1, 2, vec![wire])))
        .unwrap();
    let (_, answer) = bench.confirmations.recv().await.unwrap();
    drop(answer);
    bench.beat(&stream, std::slice::from_ref(&first), 2);
    let verifier = bench.verifier.clone();
    until(|| verifier.metrics().staleness == Some(Duration::ZERO)).await;
    assert_eq!(verifier.metrics().connects, 1);
    // And the next drill is confirmed again, once the failed one is done with.
    let mut seq = 2;
    let again = loop {
        seq += 1;
        let (_, wire) = drilled(seq, credential(&bench), &TOKEN);
        stream
            .send(Ok(Broker::raw_frame(seq - 1, seq, vec![wire])))
            .unwrap();
        bench.verifier.wait_for_seq(seq).await;
        let soon = tokio::time::timeout(Duration::from_millis(50), bench.confirmations.recv());
        if let Ok(Some((confirmed, _))) = soon.await {
            break confirmed;
        }
        assert!(seq < 200, "it is never confirmed again");
    };
    assert_eq!(again.seq, seq);
}

#[test]
fn only_a_credentials_rule_with_a_token_of_some_bytes_is_a_drill() {
    let id = CredentialId::first_at(NOW);
    let (_, good) = drilled(1, id, &TOKEN);
    let with = |change: fn(&mut Revocation)| {
        let mut wire = good.clone();
        change(&mut wire);
        super::super::drill::among(&[wire]).is_some()
    };
    assert!(with(|_| {}));
    assert!(with(|wire| wire.drill = vec![0; 64].into()));
    for (what, change) in [
        (
            "no token",
            (|wire| wire.drill = Vec::new().into()) as fn(&mut Revocation),
        ),
        ("too long", |wire| wire.drill = vec![0; 65].into()),
        ("of a task", |wire| {
            let task = rule(1, Selector::Task(task_id(1)), NOW);
            wire.selector = Broker::wire(&task).selector;
        }),
        ("of nothing", |wire| wire.selector = None),
        ("of no id", |wire| {
            use taskpass_api::v1::revocation_selector::Selector as Wire;
            if let Some(selector) = &mut wire.selector {
                selector.selector = Some(Wire::CredentialId("x".into()));
            }
        }),
    ] {
        assert!(!with(change), "{what}");
    }
}
