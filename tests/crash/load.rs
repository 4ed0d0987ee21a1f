//! The load: agents that start and complete tasks and take credentials, and an operator who
//! revokes, each writing down what happened until the broker is gone.

use std::sync::Arc;
use std::time::Duration;

use taskpass_api::v1::{
    CompleteRequest, IssueCertificateRequest, IssueTokenRequest, IssueTokensRequest,
    RevocationSelector, RevokeRequest, StartRequest, issue_tokens_result,
    revocation_selector::Selector,
};
use taskpass_client::{LocalKey, Refused};
use taskpass_core::rng::Rng;
use taskpass_testkit::calls::Services;
use tonic::Status;

use crate::ledger::{Handed, Ledger, Ruling, Start, What};

pub(crate) const LEDGER: &str = "https://ledger.example";
pub(crate) const READ: &str = "https://ledger.example#invoices:read";

/// What a task allows while the operator is about: these end the task for its worker, no more.
const OVER: [&str; 2] = ["TASK_NOT_ACTIVE", "TASK_NOT_FOUND"];

/// The connection is gone, or the caller is not accepted any more.
pub(crate) struct Gone;

/// One agent on one connection.
pub(crate) struct Worker {
    pub(crate) services: Services,
    pub(crate) agent: String,
    pub(crate) ledger: Ledger,
    pub(crate) rng: Arc<dyn Rng>,
    /// Whether the operator revokes this agent: then it may be refused.
    pub(crate) doomed: bool,
}

impl Worker {
    /// Works until the broker is gone.
    pub(crate) async fn run(self) {
        let mut tasks: Vec<String> = Vec::new();
        loop {
            let done = match self.rng.below(100) {
                draw if tasks.is_empty() || draw < 12 => self.start(&mut tasks).await,
                12..17 if tasks.len() > 1 => self.complete(&mut tasks).await,
                12..60 => self.token(&mut tasks).await,
                60..85 => self.batch(&mut tasks).await,
                _ => self.certificate(&mut tasks).await,
            };
            if done.is_err() {
                return;
            }
        }
    }

    fn any(&self, tasks: &[String]) -> String {
        let bound = u64::try_from(tasks.len()).expect("few tasks");
        tasks[usize::try_from(self.rng.below(bound)).expect("few tasks")].clone()
    }

    async fn start(&self, tasks: &mut Vec<String>) -> Result<(), Gone> {
        let parent = if !tasks.is_empty() && self.rng.below(4) == 0 {
            self.any(tasks)
        } else {
            String::new()
        };
        let key = match self.rng.below(2) {
            0 => String::new(),
            _ => format!("{:016x}", self.rng.below(u64::MAX)),
        };
        let start = Start {
            agent: self.agent.clone(),
            parent: parent.clone(),
            key,
            purpose: "load".to_owned(),
            task: None,
        };
        let asked = self.ledger.ask_start(start.clone());
        match self.services.tasks().start(request(&start)).await {
            Ok(reply) => {
                let task = reply.into_inner().task_id;
                self.ledger.started(asked, &task);
                tasks.push(task);
                Ok(())
            }
            Err(status) if Refused::from(status.clone()).is("TASK_TOO_DEEP") => Ok(()),
            Err(status) => self.refused("start", status, tasks, &parent),
        }
    }

    async fn complete(&self, tasks: &mut Vec<String>) -> Result<(), Gone> {
        let task = self.any(tasks);
        let ruling = Ruling::Completed {
            task: task.clone(),
            agent: self.agent.clone(),
        };
        let asked = self.ledger.ask(ruling);
        let request = CompleteRequest {
            task_id: task.clone(),
        };
        match self.services.tasks().complete(request).await {
            Ok(_) => {
                self.ledger.acknowledge(asked, 0);
                tasks.retain(|other| *other != task);
                Ok(())
            }
            Err(status) => self.refused("complete", status, tasks, &task),
        }
    }

    async fn token(&self, tasks: &mut Vec<String>) -> Result<(), Gone> {
        let task = self.any(tasks);
        match self.services.credentials().issue_token(wish(&task)).await {
            Ok(reply) => {
                let reply = reply.into_inner();
                self.hand(reply.credential_id, &task, What::Token(reply.token));
                Ok(())
            }
            Err(status) => self.refused("issue a token", status, tasks, &task),
        }
    }

    async fn batch(&self, tasks: &mut Vec<String>) -> Result<(), Gone> {
        let wishes: Vec<_> = (0..2 + self.rng.below(9))
            .map(|_| self.any(tasks))
            .collect();
        let items = wishes.iter().map(|task| wish(task)).collect();
        let request = IssueTokensRequest { items };
        let results = match self.services.credentials().issue_tokens(request).await {
            Ok(reply) => reply.into_inner().results,
            Err(status) => return self.refused("issue tokens", status, tasks, ""),
        };
        if results.len() != wishes.len() {
            self.ledger
                .unexpected(format!("{} results for {}", results.len(), wishes.len()));
        }
        for (task, result) in wishes.iter().zip(results) {
            match result.result {
                Some(issue_tokens_result::Result::Issued(reply)) => {
                    self.hand(reply.credential_id, task, What::Token(reply.token));
                }
                Some(issue_tokens_result::Result::Error(error)) => {
                    self.reason("an item of a batch", &error.reason, tasks, task);
                }
                None => self.ledger.unexpected("an empty result".to_owned()),
            }
        }
        Ok(())
    }

    async fn certificate(&self, tasks: &mut Vec<String>) -> Result<(), Gone> {
        let task = self.any(tasks);
        let key = LocalKey::generate().expect("a key pair can be made");
        let request = IssueCertificateRequest {
            task_id: task.clone(),
            csr: key.csr_der().to_vec().into(),
            ttl: None,
            ..IssueCertificateRequest::default()
        };
        match self.services.credentials().issue_certificate(request).await {
            Ok(reply) => {
                let reply = reply.into_inner();
                self.hand(
                    reply.credential_id,
                    &task,
                    What::Certificate(reply.cert_pem),
                );
                Ok(())
            }
            Err(status) => self.refused("issue a certificate", status, tasks, &task),
        }
    }

    fn hand(&self, id: String, task: &str, what: What) {
        self.ledger.hand(Handed {
            id,
            task: task.to_owned(),
            agent: self.agent.clone(),
            what,
        });
    }

    fn refused(
        &self,
        what: &str,
        status: Status,
        tasks: &mut Vec<String>,
        task: &str,
    ) -> Result<(), Gone> {
        if is_broken(&status) {
            return broken(&self.ledger, what, &status);
        }
        let refused = Refused::from(status);
        self.reason(what, &refused.reason, tasks, task);
        match refused.reason.as_str() {
            "UNAUTHENTICATED" => Err(Gone),
            _ => Ok(()),
        }
    }

    fn reason(&self, what: &str, reason: &str, tasks: &mut Vec<String>, task: &str) {
        if OVER.contains(&reason) {
            tasks.retain(|other| other != task);
        } else if !(self.doomed && ["UNAUTHENTICATED", "RETRY_AFTER_REVOCATION"].contains(&reason))
        {
            self.ledger
                .unexpected(format!("{} could not {what}: {reason}", self.agent));
        }
    }
}

/// The request that a start is, always the same one.
pub(crate) fn request(start: &Start) -> StartRequest {
    StartRequest {
        purpose: start.purpose.clone(),
        scopes: vec![READ.to_owned()],
        ttl: None,
        parent_task_id: start.parent.clone(),
        idempotency_key: start.key.clone(),
        agent: String::new(),
    }
}

fn wish(task: &str) -> IssueTokenRequest {
    IssueTokenRequest {
        task_id: task.to_owned(),
        target: LEDGER.to_owned(),
        scopes: vec!["invoices:read".to_owned()],
        ttl: None,
        bind_certificate: Vec::new().into(),
    }
}

/// Whether an answer is not a broker's.
fn is_broken(status: &Status) -> bool {
    status.details().is_empty()
}

fn broken(ledger: &Ledger, what: &str, status: &Status) -> Result<(), Gone> {
    if !ledger.is_ending() {
        ledger.unexpected(format!("broke while the broker ran ({what}): {status:?}"));
    }
    Err(Gone)
}

/// The operator, who revokes what was just handed out, and one agent.
pub(crate) struct Operator {
    pub(crate) services: Services,
    pub(crate) ledger: Ledger,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) victim: String,
}

impl Operator {
    pub(crate) async fn run(self) {
        let mut victim = Some(self.victim.clone());
        loop {
            tokio::time::sleep(Duration::from_millis(3 + self.rng.below(20))).await;
            let handed = self.ledger.notes().handed.clone();
            let ripe =
                |name: &mut String| handed.iter().filter(|one| one.agent == *name).count() > 8;
            let (ruling, selector) = if let Some(name) = victim.take_if(ripe) {
                (Ruling::Agent(name.clone(), 0), Selector::Agent(name))
            } else if let Some(one) = self.pick(&handed) {
                if self.rng.below(6) == 0 {
                    let id = one.task.clone();
                    (Ruling::Task(id.clone()), Selector::TaskId(id))
                } else {
                    let id = one.id.clone();
                    (Ruling::Credential(id.clone()), Selector::CredentialId(id))
                }
            } else {
                continue;
            };
            if self.revoke(ruling, selector).await.is_err() {
                return;
            }
        }
    }

    /// One of the newest fifty.
    fn pick<'a>(&self, handed: &'a [Handed]) -> Option<&'a Handed> {
        let window = u64::try_from(handed.len().min(50)).expect("few");
        let back = usize::try_from(self.rng.below(window)).expect("few");
        handed.iter().rev().nth(back)
    }

    async fn revoke(&self, ruling: Ruling, selector: Selector) -> Result<(), Gone> {
        let again = |asked: &crate::ledger::Asked| asked.ruling == ruling;
        if self.ledger.notes().asked.iter().any(again) {
            return Ok(());
        }
        let asked = self.ledger.ask(ruling);
        let request = RevokeRequest {
            selector: Some(RevocationSelector {
                selector: Some(selector),
            }),
            reason: "drill".to_owned(),
            dry_run: false,
            no_suspend: true,
        };
        match self.services.revocations().revoke(request).await {
            Ok(reply) => {
                self.ledger.acknowledge(asked, reply.into_inner().seq);
                Ok(())
            }
            Err(status) if is_broken(&status) => broken(&self.ledger, "revoke", &status),
            Err(status) => {
                self.ledger.unexpected(format!("not revoked: {status:?}"));
                Ok(())
            }
        }
    }
}
