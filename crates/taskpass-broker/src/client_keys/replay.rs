//! Each client assertion is good once.
//!
//! The ids of assertions that were taken are kept in memory until the assertions end, which is within
//! minutes. A restart forgets them; so an assertion that was made at or before the newest commit of
//! the run before is refused. Whatever an assertion was used for was committed, and no earlier than
//! the assertion was made: what remains acceptable cannot have been used. Several brokers on one
//! store would need a shared memory; there is one broker to a store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use taskpass_core::secret::Sha256;
use taskpass_core::{AgentName, Timestamp};

use super::assertion::{Good, refused};
use crate::error::Error;

/// The most unexpired assertions of one agent that are remembered; beyond that none is taken.
const PER_AGENT: usize = 4096;

/// What was taken.
#[derive(Debug)]
pub(crate) struct Assertions {
    /// The newest commit before this run.
    floor: Timestamp,
    taken: Mutex<HashMap<AgentName, HashMap<Sha256, Timestamp>>>,
}

impl Assertions {
    /// Begins after a run whose newest commit was at `floor`.
    pub(crate) fn since(floor: Timestamp) -> Self {
        Self {
            floor,
            taken: Mutex::default(),
        }
    }

    /// Takes an assertion of `agent`, if it was not taken before.
    pub(super) fn take(&self, agent: &AgentName, good: &Good, now: Timestamp) -> Result<(), Error> {
        if good.issued_at.secs() <= self.floor.secs() {
            return Err(refused(
                "the client assertion was made before the broker started; make a new one",
            ));
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = taken.entry(agent.clone()).or_default();
        // Before this an assertion cannot be shown again: it would have expired.
        taken.retain(|_, expires_at| now < *expires_at);
        if taken.contains_key(&good.jti) {
            return Err(refused(
                "the client assertion was used before; make a new one for each request",
            ));
        }
        if taken.len() >= PER_AGENT {
            return Err(Error::QueueFull);
        }
        taken.insert(good.jti, good.expires_at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(jti: &str, iat: u64, exp: u64) -> Good {
        Good {
            jti: Sha256::of(jti.as_bytes()),
            issued_at: Timestamp::from_secs(iat),
            expires_at: Timestamp::from_secs(exp),
        }
    }

    #[test]
    fn once_for_each_agent_and_never_from_before() {
        let assertions = Assertions::since(Timestamp::from_millis(100_900));
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let now = Timestamp::from_secs(102);
        let take = |agent: &AgentName, jti, iat| {
            let outcome = assertions.take(agent, &good(jti, iat, 160), now);
            outcome.is_ok()
        };
        assert!(take(&a, "1", 101));
        assert!(!take(&a, "1", 101));
        assert!(!take(&a, "1", 102), "whatever else it says");
        assert!(take(&b, "1", 101));
        assert!(take(&a, "2", 102));
        assert!(!take(&a, "3", 100), "the second of the newest commit");
        assert!(!take(&a, "3", 99));
        let later = Timestamp::from_secs(160);
        assert!(assertions.take(&a, &good("1", 159, 200), later).is_ok());
    }

    #[test]
    fn one_agent_s_room_is_its_own() {
        let assertions = Assertions::since(Timestamp::ZERO);
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let now = Timestamp::from_secs(10);
        for n in 0..PER_AGENT {
            let one = good(&n.to_string(), 10, 20);
            assertions.take(&a, &one, now).unwrap();
        }
        let more = good("more", 10, 20);
        let full = assertions.take(&a, &more, now).unwrap_err();
        assert_eq!(full.reason(), "QUEUE_FULL");
        assertions.take(&b, &more, now).unwrap();
        let more = good("more", 20, 30);
        assertions
            .take(&a, &more, Timestamp::from_secs(20))
            .unwrap();
    }
}
