//! What the fuzz targets share: a key, and what it signs.
//!
//! Most of what comes from outside is signed, and a fuzzer never finds a signature. So each target
//! reads its input in several ways, which the first byte chooses: as the whole document, which must
//! be refused or mean itself, and as the part behind the signature, signed here by a key that is
//! trusted, so that the readers behind the check are reached as well.

use ed25519_dalek::{Signer as _, SigningKey};
use taskpass_core::access::TokenAlg;
use taskpass_token::{Jwk, JwkSet, PublicKey, jws};

/// A key whose public half is trusted.
#[derive(Debug)]
pub struct Key {
    secret: SigningKey,
    jwk: Jwk,
}

impl Default for Key {
    fn default() -> Self {
        let secret = SigningKey::from_bytes(&[7; 32]);
        let jwk = Jwk::new(PublicKey::Ed25519(secret.verifying_key()));
        Self { secret, jwk }
    }
}

impl Key {
    /// The set that trusts this key and no other.
    pub fn trusted(&self) -> JwkSet {
        JwkSet::from_keys([self.jwk.clone()]).unwrap_or_default()
    }

    /// The public half.
    pub fn public(&self) -> [u8; 32] {
        self.secret.verifying_key().to_bytes()
    }

    /// A signature.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.secret.sign(message).to_bytes()
    }

    /// A signed document of a type, with this payload.
    pub fn document(&self, typ: &str, payload: &str) -> String {
        let header = jws::header_json(TokenAlg::EdDsa, self.jwk.id(), typ);
        let input = jws::signing_input(&header, payload);
        let signature = self.sign(input.as_bytes());
        jws::assemble(&input, &signature)
    }
}

/// The way to read an input, and the rest of it.
pub fn way(data: &[u8], ways: u8) -> (u8, &[u8]) {
    match data.split_first() {
        Some((first, rest)) => (first % ways, rest),
        None => (0, data),
    }
}

/// One DER value: tag, shortest length, content.
pub fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let bytes = content.len().to_be_bytes();
    match content.len() {
        short @ 0..128 => out.push(u8::try_from(short).unwrap_or_default()),
        _ => {
            let length: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
            out.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
            out.extend(length);
        }
    }
    out.extend_from_slice(content);
    out
}
