//! Operations: health, readiness, metrics. On loopback unless configured otherwise; no secrets here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use taskpass_broker::Broker;
use taskpass_broker::metrics::Count;

use crate::export::ExportState;
use crate::oauth::Counts;
use crate::{metrics, pressure};

/// What readiness looks at.
pub(crate) struct Health {
    pub(crate) broker: Arc<Broker>,
    /// Set while the server is stopping.
    pub(crate) stopping: AtomicBool,
    /// Set once the archiver could not write, until it can again.
    pub(crate) log_failing: AtomicBool,
    /// Connections that were closed because their address had too many.
    pub(crate) refused_connections: Arc<Count>,
    /// Requests that were refused because as many ran as may at one time.
    pub(crate) refused_requests: Arc<Count>,
    /// What the OAuth front answered.
    pub(crate) oauth: Arc<Counts>,
    /// How callers proved themselves by the word of others.
    pub(crate) attestations: Arc<crate::federation::Counts>,
    /// How exporting checkpoints goes.
    pub(crate) export: Arc<ExportState>,
}

/// The routes.
pub(crate) fn router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .fallback(|| async { (StatusCode::NOT_FOUND, "/healthz, /readyz or /metrics\n") })
        .with_state(health)
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    let mut reasons = Vec::new();
    if health.stopping.load(Ordering::Relaxed) {
        reasons.push("the broker is stopping");
    }
    if health.broker.sealed_at().is_some() {
        reasons.push(
            "restored from a backup and sealed: nothing is issued until an operator unseals it",
        );
    }
    if !health.broker.clock_is_safe() {
        reasons.push("the clock went back; nothing is issued until it has caught up");
    }
    if health.log_failing.load(Ordering::Relaxed) {
        reasons.push("the audit log cannot be written");
    }
    if pressure::is_critical(&health.broker.store_stats()) {
        reasons.push("the outbox of the audit log is nearly full; issuing stops when it is");
    }
    if health.broker.store_stats().disk_full {
        reasons.push("the store's disk is nearly full; nothing is issued until there is room");
    }
    if health.export.conflict.load(Ordering::Relaxed) {
        reasons.push(
            "the exported checkpoint is not in the audit log: it was rolled back or rewritten",
        );
    }
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let (rules, seq) = health.broker.rules_in_force();
    let body = serde_json::json!({
        "ready": reasons.is_empty(),
        "reasons": reasons,
        "revocation_seq": seq,
        "rules": rules,
        "policy_set": health.broker.policy_hash().to_string(),
    });
    (status, Json(body)).into_response()
}

async fn render(State(health): State<Arc<Health>>) -> Response {
    let text = metrics::render(&health);
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}
