//! `[limits]`: how much agents, owners, targets and callers may take where nothing else is said.

use serde::Deserialize;
use taskpass_broker::{LimitDefaults, MAX_USE_ITEMS_PER_MINUTE, UseLimits};
use taskpass_core::registry::{LimitName, Limits as Own};
use taskpass_server::CallerLimits;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    #[serde(default)]
    agent: Amounts,
    #[serde(default)]
    owner: Amounts,
    #[serde(default)]
    target: Target,
    #[serde(default)]
    caller: Caller,
    #[serde(default)]
    all: All,
    #[serde(default)]
    uses: Uses,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Uses {
    verifier_items_per_minute: Option<u32>,
    agent_items_per_minute: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct All {
    requests_per_second: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Amounts {
    live_credentials: Option<u32>,
    live_tasks: Option<u32>,
    issues_per_second: Option<u32>,
    depth: Option<u32>,
    fan_out: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    live_credentials: Option<u32>,
    issues_per_second: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Caller {
    requests_per_second: Option<u32>,
    in_flight: Option<usize>,
    streams: Option<usize>,
}

impl Limits {
    /// What holds where a registration says nothing.
    pub(super) fn amounts(&self) -> Result<LimitDefaults, String> {
        let mut amounts = LimitDefaults::default();
        merge("agent", &mut amounts.agent, &self.agent.parts())?;
        merge("owner", &mut amounts.owner, &self.owner.parts())?;
        merge("target", &mut amounts.target, &self.target.parts())?;
        Ok(amounts)
    }

    /// What one reporter may report of what credentials are used for.
    pub(super) fn uses(&self) -> Result<UseLimits, String> {
        let default = UseLimits::default();
        let of = |key: &str, asked: Option<u32>, default| match asked {
            Some(asked) if asked > MAX_USE_ITEMS_PER_MINUTE => Err(format!(
                "limits.uses.{key}: at most {MAX_USE_ITEMS_PER_MINUTE}"
            )),
            asked => Ok(asked.unwrap_or(default)),
        };
        Ok(UseLimits {
            verifier_items_per_minute: of(
                "verifier_items_per_minute",
                self.uses.verifier_items_per_minute,
                default.verifier_items_per_minute,
            )?,
            agent_items_per_minute: of(
                "agent_items_per_minute",
                self.uses.agent_items_per_minute,
                default.agent_items_per_minute,
            )?,
        })
    }

    /// What one caller may ask at once.
    pub(super) fn caller(&self) -> Result<CallerLimits, String> {
        let default = CallerLimits::default();
        let limits = CallerLimits {
            requests_per_second: self
                .caller
                .requests_per_second
                .unwrap_or(default.requests_per_second),
            in_flight: self.caller.in_flight.unwrap_or(default.in_flight),
            streams: self.caller.streams.unwrap_or(default.streams),
            all_per_second: self
                .all
                .requests_per_second
                .unwrap_or(default.all_per_second),
        };
        let some = [
            (
                "caller.requests_per_second",
                limits.requests_per_second as usize,
            ),
            ("caller.in_flight", limits.in_flight),
            ("caller.streams", limits.streams),
            ("all.requests_per_second", limits.all_per_second as usize),
        ];
        match some.iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(format!("limits.{key}: at least 1")),
            None => Ok(limits),
        }
    }
}

impl Amounts {
    const fn parts(&self) -> [(LimitName, Option<u32>); 5] {
        [
            (LimitName::LiveCredentials, self.live_credentials),
            (LimitName::LiveTasks, self.live_tasks),
            (LimitName::IssuesPerSecond, self.issues_per_second),
            (LimitName::Depth, self.depth),
            (LimitName::FanOut, self.fan_out),
        ]
    }
}

impl Target {
    const fn parts(&self) -> [(LimitName, Option<u32>); 2] {
        [
            (LimitName::LiveCredentials, self.live_credentials),
            (LimitName::IssuesPerSecond, self.issues_per_second),
        ]
    }
}

fn merge(whose: &str, into: &mut Own, parts: &[(LimitName, Option<u32>)]) -> Result<(), String> {
    for (name, value) in parts.iter().filter(|(_, value)| value.is_some()) {
        into.set(*name, *value)
            .map_err(|error| format!("limits.{whose}.{name}: {error}"))?;
    }
    Ok(())
}
