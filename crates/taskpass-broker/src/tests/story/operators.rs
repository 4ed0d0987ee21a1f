//! What operators do: change and read the registry, revoke by every selector.

use taskpass_core::key::{KeyPurpose, KeyRecord, KeyState};
use taskpass_core::registry::{Operator, Owner, Role, Row, RowKey, State};

use taskpass_store::Store;

use super::{REASON, Story};
use crate::testing::{LEDGER, MAIL, ops, verifier};
use crate::{Resume, Revoke, RevokeWhat};

impl Story {
    pub(super) async fn registry(&mut self) {
        let (broker, ops) = (self.t.broker.clone(), ops());
        let owner = RowKey::Owner("guests".parse().unwrap());
        let row = Row::Owner(Owner {
            name: "guests".parse().unwrap(),
            contact: "guests@example".into(),
            limits: taskpass_core::registry::Limits::NONE,
            state: State::Active,
        });
        broker.register(&ops, row.clone()).await.unwrap();
        let outcome = broker.register(&ops, row.clone()).await;
        self.failed(outcome, "ALREADY_REGISTERED");
        let updated = broker.update(&ops, row, 1, "").await.unwrap();
        assert_eq!(updated.version, 2);
        let operator = RowKey::Operator("temp".parse().unwrap());
        let row = Row::Operator(Operator {
            name: "temp".parse().unwrap(),
            roles: [Role::Auditor].into(),
            state: State::Active,
        });
        broker.register(&ops, row).await.unwrap();
        let row = Row::Operator(Operator {
            name: "temp".parse().unwrap(),
            roles: [Role::Responder].into(),
            state: State::Active,
        });
        let outcome = broker.update(&ops, row.clone(), 1, "").await;
        self.failed(outcome, "INVALID_REASON");
        broker.update(&ops, row, 1, REASON).await.unwrap();
        let mail = RowKey::Target(MAIL.parse().unwrap());
        let verifier = RowKey::Verifier("ledger".parse().unwrap());
        for key in [mail, verifier] {
            broker.suspend(&ops, key.clone(), REASON).await.unwrap();
            broker
                .resume(&ops, Resume::Entry(key), REASON)
                .await
                .unwrap();
        }
        broker.retire(&ops, operator, REASON).await.unwrap();
        broker.retire(&ops, owner.clone(), REASON).await.unwrap();
        let outcome = broker.retire(&ops, owner.clone(), REASON).await;
        self.failed(outcome, "RETIRED");

        broker.entry_of(&ops, &owner).await.unwrap();
        broker.registry_for(&ops, "list of owners").await.unwrap();
        broker.list_revocations(&ops, 0, 10).await.unwrap();
        let keys = broker.list_keys(&ops).await.unwrap();
        self.show(&keys);
        let tasks = broker
            .list_tasks(&ops, crate::TaskFilter::default(), None, 10)
            .await
            .unwrap();
        for view in tasks.items {
            let id = view.task.id;
            broker.task(&ops, id).await.unwrap();
            let page = broker.list_credentials(&ops, id, None, 10).await.unwrap();
            for credential in page.items {
                broker.credential(&ops, credential.id).await.unwrap();
            }
        }
    }

    async fn revoke(&mut self, what: RevokeWhat, dry_run: bool) {
        let request = Revoke {
            what,
            reason: REASON.into(),
            dry_run,
            no_suspend: false,
        };
        let revoked = self.t.broker.revoke(&ops(), &request).await.unwrap();
        self.show(&revoked);
        self.t.advance(2);
    }

    async fn resume(&mut self, what: Resume) {
        self.t.broker.resume(&ops(), what, REASON).await.unwrap();
        self.t.advance(2);
    }

    /// By every selector, each with something to end.
    pub(super) async fn revocations(&mut self) {
        let agent: taskpass_core::AgentName = "payer".parse().unwrap();
        let keys = self.t.store.keys().await.unwrap();
        let signs = |key: &&KeyRecord| {
            key.purpose == KeyPurpose::TokenEs256 && key.state == KeyState::Active
        };
        let key = keys.iter().find(signs).unwrap().id.to_string();
        for step in 0..7 {
            let root = self.t.start("payer", &["read"]).await.unwrap();
            let part = self.t.start_under("payer", &["read"], Some(root)).await;
            let token = self.t.token("payer", part.unwrap()).await.unwrap();
            self.issued(&token);
            let (what, resume) = match step {
                0 => (RevokeWhat::Credential(token.credential.id), None),
                1 => (RevokeWhat::Task(root), None),
                2 => {
                    let what = RevokeWhat::Agent(agent.clone());
                    self.revoke(what.clone(), true).await;
                    (what, Some(RowKey::Agent(agent.clone())))
                }
                3 => {
                    let target = LEDGER.parse().unwrap();
                    let key = RowKey::Target(LEDGER.parse().unwrap());
                    (RevokeWhat::Target(target), Some(key))
                }
                4 => (RevokeWhat::Key(key.clone()), None),
                5 => {
                    let owner = RowKey::Owner("team".parse().unwrap());
                    (RevokeWhat::Owner("team".parse().unwrap()), Some(owner))
                }
                _ => (RevokeWhat::Everything, None),
            };
            let everything = what == RevokeWhat::Everything;
            self.revoke(what, false).await;
            self.t.broker.settle().await.unwrap();
            if let Some(key) = resume {
                self.resume(Resume::Entry(key)).await;
            }
            if everything {
                let outcome = self.t.start("payer", &["read"]).await;
                self.failed(outcome, "BROKER_HALTED");
                self.resume(Resume::Everything).await;
            }
        }
        self.drill().await;
    }

    /// With a verifier on the feed that says nothing.
    async fn drill(&mut self) {
        crate::tests::drill::label(&self.t, "payer").await;
        let task = self.t.start("payer", &["read"]).await.unwrap();
        let token = self.t.token("payer", task).await.unwrap();
        self.issued(&token);
        let silent = self.t.broker.subscribe(&verifier(), 0, 0).unwrap();
        let request = crate::tests::drill::request(token.credential.id);
        let drilled = self.t.broker.drill(&ops(), &request).await.unwrap();
        drop(silent);
        self.show(&drilled);
    }
}
