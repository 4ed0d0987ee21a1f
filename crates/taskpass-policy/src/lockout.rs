//! Whether anybody could still do what must always be possible.
//!
//! A set can be good and leave no operator who may revoke. It loads all the same: it may be meant, and
//! the repair, another set, asks no policy. It is said where a set is checked, and when it comes into
//! force.

use std::collections::BTreeSet;

use cedar_policy::PrincipalConstraint;
use taskpass_core::registry::{Agent, Owner, Role};
use taskpass_core::verb::Verb;
use taskpass_core::{DecisionId, OperatorName, Timestamp};

use crate::operator::{Act, Thing};
use crate::probe;
use crate::set::PolicySet;

/// Some operator that no policy names.
const SOMEBODY: &str = "probe";

impl PolicySet {
    /// The verbs without which an incident cannot be answered and that no operator could do, of any set of
    /// roles or of any name that a policy begins with.
    pub fn locked_out(&self) -> Vec<Verb> {
        let Ok((agent, owner)) = probe::rows() else {
            return Vec::new();
        };
        let names = self.operators_named();
        let needed = [Verb::Revoke, Verb::Suspend, Verb::Resume, Verb::ReadAudit];
        let mut locked = needed.to_vec();
        locked.retain(|verb| {
            !names
                .iter()
                .any(|name| self.may(name, *verb, &agent, &owner))
        });
        locked
    }

    fn may(&self, operator: &OperatorName, verb: Verb, agent: &Agent, owner: &Owner) -> bool {
        let roles: BTreeSet<Role> = Role::ALL.iter().copied().collect();
        let things = match verb {
            Verb::ReadAudit => vec![Thing::Broker],
            Verb::Suspend => vec![Thing::Agent(agent, Some(owner))],
            _ => vec![Thing::Agent(agent, Some(owner)), Thing::Broker],
        };
        let act = Act {
            operator,
            roles: &roles,
            verb,
            things,
            reason: "probe",
            now: Timestamp::ZERO,
        };
        self.authorize(DecisionId::first_at(Timestamp::ZERO), &act)
            .is_ok()
    }

    fn operators_named(&self) -> BTreeSet<OperatorName> {
        let kind = &self.vocabulary().operator;
        let named = self.for_operators().policies().filter_map(|policy| {
            match policy.principal_constraint() {
                PrincipalConstraint::Eq(uid) if uid.type_name() == kind => {
                    uid.id().unescaped().parse().ok()
                }
                _ => None,
            }
        });
        named.chain(SOMEBODY.parse()).collect()
    }
}
