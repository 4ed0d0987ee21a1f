//! An API over HTTPS that a broker's agents call: reading needs a scope, changing needs another one
//! and a token that is bound to the caller's certificate.

#[path = "shared/broker.rs"]
mod broker;

use std::error::Error;

use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use rustls::ServerConfig;
use serde_json::{Value, json};
use taskpass_core::ScopeName;
use taskpass_verify::tls::{Handshakes, Incoming};
use taskpass_verify::{Admitted, Guard, PeerCertificate, ResourceMetadata};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let api = broker::start().await?;
    let router = router(&api.guard)?;
    tokio::select! {
        served = serve(api.listener, api.tls, router) => served?,
        // What was used last has been reported by then.
        reported = api.reporting => reported?,
    }
    Ok(())
}

/// The routes. Each is behind the scope that it needs; the metadata are for everybody.
pub(crate) fn router(guard: &Guard) -> Result<Router, Box<dyn Error>> {
    let (read, pay): (ScopeName, ScopeName) = ("invoices:read".parse()?, "invoices:pay".parse()?);
    let metadata = ResourceMetadata::new(guard.target().clone(), guard.verifier().issuer())?
        .with_name("Ledger")
        .with_scopes([read.clone(), pay.clone()]);
    let guard = guard.clone().with_resource_metadata(metadata.url())?;
    let paying = guard.clone().only_bound().require(pay);
    Ok(Router::new()
        .route(
            "/invoices/{number}",
            get(invoice).route_layer(guard.require(read)),
        )
        .route(
            "/invoices/{number}/payment",
            post(payment).route_layer(paying),
        )
        .merge(metadata.router()))
}

/// Serves until the process ends.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: ServerConfig,
    router: Router,
) -> std::io::Result<()> {
    let incoming = Incoming::new(listener, tls, Handshakes::default())?;
    let service = router.into_make_service_with_connect_info::<PeerCertificate>();
    axum::serve(incoming, service).await
}

async fn invoice(
    axum::extract::Path(number): axum::extract::Path<u32>,
    Extension(caller): Extension<Admitted>,
) -> Json<Value> {
    Json(json!({"invoice": number, "for_task": caller.token().task()}))
}

async fn payment(
    axum::extract::Path(number): axum::extract::Path<u32>,
    Extension(caller): Extension<Admitted>,
) -> Json<Value> {
    // What this is, for the report of uses; to which invoice is nobody else's business.
    caller.used("invoice.pay", None);
    Json(json!({"paid": number, "by": caller.token().agent()}))
}
