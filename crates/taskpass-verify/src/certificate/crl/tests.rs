use std::time::Duration;

use proptest::prelude::*;
use rcgen::{
    CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, KeyIdMethod, RevocationReason, RevokedCertParams,
    SerialNumber,
};

use super::*;
use crate::refusal::Reason;
use crate::testing::{Ca, NOW, World, authority, key};

const HERE: &str = "https://broker.example/crl/a/500000.crl";
const ELSEWHERE: &str = "https://broker.example/crl/a/500001.crl";
const LIFE: Duration = Duration::from_mins(5);

/// A list, good until changed.
struct Draft {
    from: Timestamp,
    until: Timestamp,
    number: u64,
    location: Option<&'static str>,
    revoked: Vec<Vec<u8>>,
}

impl Draft {
    fn leaves(number: u64) -> Self {
        Self {
            from: NOW,
            until: NOW.plus(LIFE),
            number,
            location: Some(HERE),
            revoked: Vec::new(),
        }
    }

    fn root(number: u64) -> Self {
        Self {
            until: NOW.plus(Duration::from_hours(24 * 90)),
            location: None,
            ..Self::leaves(number)
        }
    }

    fn revoking(mut self, serial: &[u8]) -> Self {
        self.revoked.push(serial.to_vec());
        self
    }

    fn sign(self, ca: &Ca) -> Vec<u8> {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let at = |time: Timestamp| epoch + Duration::from_secs(time.secs());
        let params = CertificateRevocationListParams {
            this_update: at(self.from),
            next_update: at(self.until),
            crl_number: SerialNumber::from(self.number),
            issuing_distribution_point: self.location.map(|uri| CrlIssuingDistributionPoint {
                distribution_point: point(uri),
                scope: Some(CrlScope::UserCertsOnly),
            }),
            revoked_certs: self
                .revoked
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: SerialNumber::from_slice(serial),
                    revocation_time: at(self.from),
                    reason_code: Some(RevocationReason::PrivilegeWithdrawn),
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(ca).unwrap().der().to_vec()
    }
}

fn point(uri: &str) -> CrlDistributionPoint {
    CrlDistributionPoint {
        uris: vec![uri.to_owned()],
    }
}

fn verifier(world: &World) -> CrlVerifier {
    let domain = "example.org".parse().unwrap();
    CrlVerifier::new(domain, &world.anchors(), Arc::new(world.clock.clone())).unwrap()
}

/// One with the lists of both authorities.
fn listed(world: &World) -> CrlVerifier {
    let verifier = verifier(world);
    verifier.take(&Draft::root(1).sign(&world.root)).unwrap();
    verifier
        .take(&Draft::leaves(1).sign(&world.issuing))
        .unwrap();
    verifier
}

fn leaf(world: &World) -> CertificateParams {
    let mut params = world.leaf();
    params.crl_distribution_points = vec![point(HERE)];
    params
}

fn serial(params: &CertificateParams) -> Vec<u8> {
    params.serial_number.as_ref().unwrap().to_bytes()
}

fn word(verifier: &CrlVerifier, leaf: &[u8]) -> &'static str {
    match verifier.verify_certificate(leaf, &[]) {
        Ok(_) => "good",
        Err(Refusal::Listed) => "listed",
        Err(Refusal::NotListed) => "not listed",
        Err(Refusal::ListStale) => "stale",
        Err(Refusal::Certificate(CertificateError::Shape(_))) => "shape",
        Err(Refusal::Certificate(CertificateError::Untrusted)) => "untrusted",
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn what_is_listed_is_refused_and_the_others_are_not() {
    let world = World::new();
    let verifier = listed(&world);
    let (params, bystander) = (leaf(&world), leaf(&world));
    let (der, other) = (world.issue(&params), world.issue(&bystander));
    assert_eq!(word(&verifier, &der), "good");
    let list = Draft::leaves(2).revoking(&serial(&params));
    verifier.take(&list.sign(&world.issuing)).unwrap();
    assert_eq!(word(&verifier, &der), "listed");
    assert_eq!(word(&verifier, &other), "good");
    let refusal = verifier.verify_certificate(&der, &[]).unwrap_err();
    assert_eq!(
        (refusal.reason(), refusal.is_ours()),
        (Reason::Revoked, false)
    );
}

#[test]
fn lists_are_required_for_the_whole_path() {
    let world = World::new();
    let der = world.issue(&leaf(&world));
    let root = Draft::root(1).sign(&world.root);
    let leaves = Draft::leaves(1).sign(&world.issuing);
    for (lists, expected) in [
        (vec![], "not listed"),
        (vec![&root], "not listed"),
        (vec![&leaves], "not listed"),
        (vec![&root, &leaves], "good"),
        (vec![&leaves, &root], "good"),
    ] {
        let verifier = verifier(&world);
        for list in lists {
            verifier.take(list).unwrap();
        }
        assert_eq!(word(&verifier, &der), expected);
    }
    // The issuing authority itself is revoked.
    let (_, issuing) = x509_parser::parse_x509_certificate(world.issuing.der()).unwrap();
    let verifier = listed(&world);
    let list = Draft::root(2).revoking(issuing.raw_serial());
    verifier.take(&list.sign(&world.root)).unwrap();
    assert_eq!(word(&verifier, &der), "listed");
}

#[test]
fn a_list_is_good_until_its_next_update_and_no_longer() {
    let world = World::new();
    let verifier = listed(&world);
    let der = world.issue(&leaf(&world));
    assert_eq!(verifier.next_update(), Some(NOW.plus(LIFE)));
    world
        .clock
        .jump_to(NOW.plus(LIFE).minus(Duration::from_millis(1)));
    assert_eq!(word(&verifier, &der), "good");
    world.clock.jump_to(NOW.plus(LIFE));
    assert_eq!(word(&verifier, &der), "stale");
    let refusal = verifier.verify_certificate(&der, &[]).unwrap_err();
    assert_eq!((refusal.reason(), refusal.is_ours()), (Reason::Stale, true));
    // One that is over already does not help, a new one does.
    let old = Draft::leaves(2).sign(&world.issuing);
    assert_eq!(verifier.take(&old), Err(CrlError::Over));
    let mut draft = Draft::leaves(3);
    (draft.from, draft.until) = (NOW.plus(LIFE), NOW.plus(LIFE * 2));
    verifier.take(&draft.sign(&world.issuing)).unwrap();
    assert_eq!(word(&verifier, &der), "good");
}

#[test]
fn only_lists_of_our_authorities_and_never_an_older_one() {
    let (world, stranger) = (World::new(), World::new());
    let verifier = listed(&world);
    let params = leaf(&world);
    let der = world.issue(&params);
    let revoking = |number| Draft::leaves(number).revoking(&serial(&params));
    verifier.take(&revoking(7).sign(&world.issuing)).unwrap();
    for (list, expected) in [
        // The same names, another key.
        (
            Draft::leaves(9).sign(&stranger.issuing),
            CrlError::Untrusted,
        ),
        (Draft::leaves(6).sign(&world.issuing), CrlError::Older),
        (b"nothing".to_vec(), CrlError::Malformed),
        (vec![], CrlError::Malformed),
        (
            Draft {
                from: NOW.plus(Duration::from_secs(61)),
                ..Draft::leaves(9)
            }
            .sign(&world.issuing),
            CrlError::NotYetValid,
        ),
    ] {
        assert_eq!(verifier.take(&list), Err(expected));
        assert_eq!(word(&verifier, &der), "listed");
    }
    // The same number again, such as from a cache, is no step back.
    verifier.take(&revoking(7).sign(&world.issuing)).unwrap();
    // A larger number that is longer, not larger digit by digit.
    verifier
        .take(&Draft::leaves(256).sign(&world.issuing))
        .unwrap();
    assert_eq!(
        verifier.take(&revoking(255).sign(&world.issuing)),
        Err(CrlError::Older)
    );
    assert_eq!(word(&verifier, &der), "good");
}

/// A certificate that names no list must not pass because a list of another hour is empty.
#[test]
fn the_list_must_be_the_certificates_own() {
    let world = World::new();
    let verifier = listed(&world);
    let issue = |points: Vec<CrlDistributionPoint>| {
        let mut params = world.leaf();
        params.crl_distribution_points = points;
        world.issue(&params)
    };
    let two = CrlDistributionPoint {
        uris: vec![HERE.into(), ELSEWHERE.into()],
    };
    for (points, expected) in [
        (vec![point(HERE)], "good"),
        (vec![point(ELSEWHERE)], "not listed"),
        (vec![], "shape"),
        (vec![two], "shape"),
        (vec![point(HERE), point(ELSEWHERE)], "shape"),
    ] {
        assert_eq!(word(&verifier, &issue(points)), expected);
    }
}

#[test]
fn an_authority_that_may_not_sign_lists_does_not() {
    let world = World::new();
    let year = Duration::from_hours(24 * 365);
    let mut params = authority("task issuing", NOW.minus(year), NOW.plus(year));
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    // The same key with and without the right.
    let pair = key();
    let again = rcgen::KeyPair::from_pem(&pair.serialize_pem()).unwrap();
    let without = Ca::signed_by(params, pair, &world.root).unwrap();
    let with = authority("task issuing", NOW.minus(year), NOW.plus(year));
    let with = Ca::signed_by(with, again, &world.root).unwrap();
    let anchors = format!("{}{}", world.root.pem(), without.pem());
    let clock = Arc::new(world.clock.clone());
    let verifier = CrlVerifier::new("example.org".parse().unwrap(), &anchors, clock).unwrap();
    let list = Draft::leaves(1).sign(&with);
    assert_eq!(verifier.take(&list), Err(CrlError::Untrusted));
}

#[test]
fn a_certificate_is_judged_before_its_lists() {
    let (world, stranger) = (World::new(), World::new());
    let verifier = listed(&world);
    let control = Ca::self_signed(authority("control", NOW, NOW.plus(LIFE)), key()).unwrap();
    let der = leaf(&stranger).signed_by(&key(), &control).unwrap();
    assert_eq!(word(&verifier, der.der()), "untrusted");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_changed_list_is_not_taken(at: prop::sample::Index, bit in 0_u8..8, cut: bool) {
        let world = World::new();
        let verifier = verifier(&world);
        let mut list = Draft::leaves(1).revoking(&[1, 2, 3]).sign(&world.issuing);
        let place = at.index(list.len());
        if cut {
            list.truncate(place);
        } else {
            list[place] ^= 1 << bit;
        }
        prop_assert!(verifier.take(&list).is_err());
    }
}
