//! The SPIFFE trust bundle (SPIFFE Trust Domain and Bundle §4): who may sign what in a trust domain.
//!
//! A document of its own beside the JWKS: the same token keys stand in both, with another `use`. A
//! JWT-SVID is never signed with Ed25519, so such keys are left out.

use data_encoding::BASE64;
use taskpass_core::access::TokenAlg;

use crate::jwk::{Jwk, PublicKey};

/// What the document says.
#[derive(Debug, Default)]
pub struct SpiffeBundle {
    /// Grows whenever the content changes.
    pub sequence: u64,
    /// After how many seconds to look again.
    pub refresh_hint: u64,
    /// Roots of X.509-SVIDs: key and certificate in DER.
    pub x509: Vec<(PublicKey, Vec<u8>)>,
    /// Keys of JWT-SVIDs.
    pub jwt: Vec<Jwk>,
}

impl SpiffeBundle {
    /// As JSON. Without a key in it, nothing of the trust domain is valid.
    pub fn to_json(&self) -> String {
        // §4.2.2: exactly one certificate, and no `kid`.
        let x509 = self.x509.iter().map(|(key, der)| {
            let certificate = BASE64.encode(der);
            entry(
                key,
                &format!(r#""use":"x509-svid","x5c":["{certificate}"]"#),
            )
        });
        let jwt = self.jwt.iter().filter(|jwk| jwk.alg() == TokenAlg::Es256);
        let jwt = jwt.map(|jwk| {
            let kid = jwk.id();
            entry(jwk.key(), &format!(r#""use":"jwt-svid","kid":"{kid}""#))
        });
        let keys: Vec<_> = x509.chain(jwt).collect();
        format!(
            r#"{{"spiffe_sequence":{},"spiffe_refresh_hint":{},"keys":[{}]}}"#,
            self.sequence,
            self.refresh_hint,
            keys.join(",")
        )
    }
}

fn entry(key: &PublicKey, more: &str) -> String {
    let members = key.canonical_json();
    format!("{},{more}}}", members.trim_end_matches('}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_says_what_it_is_for() {
        // The base point of P-256.
        let point = data_encoding::HEXLOWER
            .decode(
                b"046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
                    .iter()
                    .copied()
                    .filter(u8::is_ascii_hexdigit)
                    .collect::<Vec<_>>()
                    .as_slice(),
            )
            .unwrap();
        let key = PublicKey::from_point(&point).unwrap();
        let secret = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let other = Jwk::new(PublicKey::Ed25519(secret.verifying_key()));
        let token_key = Jwk::new(key.clone());
        let bundle = SpiffeBundle {
            sequence: 7,
            refresh_hint: 300,
            x509: vec![(key.clone(), vec![0x30, 0xff])],
            jwt: vec![token_key.clone(), other],
        };
        let members = key.canonical_json();
        let members = members.trim_start_matches('{').trim_end_matches('}');
        let kid = token_key.id();
        assert_eq!(
            bundle.to_json(),
            format!(
                concat!(
                    r#"{{"spiffe_sequence":7,"spiffe_refresh_hint":300,"keys":["#,
                    r#"{{{},"use":"x509-svid","x5c":["MP8="]}},"#,
                    r#"{{{},"use":"jwt-svid","kid":"{}"}}]}}"#
                ),
                members, members, kid
            )
        );
        let empty: serde_json::Value =
            serde_json::from_str(&SpiffeBundle::default().to_json()).unwrap();
        assert_eq!(empty["keys"], serde_json::json!([]));
    }
}
