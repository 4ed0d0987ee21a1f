//! Public keys as JWK (RFC 7517), their thumbprints (RFC 7638), and checking a signature.
//!
//! Two kinds: EC on P-256, which checks ES256, and OKP Ed25519, which checks EdDSA (RFC 8037). The
//! algorithm is a property of the key and never taken from a message. A key's id *is* its
//! thumbprint; a `kid` that says otherwise is refused. Private members do not exist here.

mod set;

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::Deserialize;
use taskpass_core::access::TokenAlg;
use taskpass_core::key::KeyId;
use taskpass_core::secret::Sha256;

use crate::strict::{Object, present};

pub use set::JwkSet;

/// A text or some bytes are no public key of the two kinds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Not a JSON object with the members of a JWK, each at most once and of the right type.
    #[error("not a JWK: {0}")]
    Json(String),
    /// Neither EC P-256 nor OKP Ed25519, or not for signatures.
    #[error("neither an EC P-256 nor an OKP Ed25519 key for signatures")]
    Unsupported,
    /// A member has a value that it may not have.
    #[error("the member `{0}` has a wrong value")]
    Member(&'static str),
    /// The `kid` is not the key's thumbprint.
    #[error("the kid is not the thumbprint of the key")]
    KeyId,
    /// It holds a private key, which must never be published.
    #[error("a private key where a public one belongs")]
    Private,
    /// Two keys of one set have the same id.
    #[error("two keys of the set have the id {0}")]
    Duplicate(KeyId),
    /// No point of the curve, or one of small order.
    #[error("the bytes are no public key")]
    Point,
}

/// A signature does not fit message and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is wrong")]
pub struct BadSignature;

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// P-256, as the uncompressed point. That it lies on the curve is checked with every signature.
    P256([u8; 65]),
    /// Ed25519.
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl PublicKey {
    /// From an uncompressed P-256 point: `04 ‖ x ‖ y`.
    pub fn from_point(point: &[u8]) -> Result<Self, JwkError> {
        match <[u8; 65]>::try_from(point) {
            Ok(point) if point.first() == Some(&4) => Ok(Self::P256(point)),
            _ => Err(JwkError::Point),
        }
    }

    /// From the 32 bytes of an Ed25519 key; one of small order is refused.
    pub fn from_ed25519(bytes: &[u8]) -> Result<Self, JwkError> {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| JwkError::Point)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| JwkError::Point)?;
        if key.is_weak() {
            return Err(JwkError::Point);
        }
        Ok(Self::Ed25519(key))
    }

    /// The algorithm that this key checks, and no other.
    pub const fn alg(&self) -> TokenAlg {
        match self {
            Self::P256(_) => TokenAlg::Es256,
            Self::Ed25519(_) => TokenAlg::EdDsa,
        }
    }

    /// The required members in lexical order, without white space (RFC 7638 §3.2, RFC 8037 §2).
    pub(crate) fn canonical_json(&self) -> String {
        let b64 = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        match self {
            Self::P256(point) => {
                let (x, y) = point.split_at(33);
                let x = x.get(1..).unwrap_or_default();
                format!(
                    r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
                    b64(x),
                    b64(y)
                )
            }
            Self::Ed25519(key) => format!(
                r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
                b64(key.as_bytes())
            ),
        }
    }
}

/// A public key with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    id: KeyId,
    key: PublicKey,
}

/// The members that are read; others are ignored (RFC 7517 §4), but for private ones.
#[derive(Debug, Deserialize)]
struct Members {
    kty: String,
    #[serde(default, deserialize_with = "present")]
    crv: Option<String>,
    #[serde(default, deserialize_with = "present")]
    x: Option<String>,
    #[serde(default, deserialize_with = "present")]
    y: Option<String>,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    alg: Option<String>,
    #[serde(default, rename = "use", deserialize_with = "present")]
    usage: Option<String>,
    #[serde(default, deserialize_with = "present")]
    d: Option<serde::de::IgnoredAny>,
}

impl Jwk {
    /// The key under its thumbprint.
    pub fn new(key: PublicKey) -> Self {
        let id = KeyId::from_thumbprint(Sha256::of(key.canonical_json().as_bytes()));
        Self { id, key }
    }

    /// The thumbprint.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key itself.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The algorithm that this key checks, and no other.
    pub const fn alg(&self) -> TokenAlg {
        self.key.alg()
    }

    /// As JSON: key members, `use`, `alg` and `kid`.
    pub fn to_json(&self) -> String {
        let members = self.key.canonical_json();
        let members = members.trim_end_matches('}');
        format!(
            r#"{members},"use":"sig","alg":"{}","kid":"{}"}}"#,
            self.alg(),
            self.id
        )
    }

    /// Reads one key.
    pub fn from_json(json: &[u8]) -> Result<Self, JwkError> {
        let Object(members): Object<Members> =
            serde_json::from_slice(json).map_err(|err| JwkError::Json(err.to_string()))?;
        Self::from_members(&members)
    }

    fn from_members(members: &Members) -> Result<Self, JwkError> {
        if members.d.is_some() {
            return Err(JwkError::Private);
        }
        if members.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(JwkError::Unsupported);
        }
        let x = members.x.as_deref();
        let y = members.y.as_deref();
        let key = match (
            members.kty.as_str(),
            members.crv.as_deref().unwrap_or_default(),
        ) {
            ("EC", "P-256") => {
                let (x, y) = (coordinate(x, "x")?, coordinate(y, "y")?);
                PublicKey::from_point(&[&[4][..], &x, &y].concat())?
            }
            ("OKP", "Ed25519") if y.is_none() => PublicKey::from_ed25519(&coordinate(x, "x")?)?,
            ("OKP", "Ed25519") => return Err(JwkError::Member("y")),
            _ => return Err(JwkError::Unsupported),
        };
        let jwk = Self::new(key);
        if members
            .alg
            .as_deref()
            .is_some_and(|alg| alg != jwk.alg().as_str())
        {
            return Err(JwkError::Member("alg"));
        }
        if members
            .kid
            .as_deref()
            .is_some_and(|kid| kid != jwk.id.as_str())
        {
            return Err(JwkError::KeyId);
        }
        Ok(jwk)
    }

    /// Checks `signature` over `message` with this key's own algorithm: for ES256 the 64 bytes
    /// `r ‖ s`, for EdDSA strictly (no malleable or small-order signature).
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        match &self.key {
            PublicKey::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(message, signature)
                .map_err(|_| BadSignature),
            PublicKey::Ed25519(key) => {
                let signature =
                    ed25519_dalek::Signature::from_slice(signature).map_err(|_| BadSignature)?;
                key.verify_strict(message, &signature)
                    .map_err(|_| BadSignature)
            }
        }
    }
}

fn coordinate(text: Option<&str>, name: &'static str) -> Result<Vec<u8>, JwkError> {
    let bytes = BASE64URL_NOPAD
        .decode(text.unwrap_or_default().as_bytes())
        .map_err(|_| JwkError::Member(name))?;
    if bytes.len() == 32 {
        Ok(bytes)
    } else {
        Err(JwkError::Member(name))
    }
}

#[cfg(test)]
pub(crate) mod tests;
