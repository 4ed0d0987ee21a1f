//! Which figures are enough: a set for each stage, which a file can change.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use taskpass_core::access::Stage;

use super::Requirement;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Which keys a log has to be verified by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogKeys {
    /// Those that come with it, or those that the reader brought.
    Any,
    /// Those that the reader brought.
    Given,
}

/// What is asked at a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requirements {
    /// What is not asked at all.
    pub not_asked: BTreeSet<Requirement>,
    /// The methods by which an agent may prove itself.
    pub attestation: BTreeSet<String>,
    /// So many in a hundred permitted scopes are used.
    pub used_min_percent: u64,
    /// No token lived longer, in seconds.
    pub token_ttl_max_s: u64,
    /// No certificate lived longer, in seconds.
    pub certificate_ttl_max_s: u64,
    /// So many in a hundred tokens are bound.
    pub bound_min_percent: u64,
    /// At most so many in a hundred requests were refused.
    pub denials_max_percent: u64,
    /// At most so many requests were allowed only because a target is observed.
    pub would_deny_max: u64,
    /// The last drill is at most so old, in seconds.
    pub drill_max_age_s: u64,
    /// The last verifier refused within so many milliseconds.
    pub drill_max_ms: u64,
    /// Which keys the log has to be verified by.
    pub log_keys: LogKeys,
    /// The registration ends within so many seconds.
    pub review_within_s: u64,
}

impl Requirements {
    /// What is asked where no file says otherwise.
    pub fn at(stage: Stage) -> Self {
        let methods = [
            "enrolment_token",
            "federated_jwt",
            "foreign_svid",
            "mtls",
            "private_key_jwt",
            "unix",
        ];
        Self {
            not_asked: BTreeSet::new(),
            attestation: methods.map(str::to_owned).into(),
            used_min_percent: 50,
            token_ttl_max_s: 15 * MINUTE,
            certificate_ttl_max_s: HOUR,
            bound_min_percent: match stage {
                Stage::ReadOnly => 0,
                Stage::Bounded => 50,
                Stage::Autonomous => 90,
            },
            denials_max_percent: 10,
            would_deny_max: 0,
            drill_max_age_s: 90 * DAY,
            drill_max_ms: 5_000,
            log_keys: LogKeys::Any,
            review_within_s: 180 * DAY,
        }
    }
}

/// A file of requirements does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequirementsError {
    /// A share is more than all.
    #[error("{table}.{key}: at most 100, not {found}")]
    Percent {
        /// The table.
        table: &'static str,
        /// The key.
        key: &'static str,
        /// What it says.
        found: u64,
    },
    /// A method is none.
    #[error("{table}.attestation: `{found}` is no method; there are {known}")]
    Method {
        /// The table.
        table: &'static str,
        /// What it says.
        found: String,
        /// Those that there are.
        known: String,
    },
}

/// What a file changes at one stage, or at all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// See [`Requirements`].
    pub not_asked: Option<BTreeSet<Requirement>>,
    /// See [`Requirements`].
    pub attestation: Option<BTreeSet<String>>,
    /// See [`Requirements`].
    pub used_min_percent: Option<u64>,
    /// As text, such as `15m`.
    #[serde(default, deserialize_with = "duration")]
    pub token_ttl_max: Option<Duration>,
    /// As text, such as `1h`.
    #[serde(default, deserialize_with = "duration")]
    pub certificate_ttl_max: Option<Duration>,
    /// See [`Requirements`].
    pub bound_min_percent: Option<u64>,
    /// See [`Requirements`].
    pub denials_max_percent: Option<u64>,
    /// See [`Requirements`].
    pub would_deny_max: Option<u64>,
    /// As text, such as `90d`.
    #[serde(default, deserialize_with = "duration")]
    pub drill_max_age: Option<Duration>,
    /// As text, such as `5s`.
    #[serde(default, deserialize_with = "duration")]
    pub drill_max: Option<Duration>,
    /// See [`Requirements`].
    pub log_keys: Option<LogKeys>,
    /// As text, such as `180d`.
    #[serde(default, deserialize_with = "duration")]
    pub review_within: Option<Duration>,
}

/// A file: what it changes at every stage, and then at single ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequirementsFile {
    /// At every stage.
    #[serde(default)]
    pub all: Overrides,
    /// At this one.
    #[serde(default, rename = "read-only")]
    pub read_only: Overrides,
    /// At this one.
    #[serde(default)]
    pub bounded: Overrides,
    /// At this one.
    #[serde(default)]
    pub autonomous: Overrides,
}

impl RequirementsFile {
    /// What is asked at a stage.
    pub fn at(&self, stage: Stage) -> Requirements {
        let own = match stage {
            Stage::ReadOnly => &self.read_only,
            Stage::Bounded => &self.bounded,
            Stage::Autonomous => &self.autonomous,
        };
        own.over(self.all.over(Requirements::at(stage)))
    }

    /// Whether what it says can be asked.
    pub fn check(&self) -> Result<(), RequirementsError> {
        for (table, overrides) in [
            ("all", &self.all),
            ("read-only", &self.read_only),
            ("bounded", &self.bounded),
            ("autonomous", &self.autonomous),
        ] {
            overrides.check(table)?;
        }
        Ok(())
    }
}

impl Overrides {
    fn check(&self, table: &'static str) -> Result<(), RequirementsError> {
        for (key, value) in [
            ("used_min_percent", self.used_min_percent),
            ("bound_min_percent", self.bound_min_percent),
            ("denials_max_percent", self.denials_max_percent),
        ] {
            if let Some(found) = value.filter(|value| *value > 100) {
                return Err(RequirementsError::Percent { table, key, found });
            }
        }
        let known = Requirements::at(Stage::ReadOnly).attestation;
        let unknown = self.attestation.iter().flatten();
        if let Some(found) = unknown.into_iter().find(|method| !known.contains(*method)) {
            let known: Vec<String> = known.into_iter().collect();
            return Err(RequirementsError::Method {
                table,
                found: found.clone(),
                known: known.join(", "),
            });
        }
        Ok(())
    }

    fn over(&self, beneath: Requirements) -> Requirements {
        let secs = |over: Option<Duration>, beneath| over.map_or(beneath, |time| time.as_secs());
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let number = |over: Option<u64>, beneath| over.unwrap_or(beneath);
        Requirements {
            not_asked: self.not_asked.clone().unwrap_or(beneath.not_asked),
            attestation: self.attestation.clone().unwrap_or(beneath.attestation),
            used_min_percent: number(self.used_min_percent, beneath.used_min_percent),
            token_ttl_max_s: secs(self.token_ttl_max, beneath.token_ttl_max_s),
            certificate_ttl_max_s: secs(self.certificate_ttl_max, beneath.certificate_ttl_max_s),
            bound_min_percent: number(self.bound_min_percent, beneath.bound_min_percent),
            denials_max_percent: number(self.denials_max_percent, beneath.denials_max_percent),
            would_deny_max: number(self.would_deny_max, beneath.would_deny_max),
            drill_max_age_s: secs(self.drill_max_age, beneath.drill_max_age_s),
            drill_max_ms: self.drill_max.map_or(beneath.drill_max_ms, millis),
            log_keys: self.log_keys.unwrap_or(beneath.log_keys),
            review_within_s: secs(self.review_within, beneath.review_within_s),
        }
    }
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    let parsed = humantime::parse_duration(&text).map_err(|_| {
        let message = format!("`{text}` is not a duration; write it like `90d`, `15m` or `5s`");
        serde::de::Error::custom(message)
    })?;
    Ok(Some(parsed))
}
