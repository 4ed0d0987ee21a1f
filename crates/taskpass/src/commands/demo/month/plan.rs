//! What will happen in the month: everybody's work by their habits, and what happens once.
//!
//! Among many agents there are always some that nobody uses, that are over, that share a key. They are
//! the last ones here; everything else about them is as of any other.

use std::sync::Arc;
use std::time::Duration;

use taskpass_core::access::Stage;
use taskpass_core::{ScopeRef, TargetUri, Timestamp};

use super::agenda::{Agenda, Event};
use super::apis::ON_TRIAL;
use super::dice::Dice;
use super::habit;
use super::member::begins;
use super::operate::Act;
use super::world::{Size, World};
use super::{DAY, broken};
use crate::errors::CliError;

/// Agents with a fate of their own, by their places from the end.
const FATES: usize = 14;
/// The fewest agents of a month.
#[cfg(test)]
const FEWEST_AGENTS: usize = FATES + 6;

/// The month as it is planned.
pub(super) struct Plan {
    pub(super) agenda: Agenda,
    /// The agents that have one key.
    pub(super) sharing: Vec<usize>,
}

/// Plans a month, and settles in the world what is different about some agents.
pub(super) fn plan(size: &Size, world: &mut World) -> Result<Plan, CliError> {
    let mut agenda = Agenda::default();
    agenda.plan(size.from, Event::Operate(Act::Found));
    let fate = Fates(world.members.len());
    let never: [usize; 2] = [fate.place(1), fate.place(2)];
    if let Some(member) = world.members.get_mut(fate.place(3)) {
        member.row.valid_until = size.part(60);
    }
    let late: [usize; 2] = [fate.place(13), fate.place(14)];
    for place in 0..world.members.len() {
        let at = if late.contains(&place) {
            size.part(30)
        } else {
            size.from.plus(Duration::from_mins(1))
        };
        agenda.plan(at, Event::Arrive(place));
        if !never.contains(&place) {
            works(size, world, place, at, &mut agenda)?;
        }
    }
    incidents(size, world, &fate, &mut agenda)?;
    changes(size, world, &fate, &mut agenda)?;
    Ok(Plan {
        agenda,
        sharing: vec![fate.place(4), fate.place(5)],
    })
}

/// Places of agents, counted from the end.
struct Fates(usize);

impl Fates {
    const fn place(&self, from_the_end: usize) -> usize {
        self.0.saturating_sub(from_the_end)
    }
}

/// The tasks of one agent.
fn works(
    size: &Size,
    world: &World,
    place: usize,
    from: Timestamp,
    agenda: &mut Agenda,
) -> Result<(), CliError> {
    let member = world.member(place)?;
    let stream = u64::try_from(place)
        .unwrap_or(u64::MAX)
        .saturating_add(1 << 32);
    let mut dice = Dice::new(size.seed, stream);
    for day in 0..=size.days {
        // Days begin at midnight, wherever in one the month does.
        let midnight = size.day(day).minus(since_midnight(size.from));
        let tasks = member.role.pace / 10 + u64::from(dice.below(10) < member.role.pace % 10);
        for _ in 0..tasks {
            let Some(time) = begins(member.role, is_weekend(midnight), &mut dice) else {
                continue;
            };
            let work = Arc::new(habit::work(world, member, &mut dice)?);
            let at = midnight.plus(time);
            if at >= from.plus(Duration::from_mins(10)) {
                agenda.plan(at, Event::Begin { who: place, work });
            }
        }
    }
    if dice.in_hundred(8) {
        let work = Arc::new(habit::going_on(world, member, &mut dice));
        let at = size.end().minus(Duration::from_mins(1));
        agenda.plan(at, Event::Begin { who: place, work });
    }
    Ok(())
}

fn since_midnight(at: Timestamp) -> Duration {
    Duration::from_millis(at.millis() % 86_400_000)
}

/// 1 January 1970 was a Thursday.
fn is_weekend(midnight: Timestamp) -> bool {
    let weekday = (midnight.secs() / 86_400 + 3) % 7;
    weekday >= 5
}

/// What goes wrong, and what is done about it.
fn incidents(
    size: &Size,
    world: &World,
    fate: &Fates,
    agenda: &mut Agenda,
) -> Result<(), CliError> {
    let mut dice = Dice::new(size.seed, 1 << 40);
    let operate = |act| Event::Operate(act);
    agenda.plan(size.part(45), operate(Act::RevokeAgent(fate.place(6))));
    let later = size.part(45).plus(Duration::from_hours(6));
    agenda.plan(later, operate(Act::Readmit(fate.place(6))));
    agenda.plan(size.part(35), Event::Loop(fate.place(8)));
    let crm: TargetUri = "https://crm.example"
        .parse()
        .map_err(broken("name a target"))?;
    let noon = size
        .part(55)
        .minus(since_midnight(size.part(55)))
        .plus(Duration::from_hours(11));
    agenda.plan(noon, operate(Act::RevokeTarget(crm.clone())));
    let later = noon.plus(Duration::from_mins(50));
    agenda.plan(later, operate(Act::ResumeTarget(crm)));
    if let Some(owner) = world.owners.last() {
        agenda.plan(size.part(70), operate(Act::Offboard(owner.name.clone())));
    }
    for day in 0..size.days {
        let at = size.day(day);
        for _ in 0..=dice.below(2) {
            let time = dice.between(Duration::from_hours(1), DAY);
            agenda.plan(at.plus(time), operate(Act::RevokeOne));
        }
        let time = dice.between(Duration::from_hours(1), DAY);
        agenda.plan(at.plus(time), operate(Act::Look));
    }
    Ok(())
}

/// What is changed in the registry.
fn changes(size: &Size, world: &World, fate: &Fates, agenda: &mut Agenda) -> Result<(), CliError> {
    let mut dice = Dice::new(size.seed, 1 << 41);
    let operate = |act| Event::Operate(act);
    agenda.plan(size.part(50), operate(Act::Retire(fate.place(7))));
    let first = |scopes: &[ScopeRef]| scopes.first().cloned();
    if let Some(scope) = first(&world.member(fate.place(9))?.used) {
        agenda.plan(size.part(60), operate(Act::Narrow(fate.place(9), scope)));
    }
    if let Some(scope) = first(&world.member(fate.place(10))?.beyond) {
        agenda.plan(size.part(40), operate(Act::Widen(fate.place(10), scope)));
    }
    let leaving = world.owners.last().map(|owner| &owner.name);
    let bounded = world
        .members
        .iter()
        .position(|member| member.row.stage == Stage::Bounded);
    if let Some(place) = bounded {
        agenda.plan(size.part(68), operate(Act::Promote(place)));
    }
    let autonomous = world.members.iter().position(|member| {
        member.row.stage == Stage::Autonomous && Some(&member.row.owner) != leaving
    });
    if let Some(place) = autonomous {
        agenda.plan(size.part(65), operate(Act::Demote(place)));
    }
    let trial: TargetUri = ON_TRIAL.parse().map_err(broken("name a target"))?;
    let begins = size.from.plus(Duration::from_mins(2));
    agenda.plan(begins, operate(Act::Observe(trial, size.part(80))));
    // Each owner of ten extends one of its agents.
    for place in (0..world.members.len().saturating_sub(FATES)).step_by(10) {
        let at = size.part(20).plus(dice.between(Duration::ZERO, DAY));
        let member = world.member(place)?;
        let until = member.row.valid_until.plus(DAY.saturating_mul(30));
        agenda.plan(at, operate(Act::Extend(place, until)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        let planned = |seed| {
            let size = Size {
                seed,
                agents: FEWEST_AGENTS,
                owners: 4,
                days: 5,
                from: Timestamp::from_secs(1_790_000_000),
            };
            let mut world = World::new(&size).unwrap();
            let plan = plan(&size, &mut world).unwrap();
            format!("{:?}", plan.agenda)
        };
        assert_eq!(planned(4), planned(4));
        assert_ne!(planned(4), planned(5));
    }

    #[test]
    fn the_week_ends_on_saturday_and_sunday() {
        // 2026-11-23 is a Monday.
        let monday = Timestamp::from_secs(1_795_392_000);
        let weekend: Vec<bool> = (0..7)
            .map(|day| is_weekend(monday.plus(DAY.saturating_mul(day))))
            .collect();
        assert_eq!(weekend, [false, false, false, false, false, true, true]);
    }
}
