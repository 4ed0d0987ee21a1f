//! SPIFFE IDs, in exactly the shapes that taskpass issues.
//!
//! Parsing knows five shapes and refuses every other one, so a certificate with a stranger path is
//! never half understood:
//!
//! ```text
//! spiffe://<trust domain>/agent/<name>
//! spiffe://<trust domain>/agent/<name>/task/<task id>
//! spiffe://<trust domain>/operator/<name>
//! spiffe://<trust domain>/verifier/<name>
//! spiffe://<trust domain>/broker
//! ```

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::id::TaskId;
use crate::name::{AgentName, OperatorName, VerifierName};

/// A text is no SPIFFE ID of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseSpiffeError {
    /// Not a trust domain name (SPIFFE-ID §2.1).
    #[error("a trust domain is 1 to 255 characters of a-z, 0-9, `.`, `-` and `_`")]
    TrustDomain,
    /// Not one of the five shapes.
    #[error("not a SPIFFE ID of the shapes that taskpass issues")]
    Shape,
}

/// A trust domain: one broker, one tenant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = ParseSpiffeError;

    fn from_str(text: &str) -> Result<Self, ParseSpiffeError> {
        let good = (1..=255).contains(&text.len())
            && text.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_')
            });
        if good {
            Ok(Self(Arc::from(text)))
        } else {
            Err(ParseSpiffeError::TrustDomain)
        }
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// What a SPIFFE ID of ours names, within its trust domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An agent's stable identity.
    Agent(AgentName),
    /// One task of an agent: only in task certificates, never a caller.
    Task(AgentName, TaskId),
    /// An operator.
    Operator(OperatorName),
    /// A verifier.
    Verifier(VerifierName),
    /// The broker's own server certificate.
    Broker,
}

/// A whole SPIFFE ID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    /// Whose namespace it is in.
    pub trust_domain: TrustDomain,
    /// What it names there.
    pub subject: Subject,
}

impl SpiffeId {
    /// Puts the two together.
    pub fn new(trust_domain: TrustDomain, subject: Subject) -> Self {
        Self {
            trust_domain,
            subject,
        }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/", self.trust_domain)?;
        match &self.subject {
            Subject::Agent(name) => write!(f, "agent/{name}"),
            Subject::Task(name, task) => write!(f, "agent/{name}/task/{task}"),
            Subject::Operator(name) => write!(f, "operator/{name}"),
            Subject::Verifier(name) => write!(f, "verifier/{name}"),
            Subject::Broker => f.write_str("broker"),
        }
    }
}

impl FromStr for SpiffeId {
    type Err = ParseSpiffeError;

    fn from_str(text: &str) -> Result<Self, ParseSpiffeError> {
        let shape = |_| ParseSpiffeError::Shape;
        let rest = text
            .strip_prefix("spiffe://")
            .ok_or(ParseSpiffeError::Shape)?;
        let (domain, path) = rest.split_once('/').ok_or(ParseSpiffeError::Shape)?;
        let trust_domain = domain.parse()?;
        let mut segments = path.split('/');
        let parts = (
            segments.next(),
            segments.next(),
            segments.next(),
            segments.next(),
            segments.next(),
        );
        let subject = match parts {
            (Some("agent"), Some(name), None, ..) => Subject::Agent(name.parse().map_err(shape)?),
            (Some("agent"), Some(name), Some("task"), Some(task), None) => Subject::Task(
                name.parse().map_err(|_| ParseSpiffeError::Shape)?,
                task.parse().map_err(|_| ParseSpiffeError::Shape)?,
            ),
            (Some("operator"), Some(name), None, ..) => {
                Subject::Operator(name.parse().map_err(shape)?)
            }
            (Some("verifier"), Some(name), None, ..) => {
                Subject::Verifier(name.parse().map_err(shape)?)
            }
            (Some("broker"), None, ..) => Subject::Broker,
            _ => return Err(ParseSpiffeError::Shape),
        };
        Ok(Self {
            trust_domain,
            subject,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_shapes_read_back() {
        let task = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        for text in [
            "spiffe://example.org/agent/invoice-bot".to_owned(),
            format!("spiffe://example.org/agent/invoice-bot/task/{task}"),
            "spiffe://example.org/operator/ops".to_owned(),
            "spiffe://example.org/verifier/ledger".to_owned(),
            "spiffe://example.org/broker".to_owned(),
        ] {
            let id: SpiffeId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn every_other_text_is_refused() {
        for bad in [
            "",
            "spiffe://",
            "spiffe:///agent/a",
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe://example.org/agent",
            "spiffe://example.org/agent/",
            "spiffe://example.org/agent/A",
            "spiffe://example.org/agent/a/",
            "spiffe://example.org/agent/a/task",
            "spiffe://example.org/agent/a/task/x",
            "spiffe://example.org/agent/../operator/root",
            "spiffe://example.org/agent/a?x",
            "spiffe://example.org/agent/a#x",
            "spiffe://Example.org/agent/a",
            "spiffe://example.org:8443/agent/a",
            "SPIFFE://example.org/agent/a",
            "https://example.org/agent/a",
            "spiffe://example.org/broker/x",
            "spiffe://example.org//agent/a",
            "spiffe://user@example.org/agent/a",
            "spiffe://example.org/agent/%61",
            "spiffe://example.org/operator/a/task/01ARZ3NDEKTSV4RRFFQ69G5FAV",
        ] {
            assert!(bad.parse::<SpiffeId>().is_err(), "{bad:?}");
        }
    }
}
