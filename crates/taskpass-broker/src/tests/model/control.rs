//! What operators do, and what that must end.

use taskpass_core::key::KeyPurpose;
use taskpass_core::registry::{RowKey, State};
use taskpass_store::Store as _;

use super::picture::{AGENTS, Model, OWNER_OF, OWNERS, TARGETS};
use super::run::Run;
use crate::testing::ops;
use crate::{Error, Resume, RevokeWhat};

const ROTATING: [KeyPurpose; 5] = [
    KeyPurpose::TokenEs256,
    KeyPurpose::TokenEdDsa,
    KeyPurpose::TaskIssuing,
    KeyPurpose::ControlIssuing,
    KeyPurpose::Feed,
];

impl Run {
    /// Whether it was revoked. `live` is how many credentials that must end.
    async fn revoked(&self, what: RevokeWhat, suspend: bool, live: u64) -> Result<bool, Error> {
        let before = self.t.store.rules().newest_seq();
        match self.t.revoke_with(what, !suspend).await {
            Ok(revoked) if revoked.live.exact => {
                assert_eq!(revoked.live.credentials, live);
                Ok(true)
            }
            Ok(revoked) => {
                assert!(revoked.live.credentials >= live, "{revoked:?} of {live}");
                Ok(true)
            }
            // The rules and the states are one commit: `check` looks at the states.
            Err(_) if self.store.is_dead() => Ok(self.t.store.rules().newest_seq() > before),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn revoke_credential(&mut self, place: usize) {
        let Some(place) = self.model.credential(self.now(), place) else {
            return;
        };
        let credential = &self.model.credentials[place];
        let (id, ends) = (credential.id, credential.expires_at);
        let live = self.model.live(self.now(), |one| one.id == id);
        match self.revoked(RevokeWhat::Credential(id), false, live).await {
            Ok(done) => self.model.credentials[place].revoked |= done,
            Err(error) => {
                assert_eq!(error.reason(), "CREDENTIAL_NOT_FOUND");
                assert!(ends <= self.now());
            }
        }
    }

    pub(super) async fn revoke_task(&mut self, root: usize) {
        let Some(root) = self.model.task(self.now(), root) else {
            return;
        };
        let id = self.model.tasks[root].id;
        let beneath = |one: &super::picture::Credential| self.model.is_beneath(one.task, root);
        let live = self.model.live(self.now(), beneath);
        match self.revoked(RevokeWhat::Task(id), false, live).await {
            Ok(true) => self.model.end(|model, task| model.is_beneath(task, root)),
            Ok(false) => {}
            Err(error) => {
                assert_eq!(error.reason(), "TASK_NOT_FOUND");
                assert!(id.deadline() <= self.now());
            }
        }
    }

    pub(super) async fn revoke_agent(&mut self, agent: usize, suspend: bool) {
        let what = RevokeWhat::Agent(AGENTS[agent].parse().unwrap());
        let live = self.of_agents(&[agent]);
        if self.revoked(what, suspend, live).await.unwrap() {
            self.end_agents(&[agent]);
            self.model.agents[agent] &= !suspend;
        }
    }

    pub(super) async fn revoke_owner(&mut self, owner: usize, suspend: bool) {
        let what = RevokeWhat::Owner(OWNERS[owner].parse().unwrap());
        let agents: Vec<usize> = (0..AGENTS.len())
            .filter(|agent| OWNER_OF[*agent] == owner)
            .collect();
        let live = self.of_agents(&agents);
        if self.revoked(what, suspend, live).await.unwrap() {
            self.end_agents(&agents);
            self.model.owners[owner] &= !suspend;
        }
    }

    /// What these agents hold, and whoever works for them.
    fn of_agents(&self, agents: &[usize]) -> u64 {
        let model = &self.model;
        let theirs = |task: usize| model.chain(task).iter().any(|agent| agents.contains(agent));
        model.live(self.now(), |one| theirs(one.task))
    }

    fn end_agents(&mut self, agents: &[usize]) {
        let theirs = |model: &Model, task: usize| {
            model.chain(task).iter().any(|agent| agents.contains(agent))
        };
        self.model.end(theirs);
        for agent in agents {
            self.model.lines[*agent].refused = true;
        }
    }

    pub(super) async fn revoke_target(&mut self, target: usize, suspend: bool) {
        let what = RevokeWhat::Target(TARGETS[target].parse().unwrap());
        let live = self
            .model
            .live(self.now(), |one| one.target == Some(target));
        if self.revoked(what, suspend, live).await.unwrap() {
            self.model.revoke(|one| one.target == Some(target));
            self.model.targets[target] &= !suspend;
        }
    }

    pub(super) async fn taint(&mut self, credential: usize) {
        let Some(place) = self.model.credential(self.now(), credential) else {
            return;
        };
        let key = self.model.credentials[place].key.clone();
        let live = self.model.live(self.now(), |one| one.key == key);
        let what = RevokeWhat::Key(key.as_str().to_owned());
        if self.revoked(what, false, live).await.unwrap() {
            self.model.revoke(|one| one.key == key);
        }
    }

    pub(super) async fn revoke_everything(&mut self) {
        let live = self.model.live(self.now(), |_| true);
        let done = self.revoked(RevokeWhat::Everything, true, live).await;
        if done.unwrap() {
            self.model.end(|_, _| true);
            self.model.runs = false;
        }
    }

    pub(super) async fn suspend(&mut self, row: usize) {
        let key = key(row);
        let outcome = self.t.broker.suspend(&ops(), key.clone(), "random").await;
        let done = self
            .settled(outcome.map(drop), &key, State::Suspended)
            .await;
        if done.unwrap() {
            *self.model.active(row) = false;
        }
    }

    pub(super) async fn resume(&mut self, row: usize) {
        let row = self.model.inactive(row);
        let key = key(row);
        let what = match &key {
            RowKey::System => Resume::Everything,
            key => Resume::Entry(key.clone()),
        };
        let outcome = self.t.broker.resume(&ops(), what, "random").await;
        let allowed = row >= AGENTS.len() || self.model.owners[OWNER_OF[row]];
        match self.settled(outcome.map(drop), &key, State::Active).await {
            Ok(done) => *self.model.active(row) |= done,
            Err(error) => {
                assert!(!allowed, "{error:?}");
                assert_eq!(error.reason(), "OWNER_NOT_ACTIVE");
            }
        }
    }

    /// Whether a row is in a state now; of an answer that was lost the store knows.
    async fn settled(
        &self,
        outcome: Result<(), Error>,
        key: &RowKey,
        state: State,
    ) -> Result<bool, Error> {
        match outcome {
            Err(_) if self.store.is_dead() => {
                let rows = self.t.store.registry().await.unwrap();
                let row = rows.iter().find(|row| row.value.key() == *key);
                Ok(row.is_some_and(|row| crate::registry::state(&row.value) == state))
            }
            outcome => outcome.map(|()| true),
        }
    }

    pub(super) async fn rotate(&self, key: usize, at_once: bool) {
        let purpose = ROTATING[key].as_str();
        let rotated = self.t.broker.rotate_key(&ops(), purpose, at_once).await;
        if let Err(error) = rotated {
            let not_ready = error.reason() == "KEY_NOT_READY";
            assert!(not_ready || self.store.is_dead(), "{error:?}");
        }
    }
}

/// Agents, then owners, then targets, then the broker as a whole.
pub(super) fn key(row: usize) -> RowKey {
    if let Some(agent) = AGENTS.get(row) {
        return RowKey::Agent(agent.parse().unwrap());
    }
    let row = row - AGENTS.len();
    if let Some(owner) = OWNERS.get(row) {
        return RowKey::Owner(owner.parse().unwrap());
    }
    let target = TARGETS.get(row - OWNERS.len());
    target.map_or(RowKey::System, |uri| RowKey::Target(uri.parse().unwrap()))
}

impl Model {
    /// Whether a row is active.
    pub(super) fn active(&mut self, row: usize) -> &mut bool {
        let all = self.agents.iter_mut().chain(&mut self.owners);
        let mut all = all.chain(&mut self.targets);
        all.nth(row).unwrap_or(&mut self.runs)
    }
}
