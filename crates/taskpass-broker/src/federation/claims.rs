//! Rules about the claims of a token: all that a rule names must be there, as text, as it says.
//!
//! A claim is named as it stands in the token; one that lies deeper by a JSON Pointer (RFC 6901), such as
//! `/kubernetes.io/serviceaccount/uid`, through objects only.
//!
//! Names of things can be given to other things later: a repository that is renamed leaves its name to
//! whoever takes it. So a rule that goes by such a name must also have the id that goes with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};
use taskpass_core::AgentName;

use super::{Pattern, RuleError};

/// Claims each of which says by itself who it is, for ever.
const IDENTIFYING: [&str; 5] = [
    "sub",
    "repository_id",
    "project_id",
    "oid",
    "/kubernetes.io/serviceaccount/uid",
];

/// Claims that hold names, and the id that goes with each.
const NAMES: [(&str, &str); 4] = [
    ("repository", "repository_id"),
    ("repository_owner", "repository_owner_id"),
    ("project_path", "project_id"),
    ("namespace_path", "namespace_id"),
];

/// Beginnings of `sub` behind which such a name stands, and the id that goes with it.
const SUBJECTS: [(&str, &str); 2] = [("repo:", "repository_id"), ("project_path:", "project_id")];

/// Where a claim stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimPath {
    text: Box<str>,
    steps: Vec<Box<str>>,
}

impl ClaimPath {
    /// Whether it is the claim that `name` names, however each is written: `/sub` is `sub`.
    fn is(&self, name: &str) -> bool {
        name.parse()
            .is_ok_and(|other: Self| self.steps == other.steps)
    }

    /// The text that stands there, if it is one.
    fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a str> {
        let (last, above) = self.steps.split_last()?;
        let object = above.iter().try_fold(claims, |object, step| {
            object.get(&**step).and_then(Value::as_object)
        })?;
        object.get(&**last)?.as_str()
    }
}

impl FromStr for ClaimPath {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let wrong = || {
            RuleError::new(
                format!("claims.{text}"),
                "a claim is named as in the token, or by a JSON Pointer such as \
                 `/kubernetes.io/namespace`",
            )
        };
        let steps: Vec<Box<str>> = match text.strip_prefix('/') {
            Some(pointer) => pointer
                .split('/')
                .map(|step| unescaped(step).ok_or_else(wrong))
                .collect::<Result<_, _>>()?,
            None => vec![text.into()],
        };
        if steps.iter().any(|step| step.is_empty()) {
            return Err(wrong());
        }
        Ok(Self {
            text: text.into(),
            steps,
        })
    }
}

/// A step of a JSON Pointer: `~1` is a slash, `~0` a tilde, and nothing else follows a tilde.
fn unescaped(step: &str) -> Option<Box<str>> {
    let mut parts = step.split('~');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (first, rest) = part.split_at_checked(1)?;
        text.push(match first {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        text.push_str(rest);
    }
    Some(text.into())
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A rule: whoever has all of these claims is this agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRule {
    agent: AgentName,
    claims: BTreeMap<ClaimPath, Pattern>,
}

impl ClaimRule {
    /// A rule that cannot be met by somebody it was not made for.
    pub fn new(agent: AgentName, claims: BTreeMap<ClaimPath, Pattern>) -> Result<Self, RuleError> {
        let exact = |name: &str| {
            claims
                .iter()
                .any(|(path, pattern)| path.is(name) && matches!(pattern, Pattern::Exact(_)))
        };
        let has = |name: &str| claims.keys().any(|path| path.is(name));
        let claims_of = || format!("claims of agent `{agent}`");
        if !IDENTIFYING
            .iter()
            .any(|name| exact(name) || *name == "sub" && has("sub"))
        {
            return Err(RuleError::new(
                claims_of(),
                format!("name one that says who it is: {}", IDENTIFYING.join(", ")),
            ));
        }
        let by_name = NAMES.iter().find(|(name, id)| has(name) && !exact(id));
        let by_subject = SUBJECTS.iter().find(|(begins, id)| {
            let mut subjects = claims.iter().filter(|(path, _)| path.is("sub"));
            subjects.any(|(_, pattern)| pattern.text().starts_with(begins)) && !exact(id)
        });
        if let Some((name, id)) = by_name.or(by_subject) {
            return Err(RuleError::new(
                claims_of(),
                format!(
                    "`{name}` goes by a name that somebody else can have later; add `{id}`, exactly"
                ),
            ));
        }
        Ok(Self { agent, claims })
    }

    /// The agent.
    pub fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// Whether `claims` are as demanded, all of them.
    pub(super) fn matches(&self, claims: &Map<String, Value>) -> bool {
        self.claims.iter().all(|(path, pattern)| {
            path.find(claims)
                .is_some_and(|value| pattern.matches(value))
        })
    }

    /// Whether another rule demands the same.
    pub(super) fn demands_the_same(&self, other: &Self) -> bool {
        let demands = |rule: &Self| -> BTreeSet<_> {
            let demand =
                |(path, pattern): (&ClaimPath, &Pattern)| (path.steps.clone(), pattern.clone());
            rule.claims.iter().map(demand).collect()
        };
        demands(self) == demands(other)
    }
}
