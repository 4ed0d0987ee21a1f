//! Which key is to follow which, and when: pure functions of the records and the time.
//!
//! A key is published for at least the time for which verifiers may cache the JWKS before it signs.
//! Only a tainted key is followed at once: verifiers fetch a key they do not know, and a thief's
//! signature is worse than a second fetch. Roots do not rotate.

use std::time::Duration;

use taskpass_core::key::{JWKS_MAX_AGE, KeyId, KeyPurpose, KeyRecord, KeyState};
use taskpass_core::time::Timestamp;

/// How long a key of `purpose` signs before the next one takes over; `None` for roots, and for the
/// checkpoint key, by which everybody knows the log.
pub const fn period(purpose: KeyPurpose) -> Option<Duration> {
    match purpose {
        KeyPurpose::TokenEs256 | KeyPurpose::TokenEdDsa | KeyPurpose::Feed => {
            Some(Duration::from_hours(24 * 30))
        }
        // A third of the certificate's year: what waits for its turn ages too.
        KeyPurpose::ControlIssuing | KeyPurpose::TaskIssuing => {
            Some(Duration::from_hours(24 * 120))
        }
        KeyPurpose::ControlRoot | KeyPurpose::TaskRoot | KeyPurpose::LogCheckpoint => None,
    }
}

/// Whether a fresh key of `purpose` should be made: none is waiting.
pub fn should_prepare_next(records: &[KeyRecord], purpose: KeyPurpose) -> bool {
    period(purpose).is_some() && of(records, purpose, KeyState::Prepared).next().is_none()
}

/// Whether `record` may begin to sign: it waits, and every verifier can know it.
pub fn may_activate(record: &KeyRecord, now: Timestamp) -> bool {
    record.state == KeyState::Prepared && now >= record.created_at.plus(JWKS_MAX_AGE)
}

/// Whether the waiting key of `purpose` should take over now: the active one has served its time,
/// or there is none.
pub fn should_activate_next(records: &[KeyRecord], purpose: KeyPurpose, now: Timestamp) -> bool {
    let Some(period) = period(purpose) else {
        return false;
    };
    let waiting = of(records, purpose, KeyState::Prepared).any(|record| may_activate(record, now));
    let serving = of(records, purpose, KeyState::Active).any(|record| {
        now < record
            .activated_at
            .unwrap_or(record.created_at)
            .plus(period)
    });
    waiting && !serving
}

/// The changed records if the oldest key of `purpose` that may, takes over at `now`: the new active
/// one first, then the retired. `None` if none may.
pub fn activate_next(
    records: &[KeyRecord],
    purpose: KeyPurpose,
    now: Timestamp,
) -> Option<Vec<KeyRecord>> {
    let next = of(records, purpose, KeyState::Prepared)
        .filter(|record| may_activate(record, now))
        .min_by_key(|record| record.created_at)?;
    let next = KeyRecord {
        state: KeyState::Active,
        activated_at: Some(now),
        ..next.clone()
    };
    let retired = of(records, purpose, KeyState::Active).map(|record| KeyRecord {
        state: KeyState::Retired,
        retired_at: Some(now),
        ..record.clone()
    });
    Some(std::iter::once(next).chain(retired).collect())
}

/// A key cannot be tainted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaintError {
    /// There is no such key.
    #[error("there is no key {0}")]
    Unknown(KeyId),
    /// A root is everybody's trust anchor: nothing signed here could tell them.
    #[error("a {0} key cannot be tainted; replace the broker's hierarchies instead")]
    Root(KeyPurpose),
    /// It signs, and none is prepared to follow it.
    #[error("no {0} key is prepared to follow the tainted one")]
    NoSuccessor(KeyPurpose),
}

/// The changed records if the key `id` is distrusted from `now` on: itself, and, if it signs, the
/// prepared key that follows it at once. A key that is tainted already changes nothing.
pub fn taint(
    records: &[KeyRecord],
    id: &KeyId,
    now: Timestamp,
) -> Result<Vec<KeyRecord>, TaintError> {
    let record = records
        .iter()
        .find(|record| record.id == *id)
        .ok_or_else(|| TaintError::Unknown(id.clone()))?;
    if matches!(
        record.purpose,
        KeyPurpose::ControlRoot | KeyPurpose::TaskRoot
    ) {
        return Err(TaintError::Root(record.purpose));
    }
    if record.state == KeyState::Tainted {
        return Ok(Vec::new());
    }
    let mut changed = vec![KeyRecord {
        state: KeyState::Tainted,
        retired_at: Some(record.retired_at.unwrap_or(now)),
        ..record.clone()
    }];
    if record.state == KeyState::Active {
        let next = of(records, record.purpose, KeyState::Prepared)
            .min_by_key(|next| next.created_at)
            .ok_or(TaintError::NoSuccessor(record.purpose))?;
        changed.push(KeyRecord {
            state: KeyState::Active,
            activated_at: Some(now),
            ..next.clone()
        });
    }
    Ok(changed)
}

fn of(
    records: &[KeyRecord],
    purpose: KeyPurpose,
    state: KeyState,
) -> impl Iterator<Item = &KeyRecord> {
    records
        .iter()
        .filter(move |record| record.purpose == purpose && record.state == state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_core::secret::Sha256;

    fn key(name: &[u8], state: KeyState, created: u64) -> KeyRecord {
        KeyRecord {
            id: KeyId::from_thumbprint(Sha256::of(name)),
            purpose: KeyPurpose::TokenEs256,
            state,
            created_at: Timestamp::from_secs(created),
            activated_at: (state == KeyState::Active).then(|| Timestamp::from_secs(created)),
            retired_at: None,
            not_after: None,
            public: vec![],
            certificate: None,
            sealed: vec![],
        }
    }

    #[test]
    fn a_key_takes_over_when_it_is_known_and_its_time_has_come() {
        let purpose = KeyPurpose::TokenEs256;
        let active = key(b"a", KeyState::Active, 0);
        let alone = [active.clone()];
        let month = period(purpose).unwrap().as_secs();
        let at = Timestamp::from_secs;
        assert!(should_prepare_next(&alone, purpose));
        assert!(!should_activate_next(&alone, purpose, at(month)));
        assert_eq!(activate_next(&alone, purpose, at(month)), None);

        let pair = [active, key(b"b", KeyState::Prepared, 1000)];
        assert!(!should_prepare_next(&pair, purpose));
        assert!(!may_activate(&pair[1], at(1299)));
        assert!(may_activate(&pair[1], at(1300)));
        assert!(!should_activate_next(&pair, purpose, at(month - 1)));
        assert!(should_activate_next(&pair, purpose, at(month)));
        assert_eq!(activate_next(&pair, purpose, at(1299)), None);

        let changed = activate_next(&pair, purpose, at(month)).unwrap();
        assert_eq!(changed.len(), 2);
        assert_eq!(
            (&changed[0].id, changed[0].state),
            (&pair[1].id, KeyState::Active)
        );
        assert_eq!(changed[0].activated_at, Some(at(month)));
        assert_eq!(
            (&changed[1].id, changed[1].state),
            (&pair[0].id, KeyState::Retired)
        );
        assert_eq!(changed[1].retired_at, Some(at(month)));
    }

    #[test]
    fn a_tainted_key_is_followed_at_once() {
        let purpose = KeyPurpose::TokenEs256;
        let keys = [
            key(b"a", KeyState::Tainted, 0),
            key(b"b", KeyState::Prepared, 0),
        ];
        assert!(should_activate_next(
            &keys,
            purpose,
            Timestamp::from_secs(300)
        ));
        let changed = activate_next(&keys, purpose, Timestamp::from_secs(300)).unwrap();
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].id, keys[1].id);
    }

    #[test]
    fn tainting_the_active_key_activates_the_waiting_one() {
        let keys = [
            key(b"a", KeyState::Active, 0),
            key(b"b", KeyState::Prepared, 9),
        ];
        let now = Timestamp::from_secs(10);
        let states = |changed: &[KeyRecord]| -> Vec<_> {
            changed.iter().map(|k| (k.id.clone(), k.state)).collect()
        };
        let (a, b) = (keys[0].id.clone(), keys[1].id.clone());
        assert_eq!(
            states(&taint(&keys, &a, now).unwrap()),
            [
                (a.clone(), KeyState::Tainted),
                (b.clone(), KeyState::Active)
            ]
        );
        assert_eq!(
            states(&taint(&keys, &b, now).unwrap()),
            [(b.clone(), KeyState::Tainted)]
        );
        let purpose = KeyPurpose::TokenEs256;
        assert_eq!(
            taint(&keys[..1], &a, now),
            Err(TaintError::NoSuccessor(purpose))
        );
        assert_eq!(taint(&keys[..1], &b, now), Err(TaintError::Unknown(b)));
        let again = [key(b"a", KeyState::Tainted, 0)];
        assert_eq!(taint(&again, &a, now), Ok(vec![]));
        let root = [KeyRecord {
            purpose: KeyPurpose::TaskRoot,
            ..key(b"a", KeyState::Active, 0)
        }];
        assert_eq!(
            taint(&root, &a, now),
            Err(TaintError::Root(KeyPurpose::TaskRoot))
        );
    }

    #[test]
    fn roots_stay() {
        for purpose in [
            KeyPurpose::TaskRoot,
            KeyPurpose::ControlRoot,
            KeyPurpose::LogCheckpoint,
        ] {
            assert!(!should_prepare_next(&[], purpose));
            assert!(!should_activate_next(
                &[],
                purpose,
                Timestamp::from_secs(u64::MAX)
            ));
        }
    }
}
