//! One entry of the audit log, as far as reports read it.
//!
//! Reading is strict about the form's version and the fields that every entry has, and lenient about
//! fields that are not known here. Words stay text: a kind that a newer broker writes is counted, not
//! refused.

mod uses;

use serde::{Deserialize, Deserializer};
use taskpass_core::Timestamp;
use taskpass_core::audit::ENTRY_VERSION;

pub use uses::{Covered, Used, UsedItem};

/// An entry cannot be taken into a report.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// It is not an entry.
    #[error("entry {index} of log {log} is no audit entry")]
    Form {
        /// The log.
        log: String,
        /// Its index there.
        index: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// It is of another form than the one known here.
    #[error(
        "entry {index} of log {log} is of form {version}, and only form {ENTRY_VERSION} is known here"
    )]
    Version {
        /// The log.
        log: String,
        /// Its index there.
        index: u64,
        /// The form's number.
        version: u8,
    },
}

/// An entry.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// The version of its form.
    pub v: u8,
    /// Its id.
    pub id: String,
    /// When.
    #[serde(deserialize_with = "instant")]
    pub at: Timestamp,
    /// What it is about.
    pub kind: String,
    /// How it went.
    pub outcome: String,
    /// Who called.
    pub actor: Option<String>,
    /// The agent concerned.
    pub agent: Option<String>,
    /// Its owner at that moment.
    pub owner: Option<String>,
    /// How the caller proved itself.
    pub attestation: Option<Attestation>,
    /// The task.
    pub task: Option<String>,
    /// The tasks above it, the nearest first.
    #[serde(default)]
    pub ancestors: Vec<Ancestor>,
    /// The target.
    pub target: Option<String>,
    /// What was asked for.
    pub asked: Option<Terms>,
    /// What was granted.
    pub granted: Option<Terms>,
    /// What decided.
    pub decision: Option<Decision>,
    /// The credential.
    pub credential: Option<Credential>,
    /// The revocation.
    pub revocation: Option<Revocation>,
    /// The identity certificate that was issued.
    pub identity: Option<Identity>,
    /// What was changed or read.
    pub subject: Option<String>,
    /// The state of what was changed.
    pub state: Option<String>,
    /// What a change lets somebody have or do who could not before.
    #[serde(default)]
    pub widened: Vec<String>,
    /// How many.
    pub count: Option<u64>,
    /// Why.
    pub reason: Option<String>,
    /// How a stage rises.
    pub promotion: Option<Promotion>,
    /// What a drill measured.
    pub drill: Option<Drill>,
    /// What a credential was used for.
    #[serde(rename = "use")]
    pub used: Option<Used>,
    /// Of which time it is known what credentials were used for.
    pub coverage: Option<Covered>,
}

/// How a caller proved itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Attestation {
    /// The method's word.
    pub method: String,
    /// The key, of the methods that have one.
    pub key: Option<String>,
    /// Who vouched, of a token of another issuer.
    pub issuer: Option<String>,
    /// The name in another trust domain.
    pub spiffe_id: Option<String>,
}

/// A task above, with its agent.
#[derive(Debug, Clone, Deserialize)]
pub struct Ancestor {
    /// The task.
    pub task: String,
    /// Its agent.
    pub agent: String,
}

/// Scopes and a lifetime.
#[derive(Debug, Clone, Deserialize)]
pub struct Terms {
    /// The scopes, as TARGET#SCOPE.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The lifetime in seconds.
    pub ttl: Option<u64>,
    /// The end.
    #[serde(default, deserialize_with = "maybe_instant")]
    pub expires_at: Option<Timestamp>,
}

/// What decided.
#[derive(Debug, Clone, Deserialize)]
pub struct Decision {
    /// The policies.
    #[serde(default)]
    pub policies: Vec<String>,
    /// Whether it was allowed only because its target is observed.
    #[serde(default)]
    pub would_deny: bool,
    /// SHA-256 of the policy set.
    pub policy_set: Option<String>,
    /// Whether a policy could not be evaluated.
    #[serde(default)]
    pub errored: bool,
}

/// A credential.
#[derive(Debug, Clone, Deserialize)]
pub struct Credential {
    /// `token` or `certificate`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// The key that signed it.
    pub key: Option<String>,
    /// The certificate that a token is bound to.
    pub bound_to: Option<String>,
}

/// How a stage rises.
#[derive(Debug, Clone, Deserialize)]
pub struct Promotion {
    /// To which stage.
    pub to: String,
    /// By what.
    pub by: String,
    /// The report, of evidence.
    pub readiness: Option<ReadinessRef>,
    /// Who proposed it, where somebody else approved it.
    pub proposal: Option<ProposalRef>,
}

/// A readiness report.
#[derive(Debug, Clone, Deserialize)]
pub struct ReadinessRef {
    /// Its SHA-256.
    pub report: String,
}

/// A proposal.
#[derive(Debug, Clone, Deserialize)]
pub struct ProposalRef {
    /// Who made it.
    pub by: String,
}

/// What a drill of the kill switch measured: from the arrival of the revocation to the refusal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Drill {
    /// Verifiers that were connected.
    #[serde(default)]
    pub connected: u64,
    /// How many of these said that they refuse.
    #[serde(default)]
    pub confirmed: u64,
    /// How many said nothing.
    #[serde(default)]
    pub silent: u64,
    /// Until it was on disk, in microseconds.
    pub commit_us: Option<u64>,
    /// Until the first verifier refused.
    pub first_us: Option<u64>,
    /// Until half of them did.
    pub p50_us: Option<u64>,
    /// Until the last did.
    pub last_us: Option<u64>,
    /// Until the broker itself said that it is not valid.
    pub introspect_us: Option<u64>,
    /// Whether the time was over before all had answered.
    #[serde(default)]
    pub timed_out: bool,
}

/// A revocation.
#[derive(Debug, Clone, Deserialize)]
pub struct Revocation {
    /// What kind of thing it names.
    pub selector: String,
    /// What it names.
    #[serde(default)]
    pub value: String,
    /// How many live credentials it ended.
    #[serde(default)]
    pub credentials: u64,
}

/// An identity certificate.
#[derive(Debug, Clone, Deserialize)]
pub struct Identity {
    /// SHA-256 of its public key.
    pub key: String,
}

impl Entry {
    /// Reads entry `index` of `log`.
    pub fn parse(log: &str, index: u64, json: &[u8]) -> Result<Self, EntryError> {
        let form = |source| EntryError::Form {
            log: log.to_owned(),
            index,
            source,
        };
        // The version first: of another form, nothing else is known.
        let Version { v: version } = serde_json::from_slice(json).map_err(form)?;
        if version != ENTRY_VERSION {
            let log = log.to_owned();
            return Err(EntryError::Version {
                log,
                index,
                version,
            });
        }
        serde_json::from_slice(json).map_err(form)
    }

    /// The name of the agent that called, if an agent did.
    pub fn caller(&self) -> Option<&str> {
        self.actor.as_deref()?.strip_prefix("agent/")
    }

    /// The name of the verifier that called, if one did.
    pub fn verifier(&self) -> Option<&str> {
        self.actor.as_deref()?.strip_prefix("verifier/")
    }
}

#[derive(Deserialize)]
struct Version {
    v: u8,
}

fn instant<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    Timestamp::parse_rfc3339(&text).ok_or_else(|| serde::de::Error::custom("not an instant"))
}

fn maybe_instant<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    instant(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_entry_is_refused_with_its_place() {
        for (json, message) in [
            ("", "entry 7 of log 2026-11 is no audit entry"),
            ("[]", "entry 7 of log 2026-11 is no audit entry"),
            (r#"{"v":1}"#, "entry 7 of log 2026-11 is no audit entry"),
            (
                r#"{"v":1,"id":"A","at":"yesterday","kind":"read","outcome":"done"}"#,
                "entry 7 of log 2026-11 is no audit entry",
            ),
            (
                r#"{"v":2}"#,
                "entry 7 of log 2026-11 is of form 2, and only form 1 is known here",
            ),
        ] {
            let error = Entry::parse("2026-11", 7, json.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), message, "{json}");
        }
    }

    #[test]
    fn the_documented_example_reads() {
        let json = br#"{"v":1,"id":"01M82ESWM1NZKTJBETD1S1PBMC","at":"2026-11-22T20:22:47.169Z",
            "kind":"credential.token","outcome":"allow","actor":"agent/invoice-bot",
            "agent":"invoice-bot","owner":"payments-team","generation":1,
            "granted":{"scopes":["https://ledger.example#invoices:read"],"ttl":300,
            "expires_at":"2026-11-22T20:27:47Z"},"something_newer":{"a":1}}"#;
        let entry = Entry::parse("2026-11", 0, json).unwrap();
        assert_eq!(entry.caller(), Some("invoice-bot"));
        assert_eq!(entry.at.to_string(), "2026-11-22T20:22:47.169Z");
        let granted = entry.granted.unwrap();
        assert_eq!((granted.ttl, granted.scopes.len()), (Some(300), 1));
        assert_eq!(granted.expires_at.unwrap().secs(), entry.at.secs() + 300);
    }
}
