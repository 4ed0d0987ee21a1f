//! Certificates of another trust domain: SPIFFE IDs of any path, and which agents they are.
//!
//! Our own domain is never among them: its identities are certified by our own hierarchy, each at its
//! place in a line, and nobody else may speak for it.

use std::fmt;
use std::str::FromStr;

use taskpass_core::audit::Attestation;
use taskpass_core::identity::Principal;
use taskpass_core::secret::Sha256;
use taskpass_core::spiffe::TrustDomain;
use taskpass_core::ttl::MAX_IDENTITY_TTL;
use taskpass_core::{AgentName, Timestamp};

use super::{AttestationRefusal, Pattern, RuleError, only};
use crate::standing::Proved;

/// The longest SPIFFE ID that is looked at: it is recorded.
const MAX_LEN: usize = 512;

/// A SPIFFE ID of a workload, in any trust domain (SPIFFE-ID §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SvidId {
    text: String,
    trust_domain: TrustDomain,
}

impl SvidId {
    /// Whose namespace it is in.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }
}

impl FromStr for SvidId {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let wrong = || RuleError::new("spiffe_id", "a SPIFFE ID with a path");
        let rest = text.strip_prefix("spiffe://").ok_or_else(wrong)?;
        let (domain, path) = rest.split_once('/').ok_or_else(wrong)?;
        let segment = |segment: &str| {
            !segment.is_empty()
                && segment != "."
                && segment != ".."
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        if text.len() > MAX_LEN || !path.split('/').all(segment) {
            return Err(wrong());
        }
        Ok(Self {
            text: text.to_owned(),
            trust_domain: domain.parse().map_err(|_| wrong())?,
        })
    }
}

impl fmt::Display for SvidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A rule: whoever has such an id is this agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SvidRule {
    agent: AgentName,
    id: Pattern,
}

impl SvidRule {
    /// A rule about an id, or about those beneath a path.
    pub fn new(agent: AgentName, id: Pattern) -> Self {
        Self { agent, id }
    }
}

/// One trust domain that is believed, and about whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SvidTrust {
    trust_domain: TrustDomain,
    rules: Vec<SvidRule>,
}

impl SvidTrust {
    /// Believes a trust domain about the ids in it that rules name.
    pub fn new(trust_domain: TrustDomain, rules: Vec<SvidRule>) -> Result<Self, RuleError> {
        if rules.is_empty() {
            return Err(RuleError::new("rule", "at least one, or nobody can come"));
        }
        for rule in &rules {
            let text = rule.id.text();
            // Of a beginning: with the path that it stands for, and something beneath it.
            let sample = match &rule.id {
                Pattern::Exact(_) => text.to_owned(),
                Pattern::Prefix(_) => text.trim_end_matches('/').to_owned(),
            };
            let id: Result<SvidId, _> = sample.parse();
            if !id.is_ok_and(|id| id.trust_domain == trust_domain) {
                return Err(RuleError::new(
                    "rule.spiffe_id",
                    format!("`{text}` names no workload, and no path, of {trust_domain}"),
                ));
            }
        }
        for (n, rule) in rules.iter().enumerate() {
            if rules.iter().take(n).any(|other| other.id == rule.id) {
                let expected = format!("two rules are about `{}`", rule.id.text());
                return Err(RuleError::new("rule.spiffe_id", expected));
            }
        }
        Ok(Self {
            trust_domain,
            rules,
        })
    }

    /// Which it is.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The agent that a verified certificate makes of its holder.
    ///
    /// One that lives longer than our own identities may is refused: revocations are remembered as
    /// long as those live, and this one would outlast them.
    pub fn proved(
        &self,
        id: &SvidId,
        key: Sha256,
        (issued_at, expires_at): (Timestamp, Timestamp),
    ) -> Result<Proved, AttestationRefusal> {
        let too_long = expires_at.since(issued_at) > MAX_IDENTITY_TTL.duration();
        if too_long || id.trust_domain != self.trust_domain {
            return Err(AttestationRefusal::Nobody);
        }
        let matching = self.rules.iter().filter(|rule| rule.id.matches(&id.text));
        let agent = only(matching.map(|rule| &rule.agent))?;
        Ok(Proved {
            principal: Principal::Agent(agent.clone()),
            attestation: Attestation::ForeignSvid {
                spiffe_id: id.text.clone(),
                key,
            },
            issued_at,
            expires_at,
            issued_by: None,
        })
    }
}
