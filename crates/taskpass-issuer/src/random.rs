//! The operating system's random source, for the one use that no seeded sequence may serve: keys,
//! and the nonces of signatures and seals.

use ring::rand::{SecureRandom as _, SystemRandom};

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system's random source failed")]
pub struct RandomError;

/// The source; it is a handle without state.
#[expect(
    clippy::disallowed_methods,
    reason = "keys and nonces must not come from a source that a test can replay"
)]
pub(crate) fn source() -> SystemRandom {
    SystemRandom::new()
}

/// Fresh random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    source().fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}
