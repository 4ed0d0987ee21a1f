//! From proto to the domain: what does not parse is refused here, naming the field.

use std::collections::BTreeSet;
use std::time::Duration;

use taskpass_api::v1;
use taskpass_broker::Error;
use taskpass_core::access::Stage;
use taskpass_core::identity::Principal;
use taskpass_core::ttl::{MIN_TTL, Ttl, TtlError};
use taskpass_core::{CredentialId, ScopeName, ScopeRef, TargetUri, TaskId, Timestamp};

/// The page size where none is asked for, and the largest.
const PAGE: (usize, usize) = (100, 1000);

pub(super) fn task_id(text: &str) -> Result<TaskId, Error> {
    text.parse()
        .map_err(|_| Error::field("task_id", "a task id of 26 characters"))
}

pub(super) fn credential_id(text: &str) -> Result<CredentialId, Error> {
    text.parse()
        .map_err(|_| Error::field("credential_id", "a credential id of 26 characters"))
}

pub(super) fn target(text: &str) -> Result<TargetUri, Error> {
    text.parse().map_err(|_| Error::UnknownTarget {
        target: shorten(text),
    })
}

pub(super) fn scope_refs(texts: &[String]) -> Result<BTreeSet<ScopeRef>, Error> {
    texts.iter().map(|text| scope_ref(text)).collect()
}

pub(super) fn scope_ref(text: &str) -> Result<ScopeRef, Error> {
    text.parse().map_err(
        |error: taskpass_core::scope::ParseScopeError| Error::InvalidScope {
            message: format!("`{}`: {error}", shorten(text)),
        },
    )
}

pub(super) fn scope_names(
    texts: &[String],
    target: &TargetUri,
) -> Result<BTreeSet<ScopeName>, Error> {
    let mut scopes = BTreeSet::new();
    for text in texts {
        if text.contains('#') {
            let scope = scope_ref(text)?;
            if scope.target != *target {
                return Err(Error::InvalidScope {
                    message: format!("`{scope}` is a scope of another target than `{target}`"),
                });
            }
            scopes.insert(scope.scope);
        } else {
            scopes.insert(text.parse().map_err(
                |error: taskpass_core::scope::ParseScopeError| Error::InvalidScope {
                    message: format!("`{}`: {error}", shorten(text)),
                },
            )?);
        }
    }
    Ok(scopes)
}

/// A lifetime; absent means the default. Zero, negative and too long are refused, never clamped.
pub(super) fn ttl(value: Option<prost_types::Duration>, max: Ttl) -> Result<Option<Ttl>, Error> {
    let Some(value) = value else { return Ok(None) };
    if value.seconds < 0 || value.nanos < 0 {
        return Err(TtlError::TooShort.into());
    }
    let seconds = u64::try_from(value.seconds).map_err(|_| TtlError::TooShort)?;
    let nanos = u32::try_from(value.nanos).map_err(|_| TtlError::TooShort)?;
    if nanos >= 1_000_000_000 {
        return Err(Error::field("ttl", "nanos below one second"));
    }
    let duration = Duration::new(seconds, nanos);
    if duration < MIN_TTL.duration() {
        return Err(TtlError::TooShort.into());
    }
    Ok(Some(Ttl::new(duration, max)?))
}

pub(super) fn stage(value: v1::Stage, field: &'static str) -> Result<Stage, Error> {
    match value {
        v1::Stage::ReadOnly => Ok(Stage::ReadOnly),
        v1::Stage::Bounded => Ok(Stage::Bounded),
        v1::Stage::Autonomous => Ok(Stage::Autonomous),
        v1::Stage::Unspecified => Err(Error::field(field, "read-only, bounded or autonomous")),
    }
}

pub(super) fn timestamp(
    value: Option<prost_types::Timestamp>,
    field: &'static str,
) -> Result<Timestamp, Error> {
    let value = value.ok_or_else(|| Error::field(field, "required"))?;
    let seconds =
        u64::try_from(value.seconds).map_err(|_| Error::field(field, "an instant after 1970"))?;
    let nanos = u64::try_from(value.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)
        .ok_or_else(|| Error::field(field, "nanos below one second"))?;
    Ok(Timestamp::from_millis(
        seconds
            .saturating_mul(1000)
            .saturating_add(nanos / 1_000_000),
    ))
}

pub(super) fn principal(value: Option<v1::Principal>) -> Result<Principal, Error> {
    use v1::principal::Kind;
    let kind = value.and_then(|principal| principal.kind);
    let (kind, name) = match &kind {
        Some(Kind::Agent(name)) => ("agent", name),
        Some(Kind::Operator(name)) => ("operator", name),
        Some(Kind::Verifier(name)) => ("verifier", name),
        None => return Err(Error::field("principal", "an agent, operator or verifier")),
    };
    Principal::from_parts(kind, name).ok_or_else(|| invalid_name(name))
}

pub(super) fn name<T: std::str::FromStr>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| invalid_name(text))
}

fn invalid_name(text: &str) -> Error {
    Error::field(
        "name",
        format!(
            "{}: `{}`",
            taskpass_core::name::ParseNameError,
            shorten(text)
        ),
    )
}

/// The page that is asked for: where it begins, and how many items.
pub(super) struct PageOf {
    pub(super) token: Option<String>,
    pub(super) limit: usize,
}

pub(super) fn page(request: Option<v1::PageRequest>) -> PageOf {
    let request = request.unwrap_or_default();
    let limit = match usize::try_from(request.page_size) {
        Ok(0) | Err(_) => PAGE.0,
        Ok(size) => size.min(PAGE.1),
    };
    PageOf {
        token: Some(request.page_token).filter(|token| !token.is_empty()),
        limit,
    }
}

impl PageOf {
    /// The place that the token names.
    pub(super) fn after<T: std::str::FromStr>(&self) -> Result<Option<T>, Error> {
        self.token
            .as_deref()
            .map(|token| {
                let bytes = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).ok();
                bytes
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| Error::field("page_token", "the token of the page before"))
            })
            .transpose()
    }
}

/// The token of the next page, which begins after `last`.
pub(super) fn next_page<T: std::fmt::Display>(more: bool, last: Option<T>) -> String {
    match last {
        Some(last) if more => data_encoding::BASE64URL_NOPAD.encode(last.to_string().as_bytes()),
        _ => String::new(),
    }
}

/// What a caller sent, short enough for a message.
pub(super) fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_core::ttl::MAX_TOKEN_TTL;

    #[test]
    fn a_ttl_is_judged_at_its_edges() {
        let ask = |seconds, nanos| {
            ttl(
                Some(prost_types::Duration { seconds, nanos }),
                MAX_TOKEN_TTL,
            )
            .map(|ttl| ttl.map(|ttl| ttl.duration().as_secs()))
            .map_err(|error| error.reason())
        };
        assert_eq!(ask(300, 0), Ok(Some(300)));
        assert_eq!(ask(3600, 0), Ok(Some(3600)));
        for (seconds, nanos) in [
            (0, 0),
            (-1, 0),
            (0, 999_999_999),
            (3600, 1),
            (3601, 0),
            (i64::MAX, 0),
            (i64::MIN, 0),
            (1, -1),
        ] {
            assert_eq!(ask(seconds, nanos), Err("INVALID_TTL"), "{seconds} {nanos}");
        }
        assert_eq!(ttl(None, MAX_TOKEN_TTL).unwrap(), None);
    }

    #[test]
    fn scopes_of_another_target_are_refused() {
        let target: TargetUri = "https://a.example".parse().unwrap();
        let names = |text: &str| scope_names(&[text.to_owned()], &target).map(|set| set.len());
        assert_eq!(names("x:read").ok(), Some(1));
        assert_eq!(names("https://a.example#x:read").ok(), Some(1));
        assert!(names("https://b.example#x:read").is_err());
        assert!(names("X").is_err());
    }

    #[test]
    fn a_page_token_reads_back() {
        let token = next_page(true, Some(42_u64));
        let page = page(Some(v1::PageRequest {
            page_size: 5000,
            page_token: token,
        }));
        assert_eq!(page.limit, 1000);
        assert_eq!(page.after::<u64>().ok(), Some(Some(42)));
        let bad = PageOf {
            token: Some("%%%".into()),
            limit: 1,
        };
        assert!(bad.after::<u64>().is_err());
    }
}
