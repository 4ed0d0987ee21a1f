//! What was good once, or elsewhere: roots that left, roots of the other hierarchy, lists of before.

use super::*;

fn add_waiting(all: &mut Vec<KeyRecord>, hierarchy: Hierarchy) -> String {
    let purpose = hierarchy.issuing();
    let record = issuer().make_waiting(purpose, NOW, &kek()).unwrap();
    let request = issuer().request(&record, &kek()).unwrap();
    all.push(record);
    request
}

/// Records in which `root` is the Task hierarchy's.
fn beneath(root: &Elsewhere) -> Vec<KeyRecord> {
    let (all, _, request) = waiting(Hierarchy::Task);
    let file = root.certify(&request, |_| {}) + &root.pem;
    let imported = import(&all, &file, NOW).unwrap();
    taken_over(all, imported)
}

#[test]
fn a_root_serves_one_hierarchy_and_has_one_certificate() {
    let root = offline();
    let mut all = beneath(&root);
    let request = add_waiting(&mut all, Hierarchy::Control);
    let file = root.certify(&request, |_| {}) + &root.pem;
    let error = import(&all, &file, NOW).unwrap_err();
    assert!(error.to_string().contains("another purpose"), "{error}");

    // The same name and key, certified anew.
    let mut params = authority_params("task root, offline", None);
    params.use_authority_key_identifier_extension = false;
    let days = |days| NOW.plus(Duration::from_secs(days * DAY));
    times(&mut params, NOW, days(7000));
    let renewed = params.self_signed(root.signer.key()).unwrap();
    let request = add_waiting(&mut all, Hierarchy::Task);
    let certificate = root.certify(&request, |p| times(p, NOW, days(5000)));
    let error = import(&all, &(certificate + &renewed.pem()), NOW).unwrap_err();
    assert!(
        matches!(error, ImportError::Unfit { .. }) && error.to_string().contains("certificate"),
        "{error}"
    );
}

#[test]
fn a_root_that_left_the_anchors_must_be_made_known_again() {
    let (first, second) = (
        offline(),
        Elsewhere::root("b", &rcgen::PKCS_ECDSA_P256_SHA256),
    );
    let mut all = beneath(&first);
    let request = add_waiting(&mut all, Hierarchy::Task);
    let file = second.certify(&request, |_| {}) + &second.pem;
    let imported = import(&all, &file, NOW).unwrap();
    let mut all = taken_over(all, imported);
    let request = add_waiting(&mut all, Hierarchy::Task);
    let certificate = first.certify(&request, |_| {});
    let still = import(&all, &certificate, NOW).unwrap();
    assert!(matches!(still, Imported::Authority { root: None, .. }));
    let later = NOW.plus(Duration::from_secs(2 * DAY));
    let gone = import(&all, &certificate, later).unwrap();
    assert!(matches!(gone, Imported::Authority { root: Some(_), .. }));
}

#[test]
fn a_list_cannot_bring_a_tainted_authority_back() {
    let root = offline();
    let mut all = beneath(&root);
    let list = |from: i32, until: i32, revoked: &[&[u8]]| {
        let entry = |serial: &&[u8]| rcgen::RevokedCertParams {
            serial_number: rcgen::SerialNumber::from_slice(serial),
            revocation_time: rcgen::date_time_ymd(2023, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(from, 1, 1),
            next_update: rcgen::date_time_ymd(until, 1, 1),
            crl_number: rcgen::SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params.signed_by(&root.signer).unwrap().pem().unwrap()
    };
    let refused = |all: &[KeyRecord], list: String| match import(all, &list, NOW) {
        Err(ImportError::UnfitList { problem }) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&all, list(2022, 2023, &[])), "is over");
    assert_eq!(refused(&all, list(2027, 2033, &[])), "is not valid yet");
    let Ok(Imported::Root(record)) = import(&all, &list(2022, 2033, &[]), NOW) else {
        panic!()
    };
    put(&mut all, *record);
    let older = refused(&all, list(2021, 2033, &[]));
    assert_eq!(older, "is older than the one that is there");

    // Tainted: the list says nothing of it, and goes.
    let active =
        |r: &&KeyRecord| r.purpose == KeyPurpose::TaskIssuing && r.state == KeyState::Active;
    let tainted = all.iter().find(active).unwrap().clone();
    all.push(KeyRecord {
        certificate: None,
        state: KeyState::Prepared,
        ..issuer().make_waiting(tainted.purpose, NOW, &kek()).unwrap()
    });
    for changed in rotation::taint(&all, &tainted.id, NOW).unwrap() {
        put(&mut all, changed);
    }
    assert!(all.iter().all(|record| record.crl.is_none()));
    let silent = refused(&all, list(2023, 2033, &[]));
    assert!(silent.contains("does not name"), "{silent}");
    let serial = CaFacts::read(&tainted.certificate.unwrap()).unwrap().serial;
    let good = import(&all, &list(2023, 2033, &[&serial]), NOW);
    assert!(matches!(good, Ok(Imported::Root(_))), "{good:?}");
}

#[test]
fn a_chain_that_verifiers_would_not_look_at_is_refused() {
    let company = offline();
    let first = company.beneath("one", 4);
    let second = first.beneath("two", 3);
    let third = second.beneath("three", 2);
    let fourth = third.beneath("four", 1);
    let all = records();
    let root = all.iter().find(|r| r.purpose == KeyPurpose::TaskRoot);
    let request = issuer().request(root.unwrap(), &kek()).unwrap();
    let above = second.pem.clone() + &first.pem + &company.pem;
    let crossed = |by: &Elsewhere| {
        by.certify(&request, |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        })
    };
    let longest = crossed(&second) + &above;
    assert!(matches!(import(&all, &longest, NOW), Ok(Imported::Root(_))));
    let file = crossed(&third) + &third.pem + &above;
    let error = import(&all, &file, NOW).unwrap_err().to_string();
    assert!(error.contains("5 certificates"), "{error}");

    let (all, _, request) = waiting(Hierarchy::Task);
    let file = fourth.certify(&request, |_| {}) + &fourth.pem + &third.pem + &above;
    let error = import(&all, &file, NOW).unwrap_err().to_string();
    assert!(error.contains("5 certificates"), "{error}");
}

#[test]
fn an_authority_goes_by_a_name_of_its_own() {
    let (all, _, request) = waiting(Hierarchy::Task);
    let root = offline();
    let active = all.iter().find(|r| r.purpose == KeyPurpose::TaskIssuing);
    let taken = CaFacts::read(active.unwrap().certificate.as_deref().unwrap());
    for (name, expected) in [
        (taken.unwrap().key_identifier, "of another authority"),
        (vec![1; 7], "less than eight bytes"),
    ] {
        let certificate = root.certify(&request, |params| {
            params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(name);
        });
        let error = import(&all, &(certificate + &root.pem), NOW).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
