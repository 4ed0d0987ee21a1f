//! Enrolment: the file that carries a token to where it is used, and what enrolling gives.

use std::path::Path;

use serde::{Deserialize, Serialize};
use taskpass_client::Enrolled;
use taskpass_core::Timestamp;
use taskpass_core::secret::Secret;
use taskpass_core::spiffe::Subject;
use zeroize::Zeroizing;

use crate::errors::CliError;
use crate::output::table::Fields;
use crate::output::text::instant;
use crate::output::{Ink, View};

/// An enrolment file: the token, and how to reach and trust the broker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnrolmentFile {
    /// The single-use token.
    #[serde(serialize_with = "exposed", deserialize_with = "secret")]
    pub(crate) token: Secret,
    /// The broker's gRPC address.
    #[serde(default)]
    pub(crate) addr: Option<String>,
    /// The anchors to trust the broker by, in PEM.
    pub(crate) ca_pem: String,
    /// Until when the token works.
    #[serde(default)]
    pub(crate) expires_at: Option<String>,
}

impl EnrolmentFile {
    /// The file's content.
    pub(crate) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, CliError> {
        let mut bytes = serde_json::to_vec(self)
            .map_err(|error| CliError::caused("INTERNAL", "could not write JSON", error))?;
        bytes.push(b'\n');
        Ok(Zeroizing::new(bytes))
    }

    /// Reads a file's content. What is wrong is said without quoting it.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// The file is what carries the token.
fn exposed<S: serde::Serializer>(token: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// Where an enrolment was written, without it.
#[derive(Debug, Serialize)]
pub(crate) struct TokenWritten {
    /// Whose, such as `agent invoice-bot`.
    pub(crate) principal: String,
    /// Until when it works.
    pub(crate) expires_at: Option<Timestamp>,
    /// The file.
    pub(crate) out: String,
}

impl View for TokenWritten {
    fn text(&self, ink: &Ink) -> String {
        Fields::default()
            .with("for", &self.principal)
            .with("works until", instant(self.expires_at, ink))
            .with("written to", &self.out)
            .with(
                "next",
                format!("taskpass enrol --token-file {} --out DIR", self.out),
            )
            .render(ink)
    }
}

/// A fresh identity.
#[derive(Debug, Serialize)]
pub(crate) struct IdentityWritten {
    kind: &'static str,
    name: String,
    spiffe_id: String,
    expires_at: Timestamp,
    generation: u64,
    out: String,
}

impl IdentityWritten {
    /// What was enrolled, and the folder that holds it.
    pub(crate) fn new(enrolled: &Enrolled, out: &Path) -> Self {
        let id = enrolled.identity.name();
        let (kind, name) = match &id.subject {
            Subject::Agent(name) => ("agent", name.to_string()),
            Subject::Operator(name) => ("operator", name.to_string()),
            Subject::Verifier(name) => ("verifier", name.to_string()),
            Subject::Task(..) => ("task", String::new()),
            Subject::Broker => ("broker", String::new()),
        };
        Self {
            kind,
            name,
            spiffe_id: id.to_string(),
            expires_at: enrolled.identity.expires_at(),
            generation: enrolled.generation,
            out: out.display().to_string(),
        }
    }
}

impl View for IdentityWritten {
    fn text(&self, ink: &Ink) -> String {
        Fields::default()
            .with("identity", &self.spiffe_id)
            .with("expires", instant(Some(self.expires_at), ink))
            .with("generation", self.generation.to_string())
            .with("folder", &self.out)
            .with("next", format!("export TASKPASS_IDENTITY={}", self.out))
            .render(ink)
    }
}
