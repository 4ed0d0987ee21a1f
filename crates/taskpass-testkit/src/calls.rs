//! Channels to a broker, and the refusal in an answer.

use std::future::Future;

use taskpass_api::v1::audit_service_client::AuditServiceClient;
use taskpass_api::v1::credential_service_client::CredentialServiceClient;
use taskpass_api::v1::enrolment_service_client::EnrolmentServiceClient;
use taskpass_api::v1::key_service_client::KeyServiceClient;
use taskpass_api::v1::registry_service_client::RegistryServiceClient;
use taskpass_api::v1::revocation_service_client::RevocationServiceClient;
use taskpass_api::v1::task_service_client::TaskServiceClient;
use taskpass_api::v1::verification_service_client::VerificationServiceClient;
use taskpass_client::{Agent, Identity, Refused, connect};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::broker::Broker;
use crate::wait::PATIENCE;

/// Waits for an answer, not for ever.
pub async fn within<T>(answer: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_) => panic!("no answer within {PATIENCE:?}"),
    }
}

/// The refusal in an answer that must be one.
pub fn refused<T>(answer: Result<Response<T>, Status>) -> Refused {
    match answer {
        Ok(_) => panic!("was granted, and should have been refused"),
        Err(status) => status.into(),
    }
}

/// The services over one channel.
#[derive(Debug, Clone)]
pub struct Services(pub Channel);

macro_rules! services {
    ($($name:ident: $client:ident;)+) => {
        impl Services {
            $(
                /// A client of this service.
                pub fn $name(&self) -> $client<Channel> {
                    $client::new(self.0.clone())
                }
            )+
        }
    };
}

services! {
    registry: RegistryServiceClient;
    enrolment: EnrolmentServiceClient;
    tasks: TaskServiceClient;
    credentials: CredentialServiceClient;
    revocations: RevocationServiceClient;
    verification: VerificationServiceClient;
    keys: KeyServiceClient;
    audit: AuditServiceClient;
}

impl Services {
    /// The same channel as an agent has it.
    pub fn agent(&self) -> Agent {
        Agent::over(self.0.clone())
    }
}

impl Broker {
    /// The gRPC address as `host:port`.
    pub fn authority(&self) -> &str {
        let addr = &self.addresses().addr;
        addr.strip_prefix("https://").unwrap_or(addr)
    }

    /// A connection as `who` (`""` is the operator).
    pub async fn channel(&self, who: &str) -> Channel {
        let who = if who.is_empty() {
            self.operator_name()
        } else {
            who
        };
        self.connect(&self.identity(who)).await
    }

    /// A connection with an identity that is in no folder.
    pub async fn connect(&self, identity: &Identity) -> Channel {
        let connecting = connect(self.authority(), Some(identity), identity.ca_pem());
        match within(connecting).await {
            Ok(channel) => channel,
            Err(error) => panic!("{}: {error:?}\n{}", identity.name(), self.log()),
        }
    }

    /// A connection without any identity.
    pub async fn anonymous(&self) -> Channel {
        let anchors = self.identity(self.operator_name()).ca_pem().to_owned();
        match within(connect(self.authority(), None, &anchors)).await {
            Ok(channel) => channel,
            Err(error) => panic!("{error:?}\n{}", self.log()),
        }
    }

    /// The services as `who` (`""` is the operator).
    pub async fn services(&self, who: &str) -> Services {
        Services(self.channel(who).await)
    }
}
