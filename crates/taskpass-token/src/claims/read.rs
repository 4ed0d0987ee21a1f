//! JSON to claims: the shape first, by serde, then every value by its own parser.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use taskpass_core::scope::ScopeName;
use taskpass_core::secret::Sha256;
use taskpass_core::task::{Ancestor, MAX_DEPTH};

use super::act::{self, Acted};
use super::{Claims, ClaimsError, StatusRef, TASK_DETAILS_TYPE, TaskClaims};
use crate::strict::{Object, present};

#[derive(Deserialize)]
struct Payload {
    iss: String,
    sub: String,
    aud: Audience,
    client_id: String,
    exp: u64,
    iat: u64,
    nbf: u64,
    jti: String,
    scope: String,
    authorization_details: Vec<Object<Details>>,
    #[serde(default, deserialize_with = "present")]
    act: Option<Object<Acted>>,
    #[serde(default, deserialize_with = "present")]
    cnf: Option<Object<Confirmation>>,
    #[serde(default, deserialize_with = "present")]
    status: Option<Object<Status>>,
}

/// Other ways to publish a status may stand beside ours.
#[derive(Deserialize)]
struct Status {
    #[serde(default, deserialize_with = "present")]
    status_list: Option<Object<Listed>>,
}

#[derive(Deserialize)]
struct Listed {
    idx: u64,
    uri: String,
}

#[derive(Deserialize)]
struct Details {
    r#type: String,
    task_id: String,
    purpose: String,
    ancestors: Vec<Object<Above>>,
    stage: String,
    decision_id: String,
}

#[derive(Deserialize)]
struct Above {
    task_id: String,
    agent: String,
}

/// Any other way to bind a token is one that we do not check, so it is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    #[serde(rename = "x5t#S256")]
    x5t_s256: String,
}

/// A string, or an array of exactly one.
struct Audience(String);

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOf;

        impl<'de> Visitor<'de> for OneOf {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one audience")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Audience, E> {
                Ok(Audience(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Audience, A::Error> {
                let first = seq.next_element::<String>()?;
                let second = seq.next_element::<serde::de::IgnoredAny>()?;
                match (first, second) {
                    (Some(only), None) => Ok(Audience(only)),
                    _ => Err(serde::de::Error::custom("expected exactly one audience")),
                }
            }
        }

        deserializer.deserialize_any(OneOf)
    }
}

fn value<T: std::str::FromStr>(text: &str, claim: &'static str) -> Result<T, ClaimsError> {
    text.parse().map_err(|_| ClaimsError::Value(claim))
}

pub(super) fn from_json(payload: &[u8]) -> Result<(Claims, Option<StatusRef>), ClaimsError> {
    let Object(payload): Object<Payload> = serde_json::from_slice(payload)?;
    let scopes = payload
        .scope
        .split(' ')
        .map(|word| value::<ScopeName>(word, "scope"))
        .collect::<Result<Vec<_>, _>>()?;
    let bound_to = payload
        .cnf
        .map(|Object(cnf)| Sha256::from_base64url(&cnf.x5t_s256).ok_or(ClaimsError::Value("cnf")))
        .transpose()?;
    let listed = payload.status.and_then(|Object(status)| status.status_list);
    let status = listed.map(|Object(listed)| StatusRef {
        index: listed.idx,
        uri: listed.uri,
    });
    let claims = Claims {
        subject: value(&payload.sub, "sub")?,
        audience: value(&payload.aud.0, "aud")?,
        client_id: value(&payload.client_id, "client_id")?,
        expires_at: payload.exp,
        issued_at: payload.iat,
        not_before: payload.nbf,
        id: value(&payload.jti, "jti")?,
        scopes,
        task: task(payload.authorization_details)?,
        bound_to,
        issuer: payload.iss,
    };
    act::check(&claims, payload.act)?;
    Ok((claims, status))
}

fn task(details: Vec<Object<Details>>) -> Result<TaskClaims, ClaimsError> {
    let wrong = ClaimsError::Value("authorization_details");
    let Ok([Object(details)]) = <[_; 1]>::try_from(details) else {
        return Err(wrong);
    };
    if details.r#type != TASK_DETAILS_TYPE || details.ancestors.len() > MAX_DEPTH {
        return Err(wrong);
    }
    let ancestors = details
        .ancestors
        .iter()
        .map(|Object(above)| {
            Ok(Ancestor {
                task: value(&above.task_id, "ancestors")?,
                agent: value(&above.agent, "ancestors")?,
            })
        })
        .collect::<Result<_, ClaimsError>>()?;
    Ok(TaskClaims {
        task: value(&details.task_id, "task_id")?,
        ancestors,
        stage: value(&details.stage, "stage")?,
        decision: value(&details.decision_id, "decision_id")?,
        purpose: details.purpose,
    })
}
