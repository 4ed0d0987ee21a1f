//! The names of the schema that this crate speaks, parsed once for each policy set.

use cedar_policy::{EntityId, EntityTypeName, EntityUid, ParseErrors};
use taskpass_core::access::Access;
use taskpass_core::verb::Verb;

/// Entity types and actions.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pub(crate) agent: EntityTypeName,
    pub(crate) owner: EntityTypeName,
    pub(crate) target: EntityTypeName,
    pub(crate) scope: EntityTypeName,
    pub(crate) task: EntityTypeName,
    pub(crate) stage: EntityTypeName,
    pub(crate) risk: EntityTypeName,
    pub(crate) issue_certificate: EntityUid,
    pub(crate) issue_svid: EntityUid,
    pub(crate) delegate: EntityUid,
    pub(crate) operator: EntityTypeName,
    pub(crate) verifier: EntityTypeName,
    pub(crate) credential: EntityTypeName,
    pub(crate) key: EntityTypeName,
    pub(crate) role: EntityTypeName,
    /// The broker as a whole.
    pub(crate) broker: EntityUid,
    read: EntityUid,
    write: EntityUid,
    actuate: EntityUid,
    action: EntityTypeName,
}

impl Vocabulary {
    pub(crate) fn new() -> Result<Self, Box<ParseErrors>> {
        let kind = |name: &str| name.parse::<EntityTypeName>().map_err(Box::new);
        let action = kind("Action")?;
        Ok(Self {
            agent: kind("Agent")?,
            owner: kind("Owner")?,
            target: kind("Target")?,
            scope: kind("Scope")?,
            task: kind("Task")?,
            stage: kind("Stage")?,
            risk: kind("Risk")?,
            issue_certificate: uid(&action, "issue_certificate"),
            issue_svid: uid(&action, "issue_svid"),
            delegate: uid(&action, "delegate"),
            operator: kind("Operator")?,
            verifier: kind("Verifier")?,
            credential: kind("Credential")?,
            key: kind("Key")?,
            role: kind("Role")?,
            broker: uid(&kind("Broker")?, "broker"),
            read: uid(&action, Access::Read.as_str()),
            write: uid(&action, Access::Write.as_str()),
            actuate: uid(&action, Access::Actuate.as_str()),
            action,
        })
    }

    /// The action of an operator's verb.
    pub(crate) fn verb(&self, verb: Verb) -> EntityUid {
        uid(&self.action, verb.as_str())
    }

    /// The action of a scope that does `access`.
    pub(crate) const fn action(&self, access: Access) -> &EntityUid {
        match access {
            Access::Read => &self.read,
            Access::Write => &self.write,
            Access::Actuate => &self.actuate,
        }
    }
}

/// The entity `id` of type `kind`. Ids are data, never parsed.
pub(crate) fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
