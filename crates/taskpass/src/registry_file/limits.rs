//! Limits in the file: a table of numbers.

use serde::Deserialize;
use taskpass_api::v1;

/// The limits that an entry sets; the others are the configuration's.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileLimits {
    live_credentials: Option<u32>,
    live_tasks: Option<u32>,
    issues_per_second: Option<u32>,
    depth: Option<u32>,
    fan_out: Option<u32>,
}

impl From<FileLimits> for v1::Limits {
    fn from(limits: FileLimits) -> Self {
        let FileLimits {
            live_credentials,
            live_tasks,
            issues_per_second,
            depth,
            fan_out,
        } = limits;
        Self {
            live_credentials,
            live_tasks,
            issues_per_second,
            depth,
            fan_out,
        }
    }
}

/// As the file has them: `{ depth = 1, fan_out = 10 }`; nothing where none is set.
pub(super) fn written(limits: Option<v1::Limits>) -> Option<String> {
    let v1::Limits {
        live_credentials,
        live_tasks,
        issues_per_second,
        depth,
        fan_out,
    } = limits?;
    let set: Vec<String> = [
        ("live_credentials", live_credentials),
        ("live_tasks", live_tasks),
        ("issues_per_second", issues_per_second),
        ("depth", depth),
        ("fan_out", fan_out),
    ]
    .iter()
    .filter_map(|(name, value)| value.map(|value| format!("{name} = {value}")))
    .collect();
    (!set.is_empty()).then(|| format!("{{ {} }}", set.join(", ")))
}
