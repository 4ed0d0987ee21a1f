//! What a registration limits itself to.

use serde::Serialize;
use taskpass_api::v1;

use crate::output::text::list;

/// The limits that are set; the others are the configuration's.
#[derive(Debug, Serialize)]
pub(super) struct Limits {
    live_credentials: Option<u32>,
    live_tasks: Option<u32>,
    issues_per_second: Option<u32>,
    depth: Option<u32>,
    fan_out: Option<u32>,
}

impl Limits {
    /// From the proto.
    pub(super) fn new(limits: Option<v1::Limits>) -> Self {
        let limits = limits.unwrap_or_default();
        Self {
            live_credentials: limits.live_credentials,
            live_tasks: limits.live_tasks,
            issues_per_second: limits.issues_per_second,
            depth: limits.depth,
            fan_out: limits.fan_out,
        }
    }

    /// Those that are set, as they are written on the command line.
    pub(super) fn text(&self) -> String {
        let set: Vec<String> = [
            ("live_credentials", self.live_credentials),
            ("live_tasks", self.live_tasks),
            ("issues_per_second", self.issues_per_second),
            ("depth", self.depth),
            ("fan_out", self.fan_out),
        ]
        .iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name}={value}")))
        .collect();
        list(&set)
    }
}
