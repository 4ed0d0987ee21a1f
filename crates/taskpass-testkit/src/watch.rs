//! A verifier as a downstream API has it: keys over HTTP, rules over the feed.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use taskpass_client::connect_feed;
use taskpass_core::rng::SystemRng;
use taskpass_core::time::SystemClock;
use taskpass_token::JwkSet;
use taskpass_verify::{Feed, Reason, Settings, Staleness, VerifiedCertificate, Verifier};
use tokio::task::JoinHandle;

use crate::broker::Broker;
use crate::calls::within;

/// A verifier on the feed; the feed ends when this is dropped.
#[derive(Debug)]
pub struct Watcher {
    /// The verifier.
    pub verifier: Verifier,
    feed: JoinHandle<()>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.feed.abort();
    }
}

impl Watcher {
    /// Waits until the rules up to `seq` are known here.
    pub async fn reaches(&self, seq: u64) {
        within(self.verifier.wait_for_seq(seq)).await;
    }

    /// Why a token is refused at a target; nothing if it is accepted.
    pub fn token(&self, token: &str, target: &str) -> Option<Reason> {
        let target = target.parse().expect("a target");
        let outcome = self.verifier.verify_token(token, &target);
        outcome.err().map(|refusal| refusal.reason())
    }

    /// Why a certificate is refused; nothing if it is accepted. `chain` is leaf and issuing
    /// authority, in PEM, as it was issued.
    pub fn certificate(&self, chain: &str) -> Option<Reason> {
        self.proved(chain).err()
    }

    /// The certificate, if it is accepted.
    pub fn proved(&self, chain: &str) -> Result<VerifiedCertificate, Reason> {
        let chain = ders(chain);
        let (leaf, rest) = chain.split_first().expect("a certificate in PEM");
        let rest: Vec<&[u8]> = rest.iter().map(Vec::as_slice).collect();
        let outcome = self.verifier.verify_certificate(leaf, &rest);
        outcome.map_err(|refusal| refusal.reason())
    }

    /// Why a token that came with a certificate is refused; nothing if it is accepted.
    pub fn bound_token(&self, token: &str, target: &str, chain: &str) -> Option<Reason> {
        let target = target.parse().expect("a target");
        let certificate = match self.proved(chain) {
            Ok(certificate) => certificate,
            Err(reason) => return Some(reason),
        };
        let outcome = self
            .verifier
            .verify_token_with(token, &target, &certificate);
        outcome.err().map(|refusal| refusal.reason())
    }
}

impl Broker {
    /// What somebody needs to verify this broker's credentials for `targets`.
    pub fn settings(&self, targets: &[&str]) -> Settings {
        let issuer = self.addresses().http.clone();
        let jwks = self.get("/.well-known/jwks.json").body;
        let leaf = self.identity(self.operator_name());
        Settings {
            issuer,
            trust_domain: leaf.name().trust_domain.clone(),
            audiences: targets
                .iter()
                .map(|uri| uri.parse().expect("a target"))
                .collect(),
            staleness: Staleness::default(),
            jwks: JwkSet::from_json(&jwks).expect("the published keys can be read"),
            task_anchors_pem: self.get("/ca.pem").text(),
        }
    }

    /// A verifier for `targets` whose feed is connected as `who`, once it knows the rules.
    pub async fn watch(&self, who: &str, targets: &[&str]) -> Watcher {
        let identity = self.identity(if who.is_empty() {
            self.operator_name()
        } else {
            who
        });
        let clock = Arc::new(SystemClock::new());
        let verifier = Verifier::new(self.settings(targets), clock).expect("the settings are good");
        let channel = connect_feed(self.authority(), &identity).expect("a good address");
        let feed = Feed::new(verifier.clone(), channel, Arc::new(SystemRng::new()));
        let feed = tokio::spawn(feed.run(std::future::pending()));
        within(verifier.wait_until_ready()).await;
        Watcher { verifier, feed }
    }
}

/// The certificates of a PEM text.
pub fn ders(pem: &str) -> Vec<Vec<u8>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|der| der.expect("certificates in PEM").to_vec())
        .collect()
}
