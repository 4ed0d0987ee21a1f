//! What is refused, and in which words.

use clap::Parser as _;
use serde_json::Value;
use taskpass_token::TokenError;

use super::*;
use crate::cli::{Cli, Command};

fn args(token_file: &std::path::Path, rest: &[&str]) -> VerifyArgs {
    let line = [
        &[
            "taskpass",
            "verify",
            "--token-file",
            token_file.to_str().unwrap(),
        ],
        rest,
    ]
    .concat();
    match Cli::try_parse_from(line).unwrap().command {
        Command::Verify(args) => args,
        other => panic!("{other:?}"),
    }
}

/// A token whose signature nobody checks.
fn token(payload: &Value) -> String {
    let part = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let header = r#"{"alg":"ES256","typ":"at+jwt","kid":"k"}"#;
    format!(
        "{}.{}.{}",
        part(header),
        part(&payload.to_string()),
        part("signature")
    )
}

#[test]
fn what_is_no_token_is_refused_before_anything_is_fetched() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("token");
    for text in [
        "nonsense",
        "a.b",
        "a.b.c",
        &token(&serde_json::json!({"aud": "https://a"})),
    ] {
        std::fs::write(&path, text).unwrap();
        match present(&args(&path, &[])) {
            Err(Failed::Refused(refusal)) => {
                assert_eq!(refusal.reason(), Reason::Malformed, "{text}");
            }
            _ => panic!("{text} was taken"),
        }
    }
    std::fs::write(&path, "a.b.c").unwrap();
    match present(&args(&path, &["--audience", "nonsense"])) {
        Err(Failed::Other(error)) => assert_eq!(error.reason(), "INVALID_TARGET"),
        _ => panic!("an audience that is no URI"),
    }
}

#[test]
fn refusals_have_their_own_reasons() {
    let mut seen = BTreeSet::new();
    for reason in Reason::ALL {
        let error = failure(*reason, &Refusal::NotReady);
        assert!(seen.insert(error.reason().to_owned()), "{reason} twice");
    }
    for (refusal, reason, message) in [
        (
            Refusal::Revoked { seq: 7 },
            "TOKEN_REVOKED",
            "revoked by rule 7",
        ),
        (
            Refusal::Token(TokenError::Expired),
            "TOKEN_EXPIRED",
            "the token has expired",
        ),
        (
            Refusal::CertificateMissing,
            "TOKEN_BINDING",
            "the token is bound to a certificate, and none was presented",
        ),
    ] {
        let error = failure(refusal.reason(), &refusal);
        assert_eq!(
            (error.reason(), error.to_string().as_str()),
            (reason, message)
        );
    }
}
