//! What agents do: tasks, and credentials under them.

use std::sync::Arc;
use std::time::Duration;

use taskpass_broker::{CertificateRequest, StartRequest, TokenRequest};
use taskpass_core::TaskId;
use taskpass_core::access::CertificateProfile;
use taskpass_core::credential::Credential;

use super::agenda::Event;
use super::habit::{Step, TokenWish, Work};
use super::people;
use super::play::Play;
use super::refused;
use crate::errors::CliError;

/// How many credentials are remembered, for operators who revoke one.
const REMEMBERED: usize = 64;

/// A task that runs.
pub(super) struct Running {
    who: usize,
    work: Arc<Work>,
    /// Its certificate, in DER.
    certificate: Option<Vec<u8>>,
}

impl Play {
    /// An agent starts a task, or a part of one that another may run.
    pub(super) async fn begin(
        &mut self,
        who: usize,
        parent: Option<TaskId>,
        runner: Option<usize>,
        work: Arc<Work>,
    ) -> Result<(), CliError> {
        let agent = self.agent(who)?;
        let standing = self
            .people
            .standing(&self.house, &agent, "TaskService/Start")
            .await?;
        let Some(standing) = standing else {
            self.tally.refused();
            return Ok(());
        };
        let runs = runner.unwrap_or(who);
        let named = match runner {
            Some(other) => Some(self.world.member(other)?.row.name.clone()),
            None => None,
        };
        let request = StartRequest {
            purpose: work.purpose.clone(),
            scopes: work.ceiling.clone(),
            ttl: Some(work.ttl),
            parent,
            agent: named,
            idempotency_key: None,
        };
        let started = self.house.broker.start_task(&standing, request).await;
        let Some(started) = self.tally.of(refused(started, "start a task")?) else {
            return Ok(());
        };
        self.tally.tasks += 1;
        let (task, now) = (started.task.id, self.now());
        for (step, (after, _)) in work.steps.iter().enumerate() {
            self.agenda
                .plan(now.plus(*after), Event::Step { task, step });
        }
        // Behind its last step, whenever that is.
        let last = work.steps.iter().map(|(after, _)| *after).max();
        if let Some(after) = work.done_after {
            let after = last.map_or(after, |last| after.max(last + Duration::from_secs(2)));
            self.agenda.plan(now.plus(after), Event::Done(task));
        }
        let running = Running {
            who: runs,
            work,
            certificate: None,
        };
        self.running.insert(task, running);
        Ok(())
    }

    /// The next step of a task that runs.
    pub(super) async fn step(&mut self, task: TaskId, step: usize) -> Result<(), CliError> {
        let Some(running) = self.running.get(&task) else {
            return Ok(());
        };
        if self.now() >= task.deadline() {
            self.running.remove(&task);
            return Ok(());
        }
        let (who, work) = (running.who, Arc::clone(&running.work));
        let bind = running.certificate.clone();
        match work.steps.get(step).map(|(_, step)| step) {
            Some(Step::Certificate { ttl }) => {
                let request = CertificateRequest {
                    task,
                    csr: people::key()?.csr_der().to_vec(),
                    profile: CertificateProfile::Client,
                    ttl: Some(*ttl),
                };
                self.certificate(who, &request).await
            }
            Some(Step::Token(wish)) => {
                let request = TokenRequest {
                    task,
                    target: wish.target.clone(),
                    scopes: wish.scopes.clone(),
                    ttl: Some(wish.ttl),
                    bind: bind.filter(|_| wish.bound),
                };
                self.token(who, &request, wish).await
            }
            Some(Step::Part { to, work }) => {
                self.begin(who, Some(task), *to, Arc::clone(work)).await
            }
            None => Ok(()),
        }
    }

    async fn certificate(
        &mut self,
        who: usize,
        request: &CertificateRequest,
    ) -> Result<(), CliError> {
        let (agent, method) = (self.agent(who)?, "CredentialService/IssueCertificate");
        let Some(standing) = self.people.standing(&self.house, &agent, method).await? else {
            self.tally.refused();
            return Ok(());
        };
        let issued = self
            .house
            .broker
            .issue_certificate(&standing, request)
            .await;
        let Some(issued) = self.tally.of(refused(issued, "issue a certificate")?) else {
            return Ok(());
        };
        self.tally.certificates += 1;
        if let Some(running) = self.running.get_mut(&request.task) {
            running.certificate = Some(people::leaf(&issued.chain_pem)?.to_vec());
        }
        self.remember(issued.credential);
        Ok(())
    }

    async fn token(
        &mut self,
        who: usize,
        request: &TokenRequest,
        wish: &TokenWish,
    ) -> Result<(), CliError> {
        let (agent, method) = (self.agent(who)?, "CredentialService/IssueToken");
        let Some(standing) = self.people.standing(&self.house, &agent, method).await? else {
            self.tally.refused();
            return Ok(());
        };
        let issued = self.house.broker.issue_token(&standing, request).await;
        let Some(issued) = self.tally.of(refused(issued, "issue a token")?) else {
            return Ok(());
        };
        self.tally.tokens += 1;
        self.used(who, &issued, wish).await?;
        self.remember(issued.credential);
        Ok(())
    }

    fn remember(&mut self, credential: Credential) {
        self.recent.push_back(credential);
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
    }

    /// The agent of a task says that it is done.
    pub(super) async fn done(&mut self, task: TaskId) -> Result<(), CliError> {
        let Some(running) = self.running.remove(&task) else {
            return Ok(());
        };
        let agent = self.agent(running.who)?;
        let standing = self
            .people
            .standing(&self.house, &agent, "TaskService/Complete")
            .await?;
        let Some(standing) = standing else {
            return Ok(());
        };
        let ended = self.house.broker.complete_task(&standing, task).await;
        self.tally.of(refused(ended, "complete a task")?);
        let has_parts = running
            .work
            .steps
            .iter()
            .any(|(_, step)| matches!(step, Step::Part { .. }));
        if has_parts {
            self.house.settle().await?;
        }
        Ok(())
    }

    /// More refusals in a minute than are recorded one by one.
    pub(super) async fn ask_in_a_loop(&mut self, who: usize) -> Result<(), CliError> {
        let member = self.world.member(who)?;
        let Some(wish) = member.beyond.first().cloned() else {
            return Ok(());
        };
        let purpose = "try again and again".to_owned();
        let agent = self.agent(who)?;
        for _ in 0..95 {
            let standing = self
                .people
                .standing(&self.house, &agent, "TaskService/Start")
                .await?;
            let Some(standing) = standing else {
                return Ok(());
            };
            let request = StartRequest {
                purpose: purpose.clone(),
                scopes: [wish.clone()].into(),
                ttl: None,
                parent: None,
                agent: None,
                idempotency_key: None,
            };
            let started = self.house.broker.start_task(&standing, request).await;
            self.tally.of(refused(started, "start a task")?);
        }
        Ok(())
    }
}
