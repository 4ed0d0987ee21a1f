//! What a certificate says about its task beside the SPIFFE URI: one non-critical extension.
//!
//! Revocation rules match by when something was issued and by the tasks above it, and a certificate
//! has no other place for either. Verifiers of taskpass require the extension; others ignore it.
//!
//! ```text
//! TaskExtension ::= SEQUENCE {
//!     version    INTEGER (1),
//!     issuedAt   INTEGER,                  -- whole seconds since the epoch
//!     ancestors  SEQUENCE OF SEQUENCE {    -- the nearest first, at most three
//!         task   OCTET STRING (SIZE (16)),
//!         agent  UTF8String } }
//! ```
//!
//! Identity certificates carry it too, with no ancestors. Reading is strict DER: one spelling, no
//! unknown version, nothing behind the end.

use taskpass_core::TaskId;
use taskpass_core::task::{Ancestor, MAX_DEPTH};

use crate::der;

/// The extension's object identifier. Arc 2.25 is open to whoever draws a number (X.667). This one was
/// drawn in two parts of less than 31 bits each: Go does not read a certificate at all in which an
/// arc is longer.
pub const OID: &[u64] = &[2, 25, 1_809_124_903, 1_427_303_471];
/// The same, as text.
pub const OID_TEXT: &str = "2.25.1809124903.1427303471";
/// The longest encoding that is looked at.
pub const MAX_LEN: usize = 512;

const VERSION: u64 = 1;

/// The extension's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskExtension {
    /// When the certificate was issued, in whole seconds: its `iat`.
    pub issued_at: u64,
    /// The tasks above its own, the nearest first.
    pub ancestors: Vec<Ancestor>,
}

/// Some bytes are no [`TaskExtension`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// Longer than [`MAX_LEN`].
    #[error("the task extension is longer than {MAX_LEN} bytes")]
    TooLong,
    /// Not the DER of the module's description.
    #[error("the task extension is malformed")]
    Malformed,
    /// Of a version that is not known.
    #[error("the task extension has version {0}, which is not known")]
    Version(u64),
    /// More ancestors than a task can have.
    #[error("the task extension names more than {MAX_DEPTH} ancestors")]
    TooDeep,
}

impl TaskExtension {
    /// In DER.
    pub fn to_der(&self) -> Vec<u8> {
        let mut ancestors = Vec::new();
        for above in &self.ancestors {
            let mut pair = Vec::new();
            der::write(&mut pair, der::OCTET_STRING, above.task.as_bytes());
            der::write(&mut pair, der::UTF8_STRING, above.agent.as_str().as_bytes());
            der::write(&mut ancestors, der::SEQUENCE, &pair);
        }
        let mut fields = Vec::new();
        der::write_u64(&mut fields, VERSION);
        der::write_u64(&mut fields, self.issued_at);
        der::write(&mut fields, der::SEQUENCE, &ancestors);
        let mut out = Vec::new();
        der::write(&mut out, der::SEQUENCE, &fields);
        out
    }

    /// Reads what [`to_der`](Self::to_der) makes, and nothing else.
    pub fn from_der(input: &[u8]) -> Result<Self, ExtensionError> {
        if input.len() > MAX_LEN {
            return Err(ExtensionError::TooLong);
        }
        let malformed = ExtensionError::Malformed;
        let (fields, rest) = der::read(input, der::SEQUENCE).ok_or(malformed)?;
        let (version, fields) = der::read_u64(fields).ok_or(malformed)?;
        if version != VERSION {
            return Err(ExtensionError::Version(version));
        }
        let (issued_at, fields) = der::read_u64(fields).ok_or(malformed)?;
        let (mut list, end) = der::read(fields, der::SEQUENCE).ok_or(malformed)?;
        if !(rest.is_empty() && end.is_empty()) {
            return Err(malformed);
        }
        let mut ancestors = Vec::new();
        while !list.is_empty() {
            if ancestors.len() == MAX_DEPTH {
                return Err(ExtensionError::TooDeep);
            }
            let (above, after) = read_ancestor(list).ok_or(malformed)?;
            ancestors.push(above);
            list = after;
        }
        Ok(Self {
            issued_at,
            ancestors,
        })
    }
}

fn read_ancestor(input: &[u8]) -> Option<(Ancestor, &[u8])> {
    let (pair, after) = der::read(input, der::SEQUENCE)?;
    let (task, pair) = der::read(pair, der::OCTET_STRING)?;
    let (agent, pair) = der::read(pair, der::UTF8_STRING)?;
    if !pair.is_empty() {
        return None;
    }
    let above = Ancestor {
        task: TaskId::from_slice(task)?,
        agent: std::str::from_utf8(agent).ok()?.parse().ok()?,
    };
    Some((above, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ancestor() -> impl Strategy<Value = Ancestor> {
        (any::<u128>(), "[a-z0-9][a-z0-9._-]{0,62}").prop_map(|(id, name)| Ancestor {
            task: TaskId::from_bytes((id >> 1).to_be_bytes()).unwrap(),
            agent: name.parse().unwrap(),
        })
    }

    fn extension() -> impl Strategy<Value = TaskExtension> {
        (
            any::<u64>(),
            proptest::collection::vec(ancestor(), 0..=MAX_DEPTH),
        )
            .prop_map(|(issued_at, ancestors)| TaskExtension {
                issued_at,
                ancestors,
            })
    }

    #[test]
    fn the_encoding_is_fixed() {
        let empty = TaskExtension {
            issued_at: 1_700_000_000,
            ancestors: vec![],
        };
        let der = [
            0x30, 0x0b, 0x02, 0x01, 0x01, 0x02, 0x04, 0x65, 0x53, 0xf1, 0x00, 0x30, 0x00,
        ];
        assert_eq!(empty.to_der(), der);
        let text: Vec<_> = OID.iter().map(u64::to_string).collect();
        assert_eq!(text.join("."), OID_TEXT);
    }

    #[test]
    fn refusals_by_reason() {
        let of = |version, depth: usize| {
            let above = Ancestor {
                task: TaskId::from_bytes([1; 16]).unwrap(),
                agent: "a".parse().unwrap(),
            };
            let mut der = TaskExtension {
                issued_at: 1,
                ancestors: vec![above; depth],
            }
            .to_der();
            der[4] = version;
            der
        };
        assert!(TaskExtension::from_der(&of(1, MAX_DEPTH)).is_ok());
        assert_eq!(
            TaskExtension::from_der(&of(2, 0)),
            Err(ExtensionError::Version(2))
        );
        assert_eq!(
            TaskExtension::from_der(&of(1, MAX_DEPTH + 1)),
            Err(ExtensionError::TooDeep)
        );
        assert_eq!(
            TaskExtension::from_der(&[0; MAX_LEN + 1]),
            Err(ExtensionError::TooLong)
        );
        assert_eq!(TaskExtension::from_der(&[]), Err(ExtensionError::Malformed));
    }

    proptest! {
        #[test]
        fn reads_back(value in extension(), tail in 1_usize..4) {
            let mut der = value.to_der();
            prop_assert!(der.len() <= MAX_LEN);
            prop_assert_eq!(TaskExtension::from_der(&der), Ok(value));
            der.extend(vec![0; tail]);
            prop_assert!(TaskExtension::from_der(&der).is_err());
        }

        #[test]
        fn a_changed_byte_is_refused_or_read_as_exactly_that(value in extension(), at: prop::sample::Index, to: u8) {
            let mut der = value.to_der();
            let place = at.index(der.len());
            der[place] = to;
            if let Ok(read) = TaskExtension::from_der(&der) {
                prop_assert_eq!(read.to_der(), der);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(read) = TaskExtension::from_der(&bytes) {
                prop_assert_eq!(read.to_der(), bytes);
            }
        }
    }
}
