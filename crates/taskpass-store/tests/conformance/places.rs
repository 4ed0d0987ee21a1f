//! Leases of places on the lists of an hour.

use taskpass_core::credential::CredentialKind;
use taskpass_core::listing::list_hour;
use taskpass_store::{Change, Commit, Guard, LeasedPlaces, Refusal};

use crate::subject::Subject;
use crate::values::*;

const HOUR: u64 = 3600;

fn lease(kind: CredentialKind, hour: u64, from: u64, to: u64) -> Commit {
    Commit::new(at(1))
        .guard(Guard::NextPlace {
            kind,
            hour,
            next: from,
        })
        .change(Change::LeasePlaces {
            kind,
            hour,
            next: to,
        })
}

pub(crate) fn are_leased_once(subject: &mut dyn Subject) {
    let (token, certificate) = (CredentialKind::Token, CredentialKind::Certificate);
    // Two that read the same: the second is told where to go on.
    let group = [
        lease(token, 5, 0, 4096),
        lease(token, 5, 0, 4096),
        lease(token, 5, 4096, 8192),
        lease(certificate, 5, 0, 1),
        lease(token, 6, 0, 2),
    ];
    let outcomes = subject.apply(&group);
    let refused: Vec<_> = outcomes.into_iter().map(Result::err).collect();
    let told = Some(Refusal::PlacesLeased { next: 4096 });
    assert_eq!(refused, [None, told, None, None, None]);
    subject.reopen();
    let row = |kind, hour, next| LeasedPlaces { kind, hour, next };
    assert_eq!(
        subject.reader().leased_places().unwrap(),
        [
            row(token, 5, 8192),
            row(certificate, 5, 1),
            row(token, 6, 2)
        ]
    );
    let told = subject.commit(lease(token, 5, 4096, 9000)).unwrap_err();
    assert_eq!(told, Refusal::PlacesLeased { next: 8192 });
}

pub(crate) fn are_kept_until_their_hour_has_passed(subject: &mut dyn Subject) {
    // The epoch of the tests is a whole hour.
    let hour = list_hour(at(0));
    for (kind, hour) in [
        (CredentialKind::Token, hour),
        (CredentialKind::Certificate, hour),
        (CredentialKind::Token, hour + 1),
    ] {
        subject.commit(lease(kind, hour, 0, 10)).unwrap();
    }
    assert_eq!(subject.reap(at(HOUR - 1), 10).others, 0);
    let step = subject.reap(at(HOUR), 1);
    assert_eq!((step.others, step.more), (1, true));
    assert_eq!(subject.reap(at(HOUR), 10).others, 1);
    subject.reopen();
    let left = subject.reader().leased_places().unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].hour, hour + 1);
}
