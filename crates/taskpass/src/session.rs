//! A connection to the broker as somebody, with a client for each service.

use std::fmt;
use std::str::FromStr;

use taskpass_api::v1::audit_service_client::AuditServiceClient;
use taskpass_api::v1::credential_service_client::CredentialServiceClient;
use taskpass_api::v1::enrolment_service_client::EnrolmentServiceClient;
use taskpass_api::v1::key_service_client::KeyServiceClient;
use taskpass_api::v1::policy_service_client::PolicyServiceClient;
use taskpass_api::v1::registry_service_client::RegistryServiceClient;
use taskpass_api::v1::revocation_service_client::RevocationServiceClient;
use taskpass_api::v1::task_service_client::TaskServiceClient;
use taskpass_api::v1::verification_service_client::VerificationServiceClient;
use taskpass_client::Identity;
use tonic::transport::Channel;

use crate::errors::CliError;

/// The broker's gRPC address, written `https://host:port` or `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(String);

impl Address {
    /// `host:port`, as the client library takes it.
    pub(crate) fn authority(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = CliError;

    fn from_str(text: &str) -> Result<Self, CliError> {
        let bare = text.strip_prefix("https://").unwrap_or(text);
        let authority = bare.strip_suffix('/').unwrap_or(bare);
        if text.starts_with("http://") {
            let message = format!("`{text}` is not encrypted; the broker speaks TLS only");
            return Err(CliError::new("INVALID_ADDRESS", message));
        }
        let port = authority.rsplit_once(':').map(|(_, port)| port);
        if authority.contains(['/', '?', '#', '@']) || port.is_none_or(str::is_empty) {
            let message = format!("`{text}` is not an address");
            return Err(CliError::new("INVALID_ADDRESS", message));
        }
        Ok(Self(authority.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.0)
    }
}

/// More than a page of the longest entries, or the longest bundle of them.
const MAX_AUDIT_REPLY: usize = 96 * 1024 * 1024;

/// A channel that presents an identity.
#[derive(Debug, Clone)]
pub(crate) struct Session(Channel);

impl Session {
    /// Connects.
    pub(crate) async fn connect(address: &Address, identity: &Identity) -> Result<Self, CliError> {
        let anchors = identity.ca_pem();
        let channel =
            taskpass_client::connect(address.authority(), Some(identity), anchors).await?;
        Ok(Self(channel))
    }

    /// A channel for a stream, which no timeout cuts.
    pub(crate) fn for_stream(address: &Address, identity: &Identity) -> Result<Self, CliError> {
        Ok(Self(taskpass_client::connect_feed(
            address.authority(),
            identity,
        )?))
    }

    /// Owners, agents, targets, operators, verifiers.
    pub(crate) fn registry(&self) -> RegistryServiceClient<Channel> {
        RegistryServiceClient::new(self.0.clone())
    }

    /// Tasks.
    pub(crate) fn tasks(&self) -> TaskServiceClient<Channel> {
        TaskServiceClient::new(self.0.clone())
    }

    /// Tokens and certificates.
    pub(crate) fn credentials(&self) -> CredentialServiceClient<Channel> {
        CredentialServiceClient::new(self.0.clone())
    }

    /// Enrolment tokens.
    pub(crate) fn enrolment(&self) -> EnrolmentServiceClient<Channel> {
        EnrolmentServiceClient::new(self.0.clone())
    }

    /// Revocations.
    pub(crate) fn revocations(&self) -> RevocationServiceClient<Channel> {
        RevocationServiceClient::new(self.0.clone())
    }

    /// The audit log.
    pub(crate) fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.0.clone()).max_decoding_message_size(MAX_AUDIT_REPLY)
    }

    /// Introspection.
    pub(crate) fn verification(&self) -> VerificationServiceClient<Channel> {
        VerificationServiceClient::new(self.0.clone())
    }

    /// What policies decide.
    pub(crate) fn policy(&self) -> PolicyServiceClient<Channel> {
        PolicyServiceClient::new(self.0.clone())
    }

    /// Signing keys.
    pub(crate) fn keys(&self) -> KeyServiceClient<Channel> {
        KeyServiceClient::new(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, authority) in [
            ("https://broker.example:8443", "broker.example:8443"),
            ("https://broker.example:8443/", "broker.example:8443"),
            ("127.0.0.1:7443", "127.0.0.1:7443"),
            ("https://[::1]:7443", "[::1]:7443"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.authority(), authority);
            assert_eq!(address.to_string(), format!("https://{authority}"));
        }
        for bad in [
            "",
            "broker.example",
            "http://broker.example:80",
            "https://broker.example",
            "https://broker.example:8443/x",
            "https://me@broker.example:8443",
            "ftp://broker.example:21",
            "broker.example:",
        ] {
            let error = bad.parse::<Address>().unwrap_err();
            assert_eq!(error.reason(), "INVALID_ADDRESS", "{bad:?}");
        }
    }
}
