//! A connection to the broker as somebody, with a client for each service.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use taskpass_api::v1::approval_service_client::ApprovalServiceClient;
use taskpass_api::v1::audit_service_client::AuditServiceClient;
use taskpass_api::v1::backup_service_client::BackupServiceClient;
use taskpass_api::v1::credential_service_client::CredentialServiceClient;
use taskpass_api::v1::enrolment_service_client::EnrolmentServiceClient;
use taskpass_api::v1::key_service_client::KeyServiceClient;
use taskpass_api::v1::policy_service_client::PolicyServiceClient;
use taskpass_api::v1::registry_service_client::RegistryServiceClient;
use taskpass_api::v1::revocation_service_client::RevocationServiceClient;
use taskpass_api::v1::task_service_client::TaskServiceClient;
use taskpass_api::v1::verification_service_client::VerificationServiceClient;
use taskpass_client::{Connection, Identity};

use crate::errors::CliError;

/// What an address begins with that is a socket on this machine.
const SOCKET: &str = "unix:";

/// The broker's gRPC address, written `https://host:port`, `host:port` or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(String);

impl Address {
    /// `host:port` or `unix:/path`, as the client library takes it.
    pub(crate) fn authority(&self) -> &str {
        &self.0
    }

    /// Whether it is a socket on this machine.
    pub(crate) fn is_socket(&self) -> bool {
        self.0.starts_with(SOCKET)
    }
}

impl FromStr for Address {
    type Err = CliError;

    fn from_str(text: &str) -> Result<Self, CliError> {
        if let Some(path) = text.strip_prefix(SOCKET) {
            if Path::new(path).is_absolute() {
                return Ok(Self(text.to_owned()));
            }
            let message = format!("`{text}` does not name a socket by its whole path");
            return Err(CliError::new("INVALID_ADDRESS", message));
        }
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
        if self.is_socket() {
            return f.write_str(&self.0);
        }
        write!(f, "https://{}", self.0)
    }
}

/// More than a page of the longest entries, or the longest bundle of them.
const MAX_AUDIT_REPLY: usize = 96 * 1024 * 1024;

/// A channel that presents an identity.
#[derive(Debug, Clone)]
pub(crate) struct Session(Connection);

impl Session {
    /// Connects.
    pub(crate) async fn connect(address: &Address, identity: &Identity) -> Result<Self, CliError> {
        let anchors = identity.ca_pem();
        let channel =
            taskpass_client::connect(address.authority(), Some(identity), anchors).await?;
        Ok(Self(channel.into()))
    }

    /// Connects to the Unix socket of a broker on this machine.
    pub(crate) async fn at_socket(address: &Address) -> Result<Self, CliError> {
        let channel = taskpass_client::connect(address.authority(), None, "").await?;
        Ok(Self(channel.into()))
    }

    /// Connects, and presents the token in a file with each call.
    pub(crate) async fn presenting(
        address: &Address,
        token_file: &Path,
        anchors_pem: &str,
    ) -> Result<Self, CliError> {
        let authority = address.authority();
        let presenting =
            taskpass_client::connect_presenting(authority, token_file, anchors_pem).await?;
        Ok(Self(presenting))
    }

    /// A channel for a stream, which no timeout cuts.
    pub(crate) fn for_stream(address: &Address, identity: &Identity) -> Result<Self, CliError> {
        let channel = taskpass_client::connect_feed(address.authority(), identity)?;
        Ok(Self(channel.into()))
    }

    /// What waits for another operator.
    pub(crate) fn approvals(&self) -> ApprovalServiceClient<Connection> {
        ApprovalServiceClient::new(self.0.clone())
    }

    /// Owners, agents, targets, operators, verifiers.
    pub(crate) fn registry(&self) -> RegistryServiceClient<Connection> {
        RegistryServiceClient::new(self.0.clone())
    }

    /// Tasks.
    pub(crate) fn tasks(&self) -> TaskServiceClient<Connection> {
        TaskServiceClient::new(self.0.clone())
    }

    /// Tokens and certificates.
    pub(crate) fn credentials(&self) -> CredentialServiceClient<Connection> {
        CredentialServiceClient::new(self.0.clone())
    }

    /// Enrolment tokens.
    pub(crate) fn enrolment(&self) -> EnrolmentServiceClient<Connection> {
        EnrolmentServiceClient::new(self.0.clone())
    }

    /// Revocations.
    pub(crate) fn revocations(&self) -> RevocationServiceClient<Connection> {
        RevocationServiceClient::new(self.0.clone())
    }

    /// The audit log.
    pub(crate) fn audit(&self) -> AuditServiceClient<Connection> {
        AuditServiceClient::new(self.0.clone()).max_decoding_message_size(MAX_AUDIT_REPLY)
    }

    /// Taking the store away, and unsealing.
    pub(crate) fn backup(&self) -> BackupServiceClient<Connection> {
        BackupServiceClient::new(self.0.clone())
    }

    /// Introspection.
    pub(crate) fn verification(&self) -> VerificationServiceClient<Connection> {
        VerificationServiceClient::new(self.0.clone())
    }

    /// What policies decide.
    pub(crate) fn policy(&self) -> PolicyServiceClient<Connection> {
        PolicyServiceClient::new(self.0.clone())
    }

    /// Signing keys.
    pub(crate) fn keys(&self) -> KeyServiceClient<Connection> {
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
        let socket: Address = "unix:/run/taskpass/agent.sock".parse().unwrap();
        assert!(socket.is_socket());
        assert_eq!(socket.to_string(), "unix:/run/taskpass/agent.sock");
        assert_eq!(socket.authority(), "unix:/run/taskpass/agent.sock");
        for bad in [
            "",
            "unix:",
            "unix:agent.sock",
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
