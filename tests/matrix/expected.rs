//! The table: what each way answers in each state.
//!
//! A row says what a state makes of every way, and then, which ways answer otherwise, and why. Reasons
//! are the broker's; the OAuth front says each in its own words.

use crate::path::{By, Path, What};
use crate::report::Phase;
use crate::state::State;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Expected {
    /// A credential: the state does not concern this way.
    Allowed,
    /// This reason.
    Refused(&'static str),
}

use Expected::{Allowed, Refused};

/// Which ways an exception is about; the first that holds counts.
enum Of {
    By(&'static [By]),
    What(&'static [What]),
}

impl Of {
    fn holds(&self, (by, what): Path) -> bool {
        match self {
            Self::By(any) => any.contains(&by),
            Self::What(any) => any.contains(&what),
        }
    }
}

type Exception = (Of, Expected, &'static str);

struct Row {
    reason: &'static str,
    except: &'static [Exception],
}

const NOBODY: &str = "UNAUTHENTICATED";
const SUSPENDED: &str = "AGENT_SUSPENDED";
const OVER: &str = "TASK_NOT_ACTIVE";
/// Of a token that is not valid: only the OAuth front is shown one.
const NO_SUBJECT: &str = "invalid_grant";
const DENIED: &str = "POLICY_DENIED";
const NO_TARGET: &str = "TARGET_NOT_ACTIVE";
const HALTED: &str = "BROKER_HALTED";

const FREE: Exception = (
    Of::What(&[What::Start, What::Credentials, What::Identity]),
    Allowed,
    "beneath no task",
);
const LENT_IS_OVER: Exception = (
    Of::What(&[What::Lent]),
    Refused(OVER),
    "the helper may call, and what it was lent has ended",
);
const MADE_AFTERWARDS: Exception = (
    Of::By(&[By::Unix]),
    Refused(SUSPENDED),
    "a connection made afterwards is not revoked, and its agent takes part in nothing",
);
const IDENTITY: Exception = (
    Of::What(&[What::Identity]),
    Allowed,
    "an identity is for calling the broker, at which nothing changed",
);
const OTHER_TARGET: Exception = (
    Of::What(&[What::Observed]),
    Allowed,
    "it is about another target, for which nothing changed",
);
const TASK_AT_TARGET: Exception = (
    Of::What(&[What::Start, What::Child, What::HandOn, What::Credentials]),
    Refused(DENIED),
    "a task is not even started: that is for policy to say, which sees that the target is inactive",
);
const SUBJECT: Exception = (
    Of::What(&[What::Exchange]),
    Refused(NO_SUBJECT),
    "the token to be exchanged was revoked itself",
);
const CERTIFICATE: Exception = (
    Of::What(&[What::Certificate]),
    Allowed,
    "a certificate is for no target, and carries no scope",
);

const EVERYTHING: Row = Row {
    reason: HALTED,
    except: &[IDENTITY, SUBJECT],
};

const fn row(state: State) -> Row {
    let (reason, except): (_, &'static [Exception]) = match state {
        State::Suspended | State::PastValidity | State::OwnerSuspended => (SUSPENDED, &[]),
        State::Retired | State::Revoked | State::OwnerOffboarded => {
            (NOBODY, &[LENT_IS_OVER, MADE_AFTERWARDS])
        }
        State::TaskCompleted
        | State::TaskRevoked
        | State::TaskAboveCompleted
        | State::TaskAboveRevoked
        | State::AboveRetired
        | State::AboveRevoked
        | State::AboveOwnerOffboarded => (OVER, &[FREE]),
        State::AboveSuspended | State::AbovePastValidity => (SUSPENDED, &[FREE]),
        State::TargetSuspended | State::TargetRetired => (
            NO_TARGET,
            &[IDENTITY, CERTIFICATE, OTHER_TARGET, TASK_AT_TARGET],
        ),
        State::TargetRevoked => (
            NO_TARGET,
            &[IDENTITY, CERTIFICATE, OTHER_TARGET, TASK_AT_TARGET, SUBJECT],
        ),
        State::ScopeTaken => (DENIED, &[IDENTITY, CERTIFICATE, OTHER_TARGET]),
        State::ScopeTakenAbove => (DENIED, &[FREE, CERTIFICATE, OTHER_TARGET]),
        // Also where a target is only observed: a `forbid` is no missing permit.
        State::PolicyChanged => (DENIED, &[IDENTITY]),
        State::PolicyChangedAbove => (DENIED, &[FREE, CERTIFICATE]),
    };
    Row { reason, except }
}

/// What a way answers.
pub(crate) fn expected(phase: Phase, state: State, path: Path) -> Expected {
    match phase {
        Phase::Bad => in_state(state, path),
        // What was revoked stays revoked.
        Phase::Repaired if state == State::TargetRevoked && SUBJECT.0.holds(path) => {
            in_state(state, path)
        }
        Phase::Good | Phase::Repaired => Allowed,
        Phase::Halted => in_row(&EVERYTHING, path),
        // All tasks have ended.
        Phase::GoesOn => in_state(State::TaskRevoked, path),
    }
}

/// What a way answers in a state.
pub(crate) fn in_state(state: State, path: Path) -> Expected {
    in_row(&row(state), path)
}

fn in_row(row: &Row, path: Path) -> Expected {
    let mut except = row.except.iter();
    let found = except.find(|(of, ..)| of.holds(path));
    match found.map_or(Refused(row.reason), |(_, expected, _)| *expected) {
        Refused(reason) if matches!(path.0, By::OauthIdentity | By::OauthKey) => {
            Refused(in_oauth(reason))
        }
        other => other,
    }
}

/// A reason in the words of RFC 6749 and RFC 8707.
fn in_oauth(reason: &str) -> &'static str {
    match reason {
        NOBODY | SUSPENDED => "invalid_client",
        OVER => "invalid_grant",
        NO_SUBJECT => NO_SUBJECT,
        HALTED => "temporarily_unavailable",
        DENIED => "invalid_scope",
        NO_TARGET => "invalid_target",
        other => panic!("`{other}` is not in the table"),
    }
}
