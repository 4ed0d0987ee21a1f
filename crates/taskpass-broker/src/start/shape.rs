//! The form of a request to start a task, and what tells two requests apart.

use taskpass_core::audit::Asked;
use taskpass_core::secret::Sha256;
use taskpass_core::task::{MAX_PURPOSE_LEN, MAX_SCOPES};

use super::StartRequest;
use crate::error::Error;

pub(super) fn asked(request: &StartRequest) -> Asked {
    Asked {
        scopes: request.scopes.clone(),
        ttl: request.ttl,
    }
}

pub(super) fn check_shape(request: &StartRequest) -> Result<(), Error> {
    check_purpose(&request.purpose)?;
    if !(1..=MAX_SCOPES).contains(&request.scopes.len()) {
        let message = format!("name 1 to {MAX_SCOPES} scopes as TARGET#SCOPE");
        return Err(Error::InvalidScope { message });
    }
    if request.agent.is_some() && request.parent.is_none() {
        let rule = "only with `parent_task_id`: work is handed on out of a task of one's own";
        return Err(Error::field("agent", rule));
    }
    if let Some(key) = &request.idempotency_key
        && !(1..=128).contains(&key.len())
    {
        return Err(Error::field("idempotency_key", "1 to 128 bytes"));
    }
    Ok(())
}

/// Whether a task can be for this.
pub(crate) fn check_purpose(purpose: &str) -> Result<(), Error> {
    if !(1..=MAX_PURPOSE_LEN).contains(&purpose.chars().count())
        || purpose.chars().any(char::is_control)
        || purpose.trim().is_empty()
    {
        return Err(Error::field(
            "purpose",
            format!("what the task is for, 1 to {MAX_PURPOSE_LEN} characters without line breaks"),
        ));
    }
    Ok(())
}

/// What a request asks for, so that one idempotency key cannot stand for two requests.
pub(super) fn fingerprint(request: &StartRequest) -> Sha256 {
    let mut text = Vec::new();
    let mut part = |bytes: &[u8]| {
        text.extend_from_slice(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        text.extend_from_slice(bytes);
    };
    part(request.purpose.as_bytes());
    part(
        &request
            .ttl
            .map_or(0, |ttl| ttl.duration().as_millis())
            .to_be_bytes(),
    );
    part(
        request
            .parent
            .map_or_else(String::new, |id| id.to_string())
            .as_bytes(),
    );
    for scope in &request.scopes {
        part(scope.to_string().as_bytes());
    }
    // Every scope has a `#`, and no name has: none of these can be taken for one of those.
    if let Some(agent) = &request.agent {
        part(agent.as_str().as_bytes());
    }
    Sha256::of(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_request_is_another_fingerprint() {
        let scope = |text: &str| [text.parse().unwrap()].into();
        let base = StartRequest {
            purpose: "p".into(),
            scopes: scope("https://a#x"),
            ttl: None,
            parent: None,
            agent: None,
            idempotency_key: None,
        };
        let variants = [
            base.clone(),
            StartRequest {
                purpose: "q".into(),
                ..base.clone()
            },
            StartRequest {
                scopes: scope("https://a#y"),
                ..base.clone()
            },
            StartRequest {
                agent: Some("x".parse().unwrap()),
                ..base.clone()
            },
            StartRequest {
                agent: Some("y".parse().unwrap()),
                ..base.clone()
            },
        ];
        let prints: std::collections::BTreeSet<_> = variants.iter().map(fingerprint).collect();
        assert_eq!(prints.len(), variants.len());
    }
}
