//! Private keys at rest: AES-256-GCM under a key derived from the key-encryption key.
//!
//! ```text
//! sealed = version (1) ‖ check value (8) ‖ nonce (12) ‖ ciphertext and tag
//! ```
//!
//! What a seal is for (the key's purpose and id) is authenticated with it, so that nobody can
//! exchange two sealed keys in the store. The check value, derived by HKDF like the sealing key but
//! apart from it, says nothing about either and tells a wrong key-encryption key from damage.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use taskpass_core::key::{KeyId, KeyPurpose};
use taskpass_core::secret::Secret;
use zeroize::Zeroizing;

use crate::random::{self, RandomError};

const VERSION: u8 = 1;
const CHECK_LEN: usize = 8;
const HEAD_LEN: usize = 1 + CHECK_LEN;

/// The key that seals every other key. It is erased when dropped and never printed.
#[derive(Clone)]
pub struct KeyEncryptionKey(Zeroizing<[u8; 32]>);

/// A file or variable does not hold a key-encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key-encryption key is 32 bytes: raw, as 64 hex digits, or in base64")]
pub struct ParseKekError;

/// Something could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No nonce could be drawn.
    #[error("no nonce could be drawn")]
    Random(#[from] RandomError),
    /// The cipher refused; it does so for lengths that no key has.
    #[error("the cipher refused")]
    Cipher,
}

/// Something sealed could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// It was sealed under another key-encryption key.
    #[error("sealed under another key-encryption key")]
    WrongKey,
    /// Too short, or of an unknown version.
    #[error("not a sealed key of a known form")]
    Form,
    /// The right key-encryption key, but changed bytes, or sealed for something else.
    #[error("the sealed key was changed, or was sealed for something else")]
    Damaged,
}

/// What is sealed: authenticated, not encrypted.
#[derive(Debug, Clone, Copy)]
pub struct SealedFor<'a> {
    /// The key's purpose.
    pub purpose: KeyPurpose,
    /// The key's id.
    pub id: &'a KeyId,
}

impl SealedFor<'_> {
    fn aad(self) -> Aad<String> {
        Aad::from(format!(
            "taskpass sealed key v1\n{}\n{}",
            self.purpose, self.id
        ))
    }
}

impl KeyEncryptionKey {
    /// From its 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A fresh one.
    pub fn generate() -> Result<Self, RandomError> {
        random::bytes().map(Self::from_bytes)
    }

    /// Reads the content of a file, variable or credential: 32 raw bytes, or 64 hex digits or
    /// base64 with white space around.
    pub fn parse(content: &[u8]) -> Result<Self, ParseKekError> {
        if let Ok(bytes) = <[u8; 32]>::try_from(content) {
            return Ok(Self::from_bytes(bytes));
        }
        let text = content.trim_ascii();
        let decoded = match text.len() {
            64 => HEXLOWER_PERMISSIVE.decode(text),
            _ => BASE64.decode(text),
        };
        let decoded = Zeroizing::new(decoded.map_err(|_| ParseKekError)?);
        <[u8; 32]>::try_from(decoded.as_slice())
            .map(Self::from_bytes)
            .map_err(|_| ParseKekError)
    }

    /// As a line of text that [`parse`](Self::parse) reads.
    pub fn to_text(&self) -> Secret {
        Secret::new(BASE64.encode(self.0.as_slice()) + "\n")
    }

    /// Seals `secret` for what `what` names.
    pub fn seal(&self, what: SealedFor<'_>, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce: [u8; NONCE_LEN] = random::bytes()?;
        let mut body = Vec::with_capacity(secret.len() + AES_256_GCM.tag_len());
        body.extend_from_slice(secret);
        self.cipher()
            .and_then(|cipher| {
                let nonce = Nonce::assume_unique_for_key(nonce);
                cipher
                    .seal_in_place_append_tag(nonce, what.aad(), &mut body)
                    .ok()
            })
            .ok_or(SealError::Cipher)?;
        let check = self.check_value();
        Ok([&[VERSION][..], &check, &nonce, &body].concat())
    }

    /// Opens what [`seal`](Self::seal) made for the same `what`.
    pub fn unseal(
        &self,
        what: SealedFor<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let (head, rest) = sealed
            .split_first_chunk::<HEAD_LEN>()
            .ok_or(UnsealError::Form)?;
        let (nonce, body) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(UnsealError::Form)?;
        let (version, check) = head.split_first().ok_or(UnsealError::Form)?;
        if *version != VERSION {
            return Err(UnsealError::Form);
        }
        if check != self.check_value() {
            return Err(UnsealError::WrongKey);
        }
        let mut secret = Zeroizing::new(body.to_vec());
        let length = self
            .cipher()
            .and_then(|cipher| {
                let nonce = Nonce::assume_unique_for_key(*nonce);
                let opened = cipher.open_in_place(nonce, what.aad(), &mut secret);
                opened.ok().map(|plain| plain.len())
            })
            .ok_or(UnsealError::Damaged)?;
        secret.truncate(length);
        Ok(secret)
    }

    fn derive<T>(&self, info: &'static str, use_it: impl FnOnce(hkdf::Prk, &[&[u8]]) -> T) -> T {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"taskpass key-encryption key");
        use_it(salt.extract(self.0.as_slice()), &[info.as_bytes()])
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        self.derive("seal aes-256-gcm v1", |prk, info| {
            let okm = prk.expand(info, &AES_256_GCM).ok()?;
            Some(LessSafeKey::new(UnboundKey::from(okm)))
        })
    }

    /// Eight bytes that differ between two key-encryption keys.
    fn check_value(&self) -> [u8; CHECK_LEN] {
        struct Length;
        impl hkdf::KeyType for Length {
            fn len(&self) -> usize {
                CHECK_LEN
            }
        }
        self.derive("check v1", |prk, info| {
            let mut value = [0; CHECK_LEN];
            // Eight bytes are within what HKDF-SHA256 can give, so neither step can fail.
            let _ = prk
                .expand(info, Length)
                .and_then(|okm| okm.fill(&mut value));
            value
        })
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests;
