//! Bare signatures, by the libraries that sign tokens: the floor of everything that issues.

use std::time::Duration;

use ed25519_dalek::Signer as _;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use taskpass_core::Clock;
use taskpass_core::access::TokenAlg;
use taskpass_core::rng::Rng;

use crate::error::BenchError;
use crate::pace::since;

/// About as long as what a token's signature is over.
pub(crate) const INPUT_LEN: usize = 800;

/// One key of each algorithm, made for one run.
pub(crate) struct Signers {
    random: ring::rand::SystemRandom,
    p256: EcdsaKeyPair,
    ed25519: ed25519_dalek::SigningKey,
}

impl Signers {
    pub(crate) fn new(rng: &dyn Rng) -> Result<Self, BenchError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the nonces of ECDSA are the library's own, as in the issuer"
        )]
        let random = ring::rand::SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let rejected = |_| BenchError::Setup {
            step: "make a key",
            source: "the library refused".into(),
        };
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).map_err(rejected)?;
        let p256 = EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random)
            .map_err(|error| BenchError::setup("read a key")(error.to_string()))?;
        Ok(Self {
            random,
            p256,
            ed25519: ed25519_dalek::SigningKey::from_bytes(&rng.bytes32()),
        })
    }

    /// One signature; `None` if the library refused.
    pub(crate) fn sign(&self, alg: TokenAlg, message: &[u8]) -> Option<Vec<u8>> {
        match alg {
            TokenAlg::Es256 => {
                let signature = self.p256.sign(&self.random, message).ok()?;
                Some(signature.as_ref().to_vec())
            }
            TokenAlg::EdDsa => Some(self.ed25519.sign(message).to_vec()),
        }
    }

    /// Signatures a second on one core: the best of a few short turns, since a floor is what the
    /// machine can do when it is let.
    pub(crate) fn per_second(&self, alg: TokenAlg, clock: &dyn Clock) -> f64 {
        const TURNS: usize = 10;
        const TURN: Duration = Duration::from_millis(100);
        let message = [b'x'; INPUT_LEN];
        let mut best = 0.0_f64;
        for _ in 0..TURNS {
            let began = clock.monotonic();
            let mut signed = 0_u32;
            while since(began, clock) < TURN {
                for _ in 0..50 {
                    signed += u32::from(self.sign(alg, &message).is_some());
                }
            }
            best = best.max(f64::from(signed) / since(began, clock).as_secs_f64());
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_core::rng::SystemRng;
    use taskpass_core::time::SystemClock;

    #[test]
    fn both_algorithms_sign() {
        let signers = Signers::new(&SystemRng::new()).unwrap();
        for alg in [TokenAlg::Es256, TokenAlg::EdDsa] {
            assert_eq!(signers.sign(alg, b"message").unwrap().len(), 64);
            assert!(signers.per_second(alg, &SystemClock::new()) > 10.0);
        }
    }
}
