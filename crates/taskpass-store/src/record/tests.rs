//! Bytes that are no record are refused, whatever they are.

use proptest::prelude::*;

use super::*;
use crate::values::*;

/// Reads `bytes` as every record that is converted.
fn read_as_each(bytes: &[u8]) -> Vec<(&'static str, bool)> {
    let task = task_id(0, at(1));
    let credential = credential_id(0, at(1));
    vec![
        (
            "task",
            read("task", bytes, |r: TaskRecord| r.into_parts(task)).is_ok(),
        ),
        (
            "credential",
            read("credential", bytes, |r: CredentialRecord| {
                r.into_credential(credential)
            })
            .is_ok(),
        ),
        (
            "registry",
            read("registry", bytes, RowRecord::into_row).is_ok(),
        ),
        (
            "enrolment",
            read("enrolment", bytes, EnrolmentRecord::into_enrolment).is_ok(),
        ),
        (
            "identity",
            read("identity", bytes, |r: IdentityRecord| {
                r.into_line(principal(0))
            })
            .is_ok(),
        ),
        (
            "rule",
            read("rule", bytes, |r: RuleRecord| r.into_rule(1)).is_ok(),
        ),
        (
            "key",
            read("key", bytes, |r: KeyRow| r.into_key(key_id(0))).is_ok(),
        ),
        (
            "idempotency",
            read("idempotency", bytes, IdempotencyRecord::into_parts).is_ok(),
        ),
        ("meta", read("meta", bytes, BirthRecord::into_parts).is_ok()),
        (
            "meta",
            read("meta", bytes, ReportingRecord::into_reporting).is_ok(),
        ),
    ]
}

#[test]
fn nothing_is_no_record() {
    for (table, reads) in read_as_each(&[]) {
        assert!(!reads, "{table}");
    }
}

#[test]
fn a_sealed_key_does_not_print() {
    let row = KeyRow::from(&key(0, taskpass_core::key::KeyState::Active));
    assert!(!format!("{row:?}").contains('['), "{row:?}");
}

#[test]
fn an_instant_beyond_the_representable_is_refused() {
    assert_eq!(instant(at(1).millis()), Some(at(1)));
    assert_eq!(instant(u64::MAX), None);
    assert_eq!(optional(Some(u64::MAX), instant), None);
    assert_eq!(optional(None, instant), Some(None));
}

proptest! {
    #[test]
    fn any_bytes_read_or_are_refused(bytes: Vec<u8>) {
        read_as_each(&bytes);
    }

    #[test]
    fn a_damaged_record_reads_or_is_refused(place in 0_usize..400, byte: u8, cut in 0_usize..400) {
        let parent = task(1, 1, at(600), &[]);
        let child = task(2, 0, at(500), &[&parent]);
        let token = token(2, &child, at(1), at(60));
        let encoded = [
            TaskRecord::new(&child, Some(digest(1))).encode_to_vec(),
            CredentialRecord::from(&token).encode_to_vec(),
            RowRecord::new(&owner_row(0, "x"), 3).encode_to_vec(),
        ];
        for mut bytes in encoded {
            let len = bytes.len();
            bytes[place % len] = byte;
            read_as_each(&bytes);
            read_as_each(&bytes[..cut % len]);
        }
    }
}
