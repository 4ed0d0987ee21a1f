//! Revocations: what one did, the rules in force, and the feed.

use serde::Serialize;
use taskpass_api::v1;
use taskpass_core::Timestamp;

use super::listing::Row;
use super::wire::{self, Principal};
use crate::errors::CliError;
use crate::output::table::Fields;
use crate::output::text::{NOTHING, brief, harmless, instant, list};
use crate::output::{Ink, View};

/// What a revocation did.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the proto's")]
pub(crate) struct Revoked {
    seq: u64,
    credentials: u64,
    exact: bool,
    suspended: Vec<String>,
    revoked_at: Option<Timestamp>,
    dry_run: bool,
}

impl Revoked {
    /// The answer to a request, which may have been a dry run.
    pub(crate) fn new(reply: v1::RevokeResponse, dry_run: bool) -> Self {
        Self {
            seq: reply.seq,
            credentials: reply.credentials,
            exact: reply.exact,
            suspended: reply.suspended,
            revoked_at: wire::instant(reply.revoked_at),
            dry_run,
        }
    }
}

/// `7`, or `at most 7`.
pub(crate) fn counted(credentials: u64, exact: bool) -> String {
    if exact {
        credentials.to_string()
    } else {
        format!("at most {credentials}")
    }
}

impl View for Revoked {
    fn text(&self, ink: &Ink) -> String {
        let credentials = counted(self.credentials, self.exact);
        if self.dry_run {
            return Fields::default()
                .with("dry run", "nothing was changed")
                .with("would end", format!("{credentials} credentials"))
                .with("would suspend", list(&self.suspended))
                .render(ink);
        }
        Fields::default()
            .with("ended", format!("{credentials} credentials"))
            .with("suspended", list(&self.suspended))
            .with("revoked", instant(self.revoked_at, ink))
            .with("seq", self.seq.to_string())
            .render(ink)
    }
}

/// What a rule matches: one of these is set.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Selector {
    credential_id: Option<String>,
    task_id: Option<String>,
    agent: Option<String>,
    owner: Option<String>,
    target: Option<String>,
    key_id: Option<String>,
    everything: bool,
}

impl Selector {
    fn from_proto(selector: Option<v1::RevocationSelector>) -> Result<Self, CliError> {
        use v1::revocation_selector::Selector as Proto;
        let none = Self::default();
        let selector = selector.and_then(|selector| selector.selector);
        Ok(
            match selector.ok_or_else(|| CliError::bad_reply("selector"))? {
                Proto::CredentialId(id) => Self {
                    credential_id: Some(id),
                    ..none
                },
                Proto::TaskId(id) => Self {
                    task_id: Some(id),
                    ..none
                },
                Proto::Agent(name) => Self {
                    agent: Some(name),
                    ..none
                },
                Proto::Owner(name) => Self {
                    owner: Some(name),
                    ..none
                },
                Proto::Target(uri) => Self {
                    target: Some(uri),
                    ..none
                },
                Proto::KeyId(id) => Self {
                    key_id: Some(id),
                    ..none
                },
                Proto::Everything(everything) => Self { everything, ..none },
            },
        )
    }

    fn shown(&self) -> String {
        let Self {
            credential_id,
            task_id,
            agent,
            owner,
            target,
            key_id,
            ..
        } = self;
        [
            ("credential", credential_id),
            ("task", task_id),
            ("agent", agent),
            ("owner", owner),
            ("target", target),
            ("key", key_id),
        ]
        .into_iter()
        .find_map(|(kind, value)| value.as_ref().map(|value| format!("{kind} {value}")))
        .unwrap_or_else(|| "all".to_owned())
    }
}

/// A rule in force.
#[derive(Debug, Serialize)]
pub(crate) struct Revocation {
    seq: u64,
    selector: Selector,
    issued_before: u64,
    reason: String,
    actor: Option<Principal>,
    at: Option<Timestamp>,
    prune_at: Option<Timestamp>,
    owner: Option<String>,
}

impl Revocation {
    /// From the proto.
    pub(crate) fn from_proto(rule: v1::Revocation) -> Result<Self, CliError> {
        Ok(Self {
            seq: rule.seq,
            selector: Selector::from_proto(rule.selector)?,
            issued_before: rule.issued_before,
            reason: rule.reason,
            actor: Principal::from_proto(rule.actor),
            at: wire::instant(rule.at),
            prune_at: wire::instant(rule.prune_at),
            owner: wire::text(rule.owner),
        })
    }

    fn actor(&self) -> String {
        let actor = self.actor.as_ref().map(Principal::shown);
        actor.unwrap_or_else(|| NOTHING.to_owned())
    }
}

impl Row for Revocation {
    const PLURAL: &'static str = "revocations";
    const HEADING: &'static [&'static str] = &["SEQ", "WHAT", "WHEN", "BY", "REASON"];

    fn cells(&self, ink: &Ink) -> Vec<String> {
        vec![
            self.seq.to_string(),
            self.selector.shown(),
            brief(self.at, ink),
            self.actor(),
            self.reason.clone(),
        ]
    }
}

/// One line of the feed.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// Forget what was known; the rules in force follow.
    Snapshot {
        epoch: u64,
        seq: u64,
        feed_jwk: String,
    },
    /// An earlier stream goes on.
    Resumed {
        epoch: u64,
        seq: u64,
        feed_jwk: String,
    },
    /// A rule.
    Revocation(Box<Revocation>),
    /// The broker is there, and this is how far it is.
    Heartbeat {
        epoch: u64,
        seq: u64,
        at: Option<Timestamp>,
        digest: String,
        signature: String,
    },
    /// Forget what was known; a snapshot follows.
    Resync { reason: String },
}

impl View for Event {
    fn text(&self, _: &Ink) -> String {
        let at = |at: Option<Timestamp>| at.map_or_else(|| NOTHING.into(), |at| at.to_string());
        let line = match self {
            Self::Snapshot { epoch, seq, .. } => {
                format!("-- in force at seq {seq} (epoch {epoch}):")
            }
            Self::Resumed { epoch, seq, .. } => format!("-- going on at seq {seq} (epoch {epoch})"),
            Self::Resync { reason } => format!("-- starting over: {reason}"),
            Self::Heartbeat { seq, at: when, .. } => format!("-- {} seq {seq}", at(*when)),
            Self::Revocation(rule) => {
                let (what, by) = (rule.selector.shown(), rule.actor());
                format!(
                    "{}  seq {}  {what}  by {by}: {}",
                    at(rule.at),
                    rule.seq,
                    rule.reason
                )
            }
        };
        format!("{}\n", harmless(&line))
    }
}
