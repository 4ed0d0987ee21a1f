//! Enrolment tokens: how a principal proves itself the first time.
//!
//! A token is shown once, to the operator who asked for it; the store keeps only its SHA-256, which
//! is also its key, so finding it compares no secret. It works once.

use std::time::Duration;

use crate::identity::Principal;
use crate::rng::Rng;
use crate::secret::{Secret, Sha256};
use crate::time::Timestamp;

/// How long an enrolment token works.
pub const ENROLMENT_TTL: Duration = Duration::from_mins(10);
/// How long the first administrator's token works, which `init` writes.
pub const FIRST_ENROLMENT_TTL: Duration = Duration::from_hours(1);

const PREFIX: &str = "tpe_";

/// A pending enrolment, as it is recorded under the hash of its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// Who may enrol with it.
    pub principal: Principal,
    /// When it was made; a revocation of its agent voids it.
    pub created_at: Timestamp,
    /// From this instant on it is refused.
    pub expires_at: Timestamp,
    /// When it was used, if it was.
    pub used_at: Option<Timestamp>,
}

/// Makes a fresh token: the text to hand over, and the hash to keep.
pub fn generate(rng: &dyn Rng) -> (Secret, Sha256) {
    let text = format!(
        "{PREFIX}{}",
        data_encoding::BASE64URL_NOPAD.encode(&rng.bytes32())
    );
    let hash = Sha256::of(text.as_bytes());
    (Secret::new(text), hash)
}

/// The hash of a token that somebody presents; `None` if it does not look like one.
pub fn hash_presented(text: &str) -> Option<Sha256> {
    let body = text.strip_prefix(PREFIX)?;
    let bytes = data_encoding::BASE64URL_NOPAD
        .decode(body.as_bytes())
        .ok()?;
    (bytes.len() == 32).then(|| Sha256::of(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SeededRng;

    #[test]
    fn what_is_made_is_found_again() {
        let (token, hash) = generate(&SeededRng::new(7));
        assert_eq!(hash_presented(token.expose()), Some(hash));
        for bad in [
            "",
            "tpe_",
            "tpe_abc",
            &token.expose().replace("tpe_", ""),
            &format!("{}x", token.expose()),
        ] {
            assert_eq!(hash_presented(bad), None, "{bad}");
        }
    }
}
