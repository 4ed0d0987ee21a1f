//! What an agent did with its credentials, in its own words.

use taskpass_api::v1;
use taskpass_api::v1::verification_service_client::VerificationServiceClient;
use taskpass_core::{CredentialId, ScopeName, Timestamp};

use super::{Agent, AgentError};
use crate::error::Refused;
use crate::wire;

/// Items in one message of the call.
const ITEMS: usize = 256;

/// Uses of one credential that have everything but the time in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Which token or certificate, of this agent's own.
    pub credential: CredentialId,
    /// The scope that it was used for.
    pub scope: Option<ScopeName>,
    /// What was done: a tool, a method. At most 128 bytes.
    pub action: Option<String>,
    /// To what. At most 256 bytes. It stays in the broker's log: leave it out unless it is wanted.
    pub resource: Option<String>,
    /// Whether the target turned it away.
    pub refused: bool,
    /// How often.
    pub count: u32,
    /// The first time.
    pub first_at: Timestamp,
    /// The last time; not before the first.
    pub last_at: Timestamp,
}

impl Use {
    /// One use, at `at`, that the target let through.
    pub fn once(credential: CredentialId, at: Timestamp) -> Self {
        Self {
            credential,
            scope: None,
            action: None,
            resource: None,
            refused: false,
            count: 1,
            first_at: at,
            last_at: at,
        }
    }
}

/// What became of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Items that are recorded, as the agent's word.
    pub accepted: u64,
    /// Items about credentials that are not this agent's, or that ended some minutes ago.
    pub unknown: u64,
    /// Items whose texts, counts or times are no such.
    pub refused: u64,
}

impl Agent {
    /// Says what this agent's credentials were used for. It is kept and shown as its word, and never
    /// counts as proof. Not sent again by itself: what is said twice is recorded twice.
    pub async fn report_use(
        &self,
        uses: impl IntoIterator<Item = Use>,
    ) -> Result<Said, AgentError> {
        let items: Vec<_> = uses.into_iter().map(Use::into_wire).collect();
        let messages: Vec<_> = items
            .chunks(ITEMS)
            .map(|items| v1::ReportUseRequest {
                items: items.to_vec(),
                ..v1::ReportUseRequest::default()
            })
            .collect();
        let mut client = VerificationServiceClient::new(self.channel.clone());
        let reply = client.report_use(tokio_stream::iter(messages)).await;
        let reply = reply.map_err(Refused::from)?.into_inner();
        Ok(Said {
            accepted: reply.accepted,
            unknown: reply.unknown,
            refused: reply.refused,
        })
    }
}

impl Use {
    fn into_wire(self) -> v1::UseItem {
        let outcome = if self.refused {
            v1::UseOutcome::Refused
        } else {
            v1::UseOutcome::Allowed
        };
        v1::UseItem {
            credential_id: self.credential.to_string(),
            scope: self.scope.map(|name| name.to_string()).unwrap_or_default(),
            action: self.action.unwrap_or_default(),
            resource: self.resource.unwrap_or_default(),
            outcome: outcome.into(),
            count: self.count.into(),
            first_at: Some(wire::instant(self.first_at)),
            last_at: Some(wire::instant(self.last_at)),
        }
    }
}
