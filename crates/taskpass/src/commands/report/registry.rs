//! From the proto to the registry as reports read it.

use taskpass_api::v1;
use taskpass_report::registry::{Agent, Owner, Registry, Target, Verifier};

use crate::registry_file::Snapshot;
use crate::view::wire;

/// Everything of a snapshot; its version, its verifiers, and what the policies say to it, are the caller's
/// to say.
pub(super) fn of(snapshot: &Snapshot) -> Registry {
    Registry {
        version: None,
        owners: snapshot.owners.iter().map(owner).collect(),
        agents: snapshot.agents.iter().map(agent).collect(),
        targets: snapshot.targets.iter().map(target).collect(),
        permits: None,
        verifiers: None,
    }
}

fn owner(owner: &v1::Owner) -> Owner {
    Owner {
        name: owner.name.clone(),
        contact: owner.contact.clone(),
        state: wire::state(owner.state).map(str::to_owned),
    }
}

fn agent(agent: &v1::Agent) -> Agent {
    let key = |key: &v1::ClientKey| {
        // A file has the whole key only: what is compared is compared within one source.
        Some(&key.key_id)
            .filter(|id| !id.is_empty())
            .unwrap_or(&key.jwk)
            .clone()
    };
    Agent {
        name: agent.name.clone(),
        owner: agent.owner.clone(),
        purpose: agent.purpose.clone(),
        stage: wire::stage(agent.stage).and_then(|stage| stage.parse().ok()),
        scopes: agent.scopes.clone(),
        valid_until: wire::instant(agent.valid_until),
        state: wire::state(agent.state).map(str::to_owned),
        created_at: wire::instant(agent.created_at),
        keys: agent.client_keys.iter().map(key).collect(),
    }
}

/// A verifier.
pub(super) fn verifier(verifier: v1::Verifier) -> Verifier {
    Verifier {
        state: wire::state(verifier.state).map(str::to_owned),
        name: verifier.name,
        targets: verifier.targets,
    }
}

fn target(target: &v1::Target) -> Target {
    let scopes = target.scopes.iter().map(|scope| {
        let access = wire::access(scope.access).and_then(|access| access.parse().ok());
        (scope.name.clone(), access)
    });
    Target {
        uri: target.uri.clone(),
        risk: wire::risk(target.risk).and_then(|risk| risk.parse().ok()),
        state: wire::state(target.state).map(str::to_owned),
        scopes: scopes.collect(),
    }
}
