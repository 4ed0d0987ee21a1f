//! Drills: telling the broker that a rule of the feed holds here.
//!
//! A confirmation is made only after the rule is in force, and after the verifier was asked about the
//! credential as a request's is judged: what is confirmed is a refusal, and not the arrival of a message. It goes
//! out beside the stream, which does not wait for it. One at a time: a broker that asks for more than
//! there are drills is not answered more often. If it cannot be sent, the broker counts this verifier as
//! silent; nothing else follows from it.

use std::time::Duration;

use taskpass_api::v1::revocation_service_client::RevocationServiceClient;
use taskpass_api::v1::{ConfirmRequest, Revocation, revocation_selector::Selector};
use taskpass_core::CredentialId;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::verifier::Verifier;

/// How long the broker may take to hear of it.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest token of a drill.
const MAX_TOKEN: usize = 64;

/// A rule of a frame that is to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drill {
    token: Vec<u8>,
    credential: CredentialId,
}

/// The drill among the rules of a frame, if there is one: of a credential, and with a token.
pub(super) fn among(wire: &[Revocation]) -> Option<Drill> {
    wire.iter().find_map(|rule| {
        let token = rule.drill.as_ref();
        let Some(Selector::CredentialId(id)) = rule.selector.as_ref()?.selector.as_ref() else {
            return None;
        };
        if !(1..=MAX_TOKEN).contains(&token.len()) {
            return None;
        }
        Some(Drill {
            token: token.to_vec(),
            credential: id.parse().ok()?,
        })
    })
}

/// The confirmation that is under way, which ends with its feed.
#[derive(Debug, Default)]
pub(super) struct Confirming(JoinSet<()>);

impl Confirming {
    /// Confirms `drill` over `channel`, if the verifier refuses its credential.
    pub(super) fn confirm(&mut self, drill: &Drill, verifier: &Verifier, channel: &Channel) {
        while self.0.try_join_next().is_some() {}
        let Some(seq) = verifier.refuses(drill.credential) else {
            tracing::error!(credential = %drill.credential, "the rule of a drill does not hold here");
            return;
        };
        if !self.0.is_empty() {
            tracing::warn!("a drill while another is being confirmed");
            return;
        }
        let request = ConfirmRequest {
            drill: drill.token.clone().into(),
            credential_id: drill.credential.to_string(),
            seq,
        };
        self.0.spawn(send(channel.clone(), request));
    }
}

async fn send(channel: Channel, request: ConfirmRequest) {
    let mut client = RevocationServiceClient::new(channel);
    match tokio::time::timeout(PATIENCE, client.confirm(request)).await {
        Ok(Ok(reply)) => {
            let counted = reply.into_inner().counted;
            tracing::info!(counted, "the drill of a revocation was confirmed");
        }
        Ok(Err(status)) => tracing::warn!(%status, "a drill could not be confirmed"),
        Err(_) => tracing::warn!("a drill could not be confirmed in time"),
    }
}
