//! Going one way: a credential, or the reason why there is none.

use std::sync::Arc;

use taskpass_api::v1::credential_service_client::CredentialServiceClient;
use taskpass_api::v1::issue_tokens_result::Result as Item;
use taskpass_api::v1::{IssueTokenRequest, IssueTokensRequest};
use taskpass_client::{AgentError, EnrolError, Refused, Renewal, Task, renew};
use taskpass_testkit::wait::PATIENCE;
use taskpass_testkit::{Outcome, run, within};

use crate::column::{Column, Way};
use crate::http::post;
use crate::path::{By, Path, What};

/// A credential, or the reason in the refusal.
pub(crate) type Found = Result<(), String>;

const TOKEN: &str = "/oauth2/token";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const DETAILS: &str = r#"[{"type":"urn:taskpass:task","purpose":"matrix","ttl":600}]"#;

fn why(error: &AgentError) -> String {
    match error {
        AgentError::Refused(refused) => refused.reason.clone(),
        other => format!("not the broker's: {other}"),
    }
}

fn found<T>(outcome: Result<T, AgentError>) -> Found {
    outcome.map(drop).map_err(|error| why(&error))
}

impl Column {
    pub(crate) async fn go(&self, (by, what): Path) -> Found {
        match by {
            By::Identity | By::Federated | By::Svid => within(self.call(self.way(by), what)).await,
            By::Unix => tokio::task::block_in_place(|| self.command(what)),
            By::OauthIdentity | By::OauthKey => {
                tokio::task::block_in_place(|| self.form(by == By::OauthKey, what))
            }
        }
    }

    async fn token_of(&self, task: Result<Task, AgentError>) -> Result<(), AgentError> {
        let token = task?.token(&self.state.target(), ["read"], None).await?;
        assert!(!token.expose().is_empty());
        Ok(())
    }

    async fn call(&self, way: &Way, what: What) -> Found {
        let (task, target) = (&way.task, self.state.target());
        let scopes = [self.state.scope()];
        match what {
            What::Token => found(self.token_of(Ok(task.clone())).await),
            What::Observed => found(task.token(&self.state.observed(), ["read"], None).await),
            What::Batch => self.batch(way).await,
            What::Certificate => found(task.certificate(None).await),
            What::Bound => {
                let bound = task.bound_token(&target, ["read"], None, &self.certificate);
                found(bound.await)
            }
            What::Renewal => self.renewal(task).await,
            What::Start => {
                let started = way.agent.start_task("more", &scopes, None).await;
                found(self.token_of(started).await)
            }
            What::Child => {
                let started = task.start_child("detail", &scopes, None).await;
                found(self.token_of(started).await)
            }
            What::Beneath => found(self.token_of(Ok(self.beneath.clone())).await),
            What::HandOn => found(self.hand_on(task).await),
            What::Lent => found(self.token_of(Ok(self.lent.clone())).await),
            What::Identity => match renew(self.channel.clone(), &self.next_key).await {
                Ok(_) => Ok(()),
                Err(EnrolError::Refused(refused)) => Err(refused.reason),
                Err(other) => Err(format!("not the broker's: {other}")),
            },
            What::Credentials | What::Exchange => panic!("{what:?} is not gRPC"),
        }
    }

    async fn batch(&self, way: &Way) -> Found {
        let item = IssueTokenRequest {
            task_id: way.task.id().to_string(),
            target: self.state.target(),
            scopes: vec!["read".to_owned()],
            ..IssueTokenRequest::default()
        };
        let request = IssueTokensRequest {
            items: vec![item; 2],
        };
        let mut client = CredentialServiceClient::new(way.connection.clone());
        let reply = client.issue_tokens(request).await;
        let results = reply.map_err(|status| Refused::from(status).reason)?;
        let mut found: Vec<Found> = Vec::new();
        for result in results.into_inner().results {
            found.push(match result.result {
                Some(Item::Issued(issued)) if !issued.token.is_empty() => Ok(()),
                Some(Item::Error(error)) => Err(error.reason),
                other => Err(format!("{other:?}")),
            });
        }
        match found.as_slice() {
            [one, other] if one == other => one.clone(),
            differing => Err(format!("{differing:?}")),
        }
    }

    /// What becomes of the next renewal. It begins here if none runs, and goes on afterwards.
    async fn renewal(&self, task: &Task) -> Found {
        let mut running = self.renewing.lock().await;
        let renewing = match running.take() {
            Some(renewing) => renewing,
            None => match task.renewing(self.wanted()).await {
                Ok(renewing) => renewing,
                Err(error) => return Err(why(&error)),
            },
        };
        let before = renewing.current().generation();
        let mut heard = renewing.subscribe();
        let next = heard.wait_for(|newest| {
            let ended = matches!(newest.renewal, Renewal::Ended(_));
            ended || newest.credentials.generation() > before
        });
        let renewal = match tokio::time::timeout(PATIENCE, next).await {
            Ok(Ok(newest)) => newest.renewal.clone(),
            _ => return Err("neither renewed nor ended".to_owned()),
        };
        match renewal {
            Renewal::Ended(error) => Err(why(&error)),
            Renewal::Fresh | Renewal::Failing(_) => {
                *running = Some(renewing);
                Ok(())
            }
        }
    }

    async fn hand_on(&self, task: &Task) -> Result<(), AgentError> {
        let (helper, scopes) = (self.state.helper().parse().unwrap(), [self.state.scope()]);
        let given = task.delegate(&helper, "help", &scopes, None).await?;
        self.token_of(self.helper.take_up(given.id()).await).await
    }

    /// By the program that a rule makes the agent.
    fn command(&self, what: What) -> Found {
        let program = self.house.program(self.state.agent());
        let address = format!("unix:{}", self.house.socket.display());
        let environment = [("TASKPASS_ADDR", address.as_str())];
        let cli = |args: &[&str]| {
            let args = [&["-o", "json"], args].concat();
            said(&run(&program, &environment, &args, b""))
        };
        let task = match what {
            What::Token => self.identity.task.id().to_string(),
            What::Start => {
                let scope = self.state.scope();
                let shown = cli(&["task", "start", "--purpose", "more", "--scope", &scope])?;
                shown["task_id"].as_str().unwrap().to_owned()
            }
            other => panic!("{other:?} is not gone by the command line"),
        };
        let target = self.state.target();
        let issue = ["issue", "token", "--task", &task, "--target", &target];
        let shown = cli(&[&issue[..], &["--scope", "read"]].concat())?;
        assert!(!shown["token"].as_str().unwrap().is_empty());
        Ok(())
    }

    /// By the OAuth front.
    fn form(&self, by_key: bool, what: What) -> Found {
        let (broker, target) = (&self.house.broker, self.state.target());
        let mut parameters = match what {
            What::Credentials => vec![
                ("grant_type", "client_credentials"),
                ("resource", target.as_str()),
                ("scope", "read"),
                ("authorization_details", DETAILS),
            ],
            What::Exchange => vec![
                ("grant_type", EXCHANGE),
                ("subject_token", self.subject.as_str()),
                ("subject_token_type", ACCESS_TOKEN),
            ],
            other => panic!("{other:?} is not OAuth"),
        };
        let assertion = self.key.assertion(broker, self.state.agent());
        let shown = if by_key {
            let named = [
                ("client_assertion_type", JWT_BEARER),
                ("client_assertion", assertion.as_str()),
            ];
            parameters.extend(named);
            None
        } else {
            Some(&self.shown)
        };
        let answer = post(broker, shown, TOKEN, &parameters);
        if answer.status == 200 {
            assert!(!answer.token().is_empty());
            return Ok(());
        }
        Err(answer.error().to_owned())
    }
}

/// The object of a run that succeeded, or the reason of one that was refused.
fn said(outcome: &Outcome) -> Result<serde_json::Value, String> {
    match outcome.code {
        0 => Ok(outcome.json()),
        _ => Err(outcome.reason().to_owned()),
    }
}

/// Columns are walked at the same time.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Arc<Column>>();
};
