//! Compact JWS (RFC 7515 §3.1): putting one together and taking one apart.
//!
//! Reading is strict: three non-empty parts in canonical base64url without padding, a header that
//! is a JSON object of `alg`, `kid` and `typ` and nothing else. So `crit`, `jku`, `jwk`, `x5u`, `zip`
//! and `b64` are refused by not being known. Nothing here checks a signature; that is
//! [`check`](mod@crate::check)'s business.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use taskpass_core::access::TokenAlg;
use taskpass_core::key::KeyId;

use crate::strict::{Object, present};

/// The longest token that is looked at.
pub const MAX_TOKEN_LEN: usize = 16 * 1024;

/// The media type of our tokens (RFC 9068 §2.1).
pub const TOKEN_TYPE: &str = "at+jwt";

/// The type of tokens for clouds, which know no other. Nothing of ours accepts it.
pub const CLOUD_TYPE: &str = "JWT";

/// A text is no compact JWS of the strict form.
#[derive(Debug, thiserror::Error)]
pub enum JwsError {
    /// Longer than what is looked at.
    #[error("longer than {max} bytes")]
    TooLong {
        /// The most.
        max: usize,
    },
    /// Not exactly three parts, or one of them is empty.
    #[error("not three non-empty parts separated by dots")]
    Parts,
    /// A part is not canonical base64url without padding.
    #[error("the {part} is not canonical base64url")]
    Base64 {
        /// `header`, `payload` or `signature`.
        part: &'static str,
    },
    /// The header is not an object of the known members, each at most once.
    #[error("the header is not an object of alg, kid and typ")]
    Header(#[source] serde_json::Error),
}

/// The protected header, in the order in which it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The signature's algorithm, as claimed.
    pub alg: String,
    /// What kind of token this claims to be.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub typ: Option<String>,
    /// The key that claims to have signed it.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub kid: Option<String>,
}

/// A JWS taken apart, its signature unchecked.
#[derive(Debug, Clone)]
pub struct Compact<'a> {
    /// What the header claims.
    pub header: Header,
    /// The payload, decoded.
    pub payload: Vec<u8>,
    /// The signature, decoded.
    pub signature: Vec<u8>,
    /// What the signature is over.
    pub signing_input: &'a str,
}

/// The header of our tokens: `alg`, `typ`, `kid`, in this order.
pub fn header_json(alg: TokenAlg, kid: &KeyId, typ: &str) -> String {
    // Neither an algorithm's name nor a thumbprint has a character that JSON escapes; `typ` might.
    let typ = serde_json::Value::from(typ);
    format!(r#"{{"alg":"{alg}","typ":{typ},"kid":"{kid}"}}"#)
}

/// What is to be signed.
pub fn signing_input(header_json: &str, claims_json: &str) -> String {
    let mut text = BASE64URL_NOPAD.encode(header_json.as_bytes());
    text.push('.');
    BASE64URL_NOPAD.encode_append(claims_json.as_bytes(), &mut text);
    text
}

/// Adds the signature to what it is over.
pub fn assemble(signing_input: &str, signature: &[u8]) -> String {
    let mut text = String::with_capacity(
        signing_input.len() + 1 + BASE64URL_NOPAD.encode_len(signature.len()),
    );
    text.push_str(signing_input);
    text.push('.');
    BASE64URL_NOPAD.encode_append(signature, &mut text);
    text
}

/// Takes a token apart.
pub fn parse(token: &str) -> Result<Compact<'_>, JwsError> {
    parse_within(token, MAX_TOKEN_LEN)
}

/// Takes a signed text apart that may have another length: a status list is longer than a token.
pub fn parse_within(token: &str, max: usize) -> Result<Compact<'_>, JwsError> {
    let parts = Parts::split(token, max)?;
    let Object(header) = serde_json::from_slice(&parts.header()?).map_err(JwsError::Header)?;
    Ok(Compact {
        header,
        payload: parts.payload()?,
        signature: parts.signature()?,
        signing_input: parts.signing_input,
    })
}

/// The three parts, still encoded: for whoever reads another header than ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// What the signature is over.
    pub(crate) signing_input: &'a str,
}

impl<'a> Parts<'a> {
    /// Cuts a text of at most `max` bytes in three.
    pub(crate) fn split(token: &'a str, max: usize) -> Result<Self, JwsError> {
        if token.len() > max {
            return Err(JwsError::TooLong { max });
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JwsError::Parts)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Parts)?;
        if payload.contains('.') || [header, payload, signature].iter().any(|p| p.is_empty()) {
            return Err(JwsError::Parts);
        }
        Ok(Self {
            header,
            payload,
            signature,
            signing_input,
        })
    }

    pub(crate) fn header(&self) -> Result<Vec<u8>, JwsError> {
        decode(self.header, "header")
    }

    pub(crate) fn payload(&self) -> Result<Vec<u8>, JwsError> {
        decode(self.payload, "payload")
    }

    pub(crate) fn signature(&self) -> Result<Vec<u8>, JwsError> {
        decode(self.signature, "signature")
    }
}

fn decode(text: &str, part: &'static str) -> Result<Vec<u8>, JwsError> {
    // Padding, white space and non-zero trailing bits are errors of this decoder.
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|_| JwsError::Base64 { part })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn b64(text: &str) -> String {
        BASE64URL_NOPAD.encode(text.as_bytes())
    }

    #[test]
    fn what_is_put_together_comes_apart() {
        let kid = KeyId::from_thumbprint(taskpass_core::secret::Sha256::of(b"k"));
        let header = header_json(TokenAlg::Es256, &kid, TOKEN_TYPE);
        assert_eq!(
            header,
            format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{kid}"}}"#)
        );
        let input = signing_input(&header, "{}");
        let token = assemble(&input, b"sig");
        let parsed = parse(&token).unwrap();
        assert_eq!(parsed.signing_input, input);
        assert_eq!(
            (&*parsed.payload, &*parsed.signature),
            (&b"{}"[..], &b"sig"[..])
        );
        assert_eq!(parsed.header.kid.as_deref(), Some(kid.as_str()));
        assert_eq!(serde_json::to_string(&parsed.header).unwrap(), header);
    }

    #[test]
    fn the_form_is_strict() {
        let (h, p) = (b64(r#"{"alg":"ES256"}"#), b64("{}"));
        for bad in [
            String::new(),
            format!("{h}.{p}"),
            format!("{h}.{p}."),
            format!(".{p}.AA"),
            format!("{h}..AA"),
            format!("{h}.{p}.AA.AA"),
            "...".to_owned(),
        ] {
            assert!(matches!(parse(&bad), Err(JwsError::Parts)), "{bad}");
        }
        for (bad, part) in [
            (format!("{h}=.{p}.AA"), "header"),
            (format!("{h}.{p}=.AA"), "payload"),
            (format!("{h}.{p}.AB"), "signature"),
            (format!("{h}.{p}.A"), "signature"),
            (format!("{h}.{p}.AA "), "signature"),
            (format!("{h}.{p}.+/8"), "signature"),
        ] {
            assert!(
                matches!(parse(&bad), Err(JwsError::Base64 { part: p }) if p == part),
                "{bad}"
            );
        }
        assert!(matches!(
            parse(&"a".repeat(MAX_TOKEN_LEN + 1)),
            Err(JwsError::TooLong { max: MAX_TOKEN_LEN })
        ));
    }

    #[test]
    fn only_known_members_once() {
        for bad in [
            r#"{"alg":"ES256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"ES256","jku":"https://evil.example"}"#,
            r#"{"alg":"ES256","x5u":"https://evil.example"}"#,
            r#"{"alg":"ES256","jwk":{}}"#,
            r#"{"alg":"ES256","zip":"DEF"}"#,
            r#"{"alg":"ES256","alg":"none"}"#,
            r#"{"alg":"ES256","kid":null}"#,
            r#"{"alg":["ES256"]}"#,
            r#"["ES256"]"#,
            r#"{"typ":"at+jwt"}"#,
            r#"{"alg":"ES256"} x"#,
            "{}",
            "",
        ] {
            let token = format!("{}.e30.AA", b64(bad));
            let refused = parse(&token);
            assert!(
                matches!(refused, Err(JwsError::Header(_) | JwsError::Parts)),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}", dots in "[A-Za-z0-9_.-]{0,120}") {
            let _ = parse(&text);
            if let Ok(read) = parse(&dots) {
                prop_assert_eq!(assemble(read.signing_input, &read.signature), dots);
            }
        }
    }
}
