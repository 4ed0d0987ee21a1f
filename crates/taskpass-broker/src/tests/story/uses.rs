//! What a credential was used for, by the word of its target's verifier, and of its agent.

use std::time::Duration;

use taskpass_core::audit::{UseItem, UseOutcome};
use taskpass_core::coverage::{BatchId, Window};

use super::Story;
use super::work::{start, token};
use crate::testing::{LEDGER, MAIL, verifier};
use crate::{ReportedUse, Standing, UseBatch, UseReport};

impl Story {
    pub(super) async fn uses(&mut self) {
        let broker = self.t.broker.clone();
        let payer = self.caller("payer").await;
        let task = broker.start_task(&payer, start(&["read"], None)).await;
        let task = task.unwrap().task.id;
        let given = broker.issue_token(&payer, &token(task, &["read"])).await;
        let given = given.unwrap();
        self.issued(&given);
        let now = self.t.now();
        let item = |scope: Option<&str>| {
            UseItem::new(
                scope.map(|scope| scope.parse().unwrap()),
                Some("search \"all\"".to_owned()),
                scope.map(|_| "invoices/\u{1f4d2}".to_owned()),
                UseOutcome::Allowed,
                2,
                (now, now),
            )
        };
        let items: Vec<_> = [Some("read"), Some("send"), None]
            .map(|scope| ReportedUse {
                credential: given.credential.id,
                item: item(scope).unwrap(),
            })
            .into();
        let own = UseReport {
            batch: None,
            items: items.clone(),
            unreadable: 0,
        };
        self.show(&broker.report_use(&payer, &own).await.unwrap());
        let batch = UseBatch {
            id: BatchId::from_slice(&[7; 16]).unwrap(),
            target: LEDGER.parse().unwrap(),
            window: Window {
                from: now.minus(Duration::from_secs(30)),
                until: now,
            },
            lost: 1,
            last: false,
        };
        let mut of_target = UseReport {
            batch: Some(batch),
            items,
            unreadable: 1,
        };
        let traced = Standing {
            trace_id: Some(super::TRACE.to_owned()),
            ..verifier()
        };
        self.show(&broker.report_use(&traced, &of_target).await.unwrap());
        if let Some(batch) = &mut of_target.batch {
            batch.target = MAIL.parse().unwrap();
        }
        let outcome = broker.report_use(&verifier(), &of_target).await;
        self.failed(outcome, "FOREIGN_TARGET");
        broker.complete_task(&payer, task).await.unwrap();
    }
}
