//! The proto's scalars in the product's words.

use std::time::Duration;

use serde::Serialize;
use taskpass_api::v1;
use taskpass_core::Timestamp;

/// An instant; `None` if it is absent or none.
pub(crate) fn instant(at: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    let at = at?;
    let seconds = u64::try_from(at.seconds).ok()?;
    let nanos = u64::try_from(at.nanos)
        .ok()
        .filter(|n| *n < 1_000_000_000)?;
    let millis = seconds.checked_mul(1000)?.checked_add(nanos / 1_000_000)?;
    Some(Timestamp::from_millis(millis))
}

/// A lifetime, in JSON as seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seconds(pub(crate) Duration);

/// A lifetime; `None` if it is absent or negative.
pub(crate) fn seconds(value: Option<prost_types::Duration>) -> Option<Seconds> {
    let value = value?;
    let seconds = u64::try_from(value.seconds).ok()?;
    let nanos = u32::try_from(value.nanos)
        .ok()
        .filter(|n| *n < 1_000_000_000)?;
    Some(Seconds(Duration::new(seconds, nanos)))
}

impl Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.subsec_nanos() == 0 {
            serializer.serialize_u64(self.0.as_secs())
        } else {
            serializer.serialize_f64(self.0.as_secs_f64())
        }
    }
}

/// A text that is empty when absent.
pub(crate) fn text(value: String) -> Option<String> {
    Some(value).filter(|value| !value.is_empty())
}

/// What is said of something that was allowed only because its target is observed.
pub(crate) fn observed(would_deny: bool) -> Option<&'static str> {
    would_deny.then_some("no policy permits this; it will be denied when its target is enforced")
}

/// The word of an enumeration; `None` if it is unspecified or of a newer broker.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $proto:ty, { $($variant:ident => $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        pub(crate) fn $name(value: i32) -> Option<&'static str> {
            type Proto = $proto;
            match Proto::try_from(value) {
                $(Ok(Proto::$variant) => Some($word),)+
                Ok(Proto::Unspecified) | Err(_) => None,
            }
        }
    };
}

word!(/// What a scope does.
    access, v1::Access, { Read => "read", Write => "write", Actuate => "actuate" });
word!(/// How far an agent is trusted.
    stage, v1::Stage, { ReadOnly => "read-only", Bounded => "bounded", Autonomous => "autonomous" });
word!(/// How much harm a target can do.
    risk, v1::Risk, { Low => "low", Medium => "medium", High => "high" });
word!(/// What signs a target's tokens.
    token_alg, v1::TokenAlg, { Es256 => "ES256", Eddsa => "EdDSA" });
word!(/// The form of a target's tokens.
    token_profile, v1::TokenProfile, { Oauth => "oauth", Cloud => "cloud" });
word!(/// Whether an entry may take part.
    state, v1::State, { Active => "active", Suspended => "suspended", Retired => "retired" });
word!(/// What an operator may do.
    role, v1::Role, { Admin => "admin", Responder => "responder", Auditor => "auditor" });
word!(/// What a task is doing.
task_state, v1::TaskState, {
    Active => "active", Completed => "completed", Revoked => "revoked", Expired => "expired",
    Lost => "lost",
});
word!(/// The kind of a credential.
    credential_kind, v1::CredentialKind, { Token => "token", Certificate => "certificate" });
word!(/// Where in its life a key is.
key_state, v1::KeyState, {
    Waiting => "waiting", Prepared => "prepared", Active => "active", Retired => "retired", Tainted => "tainted",
});

/// A word for a column.
pub(crate) fn shown(word: Option<&'static str>) -> String {
    word.unwrap_or("?").to_owned()
}

/// A task above another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Ancestor {
    /// The task.
    pub(crate) task_id: String,
    /// Its agent.
    pub(crate) agent: String,
}

impl From<v1::Ancestor> for Ancestor {
    fn from(ancestor: v1::Ancestor) -> Self {
        Self {
            task_id: ancestor.task_id,
            agent: ancestor.agent,
        }
    }
}

/// A caller: one of the three is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Principal {
    agent: Option<String>,
    operator: Option<String>,
    verifier: Option<String>,
}

impl Principal {
    /// From the proto; `None` if it names nobody.
    pub(crate) fn from_proto(principal: Option<v1::Principal>) -> Option<Self> {
        use v1::principal::Kind;
        let nobody = Self::default();
        Some(match principal?.kind? {
            Kind::Agent(name) => Self {
                agent: Some(name),
                ..nobody
            },
            Kind::Operator(name) => Self {
                operator: Some(name),
                ..nobody
            },
            Kind::Verifier(name) => Self {
                verifier: Some(name),
                ..nobody
            },
        })
    }

    /// `operator ops`.
    pub(crate) fn shown(&self) -> String {
        let named =
            |kind: &str, name: &Option<String>| name.as_ref().map(|n| format!("{kind} {n}"));
        named("agent", &self.agent)
            .or_else(|| named("operator", &self.operator))
            .or_else(|| named("verifier", &self.verifier))
            .unwrap_or_default()
    }
}
