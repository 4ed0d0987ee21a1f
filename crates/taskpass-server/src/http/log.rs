//! Checkpoints of the audit log, and the keys to check them by.
//!
//! They are public so that anybody can keep them: a log that was rewritten is known by the
//! checkpoints that it no longer contains. They say how much was logged, and nothing of what.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use taskpass_broker::{AuditLog, Error, Signed};
use taskpass_log::LogName;

/// Text, no older than the time within which a checkpoint is promised.
const HEADERS: [(header::HeaderName, &str); 2] = [
    (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
    (header::CACHE_CONTROL, "public, max-age=1"),
];

/// The newest checkpoint of the current log.
pub(super) async fn newest(State(log): State<Arc<AuditLog>>) -> Response {
    answer(log.checkpoint(None).await, |signed| signed.checkpoint)
}

/// The newest checkpoint of one log.
pub(super) async fn checkpoint(
    State(log): State<Arc<AuditLog>>,
    Path(name): Path<String>,
) -> Response {
    of(&log, &name, |signed| signed.checkpoint).await
}

/// The public key of one log.
pub(super) async fn vkey(State(log): State<Arc<AuditLog>>, Path(name): Path<String>) -> Response {
    of(&log, &name, |signed| format!("{}\n", signed.vkey)).await
}

async fn of(log: &AuditLog, name: &str, body: impl FnOnce(Signed) -> String) -> Response {
    match name.parse::<LogName>() {
        Ok(name) => answer(log.checkpoint(Some(name)).await, body),
        Err(error) => (StatusCode::NOT_FOUND, format!("{error}\n")).into_response(),
    }
}

fn answer(found: Result<Signed, Error>, body: impl FnOnce(Signed) -> String) -> Response {
    match found {
        Ok(signed) => (HEADERS, body(signed)).into_response(),
        Err(error @ Error::LogNotFound { .. }) => {
            (StatusCode::NOT_FOUND, format!("{error}\n")).into_response()
        }
        Err(error) => {
            // Anybody can ask: readiness and the archiver's own line say it where it is seen.
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a checkpoint could not be given"
            );
            let retry = [(header::RETRY_AFTER, "1")];
            let text = "there is no checkpoint at this moment; try again in a second\n";
            (StatusCode::SERVICE_UNAVAILABLE, retry, text).into_response()
        }
    }
}
