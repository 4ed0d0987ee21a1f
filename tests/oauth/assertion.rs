//! Client assertions (RFC 7523), good ones and others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use taskpass_testkit::Broker;
use taskpass_token::{Jwk, jwk::PublicKey, jws};

#[expect(clippy::disallowed_methods, reason = "keys of a test")]
fn random() -> ring::rand::SystemRandom {
    ring::rand::SystemRandom::new()
}

/// A client's key.
pub(crate) struct Key {
    pair: EcdsaKeyPair,
    pub(crate) jwk: Jwk,
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the broker beneath test lives in real time"
)]
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Key {
    pub(crate) fn new() -> Self {
        let rng = random();
        let alg = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(alg, &rng).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(alg, pkcs8.as_ref(), &rng).expect("a key");
        let point = PublicKey::from_point(pair.public_key().as_ref()).expect("a point");
        Self {
            pair,
            jwk: Jwk::new(point),
        }
    }

    /// Registers it for an agent.
    pub(crate) fn register(&self, broker: &Broker, agent: &str) {
        let file = broker.arg(&format!("{}.jwk", self.jwk.id()));
        std::fs::write(&file, self.jwk.to_json()).expect("a file");
        let args = [
            "agent",
            "update",
            agent,
            "--client-key",
            &file,
            "--until",
            "1h",
            "--reason",
            "no certificate at hand",
        ];
        broker.cli("", &args).ok();
    }

    /// An assertion as it should be.
    pub(crate) fn claims(broker: &Broker, agent: &str) -> Value {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        json!({
            "iss": agent, "sub": agent, "aud": broker.addresses().http,
            // A second ahead: one of the second in which the broker started would be refused.
            "iat": now() + 1, "exp": now() + 60, "jti": format!("id-{id}"),
        })
    }

    /// A fresh assertion.
    pub(crate) fn assertion(&self, broker: &Broker, agent: &str) -> String {
        let header = json!({"alg": "ES256", "kid": self.jwk.id().as_str()});
        self.sign(&header, &Self::claims(broker, agent))
    }

    /// Any claims under any header.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = jws::signing_input(&header.to_string(), &claims.to_string());
        let rng = random();
        let signature = self.pair.sign(&rng, input.as_bytes()).expect("a signature");
        jws::assemble(&input, signature.as_ref())
    }
}
