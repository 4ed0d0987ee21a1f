//! The registry of the month, and the habits of each agent in it, drawn by a seed.

use std::collections::BTreeMap;

use taskpass_core::access::{Access, TokenProfile};
use taskpass_core::registry::{Limits, Owner, State, Target, Verifier};
use taskpass_core::{AgentName, ScopeRef, Timestamp};

use super::apis::{APIS, Api, OWNERS, REPORTERS};
use super::dice::Dice;
use super::member::Member;
use super::roles::{HELPER, PLANNER, ROLES, Role};
use super::{DAY, broken};
use crate::errors::CliError;

/// Everybody, before the month begins.
#[derive(Debug)]
pub(super) struct World {
    pub(super) owners: Vec<Owner>,
    pub(super) targets: Vec<Target>,
    pub(super) verifiers: Vec<Verifier>,
    pub(super) members: Vec<Member>,
    access: BTreeMap<ScopeRef, Access>,
}

/// How large a world is, and when it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) seed: u64,
    pub(super) agents: usize,
    pub(super) owners: usize,
    pub(super) days: u32,
    pub(super) from: Timestamp,
}

impl Size {
    /// The instant at which so many hundredths of the month are over.
    pub(super) fn part(&self, hundredths: u32) -> Timestamp {
        let whole = DAY.saturating_mul(self.days);
        self.from.plus(whole.saturating_mul(hundredths) / 100)
    }

    /// Its end.
    pub(super) fn end(&self) -> Timestamp {
        self.part(100)
    }

    /// When a day of it begins.
    pub(super) fn day(&self, day: u32) -> Timestamp {
        self.from.plus(DAY.saturating_mul(day))
    }
}

impl World {
    /// The world of a seed.
    pub(super) fn new(size: &Size) -> Result<Self, CliError> {
        let owners = (0..size.owners).map(owner).collect::<Result<Vec<_>, _>>()?;
        let targets = APIS.iter().map(target).collect::<Result<Vec<_>, _>>()?;
        let access = targets
            .iter()
            .flat_map(|target: &Target| {
                target.scopes.iter().map(|(scope, access)| {
                    let (target, scope) = (target.uri.clone(), scope.clone());
                    (ScopeRef { target, scope }, *access)
                })
            })
            .collect();
        let verifiers = REPORTERS.iter().map(|(name, uri, _)| verifier(name, uri));
        let verifiers = verifiers.collect::<Result<_, _>>()?;
        let roles = roles(size.agents);
        let mut members = Vec::with_capacity(size.agents);
        for (place, role) in roles.iter().copied().enumerate() {
            let owner = owners.get(place % owners.len().max(1));
            let owner = owner.ok_or_else(|| CliError::new("INTERNAL", "no owner"))?;
            members.push(Member::new(size, place, role, owner)?);
        }
        let mut world = Self {
            owners,
            targets,
            verifiers,
            members,
            access,
        };
        world.find_helpers(size.seed);
        Ok(world)
    }

    /// What a scope does.
    pub(super) fn access(&self, scope: &ScopeRef) -> Option<Access> {
        self.access.get(scope).copied()
    }

    /// An agent by its place.
    pub(super) fn member(&self, place: usize) -> Result<&Member, CliError> {
        let found = self.members.get(place);
        found.ok_or_else(|| CliError::new("INTERNAL", "an agent that is not there"))
    }

    /// Who hands work on to whom.
    pub(super) fn pairs(&self) -> Vec<(&AgentName, &AgentName)> {
        let pair = |member: &'_ Member| self.members.get(member.helper?);
        let found = self
            .members
            .iter()
            .filter_map(|member| Some((member, pair(member)?)));
        found
            .map(|(from, to)| (&from.row.name, &to.row.name))
            .collect()
    }

    /// Planners find somebody to hand work on to, and are registered for what they hand on.
    fn find_helpers(&mut self, seed: u64) {
        let mut dice = Dice::new(seed, u64::MAX);
        let helpers: Vec<(usize, Vec<ScopeRef>)> = self
            .members
            .iter()
            .enumerate()
            .filter(|(_, member)| member.role.word == HELPER)
            .map(|(place, member)| (place, member.used.clone()))
            .collect();
        let planners = self
            .members
            .iter_mut()
            .filter(|member| member.role.word == PLANNER);
        for member in planners {
            if let Some((place, scopes)) = dice.pick(&helpers) {
                member.helper = Some(*place);
                member.row.scopes.extend(scopes.iter().cloned());
            }
        }
    }
}

fn owner(place: usize) -> Result<Owner, CliError> {
    let name = match OWNERS.get(place) {
        Some(word) => format!("{word}-team"),
        None => format!("team-{:03}", place + 1),
    };
    Ok(Owner {
        contact: format!("{name}@example.org"),
        name: name.parse().map_err(broken("name an owner"))?,
        limits: Limits::NONE,
        state: State::Active,
    })
}

fn target(api: &Api) -> Result<Target, CliError> {
    let scopes = api.scopes.iter().map(|(name, access)| {
        let name = name.parse().map_err(broken("name a scope"))?;
        Ok((name, *access))
    });
    Ok(Target {
        uri: api.uri.parse().map_err(broken("name a target"))?,
        scopes: scopes.collect::<Result<_, CliError>>()?,
        risk: api.risk,
        token_alg: api.alg,
        token_profile: TokenProfile::OAuth,
        limits: Limits::NONE,
        observe: None,
        max_ttl: None,
        state: State::Active,
    })
}

fn verifier(name: &str, uri: &str) -> Result<Verifier, CliError> {
    Ok(Verifier {
        name: name.parse().map_err(broken("name a verifier"))?,
        targets: [uri.parse().map_err(broken("name a target"))?].into(),
        state: State::Active,
    })
}

/// The kind of each agent: as many as their shares say, mixed.
fn roles(agents: usize) -> Vec<&'static Role> {
    let mut given = [0_u64; ROLES.len()];
    let mut roles = Vec::with_capacity(agents);
    for place in 1..=u64::try_from(agents).unwrap_or(u64::MAX) {
        // Of whichever is furthest behind its share: one more.
        let behind = |given: u64, role: &Role| {
            let due = role.share.saturating_mul(place);
            due.saturating_sub(given.saturating_mul(100))
        };
        let next = given
            .iter_mut()
            .zip(&ROLES)
            .max_by_key(|(given, role)| behind(**given, role));
        if let Some((given, role)) = next {
            *given = given.saturating_add(1);
            roles.push(role);
        }
    }
    roles
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn size(seed: u64, agents: usize) -> Size {
        Size {
            seed,
            agents,
            owners: 20,
            days: 30,
            from: Timestamp::from_secs(1_790_000_000),
        }
    }

    #[test]
    fn a_seed_is_a_world() {
        let world = |seed| World::new(&size(seed, 200)).unwrap();
        let (one, same, other) = (world(1), world(1), world(2));
        let rows = |world: &World| {
            world
                .members
                .iter()
                .map(|m| m.row.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(rows(&one), rows(&same));
        assert_ne!(rows(&one), rows(&other));
        let names: BTreeSet<_> = one.members.iter().map(|m| &m.row.name).collect();
        assert_eq!((names.len(), one.owners.len()), (200, 20));
        assert!(!one.pairs().is_empty());
    }

    #[test]
    fn habits_are_within_the_registration_and_wishes_are_not() {
        for member in World::new(&size(3, 60)).unwrap().members {
            let has = |scope: &ScopeRef| member.row.scopes.contains(scope);
            assert!(member.used.iter().chain(&member.ceiling).all(has));
            assert!(!member.beyond.iter().any(has), "{}", member.row.name);
        }
    }

    #[test]
    fn kinds_are_there_in_their_shares() {
        let all = roles(100);
        for role in &ROLES {
            let many = all.iter().filter(|one| one.word == role.word).count();
            assert_eq!(many as u64, role.share, "{}", role.word);
        }
        assert_eq!(roles(40).len(), 40);
    }
}
