//! The proposals that wait, as one value of the store: read, changed, and written back if nobody else
//! changed it meanwhile.

use taskpass_core::promotion::Proposal;
use taskpass_core::registry::{Registry, RowKey};
use taskpass_core::{DecisionId, Timestamp};
use taskpass_store::{
    Change, CommitError, Guard, MetaKey, Refusal, Store, proposals, proposals_value,
};

use crate::error::Error;
use crate::policy::approve::is_admin;

/// A proposal that nobody can approve any more, and why.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) proposal: Proposal,
    pub(super) why: &'static str,
}

/// Why a proposal cannot be approved any more, whoever wanted to.
fn ended(proposal: &Proposal, registry: &Registry, now: Timestamp) -> Option<&'static str> {
    let agent = RowKey::Agent(proposal.agent.clone());
    if !proposal.waits(now) {
        Some("nobody approved it in time")
    } else if registry.version(&agent) != proposal.version {
        Some("the agent was changed since")
    } else if !is_admin(registry, &proposal.by, now) {
        Some("whoever proposed it is no active administrator any more")
    } else {
        None
    }
}

/// That what a proposal was found to have ended by is still so.
fn as_found(proposal: &Proposal, registry: &Registry) -> [Guard; 2] {
    let unchanged = |key| Guard::Unchanged {
        version: registry.version(&key),
        key,
    };
    [
        unchanged(RowKey::Agent(proposal.agent.clone())),
        unchanged(RowKey::Operator(proposal.by.clone())),
    ]
}

/// What waits.
#[derive(Debug)]
pub(super) struct Waiting {
    kept: Option<Vec<u8>>,
    all: Vec<Proposal>,
}

impl Waiting {
    pub(super) async fn read(store: &dyn Store) -> Result<Self, Error> {
        let kept = store.meta(MetaKey::Proposals).await?;
        let all = proposals(kept.as_deref())?;
        Ok(Self { kept, all })
    }

    /// Those that can be decided at `now`.
    pub(super) fn at(&self, now: Timestamp) -> impl Iterator<Item = &Proposal> {
        self.all.iter().filter(move |proposal| proposal.waits(now))
    }

    pub(super) const fn len(&self) -> usize {
        self.all.len()
    }

    /// Takes those out that nobody can approve any more, with the guards that this is so.
    pub(super) fn end(&mut self, registry: &Registry, now: Timestamp) -> (Vec<Ended>, Vec<Guard>) {
        let (mut out, mut guards) = (Vec::new(), Vec::new());
        for proposal in std::mem::take(&mut self.all) {
            match ended(&proposal, registry, now) {
                None => self.all.push(proposal),
                Some(why) => {
                    guards.extend(as_found(&proposal, registry));
                    out.push(Ended { proposal, why });
                }
            }
        }
        (out, guards)
    }

    /// Takes those out whose time is over. One that is to be decided is left, so that whoever decides is
    /// told what has become of it.
    pub(super) fn end_late(&mut self, now: Timestamp) -> Vec<Ended> {
        let all = std::mem::take(&mut self.all);
        let (waiting, late): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|proposal| proposal.waits(now));
        self.all = waiting;
        let why = "nobody approved it in time";
        let late = late.into_iter();
        late.map(|proposal| Ended { proposal, why }).collect()
    }

    /// Takes one out that waits.
    pub(super) fn take(&mut self, id: DecisionId, now: Timestamp) -> Result<Proposal, Error> {
        let found = self
            .all
            .iter()
            .position(|proposal| proposal.id == id && proposal.waits(now));
        match found {
            Some(place) => Ok(self.all.remove(place)),
            None => Err(Error::ProposalNotFound { proposal: id }),
        }
    }

    pub(super) fn add(&mut self, proposal: Proposal) {
        self.all.push(proposal);
    }

    /// That nobody changed it since it was read.
    pub(super) fn guard(&self) -> Guard {
        Guard::MetaIs {
            key: MetaKey::Proposals,
            value: self.kept.clone(),
        }
    }

    /// As it is now.
    pub(super) fn change(&self) -> Change {
        Change::PutMeta {
            key: MetaKey::Proposals,
            value: proposals_value(&self.all),
        }
    }
}

/// Whether a commit was refused because somebody else decided about a proposal meanwhile.
pub(super) const fn is_decided(error: &CommitError) -> bool {
    matches!(
        error,
        CommitError::Refused(Refusal::MetaChanged {
            key: MetaKey::Proposals
        })
    )
}
