//! Tokens and certificates that were issued.

use std::path::Path;

use serde::Serialize;
use taskpass_api::v1;
use taskpass_core::Timestamp;
use taskpass_core::secret::Secret;

use super::wire;
use crate::output::table::Fields;
use crate::output::text::{instant, list};
use crate::output::{Ink, View};

/// A token. Its text is everything but the token; its JSON has the token too.
#[derive(Debug, Serialize)]
pub(crate) struct IssuedToken {
    #[serde(serialize_with = "exposed")]
    token: Secret,
    credential_id: String,
    expires_at: Option<Timestamp>,
    scopes: Vec<String>,
    clamped_by: Vec<String>,
    decision_id: String,
    would_deny: bool,
    revocation_seq: u64,
}

/// The token is what was asked for.
fn exposed<S: serde::Serializer>(token: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

impl From<v1::IssueTokenResponse> for IssuedToken {
    fn from(reply: v1::IssueTokenResponse) -> Self {
        Self {
            token: Secret::new(reply.token),
            credential_id: reply.credential_id,
            expires_at: wire::instant(reply.expires_at),
            scopes: reply.scopes,
            clamped_by: reply.clamped_by,
            decision_id: reply.decision_id,
            would_deny: reply.would_deny,
            revocation_seq: reply.revocation_seq,
        }
    }
}

impl IssuedToken {
    /// The token itself.
    pub(crate) fn token(&self) -> &Secret {
        &self.token
    }
}

impl View for IssuedToken {
    fn text(&self, ink: &Ink) -> String {
        Fields::default()
            .with("credential", &self.credential_id)
            .with("expires", instant(self.expires_at, ink))
            .with("scopes", list(&self.scopes))
            .with("clamped by", list(&self.clamped_by))
            .with("decision", &self.decision_id)
            .maybe(
                "warning",
                wire::observed(self.would_deny).map(str::to_owned),
            )
            .render(ink)
    }
}

/// A certificate that was written to a folder.
#[derive(Debug, Serialize)]
pub(crate) struct IssuedCertificate {
    credential_id: String,
    expires_at: Option<Timestamp>,
    clamped_by: Vec<String>,
    decision_id: String,
    revocation_seq: u64,
    out: String,
    files: Vec<&'static str>,
}

impl IssuedCertificate {
    /// What was issued, and which files of the folder hold it.
    pub(crate) fn new(
        reply: v1::IssueCertificateResponse,
        out: &Path,
        files: Vec<&'static str>,
    ) -> Self {
        Self {
            credential_id: reply.credential_id,
            expires_at: wire::instant(reply.expires_at),
            clamped_by: reply.clamped_by,
            decision_id: reply.decision_id,
            revocation_seq: reply.revocation_seq,
            out: out.display().to_string(),
            files,
        }
    }
}

impl View for IssuedCertificate {
    fn text(&self, ink: &Ink) -> String {
        Fields::default()
            .with("credential", &self.credential_id)
            .with("expires", instant(self.expires_at, ink))
            .with("clamped by", list(&self.clamped_by))
            .with("decision", &self.decision_id)
            .with("folder", &self.out)
            .with("files", list(&self.files))
            .render(ink)
    }
}
