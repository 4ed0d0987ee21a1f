//! One task as an agent plans it: its ceiling, and what it asks for until it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use taskpass_core::access::Access;
use taskpass_core::{ScopeName, ScopeRef, TargetUri, Ttl};

use super::dice::Dice;
use super::member::Member;
use super::world::World;
use crate::errors::CliError;

/// A task to be.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) purpose: String,
    pub(super) ceiling: BTreeSet<ScopeRef>,
    pub(super) ttl: Ttl,
    /// What is done, and how long after the start.
    pub(super) steps: Vec<(Duration, Step)>,
    /// How long after the start its agent says that it is done; never, if it forgets to.
    pub(super) done_after: Option<Duration>,
}

/// What is done under a task.
#[derive(Debug)]
pub(super) enum Step {
    /// A certificate.
    Certificate { ttl: Ttl },
    /// A token.
    Token(TokenWish),
    /// A part, run by another agent, or by the same one.
    Part { to: Option<usize>, work: Arc<Work> },
}

/// A token, and what becomes of it.
#[derive(Debug)]
pub(super) struct TokenWish {
    pub(super) target: TargetUri,
    pub(super) scopes: BTreeSet<ScopeName>,
    pub(super) ttl: Ttl,
    /// Whether it is bound to the task's certificate.
    pub(super) bound: bool,
    /// How often each of its scopes is used.
    pub(super) uses: Vec<(ScopeName, u64)>,
}

const MINUTE: Duration = Duration::from_mins(1);

/// A task of an agent, out of its habits.
pub(super) fn work(world: &World, member: &Member, dice: &mut Dice) -> Result<Work, CliError> {
    let mut work = ordinary(world, member, &member.used, dice);
    if dice.in_hundred(20) {
        work.ceiling.extend(member.ceiling.iter().cloned());
    }
    if dice.in_hundred(member.careless) {
        ask_too_much(&mut work, member, dice);
    }
    if let Some(place) = member.helper
        && dice.in_hundred(70)
    {
        let helper = world.member(place)?;
        let share = dice.some(&helper.used, 60);
        let part = ordinary(world, helper, &share, dice);
        work.ceiling.extend(part.ceiling.iter().cloned());
        hand_on(&mut work, Some(place), part);
    } else if dice.in_hundred(6) {
        let share = dice.some(&member.used, 50);
        let part = ordinary(world, member, &share, dice);
        hand_on(&mut work, None, part);
    }
    Ok(work)
}

/// A task that is going on at the end of the month, with something to show for it.
pub(super) fn going_on(world: &World, member: &Member, dice: &mut Dice) -> Work {
    let mut work = ordinary(world, member, &member.used, dice);
    for (offset, _) in &mut work.steps {
        *offset = (*offset).min(Duration::from_secs(40));
    }
    work.done_after = None;
    work
}

/// Tokens for these scopes over some minutes, one target at a time.
fn ordinary(world: &World, member: &Member, scopes: &[ScopeRef], dice: &mut Dice) -> Work {
    let minutes = 4 + dice.below(50);
    let span = MINUTE.saturating_mul(u32::try_from(minutes).unwrap_or(60));
    let mut targets: BTreeMap<&TargetUri, Vec<ScopeName>> = BTreeMap::new();
    for scope in scopes {
        targets
            .entry(&scope.target)
            .or_default()
            .push(scope.scope.clone());
    }
    let actuates = |scope: &ScopeRef| world.access(scope) == Some(Access::Actuate);
    let binds = member.binds || scopes.iter().any(actuates);
    let mut steps = Vec::new();
    if binds {
        let ttl = Ttl::from_mins(minutes.clamp(10, 30));
        steps.push((
            Duration::from_secs(1 + dice.below(3)),
            Step::Certificate { ttl },
        ));
    }
    for (target, names) in targets {
        for _ in 0..=dice.below(3) {
            let taken = dice.some(&names, 60);
            let uses = dice.some(&taken, 80).into_iter();
            let wish = TokenWish {
                target: target.clone(),
                ttl: Ttl::from_mins(2 + dice.below(7)),
                bound: binds,
                uses: uses.map(|scope| (scope, 1 + dice.below(40))).collect(),
                scopes: taken.into_iter().collect(),
            };
            let at = dice.between(Duration::from_secs(5), span);
            steps.push((at, Step::Token(wish)));
        }
    }
    steps.sort_by_key(|(at, _)| *at);
    Work {
        purpose: dice
            .pick(member.role.tasks)
            .copied()
            .unwrap_or("work")
            .to_owned(),
        ceiling: scopes.iter().cloned().collect(),
        ttl: Ttl::from_mins(minutes + 1 + dice.below(20)),
        steps,
        done_after: dice.in_hundred(88).then_some(span),
    }
}

/// Either the task as a whole, or one of its tokens, is for more than there is.
fn ask_too_much(work: &mut Work, member: &Member, dice: &mut Dice) {
    let wishes = if dice.in_hundred(50) {
        &member.beyond
    } else {
        &member.ceiling
    };
    let Some(wish) = dice.pick(wishes).cloned() else {
        return;
    };
    if dice.in_hundred(40) {
        work.ceiling.insert(wish);
        return;
    }
    let token = TokenWish {
        target: wish.target,
        scopes: [wish.scope].into(),
        ttl: Ttl::from_mins(5),
        bound: false,
        uses: Vec::new(),
    };
    work.ceiling
        .retain(|scope| scope.target != token.target || !token.scopes.contains(&scope.scope));
    work.steps
        .push((Duration::from_secs(30), Step::Token(token)));
}

/// A part begins soon after the whole, and the whole does not end before it.
fn hand_on(work: &mut Work, to: Option<usize>, part: Work) {
    let begins = Duration::from_secs(20);
    work.ttl = work.ttl.max(part.ttl);
    if let (Some(whole), Some(of_part)) = (work.done_after, part.done_after) {
        work.done_after = Some(whole.max(of_part.saturating_add(begins)));
    }
    let work_of_part = Arc::new(part);
    let step = Step::Part {
        to,
        work: work_of_part,
    };
    work.steps.push((begins, step));
}

#[cfg(test)]
mod tests {
    use super::super::world::Size;
    use super::*;
    use taskpass_core::Timestamp;

    #[test]
    fn what_is_in_no_habit_is_in_no_token() {
        let size = Size {
            seed: 5,
            agents: 40,
            owners: 5,
            days: 10,
            from: Timestamp::from_secs(1_790_000_000),
        };
        let world = World::new(&size).unwrap();
        let mut dice = Dice::new(5, 1_000);
        let (mut parts, mut bound, mut wide) = (0, 0, 0);
        for member in &world.members {
            for _ in 0..20 {
                let work = work(&world, member, &mut dice).unwrap();
                let habit: BTreeSet<_> = member.used.iter().collect();
                wide += usize::from(work.ceiling.iter().any(|scope| !habit.contains(scope)));
                for (_, step) in &work.steps {
                    match step {
                        Step::Part { .. } => parts += 1,
                        Step::Certificate { .. } => bound += 1,
                        Step::Token(wish) => {
                            let each = wish.scopes.iter().map(|scope| ScopeRef {
                                target: wish.target.clone(),
                                scope: scope.clone(),
                            });
                            for scope in each {
                                // What is asked for beside the habit is not in the ceiling.
                                assert_eq!(habit.contains(&scope), work.ceiling.contains(&scope));
                            }
                            assert!(
                                wish.uses
                                    .iter()
                                    .all(|(scope, _)| wish.scopes.contains(scope))
                            );
                        }
                    }
                }
            }
        }
        assert!(parts > 20 && bound > 20 && wide > 20);
    }
}
