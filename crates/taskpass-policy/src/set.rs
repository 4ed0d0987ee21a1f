//! A compiled policy set.

use std::fmt;

use cedar_policy::Schema;
use taskpass_core::secret::Sha256;

use crate::vocabulary::Vocabulary;

/// Policies and the schema they were checked against: every policy is named, valid under Cedar's
/// strict rules, and able to apply to something.
pub struct PolicySet {
    policies: cedar_policy::PolicySet,
    schema: Schema,
    vocabulary: Vocabulary,
    hash: Sha256,
}

impl PolicySet {
    /// For the loader, which checks what the type promises.
    pub(crate) const fn checked(
        policies: cedar_policy::PolicySet,
        schema: Schema,
        vocabulary: Vocabulary,
        hash: Sha256,
    ) -> Self {
        Self {
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

    pub(crate) const fn policies(&self) -> &cedar_policy::PolicySet {
        &self.policies
    }

    pub(crate) const fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(crate) const fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicySet")
            .field("hash", &self.hash)
            .field("policies", &self.policies.num_of_policies())
            .finish_non_exhaustive()
    }
}
