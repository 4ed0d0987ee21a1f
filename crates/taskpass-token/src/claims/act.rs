//! `act` (RFC 8693 §4.1): who acts, and who acted before, where work was handed to another agent.
//!
//! `sub` is the agent that runs the task, and so is the outermost `act.sub`: it is who acts now. Each
//! agent that handed the work on is nested within, the first of all innermost. All of it follows from
//! `sub` and the ancestors, so it is written from them, and read only to see that it agrees: nothing
//! that is nested may decide about access, and no two claims of a token may tell different stories.
//! The token of a task that nobody handed on has no `act`.

use serde::{Deserialize, Serialize};
use taskpass_core::spiffe::{SpiffeId, Subject};
use taskpass_core::task::{MAX_DEPTH, actors};

use super::{Claims, ClaimsError};
use crate::strict::{Object, present};

/// The claim as it is written.
#[derive(Debug, Serialize)]
pub(super) struct Acting {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Box<Acting>>,
}

/// The claim as it is read.
#[derive(Debug, Deserialize)]
pub(super) struct Acted {
    sub: String,
    #[serde(default, deserialize_with = "present")]
    act: Option<Box<Object<Acted>>>,
}

/// The claim of a token; none where only one agent has a part in its task.
pub(super) fn of(claims: &Claims) -> Option<Acting> {
    let mut act = None;
    for sub in chain(claims).into_iter().rev() {
        act = Some(Acting {
            sub,
            act: act.map(Box::new),
        });
    }
    act
}

/// Whether the claim is there exactly where it belongs, and says what `sub` and the ancestors say.
pub(super) fn check(claims: &Claims, act: Option<Object<Acted>>) -> Result<(), ClaimsError> {
    let mut said = Vec::new();
    let mut next = act;
    while let Some(Object(actor)) = next {
        said.push(actor.sub);
        if said.len() > MAX_DEPTH.saturating_add(1) {
            return Err(ClaimsError::Value("act"));
        }
        next = actor.act.map(|within| *within);
    }
    if said == chain(claims) {
        Ok(())
    } else {
        Err(ClaimsError::Value("act"))
    }
}

/// The outermost actor first; empty where only one agent has a part.
fn chain(claims: &Claims) -> Vec<String> {
    let actors = actors(&claims.client_id, &claims.task.ancestors);
    let Some((_, before)) = actors
        .split_first()
        .filter(|(_, before)| !before.is_empty())
    else {
        return Vec::new();
    };
    let id = |agent: &&taskpass_core::AgentName| {
        let trust_domain = claims.subject.trust_domain.clone();
        SpiffeId::new(trust_domain, Subject::Agent((*agent).clone())).to_string()
    };
    std::iter::once(claims.subject.to_string())
        .chain(before.iter().map(id))
        .collect()
}
