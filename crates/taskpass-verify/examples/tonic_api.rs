//! An API over gRPC that a broker's agents call: a scope for each method, and a stream that ends when
//! the token that opened it is no longer good.

#[path = "shared/broker.rs"]
mod broker;
#[path = "ledger/ledger.v1.rs"]
#[rustfmt::skip]
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    reason = "generated"
)]
pub(crate) mod ledger;

use std::error::Error;
use std::pin::Pin;

use ledger::ledger_server::{Ledger, LedgerServer};
use ledger::{
    ReadInvoiceRequest, ReadInvoiceResponse, WatchInvoicesRequest, WatchInvoicesResponse,
};
use rustls::ServerConfig;
use taskpass_verify::tls::{Handshakes, Incoming};
use taskpass_verify::{Admitted, Guard, RequireScope};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let api = broker::start().await?;
    let (_newest, invoices) = watch::channel(1);
    tokio::select! {
        served = serve(api.listener, api.tls, &api.guard, invoices) => served,
        // What was used last has been reported by then.
        reported = api.reporting => Ok(reported?),
    }
}

/// Serves until the process ends. A method that is not listed here is refused.
pub(crate) async fn serve(
    listener: TcpListener,
    mut tls: ServerConfig,
    guard: &Guard,
    invoices: watch::Receiver<u32>,
) -> Result<(), Box<dyn Error>> {
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let incoming = Incoming::new(listener, tls, Handshakes::default())?;
    let scopes = RequireScope::by_path(
        guard.clone(),
        [
            ("/ledger.v1.Ledger/ReadInvoice", "invoices:read".parse()?),
            ("/ledger.v1.Ledger/WatchInvoices", "invoices:watch".parse()?),
        ],
    );
    Server::builder()
        .layer(scopes)
        .add_service(LedgerServer::new(Api { invoices }))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

struct Api {
    /// The number of the newest invoice.
    invoices: watch::Receiver<u32>,
}

#[tonic::async_trait]
impl Ledger for Api {
    async fn read_invoice(
        &self,
        request: Request<ReadInvoiceRequest>,
    ) -> Result<Response<ReadInvoiceResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(ReadInvoiceResponse {
            number: request.get_ref().number,
            for_task: caller.token().task().to_string(),
        }))
    }

    type WatchInvoicesStream =
        Pin<Box<dyn Stream<Item = Result<WatchInvoicesResponse, Status>> + Send>>;

    async fn watch_invoices(
        &self,
        request: Request<WatchInvoicesRequest>,
    ) -> Result<Response<Self::WatchInvoicesStream>, Status> {
        let caller = caller(&request)?;
        let from = request.get_ref().from;
        let numbers = WatchStream::new(self.invoices.clone()).filter(move |number| *number >= from);
        // The request was admitted once, and the stream lasts: nothing leaves without asking again,
        // and the first refusal ends it.
        let invoices = numbers.map(move |number| {
            caller.recheck()?;
            Ok(WatchInvoicesResponse { number })
        });
        Ok(Response::new(Box::pin(invoices)))
    }
}

/// Who was let in; the layer has seen to it that somebody was.
fn caller<T>(request: &Request<T>) -> Result<Admitted, Status> {
    let caller = request.extensions().get::<Admitted>().cloned();
    caller.ok_or_else(|| Status::internal("the service is not behind its guard"))
}
