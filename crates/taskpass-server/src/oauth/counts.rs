//! What the OAuth front counts: its answers, by endpoint and outcome.

use http::StatusCode;
use taskpass_broker::metrics::Count;

use super::Endpoint;

/// The outcomes, as metrics name them.
pub(crate) const OUTCOMES: [&str; 3] = ["ok", "refused", "failed"];

/// Answers by endpoint, each by outcome.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    token: [Count; OUTCOMES.len()],
    introspect: [Count; OUTCOMES.len()],
    revoke: [Count; OUTCOMES.len()],
}

impl Counts {
    pub(super) fn count(&self, endpoint: Endpoint, status: StatusCode) {
        let [ok, refused, failed] = self.of(endpoint);
        if status.is_success() {
            ok.one();
        } else if status.is_server_error() {
            failed.one();
        } else {
            refused.one();
        }
    }

    /// The counts of an endpoint, in the order of [`OUTCOMES`].
    pub(crate) const fn of(&self, endpoint: Endpoint) -> &[Count; OUTCOMES.len()] {
        match endpoint {
            Endpoint::Token => &self.token,
            Endpoint::Introspect => &self.introspect,
            Endpoint::Revoke => &self.revoke,
        }
    }
}
