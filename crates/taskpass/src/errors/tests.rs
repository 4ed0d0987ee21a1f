//! What people read when a command fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use taskpass_client::Refused;
use tonic::Code;

use super::CliError;
use crate::output::Ink;

fn refused(reason: &str, metadata: &[(&str, &str)]) -> CliError {
    Refused {
        code: Code::PermissionDenied,
        reason: reason.into(),
        message: "no rule permits it".into(),
        metadata: metadata
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect(),
        retry_after: None,
    }
    .into()
}

fn plain(error: &CliError) -> String {
    error.render(&Ink::plain(), false)
}

#[test]
fn a_denial_says_asked_allowed_policy_and_what_next() {
    let error = refused(
        "POLICY_DENIED",
        &[
            ("policies", "stage-admits"),
            ("allowed", "https://ledger.example#invoices:read"),
            ("asked", "https://ledger.example#invoices:pay"),
            ("decision_id", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
            ("quota", "7"),
        ],
    );
    assert_eq!(
        plain(&error),
        "\
POLICY_DENIED: no rule permits it
  asked:    https://ledger.example#invoices:pay
  allowed:  https://ledger.example#invoices:read
  policy:   stage-admits
  decision: 01ARZ3NDEKTSV4RRFFQ69G5FAV
  quota:    7
hint: ask for less, or ask an administrator to change the agent, the target or the policy
"
    );
}

#[test]
fn first_lines_and_hints() {
    let io = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    for (error, first, rest) in [
        (
            CliError::new("INVALID_TTL", "a ttl is at least 1s"),
            "INVALID_TTL: a ttl is at least 1s",
            "hint: write it like 90s, 5m or 1h",
        ),
        (
            CliError::file("read", Path::new("x/token"), io()),
            "FILE_ERROR: could not read x/token",
            "  cause:    permission denied",
        ),
        (
            CliError::new("NO_ADDRESS", "where is the broker").hint("ask around"),
            "NO_ADDRESS: where is the broker",
            "hint: ask around",
        ),
        (
            refused("BINDING_REQUIRED", &[]),
            "BINDING_REQUIRED: no rule permits it",
            "--bind-cert C/cert.pem",
        ),
        (
            refused("INTERNAL", &[("error_id", "E42")]),
            "INTERNAL: no rule permits it",
            "hint: look for E42 in the broker's log",
        ),
        (
            refused("INVALID_FIELD", &[("field", "kind")]),
            "INVALID_FIELD: no rule permits it",
            "hint: docs/AUDIT_LOG.md",
        ),
        (
            CliError::bad_reply("task"),
            "BAD_REPLY: the broker's answer has no task",
            "hint: ",
        ),
    ] {
        let text = plain(&error);
        assert_eq!(text.lines().next(), Some(first));
        assert!(text.contains(rest), "{text}");
    }
}

#[test]
fn a_reason_without_hint_has_none() {
    assert!(!plain(&refused("SOMETHING_NEW", &[])).contains("hint"));
}

#[test]
fn a_wait_is_said() {
    let error: CliError = Refused {
        code: Code::Unavailable,
        reason: "RETRY_AFTER_REVOCATION".into(),
        message: "not now".into(),
        metadata: BTreeMap::new(),
        retry_after: Some(Duration::from_millis(700)),
    }
    .into();
    assert!(plain(&error).contains("  retry:    after 700ms\n"));
    assert!(
        error
            .render(&Ink::plain(), true)
            .contains("  code:     Unavailable\n")
    );
}

#[test]
fn text_from_outside_cannot_steer_the_terminal() {
    let error = refused("X\u{1b}[2J", &[("asked", "a\nhint: run rm\u{202e}")]);
    let text = plain(&error);
    assert!(
        !text.contains('\u{1b}') && !text.contains('\u{202e}'),
        "{text:?}"
    );
    assert_eq!(text.lines().count(), 2, "{text:?}");
}

#[test]
fn a_closed_output_is_silent() {
    assert_eq!(plain(&CliError::OutputClosed), "");
}

#[test]
fn causes_are_said_once() {
    let inner = std::io::Error::other("connection refused");
    let error = CliError::caused("UNREACHABLE", "no answer: connection refused", inner);
    assert!(!plain(&error).contains("cause"));
}
