//! What the entry of a revocation says of what it names, so that it is found by agent, owner, task
//! and target, and not only by its selector.

use taskpass_core::audit::{CredentialFacts, Entry};
use taskpass_core::credential::Credential;
use taskpass_core::identity::Principal;
use taskpass_core::registry::Registry;
use taskpass_core::task::Task;

use super::RevokeWhat;
use crate::entry::concern;

/// What was read of a revocation's object, and its entry tells.
pub(super) enum Named {
    /// A credential.
    Credential(Box<Credential>),
    /// A task.
    Task(Box<Task>),
}

/// Says whom and what a revocation concerns.
pub(super) fn describe(
    entry: &mut Entry,
    registry: &Registry,
    what: &RevokeWhat,
    named: Option<Named>,
) {
    match named {
        Some(Named::Credential(credential)) => {
            entry.agent = Some(credential.agent.clone());
            entry.owner = Some(credential.owner.clone());
            entry.task = Some(credential.task);
            entry.parent = credential.ancestors.first().map(|above| above.task);
            entry.ancestors.clone_from(&credential.ancestors);
            entry.target = credential.target().cloned();
            entry.credential = Some(CredentialFacts::from(&*credential));
        }
        Some(Named::Task(task)) => {
            concern(entry, registry, &Principal::Agent(task.agent.clone()));
            entry.set_task(&task);
        }
        None => match what {
            RevokeWhat::Agent(name) => concern(entry, registry, &Principal::Agent(name.clone())),
            RevokeWhat::Owner(name) => entry.owner = Some(name.clone()),
            RevokeWhat::Target(uri) => entry.target = Some(uri.clone()),
            RevokeWhat::Credential(_)
            | RevokeWhat::Task(_)
            | RevokeWhat::Key(_)
            | RevokeWhat::Everything => {}
        },
    }
}
