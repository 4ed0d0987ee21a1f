//! For downstream APIs: is this token, or this certificate, good here and now?
//!
//! Offline but for the revocation feed: keys and anchors are published by the broker, tokens and
//! certificates are checked against them without a call, and a [`Feed`] keeps the rules that revoke
//! them within milliseconds of the broker's. What the verifier does not know it refuses: before the
//! first complete set of rules ([`Refusal::NotReady`]), when the feed has been silent for longer than
//! the stated bound ([`Refusal::Stale`]), when the keys are too old to be believed
//! ([`Refusal::KeysStale`]).
//!
//! # Quick start
//!
//! With the features `http` and `axum`, everything that an API needs:
//!
//! ```no_run
//! use std::sync::Arc;
//! use axum::{Extension, Router, routing::get};
//! use taskpass_core::{rng::SystemRng, time::SystemClock};
//! use taskpass_verify::http::{HttpClient, HttpKeys, Published, WebAnchors};
//! use taskpass_verify::tls::{Incoming, TaskClientVerifier};
//! use taskpass_verify::{Admitted, Feed, Guard, Keys, PeerCertificate, Staleness, Verifier};
//!
//! # async fn example(
//! #     channel: tonic::transport::Channel, listener: tokio::net::TcpListener,
//! #     tls: impl FnOnce(TaskClientVerifier) -> rustls::ServerConfig,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let (clock, rng) = (Arc::new(SystemClock::new()), Arc::new(SystemRng::new()));
//! let web = HttpClient::new(&WebAnchors::System, clock.clone())?;
//! let published = Published::fetch(&web, "https://broker.example").await?;
//! let source = Arc::new(HttpKeys::new(web, &published.jwks_uri));
//! let here = "https://ledger.example".parse()?;
//! let settings = published.settings("example.org".parse()?, [here], Staleness::default());
//! let verifier = Verifier::new(settings, clock)?;
//!
//! // The keys and the rules keep themselves up to date from here on.
//! let keys = Keys::new(verifier.clone(), source, Default::default(), rng.clone());
//! let renewing = keys.clone();
//! tokio::spawn(async move { renewing.run(std::future::pending()).await });
//! tokio::spawn(Feed::new(verifier.clone(), channel, rng).run(std::future::pending()));
//! verifier.wait_until_ready().await;
//!
//! // Each route says which scope it needs; each request is judged anew.
//! // With `.reporting(uses)` the guard also counts what is used; see `uses`.
//! let guard = Guard::new(verifier.clone(), "https://ledger.example".parse()?)?.with_keys(keys)?;
//! let router = Router::new()
//!     .route("/invoices", get(|Extension(who): Extension<Admitted>| async move {
//!         format!("hello, {}", who.token().agent())
//!     }))
//!     .route_layer(guard.require("invoices:read".parse()?));
//! let callers = TaskClientVerifier::new(verifier).optional();
//! let incoming = Incoming::new(listener, tls(callers), Default::default())?;
//! axum::serve(incoming, router.into_make_service_with_connect_info::<PeerCertificate>()).await?;
//! # Ok(()) }
//! ```
//!
//! `examples/axum_api.rs` and `examples/tonic_api.rs` are whole programs. An API's own tests need no
//! broker: the feature `test-util` brings one in memory.
//!
//! ```
//! use taskpass_verify::testing::{World, ledger};
//! use taskpass_core::revocation::Selector;
//! use taskpass_verify::Reason;
//!
//! let world = World::new();
//! let verifier = world.verifier();
//! let text = world.token();
//! let token = verifier.verify_token(&text, &ledger()).unwrap();
//! assert!(token.require_scope(&"invoices:read".parse().unwrap()).is_ok());
//!
//! world.revoke(&verifier, Selector::Task(token.task()));
//! let refusal = verifier.verify_token(&text, &ledger()).unwrap_err();
//! assert_eq!(refusal.reason(), Reason::Revoked);
//! ```
//!
//! # Without a feed
//!
//! An API that can keep no connection to the broker judges by what the broker publishes: tokens by
//! status lists (feature `status`, module `status`), certificates by revocation lists
//! ([`CrlVerifier`]). It hears of a revocation within half a minute instead of milliseconds.
//!
//! # What is where
//!
//! | module | feature | what is in it |
//! |---|---|---|
//! | [`verifier`] | | the checks |
//! | [`token`] | | a token on its way: unverified, signed, for this API, verified |
//! | [`certificate`] | | a task certificate that passed; by revocation lists: [`certificate::crl`] |
//! | [`refusal`] | | what did not pass, and why |
//! | [`settings`] | | what to accept, and how old the view of the revocations may be |
//! | [`feed`] | | the connection that keeps the rules |
//! | [`keys`] | | what keeps the keys: caching, one fetch at a time, not too often |
//! | [`anchors`] | | what keeps up with new issuing authorities, beneath the roots that are trusted |
//! | `status` | `status` | tokens judged by published status lists, where there can be no feed |
//! | [`metrics`] | | numbers for an operator |
//! | [`uses`] | | what credentials are used for here, counted for the broker |
//! | `http` | `http` | keys, anchors and metadata over HTTPS |
//! | `tls` | `rustls` | client certificates in the handshake, and a listener |
//! | `guard`, `layer` | `tower` | `RequireScope`, and the answers of RFC 6750 |
//! | `peer` | `tower` | the certificate of a connection's peer, for each request |
//! | `resource` | `tower` | the API's own metadata (RFC 9728) |
//! | `grpc` | `tonic` | the same with gRPC's answers, and an interceptor |
//! | `testing` | `test-util` | a broker in memory |
//!
//! # What it does not do
//!
//! It issues nothing, asks the broker about no single token, takes no root from the network, and keeps no record of what was
//! accepted but counts, if it is asked to report uses. It does not limit rates. A replayed token that is bound to nothing is good until it
//! expires or is revoked: where that is too much, demand bound ones (`Guard::only_bound`).

pub mod anchors;
pub mod certificate;
pub mod feed;
#[cfg(feature = "tonic")]
pub mod grpc;
#[cfg(feature = "tower")]
pub mod guard;
#[cfg(feature = "http")]
pub mod http;
pub mod keys;
#[cfg(feature = "tower")]
pub mod layer;
pub mod metrics;
#[cfg(feature = "tower")]
pub mod peer;
pub mod refusal;
#[cfg(feature = "tower")]
pub mod resource;
pub mod settings;
#[cfg(feature = "status")]
pub mod status;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
#[cfg(feature = "rustls")]
pub mod tls;
pub mod token;
pub mod uses;
pub mod verifier;

mod state;

pub use anchors::Anchors;
pub use certificate::{CertificateError, CrlVerifier, VerifiedCertificate};
pub use feed::Feed;
#[cfg(feature = "tower")]
pub use guard::{Admitted, Denied, Guard};
pub use keys::Keys;
#[cfg(feature = "tower")]
pub use layer::RequireScope;
pub use metrics::Metrics;
#[cfg(feature = "tower")]
pub use peer::PeerCertificate;
pub use refusal::{Reason, Refusal};
#[cfg(feature = "tower")]
pub use resource::ResourceMetadata;
pub use settings::{Settings, SettingsError, Staleness};
#[cfg(feature = "status")]
pub use status::StatusLists;
pub use token::{UnverifiedToken, VerifiedToken};
pub use uses::{UseReports, UseSettings, Uses};
pub use verifier::Verifier;
