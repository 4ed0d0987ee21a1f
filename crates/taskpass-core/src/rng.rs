//! Where random bytes come from.
//!
//! Ids, jitter and enrolment secrets draw from one [`Rng`] made in `main`, so that a test can replay
//! a run. Keys and signature nonces never do: the cryptography libraries draw those themselves.

use std::fmt;

/// A source of random bytes.
pub trait Rng: Send + Sync + fmt::Debug {
    /// Fills `bytes` with unpredictable bytes.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Rng + '_ {
    /// Sixteen random bytes.
    pub fn bytes16(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        bytes
    }

    /// Thirty-two random bytes.
    pub fn bytes32(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.fill(&mut bytes);
        bytes
    }

    /// A random number below `bound` (0 if `bound` is 0). For jitter, not for secrets.
    pub fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes).checked_rem(bound).unwrap_or(0)
    }
}

/// The operating system's random source.
#[derive(Debug)]
pub struct SystemRng {
    source: ring::rand::SystemRandom,
}

impl SystemRng {
    /// Opens the source. Call once, in `main`.
    #[expect(
        clippy::new_without_default,
        clippy::disallowed_methods,
        reason = "the one place that opens the system's random source"
    )]
    pub fn new() -> Self {
        Self {
            source: ring::rand::SystemRandom::new(),
        }
    }
}

impl Rng for SystemRng {
    #[expect(
        clippy::expect_used,
        reason = "without randomness no id is safe to make, and there is nothing to fall back to"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        use ring::rand::SecureRandom as _;
        self.source
            .fill(bytes)
            .expect("the operating system's random source failed");
    }
}

/// A repeatable sequence for tests (SplitMix64); never a source of secrets.
#[cfg(any(test, feature = "test-util"))]
#[derive(Debug)]
pub struct SeededRng {
    state: std::sync::atomic::AtomicU64,
}

#[cfg(any(test, feature = "test-util"))]
impl SeededRng {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed.into() }
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Rng for SeededRng {
    fn fill(&self, bytes: &mut [u8]) {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        for chunk in bytes.chunks_mut(8) {
            let mut z = self
                .state
                .fetch_add(STEP, std::sync::atomic::Ordering::SeqCst)
                .wrapping_add(STEP);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            for (to, from) in chunk.iter_mut().zip(z.to_be_bytes()) {
                *to = from;
            }
        }
    }
}
