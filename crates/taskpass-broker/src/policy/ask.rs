//! Requests as starting a task and issuing make them, put to the policies and no further.

use taskpass_core::audit::Attestation;
use taskpass_core::grant::Ask;
use taskpass_core::registry::{Agent, Registry, Target, Versioned};
use taskpass_core::ttl::{MAX_CERTIFICATE_TTL, MAX_TOKEN_TTL};
use taskpass_core::{AgentName, TaskId, Timestamp, Ttl};
use taskpass_policy::{Explanation, PolicySet, Request};

use crate::broker::{Broker, Limits};
use crate::error::Error;
use crate::issue::{check_system, targets_of};
use crate::standing::check_agent;
use crate::start::check_purpose;

/// What stands for a purpose where none is supposed.
const SOME_PURPOSE: &str = "unstated";

/// How agents prove themselves where nothing else is supposed: by an identity certificate.
const MTLS: &str = "mtls";

/// What a supposed request says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// What the task is for; something if absent.
    pub purpose: Option<String>,
    /// The life asked for; the defaults if absent.
    pub ttl: Option<Ttl>,
    /// How the agent would prove itself; by its identity certificate if absent.
    pub attestation: Option<String>,
}

/// A request that nobody made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supposed {
    /// The agent that would be granted something; of a child task, the child's.
    pub agent: AgentName,
    /// What it would ask for.
    pub ask: Ask,
    /// The agent that runs the parent, if a child task would start.
    pub from: Option<AgentName>,
    /// How many tasks would be above.
    pub depth: usize,
    /// The rest.
    pub terms: Terms,
}

/// What would be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// What was supposed.
    pub supposed: Supposed,
    /// When, and by the registry of when.
    pub at: Timestamp,
    /// What the policies say.
    pub said: Explanation,
    /// Why the agent would not get as far as the policies: the reason that it would be answered.
    pub refused_before: Option<&'static str>,
}

impl Terms {
    pub(super) fn check(&self) -> Result<(), Error> {
        if let Some(method) = &self.attestation
            && !Attestation::METHODS.contains(&method.as_str())
        {
            return Err(Error::field(
                "attestation",
                Attestation::METHODS.join(" or "),
            ));
        }
        match &self.purpose {
            Some(purpose) => check_purpose(purpose),
            None => Ok(()),
        }
    }

    pub(super) fn attestation(&self) -> &str {
        self.attestation.as_deref().unwrap_or(MTLS)
    }

    pub(super) fn purpose(&self) -> &str {
        self.purpose.as_deref().unwrap_or(SOME_PURPOSE)
    }
}

/// The policies, the registry and the limits of one moment.
#[derive(Debug)]
pub(super) struct Moment<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) registry: &'a Registry,
    pub(super) limits: &'a Limits,
    pub(super) now: Timestamp,
}

/// One request of an agent that is registered.
pub(super) struct Wish<'a> {
    pub(super) agent: &'a Versioned<Agent>,
    pub(super) targets: Vec<&'a Versioned<Target>>,
    pub(super) ask: Ask,
    pub(super) from: Option<&'a AgentName>,
    pub(super) depth: usize,
    pub(super) terms: &'a Terms,
    pub(super) ttl: Ttl,
}

impl Moment<'_> {
    pub(super) fn put(&self, wish: Wish<'_>) -> Explanation {
        let owner = self.registry.owner(&wish.agent.value.owner);
        self.set.explain(&Request {
            agent: wish.agent,
            owner: owner.map(AsRef::as_ref),
            targets: wish.targets,
            ask: wish.ask,
            delegating_from: wish.from,
            // Which task it is, no registration says and no policy should ask.
            task: Some(TaskId::first_at(self.now)),
            purpose: wish.terms.purpose(),
            depth: wish.depth,
            ttl: wish.ttl,
            attestation: wish.terms.attestation(),
            now: self.now,
        })
    }

    /// Why an agent's call would be refused before policies are asked.
    pub(super) fn refused_before(&self, agent: &Agent) -> Option<&'static str> {
        let standing = check_agent(self.registry, agent, self.now);
        let refused = standing.and_then(|()| check_system(self.registry)).err();
        refused.map(|error| error.reason())
    }

    /// What would be decided about a supposed request.
    pub(super) fn explain(&self, supposed: Supposed) -> Result<Explained, Error> {
        supposed.terms.check()?;
        let agent = self.agent(&supposed.agent)?;
        if let Some(from) = &supposed.from {
            self.agent(from)?;
        }
        let scopes = supposed.ask.scopes().cloned().collect();
        let said = self.put(Wish {
            agent,
            targets: targets_of(self.registry, &scopes)?,
            ask: supposed.ask.clone(),
            from: supposed.from.as_ref(),
            depth: supposed.depth,
            terms: &supposed.terms,
            ttl: supposed
                .terms
                .ttl
                .unwrap_or_else(|| self.default_ttl(&supposed)),
        });
        Ok(Explained {
            at: self.now,
            refused_before: self.refused_before(&agent.value),
            said,
            supposed,
        })
    }

    fn default_ttl(&self, supposed: &Supposed) -> Ttl {
        match supposed.ask {
            Ask::Scopes(_) => self.limits.task_ttl,
            Ask::Certificate | Ask::Svid => self.limits.certificate_ttl,
        }
    }

    /// The lives of a task, a token and a certificate under these terms: a token's and a
    /// certificate's are no longer than they can be.
    pub(super) fn lives(&self, terms: &Terms) -> Lives {
        let limits = self.limits;
        Lives {
            task: terms.ttl.unwrap_or(limits.task_ttl),
            token: terms
                .ttl
                .map_or(limits.token_ttl, |ttl| ttl.min(MAX_TOKEN_TTL)),
            certificate: terms
                .ttl
                .map_or(limits.certificate_ttl, |ttl| ttl.min(MAX_CERTIFICATE_TTL)),
        }
    }

    pub(super) fn agent(&self, name: &AgentName) -> Result<&Versioned<Agent>, Error> {
        let row = self.registry.agent(name).map(AsRef::as_ref);
        row.ok_or_else(|| Error::EntryNotFound {
            key: taskpass_core::registry::RowKey::Agent(name.clone()),
        })
    }
}

/// What is asked for, of each kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lives {
    pub(super) task: Ttl,
    pub(super) token: Ttl,
    pub(super) certificate: Ttl,
}

impl Broker {
    /// Asks `question` of this moment, off the runtime: it may take many evaluations.
    pub(super) async fn at_this_moment<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Moment<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (set, registry) = (self.policy.current(), self.registry());
        let (limits, now) = (self.limits.clone(), self.clock.now());
        crate::archive::aside(move || {
            question(&Moment {
                set: &set,
                registry: &registry,
                limits: &limits,
                now,
            })
        })
        .await
    }
}
