//! Credentials: when each was issued, and when it ended.

use std::sync::Arc;

use taskpass_core::Timestamp;

use crate::entry::Entry;

/// A credential as it was issued.
#[derive(Debug)]
pub struct Issued {
    /// Its id.
    pub id: Box<str>,
    /// `token` or `certificate`.
    pub kind: Arc<str>,
    /// The agent that has it.
    pub agent: Arc<str>,
    /// The task that it is for.
    pub task: Arc<str>,
    /// The target, of a token.
    pub target: Option<Arc<str>>,
    /// The key that signed it.
    pub key: Option<Arc<str>>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From this instant on it is over by itself.
    pub expires_at: Timestamp,
}

impl Issued {
    /// From the entry of its issue; `None` of another entry.
    pub(super) fn of(entry: &Entry, mut word: impl FnMut(&str) -> Arc<str>) -> Option<Self> {
        if entry.outcome != "allow" {
            return None;
        }
        let credential = entry.credential.as_ref()?;
        let mut maybe = |text: &Option<String>| text.as_deref().map(&mut word);
        Some(Self {
            id: credential.id.as_str().into(),
            agent: maybe(&entry.agent)?,
            task: maybe(&entry.task)?,
            target: maybe(&entry.target),
            key: maybe(&credential.key),
            issued_at: entry.at,
            expires_at: entry.granted.as_ref()?.expires_at?,
            kind: word(&credential.kind),
        })
    }
}

/// How a credential ended, or will.
#[derive(Debug, Clone, Copy)]
pub struct Life<'a> {
    /// The credential.
    pub issued: &'a Issued,
    /// When it ended: revoked or by itself. In the future while it is alive.
    pub ended_at: Timestamp,
    /// When it was revoked, if it was before its end.
    pub revoked_at: Option<Timestamp>,
    /// When its task ended, or will at the latest; `None` if the log does not say.
    pub task_ended_at: Option<Timestamp>,
}

impl Life<'_> {
    /// Whether it is valid at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.ended_at
    }
}
