//! Lists and chains as rustls-webpki judges them, denying what it has no list for.

use super::*;
use crate::certificate::tests::{sign, terms};
use crate::issuer::tests::{NOW, config, issuer, kek, records};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, Error, ExpirationPolicy,
    KeyUsage, RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
    anchor_from_trusted_cert,
    ring::{ECDSA_P256_SHA256, ED25519},
};
use x509_parser::prelude::{FromDer as _, ParsedExtension};
use x509_parser::revocation_list::CertificateRevocationList;

/// The first list of an hour.
fn first_of(hour: u64) -> ListId {
    ListId { hour, list: 0 }
}

/// Whether `leaf` is accepted as a client of `hierarchy` at `now`, with these lists; without any,
/// revocation is not looked at. With `whole`, the issuing authority needs a list as well.
fn judge(
    issuer: &Issuer,
    hierarchy: Hierarchy,
    leaf: &[u8],
    lists: &[Vec<u8>],
    now: Timestamp,
    depth: RevocationCheckDepth,
) -> Result<(), Error> {
    let leaf = CertificateDer::from(leaf);
    let root = CertificateDer::from(issuer.root_der(hierarchy));
    let anchors = [anchor_from_trusted_cert(&root)?];
    let intermediates: Vec<_> = issuer
        .branch(hierarchy)
        .issuing
        .iter()
        .map(|authority| authority.der.clone())
        .collect();
    let lists: Vec<_> = lists
        .iter()
        .map(|der| BorrowedCertRevocationList::from_der(der).map(CertRevocationList::from))
        .collect::<Result<_, _>>()?;
    let lists: Vec<_> = lists.iter().collect();
    let options = (!lists.is_empty()).then(|| {
        RevocationOptionsBuilder::new(&lists)
            .unwrap()
            .with_depth(depth)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build()
    });
    EndEntityCert::try_from(&leaf)?
        .verify_for_usage(
            &[ECDSA_P256_SHA256, ED25519],
            &anchors,
            &intermediates,
            UnixTime::since_unix_epoch(Duration::from_secs(now.secs())),
            KeyUsage::client_auth(),
            options,
            None,
        )
        .map(|_| ())
}

pub(crate) fn client(
    issuer: &Issuer,
    hierarchy: Hierarchy,
    leaf: &[u8],
    lists: &[Vec<u8>],
    now: Timestamp,
) -> Result<(), Error> {
    let depth = RevocationCheckDepth::EndEntity;
    judge(issuer, hierarchy, leaf, lists, now, depth)
}

/// Whether `leaf` is accepted as the broker's server under `name`.
pub(crate) fn server(
    issuer: &Issuer,
    leaf: &[u8],
    name: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let leaf = CertificateDer::from(leaf);
    let root = CertificateDer::from(issuer.root_der(Hierarchy::Control));
    let anchors = [anchor_from_trusted_cert(&root)?];
    let intermediate = [issuer.branch(Hierarchy::Control).active.der.clone()];
    let certificate = EndEntityCert::try_from(&leaf)?;
    certificate.verify_for_usage(
        &[ECDSA_P256_SHA256],
        &anchors,
        &intermediate,
        UnixTime::since_unix_epoch(Duration::from_secs(now.secs())),
        KeyUsage::server_auth(),
        None,
        None,
    )?;
    certificate.verify_is_valid_for_subject_name(&ServerName::try_from(name).unwrap())
}

fn entry(id: CredentialId) -> CrlEntry {
    CrlEntry {
        id,
        at: NOW,
        reason: CrlReason::PrivilegeWithdrawn,
    }
}

#[test]
fn a_revoked_certificate_is_refused_and_its_sibling_is_not() {
    let issuer = issuer();
    for alg in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let terms = terms(alg);
        let one = sign(&issuer, terms.clone(), 1);
        let two = sign(&issuer, terms, 2);
        let authority = &issuer.authorities(Hierarchy::Task, NOW)[0].id;
        let bucket = list_hour(one.credential.expires_at());
        let judge = |leaf: &[u8], list: &Vec<u8>, now| {
            client(
                &issuer,
                Hierarchy::Task,
                leaf,
                std::slice::from_ref(list),
                now,
            )
        };

        let empty = issuer
            .crl(authority, first_of(bucket), &[], 1, NOW)
            .unwrap();
        assert_eq!(judge(&one.der, &empty, NOW), Ok(()));
        assert_eq!(judge(&two.der, &empty, NOW), Ok(()));

        let revoked = [entry(one.credential.id)];
        let list = issuer
            .crl(authority, first_of(bucket), &revoked, 2, NOW)
            .unwrap();
        assert_eq!(judge(&one.der, &list, NOW), Err(Error::CertRevoked));
        assert_eq!(judge(&two.der, &list, NOW), Ok(()));

        // Without a list for its hour, its authority, or its time, a certificate is refused.
        let other = issuer
            .crl(authority, first_of(bucket + 1), &[], 3, NOW)
            .unwrap();
        assert_eq!(
            judge(&two.der, &other, NOW),
            Err(Error::UnknownRevocationStatus)
        );
        let stranger = &issuer.authorities(Hierarchy::Task, NOW)[1].id;
        let other = issuer.crl(stranger, first_of(bucket), &[], 4, NOW).unwrap();
        assert_eq!(
            judge(&two.der, &other, NOW),
            Err(Error::UnknownRevocationStatus)
        );
        let stale = NOW.plus(CRL_LIFE);
        assert!(matches!(
            judge(&two.der, &list, stale),
            Err(Error::CrlExpired { .. })
        ));
    }
}

#[test]
fn a_task_certificate_is_for_task_clients_in_its_time() {
    let issuer = issuer();
    let signed = sign(&issuer, terms(&rcgen::PKCS_ED25519), 1);
    let judge = |hierarchy, now| client(&issuer, hierarchy, &signed.der, &[], now);
    let expires = signed.credential.expires_at();
    assert_eq!(judge(Hierarchy::Task, NOW), Ok(()));
    assert!(judge(Hierarchy::Control, NOW).is_err());
    assert_eq!(
        judge(Hierarchy::Task, NOW.minus(Duration::from_mins(1))),
        Ok(())
    );
    let early = NOW.minus(Duration::from_secs(61));
    assert!(matches!(
        judge(Hierarchy::Task, early),
        Err(Error::CertNotValidYet { .. })
    ));
    let last = expires.minus(Duration::from_secs(1));
    assert_eq!(judge(Hierarchy::Task, last), Ok(()));
    assert!(matches!(
        judge(Hierarchy::Task, expires),
        Err(Error::CertExpired { .. })
    ));
    assert!(server(&issuer, &signed.der, "localhost", NOW).is_err());
}

#[test]
fn the_form_of_a_list() {
    let issuer = issuer();
    let authority = &issuer.authorities(Hierarchy::Task, NOW)[0];
    let bucket = 500_000;
    let id = |n: u64| CredentialId::first_at(Timestamp::from_secs(bucket * 3600 + n));
    let reasons = [
        CrlReason::KeyCompromise,
        CrlReason::Superseded,
        CrlReason::CessationOfOperation,
        CrlReason::PrivilegeWithdrawn,
    ];
    let entries: Vec<_> = reasons
        .iter()
        .zip(0..)
        .map(|(reason, n)| CrlEntry {
            id: id(n),
            at: NOW,
            reason: *reason,
        })
        .collect();
    let der = issuer
        .crl(&authority.id, first_of(bucket), &entries, 77, NOW)
        .unwrap();
    let (rest, list) = CertificateRevocationList::from_der(&der).unwrap();
    assert!(rest.is_empty());
    let now = i64::try_from(NOW.secs()).unwrap();
    assert_eq!(list.next_update().unwrap().timestamp() - now, 300);
    // For clients whose clocks are behind.
    assert_eq!(now - list.last_update().timestamp(), 60);
    assert_eq!(list.crl_number().unwrap().to_string(), "77");
    let codes: Vec<_> = list
        .iter_revoked_certificates()
        .map(|entry| {
            (
                entry.raw_serial().to_vec(),
                entry.reason_code().unwrap().1.0,
            )
        })
        .collect();
    let expected: Vec<_> = (0..)
        .zip([1, 4, 5, 9])
        .map(|(n, code)| (id(n).as_bytes().to_vec(), code))
        .collect();
    assert_eq!(codes, expected);
    let critical: Vec<_> = list
        .extensions()
        .iter()
        .filter(|extension| extension.critical)
        .map(|extension| extension.oid.to_id_string())
        .collect();
    assert_eq!(critical, ["2.5.29.28"]);
    let identifier =
        list.extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(aki) => aki.key_identifier.as_ref(),
                _ => None,
            });
    assert_eq!(identifier.unwrap().0, authority.key_identifier);

    let stray = [entry(CredentialId::first_at(NOW))];
    assert!(matches!(
        issuer.crl(&authority.id, first_of(bucket), &stray, 1, NOW),
        Err(CrlError::OtherBucket(_))
    ));
    let unknown: AuthorityId = "0123456789abcdef".parse().unwrap();
    assert!(matches!(
        issuer.crl(&unknown, first_of(bucket), &[], 1, NOW),
        Err(CrlError::UnknownAuthority(_))
    ));
    // The Control hierarchy has no lists.
    let control = &issuer.authorities(Hierarchy::Control, NOW)[0].id;
    assert!(issuer.crl(control, first_of(bucket), &[], 1, NOW).is_err());
}

#[test]
fn whole_chains_are_checked_with_the_roots_list() {
    let before = issuer();
    let signed = sign(&before, terms(&rcgen::PKCS_ED25519), 1);
    let authority = &before.authorities(Hierarchy::Task, NOW)[0].id;
    let bucket = list_hour(signed.credential.expires_at());
    let own = before
        .crl(authority, first_of(bucket), &[], 1, NOW)
        .unwrap();
    let root = before.root_crl(Hierarchy::Task, NOW).unwrap();
    let depth = RevocationCheckDepth::Chain;
    let verdict = |issuer: &Issuer, lists: &[Vec<u8>]| {
        judge(issuer, Hierarchy::Task, &signed.der, lists, NOW, depth)
    };
    let alone = verdict(&before, std::slice::from_ref(&own));
    assert_eq!(alone, Err(Error::UnknownRevocationStatus));
    assert_eq!(verdict(&before, &[own.clone(), root]), Ok(()));

    // The authority is tainted: the root's list says so, and it is published no more.
    let mut keys = records();
    let key = signed.credential.key.clone();
    for changed in crate::rotation::taint(&keys, &key, NOW).unwrap() {
        let place = keys.iter().position(|record| record.id == changed.id);
        keys[place.unwrap()] = changed;
    }
    let after = Issuer::open(keys, config(), &kek()).unwrap();
    let root = after.root_crl(Hierarchy::Task, NOW).unwrap();
    assert_eq!(verdict(&before, &[own, root]), Err(Error::CertRevoked));
    assert!(client(&after, Hierarchy::Task, &signed.der, &[], NOW).is_err());
    assert!(after.crl(authority, first_of(bucket), &[], 2, NOW).is_err());
    assert_eq!(after.authorities(Hierarchy::Task, NOW).len(), 1);
    let next = sign(&after, terms(&rcgen::PKCS_ED25519), 2);
    assert_ne!(next.credential.key, key);
    assert_eq!(client(&after, Hierarchy::Task, &next.der, &[], NOW), Ok(()));
}

#[test]
fn a_certificate_of_a_second_list_is_judged_by_that_one_only() {
    let issuer = issuer();
    let grant = crate::issuer::tests::grant("invoice-bot", taskpass_core::grant::Ask::Certificate);
    let prepared = issuer
        .prepare_certificate(
            grant,
            terms(&rcgen::PKCS_ED25519),
            &taskpass_core::rng::SeededRng::new(5),
        )
        .unwrap();
    let place = taskpass_core::listing::ListPlace::new(1, 7).unwrap();
    let signed = issuer.sign_certificate(prepared.listed_at(place)).unwrap();
    assert_eq!(signed.credential.listed, Some(place));
    let hour = list_hour(signed.credential.id.expires_at());
    let authority = &issuer.authorities(Hierarchy::Task, NOW)[0].id;
    let id = ListId { hour, list: 1 };
    assert!(
        issuer
            .crl_location(authority, id)
            .ends_with(&format!("/{hour}-1.crl"))
    );
    let entry = CrlEntry {
        id: signed.credential.id,
        at: NOW,
        reason: CrlReason::PrivilegeWithdrawn,
    };
    let list = |id, revoked: &[CrlEntry]| issuer.crl(authority, id, revoked, 1, NOW).unwrap();
    let judged = |lists: &[Vec<u8>]| {
        let depth = RevocationCheckDepth::EndEntity;
        judge(&issuer, Hierarchy::Task, &signed.der, lists, NOW, depth)
    };
    let first = list(first_of(hour), &[]);
    assert_eq!(
        judged(std::slice::from_ref(&first)),
        Err(Error::UnknownRevocationStatus)
    );
    assert_eq!(judged(&[first.clone(), list(id, &[])]), Ok(()));
    assert_eq!(
        judged(&[first, list(id, &[entry])]),
        Err(Error::CertRevoked)
    );
}
