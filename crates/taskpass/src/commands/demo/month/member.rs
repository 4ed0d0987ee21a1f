//! An agent, and what it is used to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use taskpass_core::ScopeRef;
use taskpass_core::registry::{Agent, Limits, Owner, State};

use super::apis::TRIAL_LABEL;
use super::dice::Dice;
use super::roles::{Hours, Role};
use super::world::Size;
use super::{DAY, broken};
use crate::errors::CliError;

/// An agent, and what it is used to do.
#[derive(Debug)]
pub(super) struct Member {
    /// As it is registered first.
    pub(super) row: Agent,
    pub(super) role: &'static Role,
    /// What its tokens are for.
    pub(super) used: Vec<ScopeRef>,
    /// What it has in some ceilings, and in no token.
    pub(super) ceiling: Vec<ScopeRef>,
    /// What it asks for without being registered for it.
    pub(super) beyond: Vec<ScopeRef>,
    /// Whether it binds all its tokens to a certificate.
    pub(super) binds: bool,
    /// Whether it tells the broker itself what it used its tokens for.
    pub(super) says_itself: bool,
    /// How many of a hundred of its tasks ask for too much.
    pub(super) careless: u64,
    /// To whom it hands parts of its work on.
    pub(super) helper: Option<usize>,
}

impl Member {
    /// The agent at a place of a world.
    pub(super) fn new(
        size: &Size,
        place: usize,
        role: &'static Role,
        owner: &Owner,
    ) -> Result<Self, CliError> {
        let mut dice = Dice::new(size.seed, u64::try_from(place).unwrap_or(u64::MAX));
        let scopes = |texts: &[&str]| {
            let scopes = texts.iter().map(|text| text.parse());
            scopes
                .collect::<Result<Vec<ScopeRef>, _>>()
                .map_err(broken("name a scope"))
        };
        // Each agent has habits of its own: some never use all that their kind does.
        let used = dice.some(&scopes(role.used)?, 85);
        let ceiling = scopes(role.ceiling)?;
        let mut all: BTreeSet<ScopeRef> = scopes(role.used)?.into_iter().collect();
        all.extend(ceiling.iter().cloned());
        all.extend(dice.some(&scopes(role.spare)?, 70));
        let (label, value) = TRIAL_LABEL;
        let of_data = dice.in_hundred(40);
        let name = format!("{}-{:03}", role.word, place + 1);
        let days = u64::from(size.days) + 20 + dice.below(300);
        let row = Agent {
            name: name.parse().map_err(broken("name an agent"))?,
            owner: owner.name.clone(),
            purpose: role.purpose.to_owned(),
            stage: role.stage,
            scopes: all,
            valid_until: size
                .from
                .plus(DAY.saturating_mul(u32::try_from(days).unwrap_or(300))),
            max_ttl: None,
            labels: if of_data {
                [(label.to_owned(), value.to_owned())].into()
            } else {
                BTreeMap::new()
            },
            state: State::Active,
            created_at: size.from,
            client_keys: Vec::new(),
            limits: Limits::NONE,
        };
        Ok(Self {
            row,
            role,
            used,
            ceiling,
            beyond: scopes(role.beyond)?,
            binds: dice.in_hundred(15),
            says_itself: dice.in_hundred(10),
            careless: if dice.in_hundred(20) { 25 } else { 2 },
            helper: None,
        })
    }
}

/// The time of day at which somebody of these habits begins, and whether it does on this day at all.
pub(super) fn begins(role: &Role, weekend: bool, dice: &mut Dice) -> Option<Duration> {
    let hours = |from: u64, to: u64| (Duration::from_hours(from), Duration::from_hours(to));
    let (from, to) = match role.hours {
        Hours::Office if weekend && !dice.in_hundred(15) => return None,
        Hours::Office => hours(7, 18),
        Hours::Night => hours(0, 6),
        Hours::Always => hours(0, 24),
    };
    Some(dice.between(from, to))
}
