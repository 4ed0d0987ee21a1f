//! Tasks, tokens and certificates: given, refused, presented.

use taskpass_core::audit::Attestation;
use taskpass_core::key::KeyId;
use taskpass_core::secret::Sha256;
use taskpass_core::{ScopeRef, TaskId, Ttl};

use super::{PURPOSE, Story};
use crate::testing::{LEDGER, MAIL, as_agent, leaf, ops, verifier};
use crate::{CertificateRequest, IssuedToken, Presented, Standing, StartRequest, TokenRequest};

const IDEMPOTENCY: &str = "idempotency-canary-0b7e3c1f5a";

pub(super) fn start(scopes: &[&str], parent: Option<TaskId>) -> StartRequest {
    let scope = |name: &&str| -> ScopeRef { format!("{LEDGER}#{name}").parse().unwrap() };
    StartRequest {
        purpose: PURPOSE.into(),
        scopes: scopes.iter().map(scope).collect(),
        ttl: None,
        parent,
        agent: None,
        idempotency_key: None,
    }
}

pub(super) fn token(task: TaskId, scopes: &[&str]) -> TokenRequest {
    TokenRequest {
        task,
        target: LEDGER.parse().unwrap(),
        scopes: scopes.iter().map(|name| name.parse().unwrap()).collect(),
        ttl: Some(Ttl::from_mins(10)),
        bind: None,
    }
}

impl Story {
    /// Remembers a token that was issued: whole, and its signature.
    pub(super) fn issued(&mut self, token: &IssuedToken) -> String {
        let text = token.token.expose().to_owned();
        self.show(token);
        self.secret("a token", &text);
        self.secret("a token's signature", text.rsplit('.').next().unwrap());
        text
    }

    pub(super) async fn work(&mut self) {
        let broker = self.t.broker.clone();
        let payer = self.caller("payer").await;
        let mut keyed = start(&["read", "send"], None);
        keyed.ttl = Some(Ttl::from_mins(45));
        keyed.idempotency_key = Some(IDEMPOTENCY.to_owned());
        self.secret("an idempotency key", IDEMPOTENCY);
        let task = broker
            .start_task(&payer, keyed.clone())
            .await
            .unwrap()
            .task
            .id;
        let other = StartRequest {
            purpose: "another".into(),
            ..keyed
        };
        let outcome = broker.start_task(&payer, other).await;
        self.failed(outcome, "IDEMPOTENCY_KEY_REUSED");
        // A part of it, asked to last longer than the whole.
        let part = start(&["read"], Some(task));
        let part = broker.start_task(&payer, part).await.unwrap();
        assert!(part.clamped_by.is_some());
        self.refused_starts(&payer, task).await;
        self.tokens(&payer, task, part.task.id).await;
        self.presented().await;
        self.by_a_registered_key(&payer, task).await;
        self.by_the_word_of_others(&payer).await;
        // Done: of the part nothing lives, of the whole its credentials do.
        let outcome = broker.complete_task(&as_agent("reader"), task).await;
        self.failed(outcome, "TASK_NOT_FOUND");
        broker.complete_task(&payer, part.task.id).await.unwrap();
        let (_, ended) = broker.complete_task(&payer, task).await.unwrap();
        assert!(ended > 0);
        let outcome = broker.issue_token(&payer, &token(task, &["read"])).await;
        self.failed(outcome, "TASK_NOT_ACTIVE");
    }

    /// The same by the word of others: a task, a token, a certificate, and a refusal of each.
    async fn by_the_word_of_others(&mut self, payer: &Standing) {
        let broker = self.t.broker.clone();
        let others = [
            Attestation::FederatedJwt {
                issuer: "cluster".into(),
                subject: "system:serviceaccount:prod:payer".into(),
                key: "k1".into(),
            },
            Attestation::ForeignSvid {
                spiffe_id: "spiffe://prod.example/ns/prod/sa/payer".into(),
                key: Sha256::of(b"svid"),
            },
            Attestation::Unix {
                uid: 1000,
                gid: 1000,
                executable: Some("/usr/bin/payer".into()),
            },
        ];
        for attestation in others {
            let caller = Standing {
                attestation,
                generation: 0,
                ..payer.clone()
            };
            let own = broker.start_task(&caller, start(&["read"], None)).await;
            let own = own.unwrap().task.id;
            let given = broker.issue_token(&caller, &token(own, &["read"])).await;
            self.issued(&given.unwrap());
            let outcome = broker.issue_token(&caller, &token(own, &["send"])).await;
            self.failed(outcome, "SCOPE_EXCEEDS_TASK");
            let outcome = broker.renew_identity(&caller, &crate::testing::csr()).await;
            self.failed(outcome, "UNAUTHENTICATED");
            broker.complete_task(&caller, own).await.unwrap();
        }
    }

    /// The same without a certificate; and what an agent does with tokens.
    async fn by_a_registered_key(&mut self, payer: &Standing, task: TaskId) {
        let broker = self.t.broker.clone();
        let keyed = Standing {
            attestation: Attestation::PrivateKeyJwt {
                key: KeyId::from_thumbprint(Sha256::of(b"client")),
            },
            ..payer.clone()
        };
        let own = broker.start_task(&keyed, start(&["read"], None)).await;
        let own = own.unwrap().task.id;
        let given = broker.issue_token(&keyed, &token(own, &["read"])).await;
        let given = self.issued(&given.unwrap());
        let outcome = broker.issue_token(&keyed, &token(own, &["send"])).await;
        self.failed(outcome, "SCOPE_EXCEEDS_TASK");
        let reader = as_agent("reader");
        assert!(
            broker
                .subject(&reader, &given, None)
                .await
                .unwrap()
                .is_none()
        );
        assert!(!broker.give_up(&reader, &given).await.unwrap());
        assert!(
            broker
                .subject(&keyed, &given, None)
                .await
                .unwrap()
                .is_some()
        );
        assert!(broker.give_up(&keyed, &given).await.unwrap());
        assert!(!broker.give_up(&keyed, &given).await.unwrap());
        assert!(
            broker
                .subject(&keyed, &given, None)
                .await
                .unwrap()
                .is_none()
        );
        let outcome = broker.complete_task(&keyed, own).await;
        outcome.unwrap();
        let outcome = broker
            .complete_task(
                &Standing {
                    caller: reader.caller,
                    ..keyed
                },
                task,
            )
            .await;
        self.failed(outcome, "TASK_NOT_FOUND");
    }

    async fn refused_starts(&mut self, payer: &Standing, task: TaskId) {
        let broker = self.t.broker.clone();
        let reader = self.caller("reader").await;
        let outcome = broker.start_task(&reader, start(&["write"], None)).await;
        self.failed(outcome, "POLICY_DENIED");
        let foreign = start(&["read"], Some(task));
        let outcome = broker.start_task(&reader, foreign).await;
        self.failed(outcome, "TASK_NOT_FOUND");
        let beyond = start(&["write"], Some(task));
        let outcome = broker.start_task(payer, beyond).await;
        self.failed(outcome, "SCOPE_EXCEEDS_TASK");
    }

    async fn tokens(&mut self, payer: &Standing, task: TaskId, part: TaskId) {
        let broker = self.t.broker.clone();
        for task in [task, part] {
            let plain = broker.issue_token(payer, &token(task, &["read"])).await;
            self.issued(&plain.unwrap());
        }
        let (csr, private) = self.key_pair();
        let mut wanted = CertificateRequest {
            task,
            csr,
            profile: taskpass_core::access::CertificateProfile::Client,
            ttl: None,
        };
        let certificate = broker.issue_certificate(payer, &wanted).await.unwrap();
        self.show(&certificate);
        wanted.ttl = Some(Ttl::from_hours(2));
        let short = broker.issue_certificate(payer, &wanted).await.unwrap();
        assert!(short.clamped_by.is_some());
        let outcome = broker.issue_certificate(&as_agent("reader"), &wanted).await;
        self.failed(outcome, "TASK_NOT_FOUND");
        wanted.csr.clone_from(&private);
        let outcome = broker.issue_certificate(payer, &wanted).await;
        self.failed(outcome, "INVALID_CSR");

        let mut bound = token(task, &["send"]);
        let outcome = broker.issue_token(payer, &bound).await;
        self.failed(outcome, "BINDING_REQUIRED");
        bound.bind = Some(private);
        let outcome = broker.issue_token(payer, &bound).await;
        self.failed(outcome, "INVALID_BINDING");
        bound.bind = Some(leaf(&certificate));
        let bound = broker.issue_token(payer, &bound).await.unwrap();
        assert!(bound.clamped_by.is_none());
        self.issued(&bound);
        let outcome = broker.issue_token(payer, &token(task, &["write"])).await;
        self.failed(outcome, "SCOPE_EXCEEDS_TASK");
        let mut elsewhere = token(task, &["read"]);
        elsewhere.target = MAIL.parse().unwrap();
        let outcome = broker.issue_token(payer, &elsewhere).await;
        self.failed(outcome, "SCOPE_EXCEEDS_TASK");
        let reader = self.caller("reader").await;
        let own = broker.start_task(&reader, start(&["read"], None)).await;
        let own = own.unwrap().task.id;
        let outcome = broker.issue_token(&reader, &token(own, &["send"])).await;
        self.failed(outcome, "POLICY_DENIED");
        let outcome = broker.issue_token(&reader, &token(own, &[])).await;
        self.failed(outcome, "INVALID_SCOPE");
    }

    /// Tokens at introspection: right ones, cut ones, forged ones, and what is none.
    async fn presented(&mut self) {
        let broker = self.t.broker.clone();
        let tokens: Vec<_> = self
            .secrets
            .iter()
            .filter(|(what, _)| *what == "a token")
            .map(|(_, token)| String::from_utf8(token.clone()).unwrap())
            .collect();
        assert!(tokens.len() >= 3);
        for token in tokens {
            let cut = token.get(..token.len() - 1).unwrap().to_owned();
            let payload = token.split('.').nth(1).unwrap();
            let forged = format!("forged-canary-91d.{payload}.c2lnbmF0dXJlLWNhbmFyeS05MWQ");
            let none = format!("token-canary-{}", token.get(token.len() - 20..).unwrap());
            for (presented, valid) in [(token, true), (cut, false), (forged, false), (none, false)]
            {
                self.secret("a presented token", &presented);
                for caller in [ops(), verifier()] {
                    let presented = Presented::Token(&presented);
                    let found = broker.introspect(&caller, &presented).await.unwrap();
                    assert_eq!(found.is_some(), valid);
                    self.show(&found);
                }
            }
        }
        let private = self.key_pair().1;
        let presented = Presented::Certificate(&private);
        assert!(
            broker
                .introspect(&ops(), &presented)
                .await
                .unwrap()
                .is_none()
        );
    }

    /// More denials than are recorded one by one: of an agent, and of nobody in particular.
    pub(super) async fn denials(&mut self) {
        let broker = self.t.broker.clone();
        let reader = self.caller("reader").await;
        for _ in 0..70 {
            let outcome = broker.start_task(&reader, start(&["write"], None)).await;
            self.failed(outcome, "POLICY_DENIED");
            let outcome = broker.enrol("tpe_canary-of-somebody-unknown", b"").await;
            self.failed(outcome, "ENROLMENT_REFUSED");
        }
        self.secret(
            "a malformed enrolment token",
            "tpe_canary-of-somebody-unknown",
        );
        self.t.advance(61);
        broker.record_counted_denials().await.unwrap();
    }
}
