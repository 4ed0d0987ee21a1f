//! Claims to JSON: straight to text, in a fixed order, times as integers.

use std::fmt::Display;

use serde::{Serialize, Serializer};
use taskpass_core::access::Stage;
use taskpass_core::id::{CredentialId, DecisionId, TaskId};
use taskpass_core::name::AgentName;
use taskpass_core::scope::{ScopeName, TargetUri};
use taskpass_core::spiffe::SpiffeId;
use taskpass_core::task::Ancestor;

use super::act::{self, Acting};
use super::{Claims, StatusRef, TASK_DETAILS_TYPE};

#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    #[serde(serialize_with = "display")]
    sub: &'a SpiffeId,
    aud: &'a TargetUri,
    client_id: &'a AgentName,
    exp: u64,
    iat: u64,
    nbf: u64,
    jti: CredentialId,
    scope: SpaceDelimited<'a>,
    authorization_details: [Details<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Acting>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
}

#[derive(Serialize)]
struct Status<'a> {
    status_list: Listed<'a>,
}

#[derive(Serialize)]
struct Listed<'a> {
    idx: u64,
    uri: &'a str,
}

#[derive(Serialize)]
struct Details<'a> {
    r#type: &'static str,
    task_id: TaskId,
    purpose: &'a str,
    ancestors: Above<'a>,
    stage: Stage,
    decision_id: DecisionId,
}

#[derive(Serialize)]
struct AncestorOut<'a> {
    task_id: TaskId,
    agent: &'a AgentName,
}

#[derive(Serialize)]
struct Confirmation {
    #[serde(rename = "x5t#S256")]
    x5t_s256: String,
}

struct SpaceDelimited<'a>(&'a [ScopeName]);

impl Serialize for SpaceDelimited<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words: Vec<_> = self.0.iter().map(ScopeName::as_str).collect();
        serializer.serialize_str(&words.join(" "))
    }
}

struct Above<'a>(&'a [Ancestor]);

impl Serialize for Above<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|above| AncestorOut {
            task_id: above.task,
            agent: &above.agent,
        }))
    }
}

fn display<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(super) fn to_json(claims: &Claims, status: Option<&StatusRef>) -> String {
    let payload = Payload {
        iss: &claims.issuer,
        sub: &claims.subject,
        aud: &claims.audience,
        client_id: &claims.client_id,
        exp: claims.expires_at,
        iat: claims.issued_at,
        nbf: claims.not_before,
        jti: claims.id,
        scope: SpaceDelimited(&claims.scopes),
        authorization_details: [Details {
            r#type: TASK_DETAILS_TYPE,
            task_id: claims.task.task,
            purpose: &claims.task.purpose,
            ancestors: Above(&claims.task.ancestors),
            stage: claims.task.stage,
            decision_id: claims.task.decision,
        }],
        act: act::of(claims),
        cnf: claims.bound_to.map(|sha| Confirmation {
            x5t_s256: sha.base64url(),
        }),
        status: status.map(|status| Status {
            status_list: Listed {
                idx: status.index,
                uri: &status.uri,
            },
        }),
    };
    // Strings, integers and sequences of them: there is nothing here that JSON cannot hold.
    serde_json::to_string(&payload).unwrap_or_default()
}
