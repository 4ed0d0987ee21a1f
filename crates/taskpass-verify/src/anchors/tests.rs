use std::sync::Mutex;

use rcgen::{CertificateParams, KeyPair};
use taskpass_core::Timestamp;
use taskpass_core::rng::SeededRng;

use super::*;
use crate::certificate::CertificateError;
use crate::refusal::Refusal;
use crate::testing::{Ca, NOW, World, authority, key};

const YEAR: Duration = Duration::from_hours(24 * 365);

fn years() -> (Timestamp, Timestamp) {
    (NOW.minus(YEAR), NOW.plus(YEAR))
}

fn params(name: &str) -> CertificateParams {
    let (from, until) = years();
    authority(name, from, until)
}

fn root(name: &str) -> Ca {
    Ca::self_signed(params(name), key()).unwrap()
}

fn beneath(name: &str, above: &Ca) -> Ca {
    Ca::signed_by(params(name), key(), above).unwrap()
}

/// A task certificate by `issuing`, which nobody sends along.
fn leaf(world: &World, issuing: &Ca) -> Vec<u8> {
    world
        .leaf()
        .signed_by(&key(), issuing)
        .unwrap()
        .der()
        .to_vec()
}

fn added(added: usize) -> Extended {
    Extended {
        added,
        ..Extended::default()
    }
}

#[test]
fn a_new_issuing_authority_is_known_once_a_trusted_root_vouches_for_it() {
    let world = World::new();
    let verifier = world.verifier();
    let next = beneath("task issuing 2", &world.root);
    let certificate = leaf(&world, &next);
    let refused = verifier.verify_certificate(&certificate, &[]).unwrap_err();
    assert!(
        matches!(&refused, Refusal::Certificate(CertificateError::Untrusted)),
        "{refused}"
    );
    let published = format!("{}{}", world.anchors(), next.pem());
    assert_eq!(verifier.extend_anchors(&published).unwrap(), added(1));
    verifier.verify_certificate(&certificate, &[]).unwrap();
    // What was known stays, also if it is published no more.
    assert_eq!(verifier.extend_anchors(&published).unwrap(), added(0));
    assert_eq!(
        verifier.extend_anchors(&world.root.pem()).unwrap(),
        added(0)
    );
    verifier.verify_certificate(&certificate, &[]).unwrap();
    verifier
        .verify_certificate(&world.certificate(), &[])
        .unwrap();
}

#[test]
fn no_root_is_ever_taken_and_nothing_beneath_one_that_is_not_trusted() {
    let world = World::new();
    let verifier = world.verifier();
    let other = root("task root");
    let theirs = beneath("task issuing", &other);
    let published = format!("{}{}{}", other.pem(), theirs.pem(), world.anchors());
    let outcome = verifier.extend_anchors(&published).unwrap();
    let expected = Extended {
        added: 0,
        strange_roots: 1,
        strange_others: 1,
    };
    assert_eq!(outcome, expected);
    let certificate = leaf(&world, &theirs);
    for chain in [vec![], vec![theirs.der().as_ref(), other.der().as_ref()]] {
        assert!(verifier.verify_certificate(&certificate, &chain).is_err());
    }
}

#[test]
fn only_authorities_of_now_are_taken_in_whatever_order_they_stand() {
    let world = World::new();
    let verifier = world.verifier();
    let middle = beneath("company", &world.root);
    let low = beneath("task issuing 3", &middle);
    let outcome = verifier.extend_anchors(&format!("{}{}", low.pem(), middle.pem()));
    assert_eq!(outcome.unwrap(), added(2));

    let (from, until) = years();
    let over = authority("over", from, NOW);
    let to_come = authority("to come", NOW.plus(Duration::from_mins(1)), until);
    let mut no_authority = params("no authority");
    no_authority.is_ca = rcgen::IsCa::NoCa;
    let mut signs_nothing = params("signs nothing");
    signs_nothing.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    for params in [over, to_come, no_authority, signs_nothing] {
        let signed: KeyPair = key();
        let pem = params.signed_by(&signed, &world.root).unwrap().pem();
        let outcome = verifier.extend_anchors(&pem).unwrap();
        assert_eq!((outcome.added, outcome.strange_others), (0, 1), "{pem}");
    }
    // By somebody with the root's name, and by an end certificate that the authority issued.
    let impostor = beneath("x", &root("task root"));
    assert_eq!(verifier.extend_anchors(&impostor.pem()).unwrap().added, 0);
}

#[test]
fn what_cannot_be_read_or_is_too_much_changes_nothing() {
    let world = World::new();
    let verifier = world.verifier();
    let damaged = world.root.pem().replacen('M', "*", 1);
    assert!(verifier.extend_anchors(&damaged).is_err());
    let many: String = (0..40)
        .map(|n| beneath(&format!("issuing {n}"), &world.root).pem())
        .collect();
    assert_eq!(
        verifier.extend_anchors(&many).unwrap_err(),
        AnchorsError::TooMany
    );
    verifier
        .verify_certificate(&world.certificate(), &[])
        .unwrap();
    assert_eq!(verifier.extend_anchors("").unwrap(), added(0));
}

#[derive(Debug, Default)]
struct Site(Mutex<Vec<Result<String, &'static str>>>);

impl FetchAnchors for Site {
    fn fetch(&self) -> Fetching<'_> {
        let answer = self.0.lock().unwrap().pop();
        Box::pin(async move { answer.unwrap_or(Err("out of reach")).map_err(Into::into) })
    }
}

#[tokio::test]
async fn fetching_adds_and_a_failure_takes_nothing_away() {
    let world = World::new();
    let verifier = world.verifier();
    let next = beneath("task issuing 2", &world.root);
    let answers = [
        Err("down"),
        Ok("nonsense -----BEGIN".to_owned()),
        Ok(next.pem()),
    ];
    let site = Arc::new(Site(Mutex::new(answers.into())));
    let renewal = Anchors::new(verifier.clone(), site, Arc::new(SeededRng::new(1)));
    assert_eq!(renewal.renew().await.unwrap(), added(1));
    let certificate = leaf(&world, &next);
    verifier.verify_certificate(&certificate, &[]).unwrap();
    // A text without certificates brings nothing.
    assert_eq!(renewal.renew().await.unwrap(), added(0));
    assert!(matches!(renewal.renew().await, Err(RenewError::Fetch(_))));
    verifier.verify_certificate(&certificate, &[]).unwrap();
}
