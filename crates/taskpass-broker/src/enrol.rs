//! How callers become callers, and stay themselves: enrolment and renewal.

use taskpass_core::Timestamp;
use taskpass_core::audit::{Attestation, EnrolmentFacts, Entry, EntryKind, IdentityFacts, Outcome};
use taskpass_core::enrolment::{self, ENROLMENT_TTL, Enrolment};
use taskpass_core::identity::{IdentityLine, Principal, Succession};
use taskpass_core::registry::{Registry, RowKey, State};
use taskpass_core::revocation::Facts;
use taskpass_core::secret::Secret;
use taskpass_core::verb::Verb;
use taskpass_issuer::{CsrKey, Hierarchy, SignedIdentity};
use taskpass_store::{Change, Commit, CommitError, Guard, Refusal};

use crate::broker::Broker;
use crate::entry::{concern, outbox};
use crate::error::Error;
use crate::policy::operate::key_of;
use crate::registry::read;
use crate::standing::{Standing, active_caller};

/// A fresh enrolment token: shown once.
#[derive(Debug)]
pub struct FreshToken {
    /// The token.
    pub token: Secret,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// The anchors to trust the broker by, in PEM.
    pub anchors_pem: String,
}

/// An identity certificate.
#[derive(Debug)]
pub struct Enrolled {
    /// Whose.
    pub principal: Principal,
    /// The certificate and the issuing authority's, in PEM.
    pub chain_pem: String,
    /// The anchors to trust the broker by, in PEM.
    pub anchors_pem: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Which certificate of its line it is.
    pub generation: u64,
}

/// How often a renewal is tried again because the line moved in between.
const ATTEMPTS: u32 = 3;

impl Broker {
    /// Makes a single-use enrolment token for a registered principal.
    pub async fn create_enrolment_token(
        &self,
        caller: &Standing,
        principal: &Principal,
    ) -> Result<FreshToken, Error> {
        let now = self.clock.safe_now()?;
        let registry = self.registry.load_full();
        check_enrollable(&registry, principal)?;
        let row = read(&registry, &key_of(principal))?.value;
        let verb = Verb::CreateEnrolmentToken;
        let caller = &self
            .let_write(caller, verb, &registry, &row, "", now)
            .await?;
        let (token, hash) = enrolment::generate(&*self.rng);
        let expires_at = now.plus(ENROLMENT_TTL);
        let enrolment = Enrolment {
            principal: principal.clone(),
            created_at: now,
            expires_at,
            used_at: None,
        };
        let mut entry = self.entry(caller, now, EntryKind::EnrolmentToken, Outcome::Done);
        entry.subject = Some(principal.to_string());
        concern(&mut entry, &registry, principal);
        entry.enrolment = Some(EnrolmentFacts {
            token: hash,
            expires_at,
        });
        let mut commit = Commit::new(now)
            .change(Change::PutEnrolment { hash, enrolment })
            .change(outbox(&entry)?);
        commit.guards.extend(caller.decided_by());
        commit.guards.extend(caller.registered_in(&registry));
        self.commit(commit).await.map_err(Error::from_commit)?;
        let anchors_pem = self.issuer.load().anchors(Hierarchy::Control, now);
        Ok(FreshToken {
            token,
            expires_at,
            anchors_pem,
        })
    }

    /// Trades an enrolment token and a CSR for an identity certificate.
    pub async fn enrol(&self, token: &str, csr: &[u8]) -> Result<Enrolled, Error> {
        let outcome = self.try_enrol(token, csr).await;
        if let Err(error) = &outcome
            && (error.is_denial() || matches!(error, Error::InvalidCsr { .. }))
        {
            let now = self.clock.now();
            let mut entry = Entry::new(self.decision_id(now), now, EntryKind::Enrol, Outcome::Deny);
            let hash = enrolment::hash_presented(token);
            entry.attestation = hash.map(|token| Attestation::EnrolmentToken { token });
            self.record_denial(entry, error).await?;
        }
        outcome
    }

    async fn try_enrol(&self, token: &str, csr: &[u8]) -> Result<Enrolled, Error> {
        let now = self.clock.safe_now()?;
        let hash = enrolment::hash_presented(token).ok_or(Error::EnrolmentRefused)?;
        let pending = self.store.enrolment(hash).await?;
        let pending = pending
            .filter(|pending| pending.used_at.is_none() && now < pending.expires_at)
            .ok_or(Error::EnrolmentRefused)?;
        let principal = pending.principal;
        let registry = self.registry.load_full();
        active_caller(&registry, &principal, now).map_err(|_| Error::EnrolmentRefused)?;
        // Somebody must be able to come and unseal it.
        if !matches!(principal, Principal::Operator(_)) {
            check_unsealed(&registry)?;
        } else if registry
            .system()
            .sealed_at
            .is_some_and(|at| now.secs() <= at.secs())
        {
            // Identities say the second of their issue: one of this second could be from before.
            return Err(Error::RetryAfterRevocation);
        }
        let key = self.csr_key(csr, &principal)?;
        let line = self.store.identity(&principal).await?;
        if let Some(line) = &line
            && line.broken_at.is_some()
            && holds(line, key.digest())
        {
            let message =
                "this key belongs to an identity that two holders claimed; make a new one";
            return Err(Error::InvalidCsr {
                message: message.to_owned(),
            });
        }
        let signed = self.sign_identity(&principal, &key, now)?;
        let next = IdentityLine {
            principal: principal.clone(),
            generation: line.as_ref().map_or(0, |line| line.generation) + 1,
            current: signed.link,
            previous: None,
            earlier: Vec::new(),
            broken_at: None,
        };
        let mut entry = Entry::new(self.decision_id(now), now, EntryKind::Enrol, Outcome::Allow);
        entry.attestation = Some(Attestation::EnrolmentToken { token: hash });
        describe(&mut entry, &registry, &next);
        let mut commit = Commit::new(now)
            .guard(Guard::EnrolmentPending { hash })
            .change(Change::UseEnrolment { hash });
        commit
            .guards
            .extend(registration_unchanged(&registry, &principal));
        let committed = self
            .commit_line(commit, line.as_ref(), &next, &signed, outbox(&entry)?, now)
            .await;
        match committed {
            Ok(()) => Ok(self.enrolled(next, signed, now)),
            // Somebody used the token, or changed the registration, a moment before.
            Err(CommitError::Refused(Refusal::Changed { .. } | Refusal::GenerationChanged)) => {
                Err(Error::EnrolmentRefused)
            }
            Err(error) => Err(Error::from_commit(error)),
        }
    }

    /// Trades the identity that called and a CSR for the next certificate of its line.
    pub async fn renew_identity(&self, caller: &Standing, csr: &[u8]) -> Result<Enrolled, Error> {
        for _ in 0..ATTEMPTS {
            if let Some(enrolled) = self.try_renew(caller, csr).await? {
                return Ok(enrolled);
            }
        }
        Err(Error::QueueFull)
    }

    async fn try_renew(&self, caller: &Standing, csr: &[u8]) -> Result<Option<Enrolled>, Error> {
        let now = self.clock.safe_now()?;
        let Attestation::Mtls { key: proved } = caller.attestation else {
            return Err(Error::Unauthenticated {
                message: "only an identity renews itself; call with its certificate",
            });
        };
        let principal = caller.caller.principal();
        let key = self.csr_key(csr, &principal)?;
        let line = self.store.identity(&principal).await?;
        let line = line.ok_or(Error::Unauthenticated {
            message: "the identity is unknown",
        })?;
        // The call was admitted a moment ago; whoever was suspended since, or lost its owner, or ran out
        // of its time, gets nothing more.
        let registry = self.registry.load_full();
        check_unsealed(&registry)?;
        active_caller(&registry, &principal, now)?;
        let signed = self.sign_identity(&principal, &key, now)?;
        let (generation, previous, earlier) = match line.succession(proved, key.digest(), now) {
            Succession::Advance => (
                line.generation + 1,
                Some(line.current),
                line.earlier_next(now),
            ),
            Succession::Repeat => (line.generation, line.previous, line.earlier.clone()),
            Succession::Reused => {
                let message = "the next identity needs a key of its own; make a new one";
                return Err(Error::InvalidCsr {
                    message: message.to_owned(),
                });
            }
            Succession::Theft => return Err(self.break_line(caller, &line, now).await?),
            Succession::Refused => {
                return Err(Error::Unauthenticated {
                    message: "the identity is not accepted any more; enrol anew",
                });
            }
        };
        let next = IdentityLine {
            principal: principal.clone(),
            generation,
            current: signed.link,
            previous,
            earlier,
            broken_at: None,
        };
        let mut entry = self.entry(caller, now, EntryKind::Renew, Outcome::Allow);
        describe(&mut entry, &registry, &next);
        // A rule that came meanwhile matches the identity that called, not the one to come.
        let mut commit = Commit::new(now).guard(Guard::NotRevoked(caller.facts.clone()));
        commit
            .guards
            .extend(registration_unchanged(&registry, &principal));
        let committed = self
            .commit_line(commit, Some(&line), &next, &signed, outbox(&entry)?, now)
            .await;
        match committed {
            Ok(()) => Ok(Some(self.enrolled(next, signed, now))),
            Err(CommitError::Refused(Refusal::GenerationChanged)) => Ok(None),
            Err(CommitError::Refused(Refusal::Changed { .. })) => {
                self.reload_registry().await?;
                Ok(None)
            }
            Err(error) => Err(Error::from_commit(error)),
        }
    }

    /// Ends a line that two keys claimed, and says so in the trail.
    async fn break_line(
        &self,
        caller: &Standing,
        line: &IdentityLine,
        now: Timestamp,
    ) -> Result<Error, Error> {
        let broken = IdentityLine {
            broken_at: Some(now),
            ..line.clone()
        };
        let mut entry = self.entry(caller, now, EntryKind::Theft, Outcome::Deny);
        entry.subject = Some(line.principal.to_string());
        entry.reason = Some(Error::IdentityConflict.reason().to_owned());
        tracing::error!(principal = %line.principal, generation = line.generation,
            "two keys claimed to follow one identity; it has ended");
        let commit = Commit::new(now)
            .guard(generation(Some(line), &line.principal))
            .change(Change::PutIdentity(broken))
            .change(outbox(&entry)?);
        self.commit(commit).await.map_err(Error::from_commit)?;
        Ok(Error::IdentityConflict)
    }

    async fn commit_line(
        &self,
        mut commit: Commit,
        present: Option<&IdentityLine>,
        next: &IdentityLine,
        signed: &SignedIdentity,
        entry: Change,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let facts = Facts::of_identity(&next.principal, Some(signed.key.clone()), now);
        commit.guards.push(generation(present, &next.principal));
        commit.guards.push(Guard::NotRevoked(facts));
        commit.changes.push(Change::PutIdentity(next.clone()));
        commit.changes.push(entry);
        self.commit(commit).await.map(drop)
    }

    fn csr_key(&self, csr: &[u8], principal: &Principal) -> Result<CsrKey, Error> {
        CsrKey::from_request(csr, &self.spiffe_id(principal)).map_err(|error| Error::InvalidCsr {
            message: error.to_string(),
        })
    }

    fn sign_identity(
        &self,
        principal: &Principal,
        key: &CsrKey,
        now: Timestamp,
    ) -> Result<SignedIdentity, Error> {
        let expires_at = now.plus(self.limits.identity_ttl.duration());
        self.issuer
            .load()
            .sign_identity(principal, key, now, expires_at, &*self.rng)
            .map_err(Error::internal)
    }

    fn enrolled(&self, line: IdentityLine, signed: SignedIdentity, now: Timestamp) -> Enrolled {
        Enrolled {
            expires_at: line.current.expires_at,
            generation: line.generation,
            principal: line.principal,
            chain_pem: signed.chain_pem,
            anchors_pem: self.issuer.load().anchors(Hierarchy::Control, now),
        }
    }
}

/// Nobody becomes a caller, or stays one, on a sealed broker: who was retired or suspended since the backup
/// is not known there.
fn check_unsealed(registry: &Registry) -> Result<(), Error> {
    match registry.system().sealed_at {
        Some(_) => Err(Error::BrokerSealed),
        None => Ok(()),
    }
}

/// Whether the line has, or had a moment ago, this key.
fn holds(line: &IdentityLine, key: taskpass_core::secret::Sha256) -> bool {
    line.current.key == key || line.previous.is_some_and(|link| link.key == key)
}

fn generation(present: Option<&IdentityLine>, principal: &Principal) -> Guard {
    Guard::Generation {
        principal: principal.clone(),
        generation: present.map_or(0, |line| line.generation),
        broken: present.is_some_and(|line| line.broken_at.is_some()),
    }
}

fn describe(entry: &mut Entry, registry: &Registry, line: &IdentityLine) {
    entry.subject = Some(line.principal.to_string());
    entry.actor = Some(line.principal.clone());
    entry.identity = Some(IdentityFacts::from(line));
    concern(entry, registry, &line.principal);
}

fn row_key(principal: &Principal) -> RowKey {
    match principal {
        Principal::Agent(name) => RowKey::Agent(name.clone()),
        Principal::Operator(name) => RowKey::Operator(name.clone()),
        Principal::Verifier(name) => RowKey::Verifier(name.clone()),
    }
}

fn registration_unchanged(registry: &Registry, principal: &Principal) -> Vec<Guard> {
    let mut keys = vec![row_key(principal)];
    if let Principal::Agent(name) = principal {
        keys.extend(
            registry
                .agent(name)
                .map(|row| RowKey::Owner(row.value.owner.clone())),
        );
    }
    keys.into_iter()
        .map(|key| Guard::Unchanged {
            version: registry.version(&key),
            key,
        })
        .collect()
}

/// A principal that is registered and not retired may get a token; suspended ones may be prepared.
fn check_enrollable(registry: &Registry, principal: &Principal) -> Result<(), Error> {
    let key = row_key(principal);
    let state = match principal {
        Principal::Agent(name) => registry.agent(name).map(|row| row.value.state),
        Principal::Operator(name) => registry.operator(name).map(|row| row.value.state),
        Principal::Verifier(name) => registry.verifier(name).map(|row| row.value.state),
    };
    match state {
        None => Err(Error::EntryNotFound { key }),
        Some(State::Retired) => Err(Error::Retired { key }),
        Some(State::Active | State::Suspended) => Ok(()),
    }
}
