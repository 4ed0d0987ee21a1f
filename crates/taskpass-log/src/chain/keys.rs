//! The public keys that an auditor has.
//!
//! One broker signs every month with the same key, but under each log's own name. So a key that is
//! known from one month serves for all: named `broker.example/log/2026-10`, it is for the logs
//! beneath `broker.example/log`. Without a name it is for whatever log there is.

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER_PERMISSIVE};

use crate::checkpoint::Origin;
use crate::name::LogName;
use crate::note::{KeyError, NoteKey};

/// Keys to check logs by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeys(Vec<Key>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    public: [u8; 32],
    scope: Scope,
}

/// The logs that a key is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    Any,
    Beneath(String),
    Only(String),
}

/// A text holds no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// There is nothing in it.
    #[error("there is no public key in it")]
    Empty,
    /// A line is neither a verification key nor 32 bytes.
    #[error(
        "line {line} is no public key: expected `name+8 hex digits+base64`, or the 32 bytes of an \
         Ed25519 key in hex or base64"
    )]
    Form {
        /// Which one, from 1.
        line: usize,
    },
    /// A line has the form of a verification key, but is none.
    #[error("line {line} is no public key")]
    Key {
        /// Which one, from 1.
        line: usize,
        /// Why not.
        #[source]
        source: KeyError,
    },
}

/// None of the keys is for this log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log is {found}, the key is for {expected}")]
pub struct OtherOrigin {
    /// What the keys are for.
    pub expected: String,
    /// The log.
    pub found: Origin,
}

impl PublicKeys {
    /// Reads keys, one a line: verification keys, or bare Ed25519 keys in hex or base64.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let lines = (1..).zip(text.lines().map(str::trim));
        let keys = lines
            .filter(|(_, text)| !text.is_empty())
            .map(|(line, text)| Key::parse(line, text))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(KeysError::Empty);
        }
        Ok(Self(keys))
    }

    /// These keys and those.
    #[must_use]
    pub fn with(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The keys to check the log `origin` by, under its name: at least one.
    pub fn of(&self, origin: &Origin) -> Result<Vec<NoteKey>, OtherOrigin> {
        let keys: Vec<_> = self
            .0
            .iter()
            .filter(|key| key.scope.holds(origin.as_str()))
            .filter_map(|key| NoteKey::new(origin.as_str(), &key.public).ok())
            .collect();
        if !keys.is_empty() {
            return Ok(keys);
        }
        let scopes: Vec<_> = self.0.iter().map(|key| key.scope.shown()).collect();
        Err(OtherOrigin {
            expected: scopes.join(", "),
            found: origin.clone(),
        })
    }

    /// Whether one of them has no name.
    pub(super) fn any_bare(&self) -> bool {
        self.0.iter().any(|key| key.scope == Scope::Any)
    }
}

impl Key {
    fn parse(line: usize, text: &str) -> Result<Self, KeysError> {
        let invalid = |source| KeysError::Key { line, source };
        if let Some(public) = bare(text) {
            // A name that stands for any: it shows whether the bytes are a key at all.
            NoteKey::new("any", &public).map_err(invalid)?;
            let scope = Scope::Any;
            return Ok(Self { public, scope });
        }
        let key = NoteKey::parse(text).map_err(|error| match error {
            KeyError::Form => KeysError::Form { line },
            error => invalid(error),
        })?;
        let scope = match month_of(key.name()) {
            Some((family, _)) => Scope::Beneath(family.to_owned()),
            None => Scope::Only(key.name().to_owned()),
        };
        Ok(Self {
            public: *key.public(),
            scope,
        })
    }
}

/// The 32 bytes of a key without a name.
fn bare(text: &str) -> Option<[u8; 32]> {
    let bytes = [&HEXLOWER_PERMISSIVE, &BASE64, &BASE64_NOPAD]
        .into_iter()
        .find_map(|form| form.decode(text.as_bytes()).ok())?;
    bytes.try_into().ok()
}

impl Scope {
    fn holds(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Beneath(family) => month_of(origin).is_some_and(|(of, _)| of == family),
            Self::Only(name) => name == origin,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Any => "any log".to_owned(),
            Self::Beneath(family) => format!("the months of {family}"),
            Self::Only(name) => name.clone(),
        }
    }
}

/// Takes the name of a month's log apart: `broker.example/log`, and the month.
pub(super) fn month_of(origin: &str) -> Option<(&str, LogName)> {
    let (family, month) = origin.rsplit_once('/')?;
    Some((family, month.parse().ok()?))
}
