//! What is said about a credential: by the broker, and by checking it here.

use serde::Serialize;
use taskpass_api::v1;
use taskpass_core::Timestamp;
use taskpass_token::Claims;

use super::wire::{self, Ancestor};
use crate::output::table::Fields;
use crate::output::text::{instant, list};
use crate::output::{Ink, View};

/// The broker's answer; all but `active` is absent unless it is.
#[derive(Debug, Serialize)]
pub(crate) struct Introspection {
    active: bool,
    credential_id: Option<String>,
    kind: Option<&'static str>,
    sub: Option<String>,
    agent: Option<String>,
    task_id: Option<String>,
    ancestors: Vec<Ancestor>,
    target: Option<String>,
    scopes: Vec<String>,
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    bound_to: Option<String>,
    purpose: Option<String>,
}

impl From<v1::IntrospectResponse> for Introspection {
    fn from(reply: v1::IntrospectResponse) -> Self {
        Self {
            active: reply.active,
            kind: wire::credential_kind(reply.kind),
            credential_id: wire::text(reply.credential_id),
            sub: wire::text(reply.sub),
            agent: wire::text(reply.agent),
            task_id: wire::text(reply.task_id),
            ancestors: reply.ancestors.into_iter().map(Into::into).collect(),
            target: wire::text(reply.target),
            scopes: reply.scopes,
            issued_at: wire::instant(reply.issued_at),
            expires_at: wire::instant(reply.expires_at),
            bound_to: wire::text(reply.bound_to),
            purpose: wire::text(reply.purpose),
        }
    }
}

impl View for Introspection {
    fn text(&self, ink: &Ink) -> String {
        if !self.active {
            return Fields::default()
                .with(
                    "active",
                    "no: not valid now, not of this broker, or not for your targets",
                )
                .render(ink);
        }
        let above: Vec<&str> = self
            .ancestors
            .iter()
            .map(|above| above.task_id.as_str())
            .collect();
        Fields::default()
            .with("active", "yes")
            .maybe("kind", self.kind.map(str::to_owned))
            .maybe("credential", self.credential_id.clone())
            .maybe("agent", self.sub.clone())
            .maybe("task", self.task_id.clone())
            .with("beneath", list(&above))
            .maybe("purpose", self.purpose.clone())
            .maybe("target", self.target.clone())
            .with("scopes", list(&self.scopes))
            .with("issued", instant(self.issued_at, ink))
            .with("expires", instant(self.expires_at, ink))
            .maybe("bound to", self.bound_to.clone())
            .render(ink)
    }
}

/// What checking a token here found; all but the first two is absent unless it is valid.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Verification {
    /// Whether every check passed.
    pub(crate) valid: bool,
    /// Which one did not, in one word.
    pub(crate) reason: Option<&'static str>,
    /// Whether the revocations were asked for.
    pub(crate) revocations_checked: bool,
    credential_id: Option<String>,
    issuer: Option<String>,
    sub: Option<String>,
    agent: Option<String>,
    stage: Option<&'static str>,
    task_id: Option<String>,
    ancestors: Vec<Ancestor>,
    purpose: Option<String>,
    target: Option<String>,
    scopes: Vec<String>,
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    bound_to: Option<String>,
    decision_id: Option<String>,
}

impl Verification {
    /// Every check passed.
    pub(crate) fn valid(claims: &Claims, revocations_checked: bool) -> Self {
        let ancestor = |above: &taskpass_core::task::Ancestor| Ancestor {
            task_id: above.task.to_string(),
            agent: above.agent.to_string(),
        };
        Self {
            valid: true,
            reason: None,
            revocations_checked,
            credential_id: Some(claims.id.to_string()),
            issuer: Some(claims.issuer.clone()),
            sub: Some(claims.subject.to_string()),
            agent: Some(claims.client_id.to_string()),
            stage: Some(claims.task.stage.as_str()),
            task_id: Some(claims.task.task.to_string()),
            ancestors: claims.task.ancestors.iter().map(ancestor).collect(),
            purpose: Some(claims.task.purpose.clone()),
            target: Some(claims.audience.to_string()),
            scopes: claims.scopes.iter().map(ToString::to_string).collect(),
            issued_at: Some(Timestamp::from_secs(claims.issued_at)),
            expires_at: Some(Timestamp::from_secs(claims.expires_at)),
            bound_to: claims.bound_to.map(|digest| digest.base64url()),
            decision_id: Some(claims.task.decision.to_string()),
        }
    }

    /// A check did not pass.
    pub(crate) fn refused(reason: &'static str, revocations_checked: bool) -> Self {
        Self {
            reason: Some(reason),
            revocations_checked,
            ..Self::default()
        }
    }
}

impl View for Verification {
    fn text(&self, ink: &Ink) -> String {
        let revocations = if self.revocations_checked {
            "checked"
        } else {
            "NOT CHECKED"
        };
        Fields::default()
            .with("valid", if self.valid { "yes" } else { "no" })
            .with("revocations", revocations)
            .maybe("credential", self.credential_id.clone())
            .maybe("agent", self.sub.clone())
            .maybe("task", self.task_id.clone())
            .maybe("purpose", self.purpose.clone())
            .maybe("target", self.target.clone())
            .with("scopes", list(&self.scopes))
            .with("issued", instant(self.issued_at, ink))
            .with("expires", instant(self.expires_at, ink))
            .maybe("bound to", self.bound_to.clone())
            .render(ink)
    }
}
