//! The keys of another issuer, as its JWK set publishes them.
//!
//! A key that cannot be used here (another kind, another use, too small, malformed) is skipped: the
//! set is not ours, and one such key must not put out the others. What would make it unclear which key a
//! `kid` names refuses the whole set, and so does a private member: then the file is not one to publish.

use std::collections::BTreeMap;
use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents,
};
use serde::Deserialize;

use super::alg::ForeignAlg;
use crate::jwk::{BadSignature, Jwk, PublicKey};
use crate::strict::{Object, present};

/// The longest set that is read.
pub const MAX_KEY_SET_LEN: usize = 256 * 1024;
/// The most keys of a set.
const MAX_KEYS: usize = 64;
/// The sizes of an RSA modulus, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The longest public exponent, in bytes.
const MAX_EXPONENT: usize = 5;

/// A text is no set of keys that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Longer than what is read.
    #[error("a key set of more than {MAX_KEY_SET_LEN} bytes")]
    TooLong,
    /// Not a JSON object with a list of keys.
    #[error("not a JWK set: {0}")]
    Json(String),
    /// More keys than any issuer needs.
    #[error("a key set of more than {MAX_KEYS} keys")]
    TooMany,
    /// Two keys have one name.
    #[error("two keys of the set have one kid")]
    Duplicate,
    /// A private key.
    #[error("the set holds a private key; it must be replaced, and published by its public half")]
    Private,
    /// No key that any pinned algorithm could use.
    #[error(
        "no key of the set can be used: RSA of 2048 to 8192 bits, EC P-256 or Ed25519, with a kid"
    )]
    NoneUsable,
}

/// A public key of another issuer.
#[derive(Clone, PartialEq, Eq)]
pub struct ForeignKey {
    kind: Kind,
    /// The one algorithm that its issuer allows it, if it says.
    alg: Option<ForeignAlg>,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Curve(Jwk),
}

impl fmt::Debug for ForeignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Rsa { .. } => "RSA",
            Kind::Curve(key) => key.alg().as_str(),
        };
        f.debug_tuple("ForeignKey").field(&kind).finish()
    }
}

/// The keys of one issuer, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForeignKeySet(BTreeMap<String, ForeignKey>);

#[derive(Deserialize)]
struct Keys {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Members {
    kty: String,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    alg: Option<String>,
    #[serde(default, rename = "use", deserialize_with = "present")]
    usage: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crv: Option<String>,
    #[serde(default, deserialize_with = "present")]
    x: Option<String>,
    #[serde(default, deserialize_with = "present")]
    y: Option<String>,
    #[serde(default, deserialize_with = "present")]
    n: Option<String>,
    #[serde(default, deserialize_with = "present")]
    e: Option<String>,
}

impl ForeignKeySet {
    /// Reads a set.
    pub fn from_json(json: &[u8]) -> Result<Self, KeySetError> {
        if json.len() > MAX_KEY_SET_LEN {
            return Err(KeySetError::TooLong);
        }
        let Object(Keys { keys }) =
            serde_json::from_slice(json).map_err(|error| KeySetError::Json(error.to_string()))?;
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut set = BTreeMap::new();
        for key in keys {
            if ["d", "p", "q", "dp", "dq", "qi", "k"]
                .iter()
                .any(|name| key.get(name).is_some())
            {
                return Err(KeySetError::Private);
            }
            let Ok(Object(members)) = serde_json::from_value::<Object<Members>>(key) else {
                continue;
            };
            let Some((kid, key)) = read(members) else {
                continue;
            };
            if set.insert(kid, key).is_some() {
                return Err(KeySetError::Duplicate);
            }
        }
        if set.is_empty() {
            return Err(KeySetError::NoneUsable);
        }
        Ok(Self(set))
    }

    /// The key of that name.
    pub fn get(&self, kid: &str) -> Option<&ForeignKey> {
        self.0.get(kid)
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A key that can be used here, under its name.
fn read(members: Members) -> Option<(String, ForeignKey)> {
    let kid = members.kid.filter(|kid| !kid.is_empty())?;
    if members.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return None;
    }
    // An algorithm that is none of ours is a key for something else.
    let alg = match members.alg.as_deref() {
        Some(alg) => Some(alg.parse().ok()?),
        None => None,
    };
    let decode = |text: Option<String>| BASE64URL_NOPAD.decode(text?.as_bytes()).ok();
    let material = match (members.kty.as_str(), members.crv.as_deref()) {
        ("RSA", _) => rsa(&decode(members.n)?, &decode(members.e)?)?,
        ("EC", Some("P-256")) => {
            let (x, y) = (decode(members.x)?, decode(members.y)?);
            let point = [&[4][..], &x, &y].concat();
            Kind::Curve(Jwk::new(PublicKey::from_point(&point).ok()?))
        }
        ("OKP", Some("Ed25519")) => {
            Kind::Curve(Jwk::new(PublicKey::from_ed25519(&decode(members.x)?).ok()?))
        }
        _ => return None,
    };
    let key = ForeignKey {
        kind: material,
        alg,
    };
    Some((kid, key))
}

/// An RSA key of a size that is neither weak nor made to cost us time.
fn rsa(n: &[u8], e: &[u8]) -> Option<Kind> {
    // Some issuers write the sign's zero before the number.
    let (n, e) = (without_zeros(n), without_zeros(e));
    let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
    // An exponent of one would make every message its own signature.
    let exponent_is_good = !e.is_empty()
        && e.len() <= MAX_EXPONENT
        && e != [1]
        && e.last().is_some_and(|last| last % 2 == 1);
    (RSA_BITS.contains(&bits) && exponent_is_good).then(|| Kind::Rsa {
        n: n.to_vec(),
        e: e.to_vec(),
    })
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

impl ForeignKey {
    /// Whether this key can have made a signature by `alg`.
    pub fn fits(&self, alg: ForeignAlg) -> bool {
        let of_its_kind = match &self.kind {
            Kind::Rsa { .. } => matches!(alg, ForeignAlg::Rs256 | ForeignAlg::Ps256),
            Kind::Curve(key) => key.alg().as_str() == alg.as_str(),
        };
        of_its_kind && self.alg.is_none_or(|only| only == alg)
    }

    /// Checks a signature by `alg`.
    pub(super) fn verify(
        &self,
        alg: ForeignAlg,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        if !self.fits(alg) {
            return Err(BadSignature);
        }
        match &self.kind {
            Kind::Rsa { n, e } => {
                let parameters: &RsaParameters = match alg {
                    ForeignAlg::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
                    ForeignAlg::Ps256 => &RSA_PSS_2048_8192_SHA256,
                    ForeignAlg::Es256 | ForeignAlg::EdDsa => return Err(BadSignature),
                };
                RsaPublicKeyComponents { n, e }
                    .verify(parameters, message, signature)
                    .map_err(|_| BadSignature)
            }
            Kind::Curve(key) => key.verify(message, signature),
        }
    }
}
