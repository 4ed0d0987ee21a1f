//! Who can have a scope, and what an agent can have: every pair evaluated, none guessed.
//!
//! An agent can have a scope if a task of its own with just that scope would start, a token for it
//! would be issued under that task, and, where the scope actuates, a certificate to bind it to.

use std::collections::BTreeSet;

use taskpass_core::access::Access;
use taskpass_core::grant::Ask;
use taskpass_core::registry::{Agent, State, Target, Versioned};
use taskpass_core::secret::Sha256;
use taskpass_core::{AgentName, ScopeRef};
use taskpass_policy::Explanation;

use super::ask::{Moment, Terms, Wish};
use crate::broker::Broker;
use crate::error::Error;
use crate::issue::targets_of;
use crate::standing::Standing;

/// Pairs of agent and scope that one call looks at.
const AT_MOST: usize = 2_000;

/// Whether an agent can have a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The agent.
    pub agent: AgentName,
    /// The scope.
    pub scope: ScopeRef,
    /// What it does.
    pub access: Access,
    /// Whether it is in the agent's registration.
    pub registered: bool,
    /// The reason that the agent would be answered; none if it can have the scope.
    pub refused: Option<&'static str>,
    /// The policies that determine it.
    pub policies: Vec<String>,
    /// Whether it can only because its target is observed.
    pub would_deny: bool,
}

/// Which answers are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachQuery<K> {
    /// What the requests would say of themselves.
    pub terms: Terms,
    /// Also what is refused, and why.
    pub refused_too: bool,
    /// Where the page before ended.
    pub after: Option<K>,
    /// At most this many.
    pub limit: usize,
}

/// One page of answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachPage<K> {
    /// The set that was asked.
    pub policy_set: Sha256,
    /// In order. There can be fewer than asked for although there are more.
    pub reaches: Vec<Reach>,
    /// Where to go on; `None` at the end.
    pub next: Option<K>,
}

/// What an agent can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhatCan {
    /// Scopes.
    pub page: ReachPage<ScopeRef>,
    /// Whether it can have a certificate for a task of its own.
    pub certificate: bool,
    /// Whether that can be an X.509-SVID.
    pub svid: bool,
}

impl Broker {
    /// Which agents can have `scope`; with `refused_too` also which cannot, and why.
    pub async fn who_can(
        &self,
        caller: &Standing,
        scope: ScopeRef,
        query: ReachQuery<AgentName>,
    ) -> Result<ReachPage<AgentName>, Error> {
        self.record_read(caller, format!("policy who can {scope}"))
            .await?;
        query.terms.check()?;
        self.at_this_moment(move |moment| moment.who_can(&scope, &query))
            .await
    }

    /// Which scopes `agent` can have; with `refused_too` also which it cannot, and why.
    pub async fn what_can(
        &self,
        caller: &Standing,
        agent: AgentName,
        query: ReachQuery<ScopeRef>,
    ) -> Result<WhatCan, Error> {
        self.record_read(caller, format!("policy what can agent {agent}"))
            .await?;
        query.terms.check()?;
        self.at_this_moment(move |moment| moment.what_can(&agent, &query))
            .await
    }
}

impl Moment<'_> {
    pub(super) fn who_can(
        &self,
        scope: &ScopeRef,
        query: &ReachQuery<AgentName>,
    ) -> Result<ReachPage<AgentName>, Error> {
        let targets = targets_of(self.registry, &BTreeSet::from([scope.clone()]))?;
        let Some((target, access)) = targets
            .first()
            .and_then(|target| Some((*target, *target.value.scopes.get(&scope.scope)?)))
        else {
            let scope = scope.clone();
            return Err(Error::UnknownScope { scope });
        };
        let agents = self.registry.agents().map(AsRef::as_ref);
        let agents = agents.filter(|agent: &&Versioned<Agent>| {
            let after = query.after.as_ref();
            after.is_none_or(|after| agent.value.name > *after)
        });
        Ok(self.page(
            agents,
            |agent| self.reach(agent, target, scope, access, &query.terms),
            |agent| agent.value.name.clone(),
            query,
        ))
    }

    pub(super) fn what_can(
        &self,
        agent: &AgentName,
        query: &ReachQuery<ScopeRef>,
    ) -> Result<WhatCan, Error> {
        let agent = self.agent(agent)?;
        let scopes = self.registry.targets().flat_map(|target| {
            let scope = |name: &taskpass_core::ScopeName| ScopeRef {
                target: target.value.uri.clone(),
                scope: name.clone(),
            };
            let scopes = target.value.scopes.iter();
            scopes.map(move |(name, access)| (scope(name), *access, target.as_ref()))
        });
        let scopes =
            scopes.filter(|(scope, _, _)| query.after.as_ref().is_none_or(|after| scope > after));
        let page = self.page(
            scopes,
            |(scope, access, target)| self.reach(agent, target, scope, *access, &query.terms),
            |(scope, _, _)| scope.clone(),
            query,
        );
        let barred = self.refused_before(&agent.value).is_some();
        Ok(WhatCan {
            page,
            certificate: !barred
                && self
                    .certificate(agent, Ask::Certificate, &query.terms)
                    .allowed,
            svid: !barred && self.certificate(agent, Ask::Svid, &query.terms).allowed,
        })
    }

    fn page<T, K>(
        &self,
        pairs: impl Iterator<Item = T>,
        reach: impl Fn(&T) -> Reach,
        key: impl Fn(&T) -> K,
        query: &ReachQuery<K>,
    ) -> ReachPage<K> {
        let mut page = ReachPage {
            policy_set: self.set.hash(),
            reaches: Vec::new(),
            next: None,
        };
        let mut last = None;
        for (looked, pair) in pairs.enumerate() {
            if page.reaches.len() >= query.limit || looked >= AT_MOST {
                page.next = last;
                break;
            }
            let found = reach(&pair);
            if query.refused_too || found.refused.is_none() {
                page.reaches.push(found);
            }
            last = Some(key(&pair));
        }
        page
    }

    fn reach(
        &self,
        agent: &Versioned<Agent>,
        target: &Versioned<Target>,
        scope: &ScopeRef,
        access: Access,
        terms: &Terms,
    ) -> Reach {
        let Steps {
            refused,
            policies,
            would_deny,
        } = self.steps(agent, target, scope, access, terms);
        Reach {
            agent: agent.value.name.clone(),
            scope: scope.clone(),
            access,
            registered: agent.value.scopes.contains(scope),
            refused,
            policies: policies.into_iter().collect(),
            would_deny,
        }
    }

    /// The way to a token, up to the first step that is refused.
    fn steps(
        &self,
        agent: &Versioned<Agent>,
        target: &Versioned<Target>,
        scope: &ScopeRef,
        access: Access,
        terms: &Terms,
    ) -> Steps {
        if let Some(reason) = self.refused_before(&agent.value) {
            return Steps::refused(reason);
        }
        let lives = self.lives(terms);
        let ask = |ttl| {
            self.put(Wish {
                agent,
                targets: vec![target],
                ask: Ask::Scopes(BTreeSet::from([scope.clone()])),
                from: None,
                depth: 0,
                terms,
                ttl,
            })
        };
        let mut said = vec![ask(lives.task)];
        if access == Access::Actuate && denied(&said).is_none() {
            said.push(self.certificate(agent, Ask::Certificate, terms));
        }
        // Issuing looks for the target before it asks; starting a task leaves it to the policies.
        if denied(&said).is_none() {
            if target.value.state != State::Active {
                return Steps::refused("TARGET_NOT_ACTIVE");
            }
            said.push(ask(lives.token));
        }
        match denied(&said) {
            Some(denied) => Steps {
                policies: denied.policies.iter().cloned().collect(),
                ..Steps::refused("POLICY_DENIED")
            },
            None => Steps {
                refused: None,
                would_deny: said.iter().any(|said| said.would_deny),
                policies: said.into_iter().flat_map(|said| said.policies).collect(),
            },
        }
    }

    fn certificate(&self, agent: &Versioned<Agent>, ask: Ask, terms: &Terms) -> Explanation {
        self.put(Wish {
            agent,
            targets: Vec::new(),
            ask,
            from: None,
            depth: 0,
            terms,
            ttl: self.lives(terms).certificate,
        })
    }
}

/// What the way to a token came to.
struct Steps {
    refused: Option<&'static str>,
    policies: BTreeSet<String>,
    would_deny: bool,
}

impl Steps {
    fn refused(reason: &'static str) -> Self {
        Self {
            refused: Some(reason),
            policies: BTreeSet::new(),
            would_deny: false,
        }
    }
}

/// The first step that was refused.
fn denied(said: &[Explanation]) -> Option<&Explanation> {
    said.iter().find(|said| !said.allowed)
}
