//! The lines that are written, and the file that is not.

use taskpass_log::chain::verify_logs;

use super::*;
use crate::commands::audit::testing::{Signer, entry, month};

#[test]
fn each_entry_is_a_line_as_it_is_hashed() {
    let dir = tempfile::TempDir::new().unwrap();
    let root = dir.path().join("log");
    let signer = Signer::new(7);
    let previous = month(&root, "2026-10", 257, None, &signer);
    month(&root, "2026-12", 2, Some(&previous), &signer);
    let report = verify_logs(&root, None, None).unwrap();
    let out = dir.path().join("all.jsonl");
    write(&report, Form::Plain, dir.path(), &out).unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 259);
    let expected = |log: &str, index, previous| {
        let entry = entry(log, index, previous);
        format!("{{\"log\":\"{log}\",\"index\":{index},\"entry\":{entry}}}")
    };
    assert_eq!(lines[0], expected("2026-10", 0, None));
    assert_eq!(lines[256], expected("2026-10", 256, None));
    assert_eq!(lines[257], expected("2026-12", 0, Some(&previous)));
    // A file that is there is left as it is, and nothing else is left.
    assert_eq!(
        write(&report, Form::Plain, dir.path(), &out)
            .unwrap_err()
            .reason(),
        "FILE_EXISTS"
    );
    assert_eq!(std::fs::read_to_string(&out).unwrap(), text);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn an_entry_of_no_known_form_becomes_no_event_and_no_file_is_left() {
    let dir = tempfile::TempDir::new().unwrap();
    let root = dir.path().join("log");
    month(&root, "2026-10", 3, None, &Signer::new(7));
    let report = verify_logs(&root, None, None).unwrap();
    let out = dir.path().join("events.jsonl");
    for form in [Form::Ocsf, Form::CloudEvents] {
        let error = write(&report, form, dir.path(), &out).unwrap_err();
        assert_eq!(error.reason(), "LOG_INVALID");
        assert_eq!(
            error.to_string(),
            "entry 0 of log 2026-10 is no audit entry"
        );
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
