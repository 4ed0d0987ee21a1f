//! What an issuer publishes: who it is, its keys, its anchors.
//!
//! The document must name the very issuer that was asked: otherwise anybody who can publish one
//! could pass for another.

use serde::Deserialize;
use taskpass_token::JwkSet;

use crate::errors::CliError;
use crate::http::HttpClient;

const METADATA: &str = "/.well-known/openid-configuration";
const ANCHORS: &str = "/ca.pem";

/// What an issuer published.
#[derive(Debug)]
pub(crate) struct Issuer {
    /// `iss` of its tokens.
    pub(crate) iss: String,
    /// The keys that sign its tokens.
    pub(crate) jwks: JwkSet,
    /// The anchors of its task certificates, in PEM.
    pub(crate) task_anchors_pem: String,
}

/// The members that matter here; there are others.
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Fetches what the issuer at `base` publishes.
pub(crate) async fn fetch(http: &HttpClient, base: &str) -> Result<Issuer, CliError> {
    let (iss, jwks_path) = judge(&http.get(METADATA).await?, base)?;
    let jwks = JwkSet::from_json(&http.get(&jwks_path).await?).map_err(|error| {
        CliError::caused("INVALID_JWKS", "the issuer's keys are unusable", error)
    })?;
    let anchors = http.get(ANCHORS).await?;
    let task_anchors_pem = String::from_utf8(anchors.to_vec())
        .map_err(|_| CliError::new("INVALID_ANCHORS", "the issuer's anchors are not PEM"))?;
    Ok(Issuer {
        iss,
        jwks,
        task_anchors_pem,
    })
}

/// The issuer, and the path beneath `base` where its keys are.
fn judge(document: &[u8], base: &str) -> Result<(String, String), CliError> {
    let metadata: Metadata = serde_json::from_slice(document)
        .map_err(|error| CliError::caused("INVALID_METADATA", "the metadata is unusable", error))?;
    if metadata.issuer.trim_end_matches('/') != base {
        let message = format!("{base} says that its issuer is {}", metadata.issuer);
        return Err(CliError::new("ISSUER_MISMATCH", message)
            .hint("TASKPASS_HTTP must be the broker's public URL, as in the tokens' `iss`"));
    }
    let path = metadata
        .jwks_uri
        .strip_prefix(base)
        .filter(|path| path.starts_with('/'));
    let Some(path) = path else {
        let message = format!("the keys are elsewhere, at {}", metadata.jwks_uri);
        return Err(CliError::new("ISSUER_MISMATCH", message));
    };
    let path = path.to_owned();
    Ok((metadata.issuer, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_must_be_the_one_that_was_asked() {
        let base = "https://broker.example";
        for (document, expected) in [
            (
                r#"{"issuer":"https://broker.example","jwks_uri":"https://broker.example/k","x":1}"#,
                Ok("/k"),
            ),
            (
                r#"{"issuer":"https://broker.example/","jwks_uri":"https://broker.example/k"}"#,
                Ok("/k"),
            ),
            (
                r#"{"issuer":"https://evil.example","jwks_uri":"https://broker.example/k"}"#,
                Err("ISSUER_MISMATCH"),
            ),
            (
                r#"{"issuer":"https://broker.example","jwks_uri":"https://evil.example/k"}"#,
                Err("ISSUER_MISMATCH"),
            ),
            (
                r#"{"issuer":"https://broker.example","jwks_uri":"https://broker.example.evil/k"}"#,
                Err("ISSUER_MISMATCH"),
            ),
            (
                r#"{"issuer":"https://broker.example","jwks_uri":"https://broker.example@evil/k"}"#,
                Err("ISSUER_MISMATCH"),
            ),
            (
                r#"{"issuer":"https://broker.example"}"#,
                Err("INVALID_METADATA"),
            ),
            ("nothing", Err("INVALID_METADATA")),
        ] {
            let judged = judge(document.as_bytes(), base);
            let judged = judged.as_ref().map(|(_, path)| path.as_str());
            assert_eq!(judged.map_err(CliError::reason), expected, "{document}");
        }
    }
}
