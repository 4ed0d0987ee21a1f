//! The services: each file parses a request into the domain, calls the broker, and says the answer
//! in proto. No file here decides anything.

mod approval;
mod audit;
mod backup;
mod convert;
mod credential;
mod enrolment;
mod key;
mod parse;
mod policy;
mod registry;
mod revocation;
mod task;
mod uses;
mod verification;

pub use registry::{entry_of, row_of};

use std::sync::Arc;

use taskpass_api::v1;
use taskpass_broker::{AuditLog, Broker, Error, Proved, Standing};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Status};

use crate::status;

/// What every service has.
#[derive(Clone)]
pub(crate) struct Service {
    broker: Arc<Broker>,
    log: Arc<AuditLog>,
    streams: Arc<audit::Streams>,
    stop: CancellationToken,
}

/// All services of the API.
pub(crate) fn routes(
    broker: &Arc<Broker>,
    log: &Arc<AuditLog>,
    message_bytes: usize,
    stop: &CancellationToken,
    health: tonic::service::Routes,
) -> Routes {
    use v1::approval_service_server::ApprovalServiceServer;
    use v1::audit_service_server::AuditServiceServer;
    use v1::backup_service_server::BackupServiceServer;
    use v1::credential_service_server::CredentialServiceServer;
    use v1::enrolment_service_server::EnrolmentServiceServer;
    use v1::key_service_server::KeyServiceServer;
    use v1::policy_service_server::PolicyServiceServer;
    use v1::registry_service_server::RegistryServiceServer;
    use v1::revocation_service_server::RevocationServiceServer;
    use v1::task_service_server::TaskServiceServer;
    use v1::verification_service_server::VerificationServiceServer;

    let streams = Arc::new(audit::Streams::new());
    let service = || Service {
        broker: Arc::clone(broker),
        log: Arc::clone(log),
        streams: Arc::clone(&streams),
        stop: stop.clone(),
    };
    health
        .add_service(RegistryServiceServer::new(service()).max_decoding_message_size(message_bytes))
        .add_service(
            EnrolmentServiceServer::new(service()).max_decoding_message_size(message_bytes),
        )
        .add_service(TaskServiceServer::new(service()).max_decoding_message_size(message_bytes))
        .add_service(
            CredentialServiceServer::new(service()).max_decoding_message_size(message_bytes),
        )
        .add_service(
            RevocationServiceServer::new(service()).max_decoding_message_size(message_bytes),
        )
        .add_service(
            VerificationServiceServer::new(service()).max_decoding_message_size(message_bytes),
        )
        .add_service(KeyServiceServer::new(service()).max_decoding_message_size(message_bytes))
        .add_service(BackupServiceServer::new(service()).max_decoding_message_size(message_bytes))
        .add_service(PolicyServiceServer::new(service()).max_decoding_message_size(message_bytes))
        .add_service(AuditServiceServer::new(service()).max_decoding_message_size(message_bytes))
        .add_service(ApprovalServiceServer::new(service()).max_decoding_message_size(message_bytes))
}

/// Who calls: the gate put it there. Without it nothing is done.
fn standing<T>(request: &Request<T>) -> Result<Standing, Status> {
    request
        .extensions()
        .get::<Standing>()
        .cloned()
        .ok_or_else(|| {
            status::of(Error::Unauthenticated {
                message: "call with an identity certificate; `taskpass enrol` gets one",
            })
        })
}

/// What the connection proved, to ask again during a stream.
fn proved<T>(request: &Request<T>) -> Result<Proved, Status> {
    request
        .extensions()
        .get::<Proved>()
        .cloned()
        .ok_or_else(|| {
            status::of(Error::Unauthenticated {
                message: "call with an identity certificate",
            })
        })
}
