//! Observing a target: for a while, what no policy permits there is allowed, and marked.
//!
//! This is how a narrower set of policies is tried out on live work. It ends by itself at an instant
//! that is set with it; whoever reads the row compares with the clock. What may be overridden is the
//! policy engine's to say: only the absence of a permit.

use std::time::Duration;

use crate::registry::{State, Target};
use crate::time::Timestamp;

/// How far ahead an observation may end.
pub const MAX_OBSERVE: Duration = Duration::from_hours(30 * 24);

/// A target that is only observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observe {
    /// From this instant on it is enforced again.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

impl Target {
    /// Whether it is observed at `now`. One that is not active is not.
    pub fn is_observed(&self, now: Timestamp) -> bool {
        self.state == State::Active
            && self
                .observe
                .as_ref()
                .is_some_and(|observe| now < observe.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Risk, TokenAlg, TokenProfile};
    use crate::registry::Limits;

    #[test]
    fn ends_by_itself() {
        let now = Timestamp::from_secs(1000);
        let (earlier, later) = (Timestamp::from_secs(999), Timestamp::from_secs(1001));
        let observe = |until| {
            Some(Observe {
                until,
                reason: "trial".into(),
            })
        };
        for (observe, state, observed) in [
            (None, State::Active, false),
            (observe(earlier), State::Active, false),
            (observe(now), State::Active, false),
            (observe(later), State::Active, true),
            (observe(later), State::Suspended, false),
            (observe(later), State::Retired, false),
        ] {
            let target = Target {
                uri: "https://a".parse().unwrap(),
                scopes: [].into(),
                risk: Risk::Low,
                token_alg: TokenAlg::Es256,
                token_profile: TokenProfile::OAuth,
                max_ttl: None,
                state,
                limits: Limits::NONE,
                observe,
            };
            assert_eq!(target.is_observed(now), observed, "{target:?}");
        }
    }
}
