//! Issuing: the one way to a credential.
//!
//! Token, batch and certificate go through [`Broker::issue`], and whatever comes later will. Read it
//! top to bottom; the steps are those of `docs/ARCHITECTURE.md`:
//!
//! 1. who calls was settled by [`crate::Standing`];
//! 2. look up the task, the agent, its owner, the target;
//! 3. decide: policy makes a `Grant`, or says why not;
//! 4. clamp the lifetime to everything that bounds it;
//! 5. sign: the grant is consumed, and so is what was prepared from it;
//! 6. record the credential, its place under the task, and the audit entry, under guards that check
//!    again what was read;
//! 7. release: only what the store has acknowledged is returned.

mod decide;
mod entries;
mod lookup;
mod sign;
mod terms;
mod wanted;

use taskpass_core::AgentName;
use taskpass_core::grant::Grant;
use taskpass_core::registry::{Registry, Target, Versioned};
use taskpass_core::task::Task;
use taskpass_core::ttl::Clamp;
use taskpass_issuer::Hierarchy;
use taskpass_store::{Change, Commit, Guard};

use crate::broker::Broker;
use crate::chain::refused_above;
use crate::entry::outbox;
use crate::error::Error;
use crate::limits::Pace;
use crate::policy::current::is_outdated;
use crate::standing::{Standing, calling_agent, check_agent};
use crate::start::Attempt;
use decide::Found;
use entries::complete_entry;
use lookup::{token_target, within_ceiling};
use sign::{Signed, Signing};
use terms::Bound;
use wanted::Wanted;

pub(crate) use lookup::{check_system, owner_of, targets_of, unchanged, unknown_agent};
pub use wanted::{CertificateRequest, IssuedCertificate, IssuedToken, TokenRequest};

/// How often a decision is made again because the registry changed in between.
pub(crate) const ATTEMPTS: u32 = 3;
/// The most tokens in one batch.
pub const MAX_BATCH: usize = 256;

struct Issued {
    signed: Signed,
    clamped_by: Option<Clamp>,
    would_deny: bool,
    revocation_seq: u64,
}

impl Broker {
    /// Issues a token.
    pub async fn issue_token(
        &self,
        caller: &Standing,
        request: &TokenRequest,
    ) -> Result<IssuedToken, Error> {
        let issued = self.issue(caller, &Wanted::Token(request)).await?;
        match issued.signed {
            Signed::Token(signed) => {
                self.metrics.tokens.one();
                Ok(IssuedToken {
                    token: signed.token,
                    credential: signed.credential,
                    clamped_by: issued.clamped_by,
                    would_deny: issued.would_deny,
                    revocation_seq: issued.revocation_seq,
                })
            }
            Signed::Certificate(_) => Err(Error::internal(std::io::Error::other("kind"))),
        }
    }

    /// Issues a certificate.
    pub async fn issue_certificate(
        &self,
        caller: &Standing,
        request: &CertificateRequest,
    ) -> Result<IssuedCertificate, Error> {
        let issued = self.issue(caller, &Wanted::Certificate(request)).await?;
        match issued.signed {
            Signed::Certificate(signed) => {
                self.metrics.certificates.one();
                Ok(IssuedCertificate {
                    chain_pem: signed.chain_pem,
                    anchors_pem: self
                        .issuer
                        .load()
                        .anchors(Hierarchy::Task, self.clock.now()),
                    credential: signed.credential,
                    clamped_by: issued.clamped_by,
                    revocation_seq: issued.revocation_seq,
                })
            }
            Signed::Token(_) => Err(Error::internal(std::io::Error::other("kind"))),
        }
    }

    /// The choke point.
    async fn issue(&self, caller: &Standing, wanted: &Wanted<'_>) -> Result<Issued, Error> {
        let began = self.clock.monotonic();
        let agent = calling_agent(caller)?;
        wanted.check_shape()?;
        let mut pace = Pace::default();
        let mut attempt = 0;
        let error = loop {
            attempt += 1;
            match self.try_issue(caller, agent, wanted, &mut pace).await {
                Ok(issued) => {
                    self.metrics
                        .issue
                        .record(self.clock.monotonic().saturating_sub(began));
                    self.metrics.would_deny.add(issued.would_deny.into());
                    return Ok(issued);
                }
                Err(Attempt::Again) if attempt < ATTEMPTS => {
                    self.metrics.decided_again.one();
                    self.read_again().await?;
                }
                Err(Attempt::Again) => break Error::QueueFull,
                Err(Attempt::Failed(error)) => break error,
            }
        };
        if self.count_limited(caller, &error) {
            return Err(error);
        }
        if error.is_denial() {
            let mut entry = self.denied_entry(caller, agent, wanted).await?;
            entry.subject = refused_above(&error, agent).map(|above| format!("agent {above}"));
            self.record_denial(entry, &error).await?;
        }
        Err(error)
    }

    async fn try_issue(
        &self,
        caller: &Standing,
        agent: &AgentName,
        wanted: &Wanted<'_>,
        pace: &mut Pace,
    ) -> Result<Issued, Attempt> {
        // Step 2: look up.
        let now = self.clock.safe_now()?;
        let registry = self.registry.load_full();
        check_system(&registry)?;
        let task = self.live_own_task(agent, wanted.task(), now).await?;
        let agent = registry.agent(agent).ok_or_else(|| unknown_agent(agent))?;
        // It was active when it was admitted; whatever the policies say, it is now too.
        check_agent(&registry, &agent.value, now)?;
        let target = match wanted {
            Wanted::Token(request) => Some(token_target(&registry, request)?),
            Wanted::Certificate(_) => None,
        };
        // Step 3: decide. Policy is asked before the task's ceiling.
        let ttl = wanted.ttl().unwrap_or(match wanted {
            Wanted::Token(_) => self.limits.token_ttl,
            Wanted::Certificate(_) => self.limits.certificate_ttl,
        });
        let found = Found {
            registry: &registry,
            task: &task,
            agent,
            target,
            ttl,
            now,
        };
        let (grant, chain) = self.decide_issue(caller, wanted, &found)?;
        within_ceiling(&task, grant.ask())?;
        let bound = match wanted {
            Wanted::Token(request) => self.bound(request, &task, target, now).await?,
            Wanted::Certificate(_) => None,
        };
        // Step 4: clamp.
        let (ends_at, clamped_by) = terms::end(
            now,
            ttl,
            (&agent.value, &chain.agents),
            target.map(|row| &row.value),
            &task,
            bound.as_ref(),
        );
        terms::check_life(now, ends_at, clamped_by, &task)?;
        // What is refused for its pace is not signed: nothing costs more.
        pace.take(self, &registry, &agent.value, target.map(|row| &row.value))
            .map_err(Error::from)?;
        // Step 5: sign.
        let mut guards = self.guards(&grant, &registry, &task, target, bound.as_ref());
        guards.push(Guard::NotRevoked(caller.facts.clone()));
        let mut entry = self.granted_entry(caller, wanted, &grant, &task, now);
        let would_deny = grant.basis().would_deny || chain.would_deny;
        if let Some(decision) = &mut entry.decision {
            decision.would_deny = would_deny;
        }
        guards.extend(chain.guards());
        let listed = self.place(wanted.credential_kind(), ends_at).await?;
        let signing = Signing {
            agent: &agent.value,
            task: &task,
            target,
            bound,
            now,
            ends_at,
            listed,
        };
        let signed = self.sign(grant, wanted, signing)?;
        // Step 6: record.
        let credential = signed.credential();
        complete_entry(&mut entry, credential, clamped_by);
        let mut commit = Commit::new(now);
        commit.guards = guards;
        commit.guards.push(Guard::NotRevoked(credential.facts()));
        let commit = commit
            .change(Change::RecordCredential(credential.clone()))
            .change(outbox(&entry)?);
        let revocation_seq = self.store.rules().newest_seq();
        match self.commit(commit).await {
            // Step 7: release.
            Ok(_) => Ok(Issued {
                signed,
                clamped_by,
                would_deny,
                revocation_seq,
            }),
            Err(error) if is_outdated(&error) => Err(Attempt::Again),
            Err(error) => Err(Error::from_commit(error).into()),
        }
    }

    fn guards(
        &self,
        grant: &Grant,
        registry: &Registry,
        task: &Task,
        target: Option<&Versioned<Target>>,
        bound: Option<&Bound>,
    ) -> Vec<Guard> {
        let mut guards: Vec<_> = unchanged(grant, registry).collect();
        guards.push(Guard::TaskLive { id: task.id });
        let amounts = &self.limits.amounts;
        guards.extend(amounts.credential_guards(registry, task, target));
        guards.extend(bound.map(|bound| Guard::NotRevoked(bound.facts.clone())));
        guards
    }
}
