//! What operators do in the month: what goes wrong is stopped, what ends is ended, what changes is
//! changed with a reason.

use taskpass_broker::{Grounds, Resume, Revoke, RevokeWhat, Update};
use taskpass_core::access::Stage;
use taskpass_core::identity::Principal;
use taskpass_core::registry::{Agent, Observe, Row, RowKey, Target};
use taskpass_core::{OwnerName, ScopeRef, TargetUri, Timestamp};

use super::people;
use super::play::Play;
use super::{broken, refused};
use crate::errors::CliError;

/// Something that an operator does.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Owners, targets and verifiers are registered.
    Found,
    /// A credential that lives, or the task of one, is revoked.
    RevokeOne,
    /// An agent is taken for stolen.
    RevokeAgent(usize),
    /// It is not: it enrols anew.
    Readmit(usize),
    /// An owner leaves, and whatever its agents have ends.
    Offboard(OwnerName),
    /// A target is taken for broken into.
    RevokeTarget(TargetUri),
    /// It is not.
    ResumeTarget(TargetUri),
    /// An agent may go on until then.
    Extend(usize, Timestamp),
    /// An agent may have one more scope.
    Widen(usize, ScopeRef),
    /// An agent may not have a scope any more that it uses.
    Narrow(usize, ScopeRef),
    /// An agent is trusted further, by force.
    Promote(usize),
    /// An agent may only look from now on.
    Demote(usize),
    /// An agent is not needed any more.
    Retire(usize),
    /// Policies are tried out at a target until then.
    Observe(TargetUri, Timestamp),
    /// Somebody looks through the registry.
    Look,
}

impl Play {
    /// Does it, and what follows from it.
    pub(super) async fn operate(&mut self, act: Act) -> Result<(), CliError> {
        match act {
            Act::Found => self.found().await?,
            Act::RevokeOne => self.revoke_one().await?,
            Act::RevokeAgent(who) => {
                let name = self.world.member(who)?.row.name.clone();
                self.revoke(RevokeWhat::Agent(name), "its key was seen in a public log")
                    .await?;
            }
            Act::Readmit(who) => self.readmit(who).await?,
            Act::Offboard(owner) => {
                self.revoke(RevokeWhat::Owner(owner), "the team was dissolved")
                    .await?;
            }
            Act::RevokeTarget(uri) => {
                self.revoke(RevokeWhat::Target(uri), "strange calls at the API")
                    .await?;
            }
            Act::ResumeTarget(uri) => {
                let what = Resume::Entry(RowKey::Target(uri));
                self.resume(what, "the calls were a test of ours").await?;
            }
            Act::Extend(who, until) => {
                let extend = |agent: &mut Agent| agent.valid_until = until;
                self.change(who, "its owner wants to keep it", extend)
                    .await?;
            }
            Act::Widen(who, scope) => {
                let widen = |agent: &mut Agent| agent.scopes.extend([scope]);
                self.change(who, "asked for, and approved by the owner", widen)
                    .await?;
            }
            Act::Narrow(who, scope) => {
                let narrow = |agent: &mut Agent| agent.scopes.retain(|own| *own != scope);
                self.change(who, "it should not need this", narrow).await?;
            }
            Act::Promote(who) => {
                let promote = |agent: &mut Agent| agent.stage = Stage::Autonomous;
                let why = "asked for by the board, before there is a report";
                self.change_on(Grounds::Force, who, why, promote).await?;
            }
            Act::Demote(who) => {
                let demote = |agent: &mut Agent| agent.stage = Stage::ReadOnly;
                self.change(who, "after an incident", demote).await?;
            }
            Act::Retire(who) => {
                let key = RowKey::Agent(self.world.member(who)?.row.name.clone());
                let operator = self.people.operator(&self.house).await?;
                let retired = self.house.broker.retire(&operator, key, "replaced").await;
                retired.map_err(broken("retire an agent"))?;
                self.tally.revocations += 1;
            }
            Act::Observe(uri, until) => self.observe(&uri, until).await?,
            Act::Look => {
                let operator = self.people.operator(&self.house).await?;
                let looked = self.house.broker.registry_for(&operator, "agents").await;
                looked.map_err(broken("read the registry"))?;
            }
        }
        self.house.settle().await
    }

    async fn found(&mut self) -> Result<(), CliError> {
        let world = &self.world;
        let owners = world.owners.iter().cloned().map(Row::Owner);
        let targets = world.targets.iter().cloned().map(Row::Target);
        let verifiers = world.verifiers.iter().cloned().map(Row::Verifier);
        for row in owners.chain(targets).chain(verifiers) {
            self.register(row).await?;
        }
        for place in 0..self.world.verifiers.len() {
            let Some(verifier) = self.world.verifiers.get(place) else {
                continue;
            };
            let who = Principal::Verifier(verifier.name.clone());
            self.people
                .enrol(&self.house, &who, &people::key()?)
                .await?;
            self.plan_renewal(who);
        }
        self.plan_renewal(people::operator()?);
        Ok(())
    }

    /// The newest that lives; every other time with its task.
    async fn revoke_one(&mut self) -> Result<(), CliError> {
        let now = self.now();
        let newest = self
            .recent
            .iter()
            .rev()
            .find(|one| now < one.id.expires_at());
        let Some(credential) = newest else {
            return Ok(());
        };
        let what = if self.dice.in_hundred(50) {
            RevokeWhat::Task(credential.task)
        } else {
            RevokeWhat::Credential(credential.id)
        };
        self.revoke(what, "an alarm at the API").await
    }

    async fn revoke(&mut self, what: RevokeWhat, reason: &str) -> Result<(), CliError> {
        let operator = self.people.operator(&self.house).await?;
        let request = Revoke {
            what,
            reason: reason.to_owned(),
            dry_run: false,
            no_suspend: false,
        };
        let revoked = self.house.broker.revoke(&operator, &request).await;
        if refused(revoked, "revoke")?.is_some() {
            self.tally.revocations += 1;
        }
        Ok(())
    }

    async fn readmit(&mut self, who: usize) -> Result<(), CliError> {
        let agent = self.agent(who)?;
        let key = RowKey::Agent(self.world.member(who)?.row.name.clone());
        self.resume(Resume::Entry(key), "the key was replaced")
            .await?;
        self.people
            .enrol(&self.house, &agent, &people::key()?)
            .await
    }

    async fn resume(&self, what: Resume, reason: &str) -> Result<(), CliError> {
        let operator = self.people.operator(&self.house).await?;
        let resumed = self.house.broker.resume(&operator, what, reason).await;
        resumed.map(drop).map_err(broken("resume an entry"))
    }

    async fn change(
        &self,
        who: usize,
        reason: &str,
        change: impl FnOnce(&mut Agent),
    ) -> Result<(), CliError> {
        self.change_on(Grounds::Nothing, who, reason, change).await
    }

    async fn change_on(
        &self,
        grounds: Grounds,
        who: usize,
        reason: &str,
        change: impl FnOnce(&mut Agent),
    ) -> Result<(), CliError> {
        let name = &self.world.member(who)?.row.name;
        let registry = self.house.broker.registry();
        let present = registry.agent(name);
        let present = present.ok_or_else(|| CliError::new("MONTH_FAILED", "an agent is gone"))?;
        let mut agent = present.value.clone();
        change(&mut agent);
        self.update(Row::Agent(agent), present.version, reason, grounds)
            .await
    }

    async fn observe(&self, uri: &TargetUri, until: Timestamp) -> Result<(), CliError> {
        let registry = self.house.broker.registry();
        let present = registry.target(uri);
        let present = present.ok_or_else(|| CliError::new("MONTH_FAILED", "a target is gone"))?;
        let reason = "a narrower permit is tried out";
        let target = Target {
            observe: Some(Observe {
                until,
                reason: reason.to_owned(),
            }),
            ..present.value.clone()
        };
        let version = present.version;
        self.update(Row::Target(target), version, reason, Grounds::Nothing)
            .await
    }

    async fn update(
        &self,
        row: Row,
        version: u64,
        reason: &str,
        grounds: Grounds,
    ) -> Result<(), CliError> {
        let operator = self.people.operator(&self.house).await?;
        let update = Update {
            row,
            expected: version,
            reason: reason.to_owned(),
            grounds,
        };
        let updated = self.house.broker.replace(&operator, &update).await;
        updated.map(drop).map_err(broken("change an entry"))
    }
}
