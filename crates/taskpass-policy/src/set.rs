//! A compiled policy set.

use std::fmt;

use cedar_policy::{EntityTypeName, PrincipalConstraint, Schema};
use taskpass_core::secret::Sha256;

use crate::reads::Reads;
use crate::vocabulary::Vocabulary;

/// Policies and the schema they were checked against: every policy is named, valid under Cedar's
/// strict rules, and able to apply to something.
pub struct PolicySet {
    policies: cedar_policy::PolicySet,
    /// Without those that can apply to no agent: Cedar's time grows with the number of policies.
    for_agents: cedar_policy::PolicySet,
    /// What these read of a context.
    agents_read: Reads,
    /// Without those that can apply to no operator.
    for_operators: cedar_policy::PolicySet,
    schema: Schema,
    vocabulary: Vocabulary,
    hash: Sha256,
}

impl PolicySet {
    /// For the loader, which checks what the type promises.
    pub(crate) fn checked(
        policies: cedar_policy::PolicySet,
        schema: Schema,
        vocabulary: Vocabulary,
        hash: Sha256,
    ) -> Self {
        let without = |kind: &EntityTypeName| without(&policies, kind);
        let for_agents = without(&vocabulary.operator);
        Self {
            agents_read: Reads::of(&for_agents),
            for_agents,
            for_operators: without(&vocabulary.agent),
            policies,
            schema,
            vocabulary,
            hash,
        }
    }

    /// SHA-256 of the schema and of all files with their names: another byte, another hash.
    pub fn hash(&self) -> Sha256 {
        self.hash
    }

    /// The `@id`s of all policies, in order.
    pub fn policy_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .policies
            .policies()
            .map(|policy| policy.id().to_string())
            .collect();
        ids.sort_unstable();
        ids
    }

    /// The policies that can apply where an agent asks.
    pub(crate) const fn for_agents(&self) -> &cedar_policy::PolicySet {
        &self.for_agents
    }

    /// What the policies that can apply where an agent asks read of a context.
    pub(crate) const fn agents_read(&self) -> Reads {
        self.agents_read
    }

    /// The policies that can apply where an operator acts.
    pub(crate) const fn for_operators(&self) -> &cedar_policy::PolicySet {
        &self.for_operators
    }

    pub(crate) const fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(crate) const fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }
}

/// The policies without those whose head says that the principal is a `kind`: they can apply to no
/// other, and fail for none, because the head is evaluated first.
fn without(policies: &cedar_policy::PolicySet, kind: &EntityTypeName) -> cedar_policy::PolicySet {
    let mut rest = policies.clone();
    for policy in policies.policies() {
        let is_about = match policy.principal_constraint() {
            PrincipalConstraint::Is(found) | PrincipalConstraint::IsIn(found, _) => found == *kind,
            PrincipalConstraint::Eq(uid) => uid.type_name() == kind,
            PrincipalConstraint::Any | PrincipalConstraint::In(_) => false,
        };
        // One that cannot be taken out stays: it does not apply.
        if is_about {
            let _ = rest.remove_static(policy.id().clone());
        }
    }
    rest
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicySet")
            .field("hash", &self.hash)
            .field("policies", &self.policies.num_of_policies())
            .finish_non_exhaustive()
    }
}
