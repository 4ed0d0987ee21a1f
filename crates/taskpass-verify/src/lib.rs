//! For downstream APIs: is this token, or this certificate, good here and now?
//!
//! Offline but for the revocation feed: keys and anchors are published by the broker, tokens and
//! certificates are checked against them without a call, and a [`Feed`] keeps the rules that revoke
//! them within milliseconds of the broker's. What the verifier does not know it refuses: before the
//! first complete set of rules ([`Refusal::NotReady`]), when the feed has been silent for longer than
//! the stated bound ([`Refusal::Stale`]), when the keys are too old to be believed.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use taskpass_core::{rng::SystemRng, time::SystemClock, TargetUri};
//! # use taskpass_verify::{Feed, Refusal, Settings, Verifier};
//! # async fn example(
//! #     settings: Settings, channel: tonic::transport::Channel, token: &str, here: &TargetUri,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = Verifier::new(settings, Arc::new(SystemClock::new()))?;
//! let feed = Feed::new(verifier.clone(), channel, Arc::new(SystemRng::new()));
//! tokio::spawn(feed.run(std::future::pending()));
//! verifier.wait_until_ready().await;
//! verifier.verify_token(token, here)?.require_scope(&"invoices:read".parse()?)?;
//! # Ok(()) }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`verifier`] | the checks |
//! | [`token`], [`certificate`] | what passed them |
//! | [`refusal`] | what did not, and why |
//! | [`settings`] | what to accept |
//! | [`feed`] | the connection that keeps the rules |
//! | [`metrics`] | numbers for an operator |

pub mod certificate;
pub mod feed;
pub mod metrics;
pub mod refusal;
pub mod settings;
pub mod token;
pub mod verifier;

mod state;
#[cfg(test)]
mod testing;

pub use certificate::{CertificateError, VerifiedCertificate};
pub use feed::Feed;
pub use metrics::Metrics;
pub use refusal::{Reason, Refusal};
pub use settings::{Settings, SettingsError, Staleness};
pub use token::VerifiedToken;
pub use verifier::Verifier;
