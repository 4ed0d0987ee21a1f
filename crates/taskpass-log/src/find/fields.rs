//! What of an entry can be asked for.

use serde::Deserialize;
use taskpass_core::Timestamp;

/// Which entries are wanted. An empty filter matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this agent.
    pub agent: Option<String>,
    /// Of agents of this owner.
    pub owner: Option<String>,
    /// About this task.
    pub task: Option<String>,
    /// About this target.
    pub target: Option<String>,
    /// About this credential.
    pub credential: Option<String>,
    /// Of this kind, such as `credential.token`.
    pub kind: Option<String>,
    /// With this outcome: `allow`, `deny` or `done`.
    pub outcome: Option<String>,
    /// At this instant or later.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
}

/// The fields of an entry that can be asked for.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Fields {
    at: String,
    kind: String,
    outcome: String,
    agent: Option<String>,
    owner: Option<String>,
    task: Option<String>,
    target: Option<String>,
    credential: Option<Credential>,
    revocation: Option<Revocation>,
}

#[derive(Debug, Clone, Deserialize)]
struct Credential {
    id: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Revocation {
    selector: String,
    value: String,
}

impl Fields {
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    pub(super) fn at(&self) -> Option<Timestamp> {
        Timestamp::parse_rfc3339(&self.at)
    }

    /// What the entry says of `what`: its own field, or what a revocation named.
    fn values<'a>(
        &'a self,
        what: &'static str,
        own: Option<&'a String>,
    ) -> impl Iterator<Item = &'a String> {
        let revoked = self
            .revocation
            .iter()
            .filter(move |named| named.selector == what);
        own.into_iter().chain(revoked.map(|named| &named.value))
    }

    fn all(&self) -> [(&'static str, Vec<&String>); 7] {
        let credential = self.credential.as_ref().map(|credential| &credential.id);
        [
            ("agent", self.values("agent", self.agent.as_ref()).collect()),
            ("owner", self.values("owner", self.owner.as_ref()).collect()),
            ("task", self.values("task", self.task.as_ref()).collect()),
            (
                "target",
                self.values("target", self.target.as_ref()).collect(),
            ),
            (
                "credential",
                self.values("credential", credential).collect(),
            ),
            ("kind", vec![&self.kind]),
            ("outcome", vec![&self.outcome]),
        ]
    }

    /// The values that the entry can be found by.
    pub(super) fn terms(&self) -> impl Iterator<Item = String> {
        let terms: Vec<_> = self
            .all()
            .into_iter()
            .flat_map(|(what, values)| values.into_iter().map(move |value| term(what, value)))
            .collect();
        terms.into_iter()
    }
}

fn term(what: &str, value: &str) -> String {
    format!("{what}\n{value}")
}

impl Filter {
    fn wanted(&self) -> [(&'static str, &Option<String>); 7] {
        [
            ("agent", &self.agent),
            ("owner", &self.owner),
            ("task", &self.task),
            ("target", &self.target),
            ("credential", &self.credential),
            ("kind", &self.kind),
            ("outcome", &self.outcome),
        ]
    }

    /// The values that every match has.
    pub(super) fn terms(&self) -> Vec<String> {
        self.wanted()
            .into_iter()
            .filter_map(|(what, value)| value.as_ref().map(|value| term(what, value)))
            .collect()
    }

    /// Whether an entry matches. What does not read as an entry matches nothing.
    pub fn admits(&self, json: &[u8]) -> bool {
        Fields::parse(json).is_some_and(|fields| self.matches(&fields))
    }

    pub(super) fn matches(&self, fields: &Fields) -> bool {
        let in_time = fields.at().is_some_and(|at| {
            self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until)
        });
        in_time
            && self
                .wanted()
                .into_iter()
                .zip(fields.all())
                .all(|((_, wanted), (_, values))| {
                    wanted
                        .as_ref()
                        .is_none_or(|wanted| values.contains(&wanted))
                })
    }
}
