//! Values from the command line, judged before anything is sent.
//!
//! The broker judges them again; here they are refused early, with the same reasons. What has no
//! form of its own (names, ids, purposes) goes to the broker as it is.

mod limits;

use std::collections::HashMap;

use taskpass_api::v1;
use taskpass_core::access::{
    Access, CertificateProfile, Risk, Stage, TokenAlg, TokenProfile, UnknownWord,
};
use taskpass_core::registry::Role;
use taskpass_core::{ScopeName, ScopeRef, TargetUri, Timestamp, Ttl};
use taskpass_log::LogName;
use taskpass_log::name::ParseLogNameError;

use crate::errors::CliError;

pub(crate) use limits::limits;

/// A lifetime of at most `max`.
pub(crate) fn life(text: &str, max: Ttl) -> Result<Ttl, CliError> {
    let refused =
        |error: taskpass_core::ttl::TtlError| CliError::new("INVALID_TTL", error.to_string());
    let asked: Ttl = text.trim().parse().map_err(refused)?;
    Ttl::new(asked.duration(), max).map_err(refused)
}

/// A lifetime of at most `max`, for the wire.
pub(crate) fn ttl(text: &str, max: Ttl) -> Result<prost_types::Duration, CliError> {
    let duration = life(text, max)?.duration();
    Ok(prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    })
}

/// A lifetime that may be absent.
pub(crate) fn maybe_ttl(
    text: Option<&str>,
    max: Ttl,
) -> Result<Option<prost_types::Duration>, CliError> {
    text.map(|text| ttl(text, max)).transpose()
}

/// Scopes written TARGET#SCOPE.
pub(crate) fn scope_refs(texts: &[String]) -> Result<Vec<String>, CliError> {
    texts.iter().map(|text| scope_ref(text)).collect()
}

fn scope_ref(text: &str) -> Result<String, CliError> {
    text.parse::<ScopeRef>()
        .map(|scope| scope.to_string())
        .map_err(|error| invalid_scope(text, &error.to_string()))
}

/// Scopes at `target`, written SCOPE, or TARGET#SCOPE with the same target.
pub(crate) fn scopes_at(target: &str, texts: &[String]) -> Result<Vec<String>, CliError> {
    let scope_at = |text: &String| {
        let name = match text.split_once('#') {
            Some((at, name)) if at == target => name,
            Some((at, _)) => {
                let why = format!("a token is for one target, and `{at}` is not `{target}`");
                return Err(invalid_scope(text, &why));
            }
            None => text,
        };
        name.parse::<ScopeName>()
            .map(|scope| scope.to_string())
            .map_err(|error| invalid_scope(text, &error.to_string()))
    };
    texts.iter().map(scope_at).collect()
}

fn invalid_scope(text: &str, why: &str) -> CliError {
    CliError::new("INVALID_SCOPE", format!("`{text}`: {why}"))
}

/// An audience URI.
pub(crate) fn target(text: &str) -> Result<String, CliError> {
    text.parse::<TargetUri>()
        .map(|uri| uri.to_string())
        .map_err(|error| CliError::new("INVALID_TARGET", format!("`{text}`: {error}")))
}

/// A target's own scopes, written NAME=ACCESS.
pub(crate) fn target_scopes(texts: &[String]) -> Result<Vec<v1::TargetScope>, CliError> {
    let target_scope = |text: &String| {
        let (name, access) = text.split_once('=').ok_or_else(|| {
            invalid_scope(text, "write what it does too, such as `invoices:read=read`")
        })?;
        let name: ScopeName =
            name.parse()
                .map_err(|error: taskpass_core::scope::ParseScopeError| {
                    invalid_scope(text, &error.to_string())
                })?;
        let access = match word::<Access>("access", access)? {
            Access::Read => v1::Access::Read,
            Access::Write => v1::Access::Write,
            Access::Actuate => v1::Access::Actuate,
        };
        Ok(v1::TargetScope {
            name: name.to_string(),
            access: access.into(),
        })
    };
    texts.iter().map(target_scope).collect()
}

/// How far an agent is trusted.
pub(crate) fn stage(text: &str) -> Result<v1::Stage, CliError> {
    Ok(match word("stage", text)? {
        Stage::ReadOnly => v1::Stage::ReadOnly,
        Stage::Bounded => v1::Stage::Bounded,
        Stage::Autonomous => v1::Stage::Autonomous,
    })
}

/// How much harm a target can do.
pub(crate) fn risk(text: &str) -> Result<v1::Risk, CliError> {
    Ok(match word("risk", text)? {
        Risk::Low => v1::Risk::Low,
        Risk::Medium => v1::Risk::Medium,
        Risk::High => v1::Risk::High,
    })
}

/// The algorithm of a target's tokens.
pub(crate) fn token_alg(text: &str) -> Result<v1::TokenAlg, CliError> {
    Ok(match word("token_alg", text)? {
        TokenAlg::Es256 => v1::TokenAlg::Es256,
        TokenAlg::EdDsa => v1::TokenAlg::Eddsa,
    })
}

/// The form of a target's tokens.
pub(crate) fn token_profile(text: &str) -> Result<v1::TokenProfile, CliError> {
    Ok(match word("token_profile", text)? {
        TokenProfile::OAuth => v1::TokenProfile::Oauth,
        TokenProfile::Cloud => v1::TokenProfile::Cloud,
    })
}

/// What a certificate is for.
pub(crate) fn certificate_profile(text: &str) -> Result<v1::CertificateProfile, CliError> {
    Ok(match word("profile", text)? {
        CertificateProfile::Client => v1::CertificateProfile::Client,
        CertificateProfile::SpiffeSvid => v1::CertificateProfile::SpiffeSvid,
    })
}

/// What an operator may do.
pub(crate) fn roles(texts: &[String]) -> Result<Vec<i32>, CliError> {
    let role = |text: &String| {
        Ok(match word("role", text)? {
            Role::Admin => v1::Role::Admin.into(),
            Role::Responder => v1::Role::Responder.into(),
            Role::Auditor => v1::Role::Auditor.into(),
        })
    };
    texts.iter().map(role).collect()
}

fn word<T: std::str::FromStr<Err = UnknownWord>>(field: &str, text: &str) -> Result<T, CliError> {
    text.parse()
        .map_err(|error| CliError::new("INVALID_FIELD", format!("{field} `{text}`: {error}")))
}

/// Facts for policy, written KEY=VALUE.
pub(crate) fn labels(texts: &[String]) -> Result<HashMap<String, String>, CliError> {
    let mut labels = HashMap::new();
    for text in texts {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| {
                let message = format!("label `{text}`: write it KEY=VALUE");
                CliError::new("INVALID_FIELD", message)
            })?;
        if labels.insert(key.to_owned(), value.to_owned()).is_some() {
            let message = format!("label `{key}` is given twice");
            return Err(CliError::new("INVALID_FIELD", message));
        }
    }
    Ok(labels)
}

/// When an agent's registration ends: an instant, a day, or a time from `now`.
pub(crate) fn valid_until(text: &str, now: Timestamp) -> Result<prost_types::Timestamp, CliError> {
    ahead(text, now, "INVALID_VALID_UNTIL")
}

/// When observing a target ends. How far ahead that may be is the broker's to say.
pub(crate) fn observe_until(
    text: &str,
    now: Timestamp,
) -> Result<prost_types::Timestamp, CliError> {
    ahead(text, now, "INVALID_OBSERVE_UNTIL")
}

/// An instant, a day, or a time from `now`.
fn ahead(
    text: &str,
    now: Timestamp,
    reason: &'static str,
) -> Result<prost_types::Timestamp, CliError> {
    let text = text.trim();
    let day = || Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"));
    let from_now = || {
        let ahead = humantime::parse_duration(text).ok()?;
        Some(now.plus(ahead).floor_to_second())
    };
    let at = Timestamp::parse_rfc3339(text)
        .or_else(day)
        .or_else(from_now)
        .ok_or_else(|| CliError::new(reason, format!("`{text}` is no instant")))?;
    if at <= now {
        let message = format!("`{text}` is not in the future");
        return Err(CliError::new(reason, message));
    }
    Ok(wire_time(at))
}

/// An instant or a day, whenever it is: what a file says must not mean something else tomorrow.
pub(crate) fn fixed_instant(text: &str) -> Result<prost_types::Timestamp, CliError> {
    let text = text.trim();
    Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
        .map(wire_time)
        .ok_or_else(|| {
            let message = format!(
                "`{text}` is no instant; write 2027-01-31T00:00:00Z or 2027-01-31, not a time from now"
            );
            CliError::new("INVALID_VALID_UNTIL", message)
        })
}

/// An instant, a day, or how long before `now`.
pub(crate) fn instant_before(
    text: &str,
    now: Timestamp,
) -> Result<prost_types::Timestamp, CliError> {
    let text = text.trim();
    let day = || Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"));
    let ago = || {
        let ago = text.strip_suffix("ago").unwrap_or(text);
        let ago = humantime::parse_duration(ago.trim()).ok()?;
        Some(now.minus(ago))
    };
    Timestamp::parse_rfc3339(text)
        .or_else(day)
        .or_else(ago)
        .map(wire_time)
        .ok_or_else(|| {
            let message = format!("`{text}` is no instant");
            CliError::new("INVALID_PERIOD", message)
        })
}

/// The name of a log.
pub(crate) fn log(text: &str) -> Result<LogName, CliError> {
    text.trim().parse().map_err(|error: ParseLogNameError| {
        CliError::new("INVALID_FIELD", format!("log `{text}`: {error}"))
    })
}

/// An instant for the wire.
pub(crate) fn wire_time(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(at.secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(at.millis() % 1000 * 1_000_000).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests;
