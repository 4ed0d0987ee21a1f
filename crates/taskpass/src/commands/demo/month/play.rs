//! Playing the month: each event through the broker's own use cases, at its time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use taskpass_core::credential::Credential;
use taskpass_core::identity::Principal;
use taskpass_core::registry::Row;
use taskpass_core::{Clock as _, TaskId, Timestamp};

use super::agenda::{Agenda, Event};
use super::broken;
use super::dice::Dice;
use super::house::House;
use super::people::{self, People};
use super::tally::Tally;
use super::tasks::Running;
use super::uses::Uses;
use super::world::{Size, World};
use crate::errors::CliError;

/// How often an identity is renewed, which lives a week.
const RENEWED_EVERY: Duration = Duration::from_hours(24 * 5);

/// A month that is played.
pub(super) struct Play {
    pub(super) house: House,
    pub(super) world: World,
    pub(super) agenda: Agenda,
    pub(super) people: People,
    pub(super) tally: Tally,
    pub(super) dice: Dice,
    /// What APIs have seen.
    pub(super) uses: Uses,
    /// What was issued last.
    pub(super) recent: VecDeque<Credential>,
    /// Tasks that run.
    pub(super) running: BTreeMap<TaskId, Running>,
    /// The key that two agents have.
    shared: Option<taskpass_client::LocalKey>,
    /// The agents that have it.
    pub(super) sharing: Vec<usize>,
}

impl Play {
    /// Before the first event.
    pub(super) fn new(
        house: House,
        world: World,
        agenda: Agenda,
        size: &Size,
    ) -> Result<Self, CliError> {
        Ok(Self {
            uses: Uses::new(size)?,
            house,
            world,
            agenda,
            people: People::default(),
            tally: Tally::default(),
            dice: Dice::new(size.seed, 1 << 42),
            recent: VecDeque::new(),
            running: BTreeMap::new(),
            shared: None,
            sharing: Vec::new(),
        })
    }

    /// Plays everything before `end`, and the turns of the background in between; the clock then
    /// stands at `end`.
    pub(super) async fn until(&mut self, end: Timestamp) -> Result<(), CliError> {
        while let Some((at, event)) = self.agenda.next(end) {
            self.turns_until(at).await?;
            self.house.pass_until(at);
            self.happen(event).await?;
        }
        self.turns_until(end).await?;
        self.house.pass_until(end);
        Ok(())
    }

    async fn turns_until(&mut self, at: Timestamp) -> Result<(), CliError> {
        while let Some(turn) = self.house.turn_before(at) {
            self.house.pass_until(turn);
            self.report_uses().await?;
            self.house.turn().await?;
        }
        Ok(())
    }

    async fn happen(&mut self, event: Event) -> Result<(), CliError> {
        match event {
            Event::Arrive(who) => self.arrive(who).await,
            Event::Renew(who) => self.renew(who).await,
            Event::Begin { who, work } => self.begin(who, None, None, work).await,
            Event::Step { task, step } => Box::pin(self.step(task, step)).await,
            Event::Done(task) => self.done(task).await,
            Event::Loop(who) => self.ask_in_a_loop(who).await,
            Event::Operate(act) => self.operate(act).await,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.house.clock.now()
    }

    /// Who an agent is to the broker.
    pub(super) fn agent(&self, who: usize) -> Result<Principal, CliError> {
        Ok(Principal::Agent(self.world.member(who)?.row.name.clone()))
    }

    async fn arrive(&mut self, who: usize) -> Result<(), CliError> {
        let row = Row::Agent(self.world.member(who)?.row.clone());
        self.register(row).await?;
        let agent = self.agent(who)?;
        if self.sharing.contains(&who) {
            let shared = self.shared.take().map_or_else(people::key, Ok)?;
            self.people.enrol(&self.house, &agent, &shared).await?;
            self.shared = Some(shared);
        } else {
            let key = people::key()?;
            self.people.enrol(&self.house, &agent, &key).await?;
        }
        self.plan_renewal(agent);
        Ok(())
    }

    /// An operator registers an entry.
    pub(super) async fn register(&self, row: Row) -> Result<(), CliError> {
        let operator = self.people.operator(&self.house).await?;
        let registered = self.house.broker.register(&operator, row).await;
        registered.map(drop).map_err(broken("register an entry"))
    }

    pub(super) fn plan_renewal(&mut self, who: Principal) {
        let early = self.dice.between(Duration::ZERO, Duration::from_hours(12));
        let at = self.now().plus(RENEWED_EVERY.saturating_sub(early));
        self.agenda.plan(at, Event::Renew(who));
    }

    async fn renew(&mut self, who: Principal) -> Result<(), CliError> {
        self.people.renew(&self.house, &who).await?;
        self.plan_renewal(who);
        Ok(())
    }
}
