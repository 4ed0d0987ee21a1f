//! What is asked of whoever runs and owns the agent: owner, attestation, drill, log, review.

use taskpass_core::Timestamp;

use super::{DAY, Found, Subject, judged, time};
use crate::facts::KeysFrom;
use crate::inventory::state;
use crate::readiness::Outcome;
use crate::readiness::requirements::LogKeys;

impl Subject<'_> {
    pub(super) fn owner_active(&self) -> Found {
        let name = &self.agent.owner;
        let owner = self.registry.owner(name);
        let said = owner.map(|owner| {
            let known = state(self.facts, "owner", name, owner.state.as_ref());
            known.unwrap_or_else(|| "in a state that is not known".to_owned())
        });
        let active = said.as_deref() == Some("active");
        let said = said.unwrap_or_else(|| "not registered".to_owned());
        Found {
            asks: "an active owner".to_owned(),
            measured: Some(u64::from(active)),
            unit: "active owners",
            rests_on: format!("owner {name} is {said} ({})", self.registry_says()),
            outcome: judged(active),
            to_do:
                "give it to an active owner: `taskpass agent update NAME --owner OWNER --reason …`"
                    .to_owned(),
        }
    }

    /// The proof at the start is not counted: it works once. What is counted is what goes on: the methods
    /// that are not among those asked for, and keys that another agent has as well.
    pub(super) fn attestation(&self) -> Found {
        let methods: Vec<&String> = self
            .seen()
            .into_iter()
            .flat_map(|seen| &seen.methods)
            .collect();
        let proved = methods.iter().any(|method| *method != "enrolment_token");
        let foreign = methods
            .iter()
            .filter(|method| !self.asks.attestation.contains(**method));
        let shared: Vec<&str> = self.shared_keys();
        let bad = crate::histogram::count(foreign.count() + shared.len());
        let listed: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
        let with = if shared.is_empty() {
            "no key of it is another agent's".to_owned()
        } else {
            format!("{} keys are also another agent's", shared.len())
        };
        let asked: Vec<&str> = self.asks.attestation.iter().map(String::as_str).collect();
        Found {
            asks: format!("no shared secret; only {}", asked.join(", ")),
            measured: proved.then_some(bad).or((bad > 0).then_some(bad)),
            unit: "methods and keys that are not asked for",
            rests_on: format!("methods in the period: {}; {with}", or_none(&listed)),
            outcome: match (bad, proved) {
                (0, true) => Outcome::Pass,
                (0, false) => Outcome::Unknown,
                _ => Outcome::Fail,
            },
            to_do: if bad > 0 {
                "enrol it with a key of its own, and revoke the shared one (docs/ATTESTATION.md)"
            } else {
                "let it call within the period: it has not proved itself"
            }
            .to_owned(),
        }
    }

    /// Keys that the agent proved itself by or has registered, and another one too.
    fn shared_keys(&self) -> Vec<&str> {
        let name = &self.agent.name;
        let proved = self
            .facts
            .shared_keys()
            .filter(|(_, agents)| agents.contains(name))
            .map(|(key, _)| key);
        let others = |key: &&String| {
            let mut all = self.registry.agents.iter();
            all.any(|other| other.name != *name && other.keys.contains(key))
        };
        let registered = self.agent.keys.iter().filter(others);
        let all: std::collections::BTreeSet<&str> =
            proved.chain(registered.map(String::as_str)).collect();
        all.into_iter().collect()
    }

    pub(super) fn drill(&self) -> Found {
        let asks = self.asks;
        let asked = format!(
            "a drill within {}, refused everywhere within {} ms",
            time(asks.drill_max_age_s),
            asks.drill_max_ms
        );
        let to_do = "run `taskpass drill revoke` with a verifier on the feed";
        let Some(drill) = self.facts.last_drill() else {
            return Found {
                asks: asked,
                measured: None,
                unit: "milliseconds from the revocation to the last refusal",
                rests_on: "no drill is in the log".to_owned(),
                outcome: Outcome::Unknown,
                to_do: to_do.to_owned(),
            };
        };
        let age = self.facts.period().until.since(drill.at).as_secs();
        let figures = &drill.figures;
        let all = figures.confirmed == figures.connected && figures.silent == 0;
        let millis = figures.last_us.map(|us| us.div_ceil(1000));
        let in_time = millis.is_some_and(|millis| millis <= asks.drill_max_ms);
        let good = all && in_time && !figures.timed_out && age <= asks.drill_max_age_s;
        Found {
            asks: asked,
            measured: millis.filter(|_| figures.confirmed > 0),
            unit: "milliseconds from the revocation to the last refusal",
            rests_on: format!(
                "the drill of {}: {} of {} connected verifiers confirmed, {} silent",
                drill.at, figures.confirmed, figures.connected, figures.silent
            ),
            // Of nobody who was there nobody has refused.
            outcome: if figures.connected == 0 {
                Outcome::Unknown
            } else {
                judged(good)
            },
            to_do: to_do.to_owned(),
        }
    }

    pub(super) fn log_verified(&self) -> Found {
        let about = &self.least.about;
        let given = about.log_keys_from == KeysFrom::Given;
        let (keys, asked) = match self.asks.log_keys {
            LogKeys::Any => (true, "a log that holds"),
            LogKeys::Given => (given, "a log that holds by keys that the reader brought"),
        };
        let by = if given {
            "keys that were given"
        } else {
            "the keys that came with it, so that it vouches for itself"
        };
        Found {
            asks: asked.to_owned(),
            measured: Some(about.log_entries),
            unit: "entries verified",
            rests_on: format!("every hash, root and signature, by {by}"),
            outcome: if about.log_entries == 0 {
                Outcome::Unknown
            } else {
                judged(keys)
            },
            to_do: "bring the log's public key: --key broker.vkey".to_owned(),
        }
    }

    pub(super) fn review_date(&self) -> Found {
        let now = self.facts.period().until;
        let within = self.asks.review_within_s;
        let ends: Option<Timestamp> = self.agent.valid_until;
        let left = ends.map(|ends| ends.since(now).as_secs());
        let good = left.is_some_and(|left| left > 0 && left <= within);
        Found {
            asks: format!("a review date that has not passed, within {}", time(within)),
            measured: left.map(|left| left / DAY),
            unit: "days until the review date",
            rests_on: match ends {
                Some(ends) => format!("it is registered until {ends} ({})", self.registry_says()),
                None => "the registry says no end".to_owned(),
            },
            outcome: judged(good),
            to_do:
                "review it, then `taskpass agent extend NAME --until WHEN --reason …`, or `update \
                    --valid-until` to shorten it"
                    .to_owned(),
        }
    }
}

fn or_none(items: &[&str]) -> String {
    if items.is_empty() {
        "none".to_owned()
    } else {
        items.join(", ")
    }
}
