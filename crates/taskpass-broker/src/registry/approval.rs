//! What one operator alone cannot do: it waits until another one approves it, or it ends.
//!
//! A proposal names an agent, the version of it that was read, and the stage that it is to have; nothing
//! else can be changed by it. It is applied as of the moment of its approval: the agent must still be as it
//! was, whoever proposed it must still be an administrator, and whoever approves it must be let do it by
//! the policies of that moment. Both names are in the entry of the change.
//!
//! "Another operator" is another name with another key. Whoever can register and enrol operators can be
//! both: a policy that forbids that to whoever may propose is what closes it.

mod waiting;

use taskpass_core::audit::{Attestation, Entry, EntryKind, Outcome};
use taskpass_core::caller::Caller;
use taskpass_core::promotion::{MAX_PROPOSALS, PROPOSAL_TTL, PromotionFacts, Proposal};
use taskpass_core::registry::{Agent, Registry, Row, RowKey, State, Versioned, widening};
use taskpass_core::secret::Sha256;
use taskpass_core::verb::Verb;
use taskpass_core::{DecisionId, OperatorName, Timestamp};
use taskpass_store::{Change, Commit, CommitError, Guard};

use super::{ATTEMPTS, Update, Written, check, guards, read, require_reason, state};
use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;
use crate::policy::approve::is_admin;
use crate::policy::current::is_outdated;
use crate::revoke::check_reason;
use crate::standing::Standing;
use waiting::{Ended, Waiting, is_decided};

impl Broker {
    /// What waits for another operator, the oldest first. What nobody can approve any more ends by this,
    /// and an entry says why.
    pub async fn proposals(&self, caller: &Standing) -> Result<Vec<Proposal>, Error> {
        self.record_read(caller, "proposals").await?;
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            let registry = self.registry.load_full();
            let mut waiting = Waiting::read(&*self.store).await?;
            let (ended, as_found) = waiting.end(&registry, now);
            // By a clock that is not trusted nothing ends for good.
            if !ended.is_empty() && self.clock.safe_now().is_ok() {
                let mut commit = Commit::new(now).guard(waiting.guard());
                commit.guards.extend(as_found);
                self.tell_ended(&mut commit, &registry, &ended, now)?;
                if let Err(error) = self.commit(commit.change(waiting.change())).await {
                    self.once_more(error).await?;
                    continue;
                }
            }
            return Ok(waiting.at(now).cloned().collect());
        }
        Err(Error::QueueFull)
    }

    /// How a stage would rise by an update that another operator has to approve; `None` if it is none.
    pub(super) fn needs_second(&self, update: &Update) -> Result<Option<PromotionFacts>, Error> {
        let registry = self.registry.load();
        // Of another version than the caller's the update is refused, whatever it is.
        if registry.version(&update.row.key()) != update.expected {
            return Ok(None);
        }
        let now = self.clock.now();
        let rise = self.rise_of(&registry, &update.row, &update.grounds, now)?;
        Ok(rise.and_then(|(promotion, second)| second.then_some(promotion)))
    }

    /// Records a change that waits for another operator.
    pub(super) async fn propose(
        &self,
        caller: &Standing,
        update: &Update,
        promotion: PromotionFacts,
    ) -> Result<Proposal, Error> {
        let (by, key) = operator(caller)?;
        for _ in 0..ATTEMPTS {
            let now = self.clock.safe_now()?;
            let registry = self.registry.load_full();
            let row = proposed(&registry, update, now)?;
            let mut waiting = Waiting::read(&*self.store).await?;
            let (ended, as_found) = waiting.end(&registry, now);
            let Row::Agent(agent) = &row else {
                return Err(Error::field("entry", "an agent"));
            };
            if let Some(same) = waiting.at(now).find(|same| same.agent == agent.name) {
                return Err(Error::AlreadyProposed {
                    proposal: same.id,
                    agent: agent.name.clone(),
                });
            }
            if waiting.len() >= MAX_PROPOSALS {
                return Err(Error::ProposalsFull);
            }
            let reason = update.reason.as_str();
            let decided = self
                .let_write(caller, Verb::Update, &registry, &row, reason, now)
                .await?;
            let mut entry = self.entry(&decided, now, EntryKind::Approval, Outcome::Done);
            let proposal = Proposal {
                id: entry.id,
                agent: agent.name.clone(),
                version: update.expected,
                promotion: promotion.clone(),
                reason: reason.to_owned(),
                by: by.clone(),
                key,
                at: now,
                ends_at: now.plus(PROPOSAL_TTL),
            };
            describe(&mut entry, &registry, &proposal, "proposed");
            entry.reason = Some(reason.to_owned());
            let mut commit = Commit::new(now).guard(waiting.guard());
            commit.guards.extend(guards(&registry, &row));
            commit.guards.extend(decided.decided_by());
            commit.guards.extend(decided.registered_in(&registry));
            commit.guards.extend(as_found);
            waiting.add(proposal.clone());
            self.tell_ended(&mut commit, &registry, &ended, now)?;
            let commit = commit.change(waiting.change()).change(outbox(&entry)?);
            match self.commit(commit).await {
                Ok(_) => return Ok(proposal),
                Err(error) => self.once_more(error).await?,
            }
        }
        Err(Error::QueueFull)
    }

    /// Applies what another operator proposed.
    pub async fn approve(&self, caller: &Standing, id: DecisionId) -> Result<Written, Error> {
        for _ in 0..ATTEMPTS {
            let now = self.clock.safe_now()?;
            let registry = self.registry.load_full();
            let mut waiting = Waiting::read(&*self.store).await?;
            let ended = waiting.end_late(now);
            let proposal = waiting.take(id, now)?;
            let proposer = self.second(caller, &registry, &proposal, now).await?;
            let (key, row) = approved(&registry, &proposal, now)?;
            let reason = proposal.reason.as_str();
            let decided = self
                .let_write(caller, Verb::Update, &registry, &row, reason, now)
                .await?;
            let mut entry = self.change_entry(&decided, &registry, &row, reason, now);
            entry.promotion = Some(PromotionFacts {
                proposal: Some(proposal.facts()),
                ..proposal.promotion.clone()
            });
            let mut commit = Commit::new(now).guard(waiting.guard()).guard(proposer);
            commit.guards.extend(guards(&registry, &row));
            commit.guards.extend(decided.decided_by());
            commit.guards.extend(decided.registered_in(&registry));
            self.tell_ended(&mut commit, &registry, &ended, now)?;
            let commit = commit
                .change(waiting.change())
                .change(Change::PutRow(row.clone()))
                .change(outbox(&entry)?);
            match self.commit(commit).await {
                Ok(committed) => {
                    let version = committed.rows.iter().find(|(written, _)| *written == key);
                    return Ok(Written {
                        row: Versioned {
                            value: row,
                            version: version.map_or(0, |(_, version)| *version),
                        },
                        registry_version: committed.registry_version.unwrap_or(0),
                    });
                }
                Err(error) => self.once_more(error).await?,
            }
        }
        Err(Error::QueueFull)
    }

    /// Ends a proposal: of anybody, also one's own.
    pub async fn reject(
        &self,
        caller: &Standing,
        id: DecisionId,
        reason: &str,
    ) -> Result<Proposal, Error> {
        check_reason(reason)?;
        for _ in 0..ATTEMPTS {
            let now = self.clock.safe_now()?;
            let registry = self.registry.load_full();
            let mut waiting = Waiting::read(&*self.store).await?;
            let ended = waiting.end_late(now);
            let proposal = waiting.take(id, now)?;
            let row = read(&registry, &RowKey::Agent(proposal.agent.clone()))?.value;
            let decided = self
                .let_write(caller, Verb::Update, &registry, &row, reason, now)
                .await?;
            let mut entry = self.entry(&decided, now, EntryKind::Approval, Outcome::Done);
            describe(&mut entry, &registry, &proposal, "rejected");
            entry.reason = Some(reason.to_owned());
            let mut commit = Commit::new(now).guard(waiting.guard());
            commit.guards.extend(decided.decided_by());
            commit.guards.extend(decided.registered_in(&registry));
            self.tell_ended(&mut commit, &registry, &ended, now)?;
            let commit = commit.change(waiting.change()).change(outbox(&entry)?);
            match self.commit(commit).await {
                Ok(_) => return Ok(proposal),
                Err(error) => self.once_more(error).await?,
            }
        }
        Err(Error::QueueFull)
    }

    /// Whether the caller is another operator than whoever proposed it, and that one still may: the guard
    /// that it stays so. Who is not is recorded.
    async fn second(
        &self,
        caller: &Standing,
        registry: &Registry,
        proposal: &Proposal,
        now: Timestamp,
    ) -> Result<Guard, Error> {
        let checked = another(caller, proposal).and_then(|()| still_admin(registry, proposal, now));
        let Err(error) = checked else {
            let key = RowKey::Operator(proposal.by.clone());
            let version = registry.version(&key);
            return Ok(Guard::Unchanged { key, version });
        };
        let mut entry = self.entry(caller, now, EntryKind::Call, Outcome::Deny);
        entry.subject = Some(format!("approve proposal {}", proposal.id));
        self.record_denial(entry, &error).await?;
        Err(error)
    }

    /// Says in the same commit which proposals ended unapproved.
    fn tell_ended(
        &self,
        commit: &mut Commit,
        registry: &Registry,
        ended: &[Ended],
        now: Timestamp,
    ) -> Result<(), Error> {
        for Ended { proposal, why } in ended {
            let id = self.decision_id(now);
            let mut entry = Entry::new(id, now, EntryKind::Approval, Outcome::Done);
            describe(&mut entry, registry, proposal, "expired");
            entry.reason = Some((*why).to_owned());
            commit.changes.push(outbox(&entry)?);
        }
        Ok(())
    }

    /// Reads again what a commit found changed; any other failure is the answer.
    async fn once_more(&self, error: CommitError) -> Result<(), Error> {
        if is_outdated(&error) || is_decided(&error) {
            return self.read_again().await;
        }
        Err(Error::from_commit(error))
    }
}

/// The operator that calls, and by which key.
fn operator(caller: &Standing) -> Result<(OperatorName, Sha256), Error> {
    match (&caller.caller, &caller.attestation) {
        (Caller::Operator(name, _), Attestation::Mtls { key }) => Ok((name.clone(), *key)),
        _ => Err(Error::SecondOperatorRequired {
            why: "only an operator with an identity certificate proposes or approves",
        }),
    }
}

fn another(caller: &Standing, proposal: &Proposal) -> Result<(), Error> {
    let (name, key) = operator(caller)?;
    if name == proposal.by || key == proposal.key {
        return Err(Error::SecondOperatorRequired {
            why: "whoever proposed it cannot approve it: that is for another operator, with another key",
        });
    }
    Ok(())
}

/// Whoever was suspended or lost the role since has nothing that could be approved.
fn still_admin(registry: &Registry, proposal: &Proposal, now: Timestamp) -> Result<(), Error> {
    if is_admin(registry, &proposal.by, now) {
        return Ok(());
    }
    Err(Error::SecondOperatorRequired {
        why: "whoever proposed it is no active administrator any more; reject it",
    })
}

/// The agent as an update has it, which may differ from what is there by its stage alone.
fn proposed(registry: &Registry, update: &Update, now: Timestamp) -> Result<Row, Error> {
    let key = update.row.key();
    let present = read(registry, &key)?;
    if present.version != update.expected {
        return Err(Error::VersionChanged {
            key,
            expected: update.expected,
            found: present.version,
        });
    }
    if state(&present.value) == State::Retired {
        return Err(Error::Retired { key });
    }
    let row = check::keeping(update.row.clone(), &present.value, now);
    check::row(registry, &row, now)?;
    require_reason(&widening(&present.value, &row), &update.reason)?;
    match (&row, &present.value) {
        (Row::Agent(next), Row::Agent(before)) if at_stage_of(next, before) == *before => Ok(row),
        _ => Err(Error::field(
            "entry",
            "nothing but another stage: what waits for another operator changes nothing else",
        )),
    }
}

fn at_stage_of(next: &Agent, before: &Agent) -> Agent {
    Agent {
        stage: before.stage,
        ..next.clone()
    }
}

/// The agent as it is from now on, if it is still as it was when it was proposed.
fn approved(
    registry: &Registry,
    proposal: &Proposal,
    now: Timestamp,
) -> Result<(RowKey, Row), Error> {
    let key = RowKey::Agent(proposal.agent.clone());
    let present = read(registry, &key)?;
    if present.version != proposal.version {
        return Err(Error::VersionChanged {
            key,
            expected: proposal.version,
            found: present.version,
        });
    }
    if state(&present.value) == State::Retired {
        return Err(Error::Retired { key });
    }
    let Row::Agent(agent) = present.value else {
        return Err(Error::EntryNotFound { key });
    };
    let row = Row::Agent(Agent {
        stage: proposal.promotion.to,
        ..agent
    });
    check::row(registry, &row, now)?;
    Ok((key, row))
}

fn describe(entry: &mut Entry, registry: &Registry, proposal: &Proposal, became: &'static str) {
    entry.subject = Some(RowKey::Agent(proposal.agent.clone()).to_string());
    entry.agent = Some(proposal.agent.clone());
    entry.owner = registry
        .agent(&proposal.agent)
        .map(|row| row.value.owner.clone());
    entry.state = Some(became);
    let mut promotion = proposal.promotion.clone();
    // The first entry is the proposal.
    promotion.proposal = (became != "proposed").then(|| proposal.facts());
    entry.promotion = Some(promotion);
}
