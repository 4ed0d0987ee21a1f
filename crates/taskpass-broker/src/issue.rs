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

mod entries;
mod lookup;
mod sign;
mod terms;
mod wanted;

use taskpass_core::AgentName;
use taskpass_core::grant::Grant;
use taskpass_core::registry::Registry;
use taskpass_core::task::Task;
use taskpass_core::ttl::Clamp;
use taskpass_issuer::Hierarchy;
use taskpass_policy::Request;
use taskpass_store::{Change, Commit, CommitError, Counter, Guard, Refusal};

use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;
use crate::standing::{Standing, calling_agent};
use crate::start::Attempt;
use entries::complete_entry;
use lookup::{token_target, within_ceiling};
use sign::{Signed, Signing};
use terms::Bound;
use wanted::Wanted;

pub(crate) use lookup::{check_system, targets_of, unchanged, unknown_agent};
pub use wanted::{CertificateRequest, IssuedCertificate, IssuedToken, TokenRequest};

/// How often a decision is made again because the registry changed in between.
pub(crate) const ATTEMPTS: u32 = 3;
/// The most tokens in one batch.
pub const MAX_BATCH: usize = 256;

struct Issued {
    signed: Signed,
    clamped_by: Option<Clamp>,
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
        let mut attempt = 0;
        let error = loop {
            attempt += 1;
            match self.try_issue(caller, agent, wanted).await {
                Ok(issued) => {
                    self.metrics
                        .issue
                        .record(self.clock.monotonic().saturating_sub(began));
                    return Ok(issued);
                }
                Err(Attempt::Again) if attempt < ATTEMPTS => {
                    self.metrics.decided_again.one();
                    self.reload_registry().await?;
                }
                Err(Attempt::Again) => break Error::QueueFull,
                Err(Attempt::Failed(error)) => break error,
            }
        };
        if error.is_denial() {
            let entry = self.denied_entry(caller, agent, wanted).await?;
            self.record_denial(entry, &error).await?;
        }
        Err(error)
    }

    async fn try_issue(
        &self,
        caller: &Standing,
        agent: &AgentName,
        wanted: &Wanted<'_>,
    ) -> Result<Issued, Attempt> {
        // Step 2: look up.
        let now = self.clock.safe_now()?;
        let registry = self.registry.load_full();
        check_system(&registry)?;
        let task = self.live_own_task(agent, wanted.task(), now).await?;
        let agent = registry.agent(agent).ok_or_else(|| unknown_agent(agent))?;
        let target = match wanted {
            Wanted::Token(request) => Some(token_target(&registry, request)?),
            Wanted::Certificate(_) => None,
        };
        // Step 3: decide. Policy is asked before the task's ceiling.
        let ttl = wanted.ttl().unwrap_or(match wanted {
            Wanted::Token(_) => self.limits.token_ttl,
            Wanted::Certificate(_) => self.limits.certificate_ttl,
        });
        let grant = self
            .policy
            .decide(
                self.decision_id(now),
                &Request {
                    agent,
                    owner: registry.owner(&agent.value.owner).map(AsRef::as_ref),
                    targets: target.into_iter().collect(),
                    ask: wanted.ask(),
                    delegating_from: None,
                    task: Some(task.id),
                    purpose: &task.purpose,
                    depth: task.ancestors.len(),
                    ttl,
                    attestation: caller.method(),
                    now,
                },
            )
            .map_err(|denial| Error::PolicyDenied(Box::new(denial)))?;
        within_ceiling(&task, grant.ask())?;
        let bound = match wanted {
            Wanted::Token(request) => self.bound(request, &task, target, now).await?,
            Wanted::Certificate(_) => None,
        };
        // Step 4: clamp.
        let (ends_at, clamped_by) = terms::end(
            now,
            ttl,
            &agent.value,
            target.map(|row| &row.value),
            &task,
            bound.as_ref(),
        );
        terms::check_life(now, ends_at, clamped_by, &task)?;
        // Step 5: sign.
        let mut guards = self.guards(&grant, &registry, &task, bound.as_ref());
        guards.push(Guard::NotRevoked(caller.facts.clone()));
        let mut entry = self.granted_entry(caller, wanted, &grant, &task, now);
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
                revocation_seq,
            }),
            Err(CommitError::Refused(Refusal::Changed { .. })) => Err(Attempt::Again),
            Err(error) => Err(Error::from_commit(error).into()),
        }
    }

    fn guards(
        &self,
        grant: &Grant,
        registry: &Registry,
        task: &Task,
        bound: Option<&Bound>,
    ) -> Vec<Guard> {
        let mut guards: Vec<_> = unchanged(grant, registry).collect();
        guards.push(Guard::TaskLive { id: task.id });
        guards.push(Guard::Below {
            counter: Counter::Agent(task.agent.clone()),
            limit: self.limits.live_per_agent,
        });
        guards.extend(bound.map(|bound| Guard::NotRevoked(bound.facts.clone())));
        guards
    }
}
