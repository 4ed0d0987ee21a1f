//! A set of public keys (RFC 7517 §5), as `/.well-known/jwks.json` serves it.
//!
//! Keys of a kind, curve or use that is not ours are skipped, as RFC 7517 §5 asks; a key of ours
//! that is malformed, private or misnamed, and a second one of the same id, refuse the whole set.

use std::collections::BTreeMap;

use serde::Deserialize;
use taskpass_core::key::KeyId;

use super::{Jwk, JwkError, Members};
use crate::strict::Object;

/// Public keys by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JwkSet(BTreeMap<KeyId, Jwk>);

#[derive(Debug, Deserialize)]
struct Keys {
    keys: Vec<Object<Members>>,
}

impl JwkSet {
    /// The set of `keys`; two of one id are refused.
    pub fn from_keys(keys: impl IntoIterator<Item = Jwk>) -> Result<Self, JwkError> {
        let mut set = BTreeMap::new();
        for key in keys {
            if let Some(twice) = set.insert(key.id().clone(), key) {
                return Err(JwkError::Duplicate(twice.id().clone()));
            }
        }
        Ok(Self(set))
    }

    /// Reads a set.
    pub fn from_json(json: &[u8]) -> Result<Self, JwkError> {
        let Object(Keys { keys }) =
            serde_json::from_slice(json).map_err(|err| JwkError::Json(err.to_string()))?;
        let mut known = Vec::with_capacity(keys.len());
        for Object(members) in &keys {
            match Jwk::from_members(members) {
                Ok(key) => known.push(key),
                Err(JwkError::Unsupported) => {}
                Err(err) => return Err(err),
            }
        }
        Self::from_keys(known)
    }

    /// As JSON, ordered by id: the same keys always give the same bytes.
    pub fn to_json(&self) -> String {
        let keys: Vec<_> = self.0.values().map(Jwk::to_json).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// The key of that id.
    pub fn get(&self, id: &KeyId) -> Option<&Jwk> {
        self.0.get(id)
    }

    /// Every key, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = &Jwk> {
        self.0.values()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none: then nothing is accepted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
