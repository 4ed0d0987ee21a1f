//! The states: to whom each happens, and the names of everybody there.

use crate::expected::{Expected, in_state};
use crate::sections::TRUST_DOMAIN;

/// What became of the agent, its task, those above, the target, or the policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Suspended,
    Retired,
    PastValidity,
    Revoked,
    OwnerSuspended,
    OwnerOffboarded,
    TaskCompleted,
    TaskRevoked,
    TaskAboveCompleted,
    TaskAboveRevoked,
    AboveSuspended,
    AboveRetired,
    AbovePastValidity,
    AboveRevoked,
    AboveOwnerOffboarded,
    TargetSuspended,
    TargetRetired,
    TargetRevoked,
    ScopeTaken,
    ScopeTakenAbove,
    PolicyChanged,
    PolicyChangedAbove,
}

impl State {
    pub(crate) const ALL: [Self; 22] = [
        Self::Suspended,
        Self::Retired,
        Self::PastValidity,
        Self::Revoked,
        Self::OwnerSuspended,
        Self::OwnerOffboarded,
        Self::TaskCompleted,
        Self::TaskRevoked,
        Self::TaskAboveCompleted,
        Self::TaskAboveRevoked,
        Self::AboveSuspended,
        Self::AboveRetired,
        Self::AbovePastValidity,
        Self::AboveRevoked,
        Self::AboveOwnerOffboarded,
        Self::TargetSuspended,
        Self::TargetRetired,
        Self::TargetRevoked,
        Self::ScopeTaken,
        Self::ScopeTakenAbove,
        Self::PolicyChanged,
        Self::PolicyChangedAbove,
    ];

    /// The agent to which it happens, or happens through those above.
    pub(crate) const fn agent(self) -> &'static str {
        match self {
            Self::Suspended => "suspended",
            Self::Retired => "retired",
            Self::PastValidity => "past-validity",
            Self::Revoked => "revoked",
            Self::OwnerSuspended => "owner-suspended",
            Self::OwnerOffboarded => "owner-offboarded",
            Self::TaskCompleted => "task-completed",
            Self::TaskRevoked => "task-revoked",
            Self::TaskAboveCompleted => "task-above-completed",
            Self::TaskAboveRevoked => "task-above-revoked",
            Self::AboveSuspended => "above-suspended",
            Self::AboveRetired => "above-retired",
            Self::AbovePastValidity => "above-past-validity",
            Self::AboveRevoked => "above-revoked",
            Self::AboveOwnerOffboarded => "above-owner-offboarded",
            Self::TargetSuspended => "target-suspended",
            Self::TargetRetired => "target-retired",
            Self::TargetRevoked => "target-revoked",
            Self::ScopeTaken => "scope-taken",
            Self::ScopeTakenAbove => "scope-taken-above",
            Self::PolicyChanged => "policy-changed",
            Self::PolicyChangedAbove => "policy-changed-above",
        }
    }

    /// Whether it happens to those above, so that the task is one that was handed on.
    pub(crate) const fn is_of_those_above(self) -> bool {
        matches!(
            self,
            Self::TaskAboveCompleted
                | Self::TaskAboveRevoked
                | Self::AboveSuspended
                | Self::AboveRetired
                | Self::AbovePastValidity
                | Self::AboveRevoked
                | Self::AboveOwnerOffboarded
                | Self::ScopeTakenAbove
                | Self::PolicyChangedAbove
        )
    }

    /// The agent that new policies forbid everything.
    pub(crate) fn forbidden(self) -> Option<String> {
        match self {
            Self::PolicyChanged => Some(self.agent().to_owned()),
            Self::PolicyChangedAbove => Some(self.above()),
            _ => None,
        }
    }

    pub(crate) fn above(self) -> String {
        format!("{}-plan", self.agent())
    }

    pub(crate) fn helper(self) -> String {
        format!("{}-help", self.agent())
    }

    pub(crate) fn owner(self) -> String {
        format!("{}-team", self.agent())
    }

    pub(crate) fn owner_above(self) -> String {
        format!("{}-plan-team", self.agent())
    }

    pub(crate) fn target(self) -> String {
        format!("https://{}.example", self.agent())
    }

    pub(crate) fn scope(self) -> String {
        format!("{}#read", self.target())
    }

    /// A target that is only observed, of the same agent.
    pub(crate) fn observed(self) -> String {
        format!("https://{}.observed.example", self.agent())
    }

    /// What its tasks are for.
    pub(crate) fn ceiling(self) -> [String; 2] {
        [self.scope(), format!("{}#read", self.observed())]
    }

    /// What the agents are registered for.
    pub(crate) fn scopes(self) -> Vec<String> {
        let other = format!("{}#other", self.target());
        self.ceiling().into_iter().chain([other]).collect()
    }

    pub(crate) fn spiffe_id(self) -> String {
        format!("spiffe://{}/{}", TRUST_DOMAIN, self.agent())
    }

    /// Whom it happens to: the agent or the one above.
    pub(crate) fn whom(self) -> String {
        if self.is_of_those_above() {
            self.above()
        } else {
            self.agent().to_owned()
        }
    }
}

/// No state leaves everything as it was, or the column proves nothing.
#[test]
fn each_state_refuses_something() {
    for state in State::ALL {
        let refused = crate::path::PATHS
            .iter()
            .any(|path| matches!(in_state(state, *path), Expected::Refused(_)));
        assert!(refused, "{state:?}");
    }
}
