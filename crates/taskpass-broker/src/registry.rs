//! Changing and reading the registry. Every change is one commit with its entry.

mod apply;
mod approval;
mod check;
mod diff;
mod fault;
mod rise;

use taskpass_core::audit::{Entry, EntryKind, Outcome};
use taskpass_core::promotion::Proposal;
use taskpass_core::registry::{
    Registry, Role, Row, RowKey, State, System, Versioned, Widening, widening,
};
use taskpass_core::verb::Verb;
use taskpass_store::{Change, Commit, Guard, Lane};

use crate::broker::Broker;
use crate::error::Error;
use crate::first::describe_row;
use crate::policy::current::is_outdated;
use crate::revoke::check_reason;
use crate::standing::Standing;

pub use apply::{Action, Applied, Apply, Proposed, RowChange};
pub(crate) use check::with_state;
pub use diff::FieldChange;
pub use fault::Fault;
pub(crate) use fault::summary;
pub(crate) use rise::untimely;
pub use rise::{ChangeRules, Grounds, PromotionRule, Statement, Vouched};

/// What to resume.
#[derive(Debug, Clone)]
pub enum Resume {
    /// An entry.
    Entry(RowKey),
    /// The broker as a whole.
    Everything,
}

/// An entry as it was written.
#[derive(Debug, Clone)]
pub struct Written {
    /// The entry.
    pub row: Versioned<Row>,
    /// The version of the registry that this made.
    pub registry_version: u64,
}

/// What is to replace an entry.
#[derive(Debug, Clone)]
pub struct Update {
    /// The entry as it is to be; its name says which one.
    pub row: Row,
    /// The version that was read.
    pub expected: u64,
    /// Why; required if something is widened.
    pub reason: String,
    /// On what a stage is to rise.
    pub grounds: Grounds,
}

/// What became of it.
#[derive(Debug, Clone)]
pub enum Updated {
    /// It is written.
    Written(Box<Written>),
    /// It waits for another operator.
    Waits(Box<Proposal>),
}

impl std::ops::Deref for Written {
    type Target = Versioned<Row>;

    fn deref(&self) -> &Versioned<Row> {
        &self.row
    }
}

const ATTEMPTS: u32 = 4;

impl Broker {
    /// Registers a new entry.
    pub async fn register(&self, caller: &Standing, row: Row) -> Result<Written, Error> {
        let row = check::fresh(row, self.clock.safe_now()?);
        self.change(
            caller,
            (Verb::Register, row.key()),
            "registered",
            |registry, now| {
                if registry.version(&row.key()) != 0 {
                    return Err(Error::AlreadyRegistered { key: row.key() });
                }
                check::row(registry, &row, now)?;
                Ok(row.clone())
            },
        )
        .await
    }

    /// Replaces an entry, if it still has the version that the caller read. Where a second operator has
    /// to approve that, it waits instead.
    pub async fn replace(&self, caller: &Standing, update: &Update) -> Result<Updated, Error> {
        let Update {
            row,
            expected,
            reason,
            grounds,
        } = update;
        let expected = *expected;
        let words = check::why(&self.registry.load(), row, reason);
        check_reason(if reason.is_empty() { "updated" } else { reason })?;
        if let Some(promotion) = self.needs_second(update)? {
            let proposed = self.propose(caller, update, promotion).await?;
            return Ok(Updated::Waits(Box::new(proposed)));
        }
        self.change_on(
            grounds,
            caller,
            (Verb::Update, row.key()),
            &words,
            |registry, now| {
                let key = row.key();
                let present = read(registry, &key)?;
                if present.version != expected {
                    let found = present.version;
                    return Err(Error::VersionChanged {
                        key,
                        expected,
                        found,
                    });
                }
                if state(&present.value) == State::Retired {
                    return Err(Error::Retired { key });
                }
                let row = check::keeping(row.clone(), &present.value, now);
                check::row(registry, &row, now)?;
                require_reason(&widening(&present.value, &row), reason)?;
                Ok(row)
            },
        )
        .await
        .map(|written| Updated::Written(Box::new(written)))
    }

    /// Reads an entry.
    pub async fn entry_of(&self, caller: &Standing, key: &RowKey) -> Result<Versioned<Row>, Error> {
        self.record_read(caller, key.to_string()).await?;
        read(&self.registry.load(), key)
    }

    /// Records that a kind of entries was listed, and hands out the registry to list from.
    pub async fn registry_for(
        &self,
        caller: &Standing,
        what: &str,
    ) -> Result<std::sync::Arc<Registry>, Error> {
        self.record_read(caller, what).await?;
        Ok(self.registry())
    }

    /// Refuses an entry until it is resumed.
    pub async fn suspend(
        &self,
        caller: &Standing,
        key: RowKey,
        reason: &str,
    ) -> Result<Written, Error> {
        check_reason(reason)?;
        self.set_state(caller, key, State::Suspended, reason).await
    }

    /// Lets an entry, or the whole broker, take part again.
    pub async fn resume(
        &self,
        caller: &Standing,
        what: Resume,
        reason: &str,
    ) -> Result<Written, Error> {
        check_reason(reason)?;
        match what {
            Resume::Entry(key) => self.set_state(caller, key, State::Active, reason).await,
            Resume::Everything => {
                let what = (Verb::Resume, RowKey::System);
                self.change(caller, what, reason, |registry, _| {
                    Ok(Row::System(System {
                        state: State::Active,
                        ..registry.system()
                    }))
                })
                .await
            }
        }
    }

    /// Ends the seal that restoring put on the broker. Returns whether it was sealed.
    pub async fn unseal(&self, caller: &Standing, reason: &str) -> Result<bool, Error> {
        check_reason(reason)?;
        let sealed = self.registry.load().system().sealed_at.is_some();
        let what = (Verb::Unseal, RowKey::System);
        let reason: String = format!("unsealed: {reason}")
            .chars()
            .take(taskpass_core::revocation::MAX_REASON_LEN)
            .collect();
        self.change(caller, what, &reason, |registry, _| {
            Ok(Row::System(System {
                sealed_at: None,
                ..registry.system()
            }))
        })
        .await?;
        Ok(sealed)
    }

    pub(crate) async fn set_state(
        &self,
        caller: &Standing,
        key: RowKey,
        next: State,
        reason: &str,
    ) -> Result<Written, Error> {
        let urgent = next != State::Active;
        let verb = match next {
            State::Active => Verb::Resume,
            State::Suspended => Verb::Suspend,
            State::Retired => Verb::Retire,
        };
        let nothing = Grounds::Nothing;
        self.change_in(
            (!urgent).then_some(&nothing),
            caller,
            (verb, key.clone()),
            reason,
            |registry, now| {
                let present = read(registry, &key)?;
                if state(&present.value) == State::Retired {
                    return Err(Error::Retired { key: key.clone() });
                }
                let row = check::with_state(present.value, next);
                if next == State::Active {
                    check::row(registry, &row, now)?;
                } else {
                    check::keeps_an_admin(registry, &row)?;
                }
                Ok(row)
            },
        )
        .await
    }

    async fn change(
        &self,
        caller: &Standing,
        what: (Verb, RowKey),
        reason: &str,
        next: impl Fn(&Registry, taskpass_core::Timestamp) -> Result<Row, Error>,
    ) -> Result<Written, Error> {
        self.change_on(&Grounds::Nothing, caller, what, reason, next)
            .await
    }

    async fn change_on(
        &self,
        grounds: &Grounds,
        caller: &Standing,
        what: (Verb, RowKey),
        reason: &str,
        next: impl Fn(&Registry, taskpass_core::Timestamp) -> Result<Row, Error>,
    ) -> Result<Written, Error> {
        self.change_in(Some(grounds), caller, what, reason, next)
            .await
    }

    /// Makes one change: computes the row from the registry as it is, commits it under the versions
    /// that this read, and does it again if somebody was faster. An urgent one, which takes something
    /// away and so has no grounds, overtakes the rest and does not ask whether the clock is trusted.
    async fn change_in(
        &self,
        grounds: Option<&Grounds>,
        caller: &Standing,
        (verb, key): (Verb, RowKey),
        reason: &str,
        next: impl Fn(&Registry, taskpass_core::Timestamp) -> Result<Row, Error>,
    ) -> Result<Written, Error> {
        for _ in 0..ATTEMPTS {
            let (now, lane) = match grounds {
                None => (self.background_now(), Lane::Urgent),
                Some(_) => (self.clock.safe_now()?, Lane::Normal),
            };
            let registry = self.registry.load_full();
            let row = next(&registry, now)?;
            let nothing = Grounds::Nothing;
            let promotion = self.rise_alone(&registry, &row, grounds.unwrap_or(&nothing), now)?;
            let caller = &self
                .let_write(caller, verb, &registry, &row, reason, now)
                .await?;
            let mut entry = self.change_entry(caller, &registry, &row, reason, now);
            entry.promotion = promotion;
            let mut commit = Commit::new(now).in_lane(lane);
            commit.guards = guards(&registry, &row);
            commit.guards.extend(caller.decided_by());
            commit.guards.extend(caller.registered_in(&registry));
            let commit = commit
                .change(Change::PutRow(row.clone()))
                .change(crate::entry::outbox(&entry)?);
            match self.commit(commit).await {
                Ok(committed) => {
                    let version = committed
                        .rows
                        .iter()
                        .find(|(written, _)| *written == key)
                        .map_or(0, |(_, version)| *version);
                    let value = row;
                    return Ok(Written {
                        row: Versioned { value, version },
                        registry_version: committed.registry_version.unwrap_or(0),
                    });
                }
                Err(error) if is_outdated(&error) => self.read_again().await?,
                Err(error) => return Err(Error::from_commit(error)),
            }
        }
        Err(Error::QueueFull)
    }

    /// The entry about a row that is written as `row`.
    pub(crate) fn change_entry(
        &self,
        caller: &Standing,
        registry: &Registry,
        row: &Row,
        reason: &str,
        now: taskpass_core::Timestamp,
    ) -> Entry {
        let mut entry = self.entry(caller, now, EntryKind::Registry, Outcome::Done);
        describe_row(&mut entry, row, registry.version(&row.key()) + 1);
        entry.reason = Some(reason.to_owned());
        if let Ok(present) = read(registry, &row.key()) {
            entry.widened = widening(&present.value, row);
        }
        entry
    }
}

/// Whoever lets somebody have or do more says why. An observation comes with a reason of its own.
fn require_reason(widened: &[Widening], reason: &str) -> Result<(), Error> {
    let unexplained: Vec<&str> = widened
        .iter()
        .filter(|what| **what != Widening::Observe)
        .map(|what| what.as_str())
        .collect();
    if unexplained.is_empty() || !reason.is_empty() {
        return Ok(());
    }
    let what = unexplained.join(", ");
    let expected = format!("say why: this widens {what}");
    Err(Error::field("reason", expected))
}

/// The row itself is unchanged, and so is what its check relied upon: an agent's owner and targets,
/// a verifier's targets, the other administrators.
fn guards(registry: &Registry, row: &Row) -> Vec<Guard> {
    let mut keys = vec![row.key()];
    match row {
        Row::Agent(agent) => {
            keys.push(RowKey::Owner(agent.owner.clone()));
            keys.extend(
                agent
                    .scopes
                    .iter()
                    .map(|scope| RowKey::Target(scope.target.clone())),
            );
        }
        Row::Verifier(verifier) => {
            keys.extend(verifier.targets.iter().cloned().map(RowKey::Target));
        }
        Row::Operator(_) => {
            let admins = registry
                .operators()
                .filter(|row| row.value.roles.contains(&Role::Admin));
            keys.extend(admins.map(|row| RowKey::Operator(row.value.name.clone())));
        }
        Row::Owner(_) | Row::Target(_) | Row::System(_) => {}
    }
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .map(|key| Guard::Unchanged {
            version: registry.version(&key),
            key,
        })
        .collect()
}

/// One row of the registry.
pub(crate) fn read(registry: &Registry, key: &RowKey) -> Result<Versioned<Row>, Error> {
    let found = match key {
        RowKey::Owner(name) => registry
            .owner(name)
            .map(|row| Row::Owner(row.value.clone())),
        RowKey::Agent(name) => registry
            .agent(name)
            .map(|row| Row::Agent(row.value.clone())),
        RowKey::Target(uri) => registry
            .target(uri)
            .map(|row| Row::Target(row.value.clone())),
        RowKey::Operator(name) => registry
            .operator(name)
            .map(|row| Row::Operator(row.value.clone())),
        RowKey::Verifier(name) => registry
            .verifier(name)
            .map(|row| Row::Verifier(row.value.clone())),
        RowKey::System => Some(Row::System(registry.system())),
    };
    let version = registry.version(key);
    found
        .map(|value| Versioned { value, version })
        .ok_or_else(|| Error::EntryNotFound { key: key.clone() })
}

/// The state of a row.
pub(crate) fn state(row: &Row) -> State {
    match row {
        Row::Owner(owner) => owner.state,
        Row::Agent(agent) => agent.state,
        Row::Target(target) => target.state,
        Row::Operator(operator) => operator.state,
        Row::Verifier(verifier) => verifier.state,
        Row::System(system) => system.state,
    }
}
