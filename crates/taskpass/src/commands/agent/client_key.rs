//! Client keys of an agent, from files: public ones only.

use std::path::Path;

use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use taskpass_api::v1;
use taskpass_core::Timestamp;
use taskpass_token::{Jwk, spki};

use crate::cli::registry::AgentUpdateArgs;
use crate::errors::CliError;
use crate::values;

/// Adds and removes what was named.
pub(super) fn change(
    agent: &mut v1::Agent,
    args: &AgentUpdateArgs,
    now: Timestamp,
) -> Result<(), CliError> {
    let remove = &args.remove_client_keys;
    agent
        .client_keys
        .retain(|key| !remove.contains(&key.key_id));
    let (Some(file), Some(until)) = (&args.client_key, &args.until) else {
        return Ok(());
    };
    let jwk = read(file)?;
    let until = values::valid_until(until, now)?;
    // The same key again gets another end.
    agent
        .client_keys
        .retain(|key| key.key_id != jwk.id().as_str());
    agent.client_keys.push(v1::ClientKey {
        jwk: jwk.to_json(),
        until: Some(until),
        ..v1::ClientKey::default()
    });
    Ok(())
}

fn read(path: &Path) -> Result<Jwk, CliError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| CliError::file("read", path, error))?;
    parse(&text).ok_or_else(|| {
        let message = format!(
            "{} holds no public key, EC P-256 or Ed25519, as a JWK or in PEM",
            path.display()
        );
        CliError::new("INVALID_KEY", message)
            .hint("`openssl pkey -in key.pem -pubout` makes one of a private key")
    })
}

/// A JWK may have a name of its own; here keys are named by their thumbprints.
fn parse(text: &str) -> Option<Jwk> {
    if text.trim_start().starts_with('{') {
        let mut jwk: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).ok()?;
        jwk.remove("kid");
        let json = serde_json::to_vec(&jwk).ok()?;
        return Jwk::from_json(&json).ok();
    }
    let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).ok()?;
    spki::from_der(&der).ok().map(Jwk::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"mine",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn both_forms_are_the_same_key() {
        let jwk = parse(JWK).unwrap();
        // RFC 8037 §A.3.
        assert_eq!(
            jwk.id().as_str(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
        assert_eq!(parse(PEM), Some(jwk));
    }

    #[test]
    fn a_private_key_is_none() {
        let private = JWK.replacen(
            '{',
            r#"{"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","#,
            1,
        );
        for bad in [
            private.as_str(),
            "",
            "{}",
            r#"{"kty":"oct","k":"AAAA"}"#,
            "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
