//! What is believed of one issuer of tokens: pins and rules, all of them checked when they are made.

use std::time::Duration;

use taskpass_core::audit::Attestation;
use taskpass_core::identity::Principal;
use taskpass_token::foreign::{Believed, Believes, ForeignAlg};

use super::claims::ClaimRule;
use super::{AttestationRefusal, RuleError, only};
use crate::standing::Proved;

/// How long after `iat` a token is taken, where nothing else is said.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_mins(10);
/// The longest that can be said.
pub const MAX_MAX_AGE: Duration = Duration::from_hours(1);
/// The longest `iss` and `aud`.
const MAX_LEN: usize = 512;

/// One issuer that is believed, about whom, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtTrust {
    name: String,
    issuer: String,
    audience: String,
    algorithms: Vec<ForeignAlg>,
    max_age: Duration,
    rules: Vec<ClaimRule>,
}

impl JwtTrust {
    /// Pins an issuer. `name` is what the audit trail calls it.
    pub fn new(
        name: &str,
        issuer: &str,
        audience: &str,
        algorithms: Vec<ForeignAlg>,
        max_age: Duration,
        rules: Vec<ClaimRule>,
    ) -> Result<Self, RuleError> {
        if !is_short_name(name) {
            let expected = "1 to 63 characters of a-z, 0-9 and `-`";
            return Err(RuleError::new("name", expected));
        }
        for (field, text) in [("issuer", issuer), ("audience", audience)] {
            if text.trim() != text
                || !(1..=MAX_LEN).contains(&text.len())
                || text.chars().any(char::is_control)
                || text.contains(['*', '?'])
            {
                return Err(RuleError::new(
                    field,
                    "the value exactly as it stands in tokens, without wildcards",
                ));
            }
        }
        if algorithms.is_empty() {
            let expected = "at least one of RS256, PS256, ES256, EdDSA: what the issuer signs with";
            return Err(RuleError::new("algorithms", expected));
        }
        if max_age < Duration::from_secs(1) || max_age > MAX_MAX_AGE {
            return Err(RuleError::new("max_age", "from 1s to 1h"));
        }
        check_rules(&rules)?;
        Ok(Self {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            algorithms,
            max_age,
            rules,
        })
    }

    /// What the audit trail and messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The pins, for checking a token.
    pub fn believes(&self) -> Believes<'_> {
        Believes {
            issuer: &self.issuer,
            audience: &self.audience,
            algorithms: &self.algorithms,
            max_age: self.max_age,
        }
    }

    /// The agent that a believed token makes of whoever presents it.
    pub fn proved(&self, believed: Believed) -> Result<Proved, AttestationRefusal> {
        let matching = self
            .rules
            .iter()
            .filter(|rule| rule.matches(&believed.claims));
        let agent = only(matching.map(ClaimRule::agent))?;
        Ok(Proved {
            principal: Principal::Agent(agent.clone()),
            attestation: Attestation::FederatedJwt {
                issuer: self.name.clone(),
                subject: believed.subject,
                key: believed.kid,
            },
            issued_at: believed.issued_at,
            expires_at: believed.expires_at,
            issued_by: None,
        })
    }
}

/// There are some, and no two of them demand the same for different agents.
fn check_rules(rules: &[ClaimRule]) -> Result<(), RuleError> {
    if rules.is_empty() {
        return Err(RuleError::new("rule", "at least one, or nobody can come"));
    }
    for (n, rule) in rules.iter().enumerate() {
        let earlier = rules
            .iter()
            .take(n)
            .find(|other| other.demands_the_same(rule));
        if let Some(earlier) = earlier {
            return Err(RuleError::new(
                "rule",
                format!(
                    "the rules of `{}` and `{}` demand the same claims",
                    earlier.agent(),
                    rule.agent()
                ),
            ));
        }
    }
    Ok(())
}

fn is_short_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
