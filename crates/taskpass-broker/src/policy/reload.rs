//! A changed policy set: in force whole, or not at all.
//!
//! A set that does not load is refused, said once in the log and counted; the one in force stays. One
//! that loads is in force after the entry that says so is on disk, and a decision under way ends by
//! the set that it began with.

use std::path::PathBuf;

use taskpass_core::Timestamp;
use taskpass_core::audit::{Entry, EntryKind, Outcome};
use taskpass_core::secret::Sha256;
use taskpass_policy::{LoadError, Sources};
use taskpass_store::{Change, Commit, MetaKey};

use super::approve::Succeeds;
use crate::archive::aside;
use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;

/// A directory of policies that is looked at again and again.
#[derive(Debug)]
pub struct PolicyDirectory {
    path: PathBuf,
    /// What was there at the last look, if it is not in force.
    last: Option<Found>,
    /// What was refused.
    refused: Option<Found>,
    /// What waits for approval.
    waits: Option<Sha256>,
}

/// What a look found in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// Texts with this hash.
    Texts(Sha256),
    /// Nothing that reads, and why.
    Nothing(String),
}

/// What a look at the directory came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// What is there is in force, or was refused before.
    Same,
    /// Something else is there. It is taken if it is still the same at the next look.
    Changing,
    /// It is in force now.
    InForce,
    /// It does not load.
    Refused,
    /// It would load, and waits for the approval of two operators.
    Waits,
}

impl PolicyDirectory {
    /// The directory `path`.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            last: None,
            refused: None,
            waits: None,
        }
    }

    /// Reads the directory, and puts in force what is there.
    ///
    /// A change is taken when two looks in a row have found it, so that files which are being written
    /// are left alone; at once if somebody has `told` so. Only a failing store is an error: the change
    /// is then tried again.
    pub async fn look(&mut self, broker: &Broker, told: bool) -> Result<Looked, Error> {
        let path = self.path.clone();
        let read = aside(move || Ok(Sources::read(&path))).await?;
        let found = match &read {
            Ok(sources) => Found::Texts(sources.hash()),
            Err(error) => Found::Nothing(error.to_string()),
        };
        if found == Found::Texts(broker.policy_hash()) && !broker.policies_in_doubt() {
            (self.last, self.refused) = (None, None);
            return Ok(Looked::Same);
        }
        let known = self.last.replace(found.clone()).as_ref() == Some(&found);
        if !told && !known {
            return Ok(Looked::Changing);
        }
        if !told && self.refused.as_ref() == Some(&found) {
            return Ok(Looked::Same);
        }
        // What waits was compiled when it was first found.
        if let Found::Texts(hash) = &found
            && self.waits == Some(*hash)
            && !broker.may_come_into_force(*hash).await?
        {
            return Ok(Looked::Waits);
        }
        let loaded = aside(move || Ok(read.and_then(|sources| sources.compile()))).await?;
        match loaded {
            Ok(set) if !broker.may_come_into_force(set.hash()).await? => {
                self.refused = None;
                self.waits = Some(set.hash());
                tracing::warn!(
                    waits = %set.hash(),
                    policy_set = %broker.policy_hash(),
                    "the changed policies wait for the approval of two operators: `taskpass policy approve`"
                );
                Ok(Looked::Waits)
            }
            Ok(set) => {
                self.waits = None;
                broker.put_in_force(set).await?;
                self.refused = None;
                Ok(Looked::InForce)
            }
            Err(error) => {
                self.refused = Some(found);
                broker.refuse_policies(&error);
                Ok(Looked::Refused)
            }
        }
    }
}

impl Broker {
    fn refuse_policies(&self, error: &LoadError) {
        self.metrics.policy_refusals.one();
        tracing::error!(
            error = error as &dyn std::error::Error,
            policy_set = %self.policy_hash(),
            "the changed policies are refused; those in force stay"
        );
    }

    /// Adds that a set is in force from now on, and that nobody's approval of it counts again. Refused if
    /// it may not come into force.
    pub(crate) async fn came_into_force(
        &self,
        mut commit: Commit,
        now: Timestamp,
        hash: Sha256,
    ) -> Result<Commit, Error> {
        let Succeeds { guards, change } = self.succeeds(hash, now).await?;
        commit.guards.extend(guards);
        commit.changes.extend(change);
        let mut entry = Entry::new(self.decision_id(now), now, EntryKind::Policy, Outcome::Done);
        entry.subject = Some(hash.to_string());
        entry.reason = Some("a policy set came into force".to_owned());
        let known = Change::PutMeta {
            key: MetaKey::PolicySet,
            value: hash.as_bytes().to_vec(),
        };
        Ok(commit.change(outbox(&entry)?).change(known))
    }
}
