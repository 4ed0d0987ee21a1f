//! Agents, operators, verifiers, owners and targets: registered by the operator, and enrolled.
//!
//! Each name is registered once; the identity is in [`Broker::identity_folder`] afterwards.

use std::time::{Duration, SystemTime};

use taskpass_api::v1::{self, entry::Entry as Kind, principal};
use taskpass_client::{Identity, enrol};
use taskpass_core::secret::Secret;

use crate::broker::Broker;
use crate::calls::within;

/// How long registered agents stay valid.
const VALIDITY: Duration = Duration::from_hours(24);

impl Broker {
    /// Registers an entry.
    pub async fn register(&self, entry: Kind) -> v1::Entry {
        let entry = v1::Entry {
            entry: Some(entry),
            version: 0,
        };
        let request = v1::RegisterRequest { entry: Some(entry) };
        let mut registry = self.services("").await.registry();
        let reply = within(registry.register(request)).await;
        let entry = reply.map(|reply| reply.into_inner().entry);
        match entry {
            Ok(Some(entry)) => entry,
            other => panic!("not registered: {other:?}"),
        }
    }

    /// Registers an owner.
    pub async fn owner(&self, name: &str) {
        self.register(Kind::Owner(v1::Owner {
            name: name.to_owned(),
            contact: format!("{name}@example.org"),
            ..v1::Owner::default()
        }))
        .await;
    }

    /// Registers a target of medium risk.
    pub async fn target(&self, uri: &str, alg: v1::TokenAlg, scopes: &[(&str, v1::Access)]) {
        let scopes = scopes
            .iter()
            .map(|(name, access)| v1::TargetScope {
                name: (*name).to_owned(),
                access: (*access).into(),
            })
            .collect();
        self.register(Kind::Target(v1::Target {
            uri: uri.to_owned(),
            scopes,
            risk: v1::Risk::Medium.into(),
            token_alg: alg.into(),
            ..v1::Target::default()
        }))
        .await;
    }

    /// Registers an agent and enrols it.
    pub async fn agent(
        &self,
        name: &str,
        owner: &str,
        stage: v1::Stage,
        scopes: &[&str],
    ) -> Identity {
        self.register_agent(name, owner, stage, scopes).await;
        self.enrol(principal::Kind::Agent(name.to_owned())).await
    }

    /// Registers an agent.
    pub async fn register_agent(&self, name: &str, owner: &str, stage: v1::Stage, scopes: &[&str]) {
        self.register(Kind::Agent(v1::Agent {
            name: name.to_owned(),
            owner: owner.to_owned(),
            purpose: "tests".to_owned(),
            stage: stage.into(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            valid_until: Some(from_now(VALIDITY)),
            max_ttl: None,
            labels: std::collections::HashMap::new(),
            state: 0,
            created_at: None,
            client_keys: Vec::new(),
            ..v1::Agent::default()
        }))
        .await;
    }

    /// Registers an operator and enrols it.
    pub async fn operator(&self, name: &str, roles: &[v1::Role]) -> Identity {
        self.register(Kind::Operator(v1::Operator {
            name: name.to_owned(),
            roles: roles.iter().map(|role| i32::from(*role)).collect(),
            state: 0,
        }))
        .await;
        self.enrol(principal::Kind::Operator(name.to_owned())).await
    }

    /// Registers a verifier and enrols it.
    pub async fn verifier(&self, name: &str, targets: &[&str]) -> Identity {
        self.register(Kind::Verifier(v1::Verifier {
            name: name.to_owned(),
            targets: targets.iter().map(|uri| (*uri).to_owned()).collect(),
            state: 0,
        }))
        .await;
        self.enrol(principal::Kind::Verifier(name.to_owned())).await
    }

    /// A single-use token with which somebody enrols.
    pub async fn enrolment_token(&self, who: principal::Kind) -> v1::CreateEnrolmentTokenResponse {
        let request = v1::CreateEnrolmentTokenRequest {
            principal: Some(v1::Principal { kind: Some(who) }),
        };
        let mut enrolment = self.services("").await.enrolment();
        match within(enrolment.create_enrolment_token(request)).await {
            Ok(reply) => reply.into_inner(),
            Err(status) => panic!("no enrolment token: {status:?}"),
        }
    }

    /// Enrols somebody who is registered, and saves the identity.
    pub async fn enrol(&self, who: principal::Kind) -> Identity {
        let folder = match &who {
            principal::Kind::Agent(name)
            | principal::Kind::Operator(name)
            | principal::Kind::Verifier(name) => self.identity_folder(name),
        };
        let fresh = self.enrolment_token(who).await;
        let enrolling = enrol(self.authority(), &fresh.ca_pem, &Secret::new(fresh.token)).await;
        let identity = match enrolling {
            Ok(enrolled) => enrolled.identity,
            Err(error) => panic!("not enrolled: {error}"),
        };
        identity.save(&folder).expect("an identity can be saved");
        identity
    }
}

/// An instant, so far from now.
#[expect(
    clippy::disallowed_methods,
    reason = "the broker beneath test lives in real time"
)]
pub fn from_now(time: Duration) -> prost_types::Timestamp {
    (SystemTime::now() + time).into()
}
