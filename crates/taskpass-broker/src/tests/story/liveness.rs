//! A task that is tied to a process, which goes.

use super::Story;
use super::work::{start, token};
use crate::testing::as_agent;

impl Story {
    pub(super) async fn liveness(&mut self) {
        let broker = self.t.broker.clone();
        let payer = self.caller("payer").await;
        let started = broker.start_task(&payer, start(&["read"], None)).await;
        let task = started.unwrap().task.id;
        let issued = broker.issue_token(&payer, &token(task, &["read"])).await;
        self.issued(&issued.unwrap());
        let outcome = broker.keep_alive(&as_agent("reader"), task).await;
        self.failed(outcome, "TASK_NOT_FOUND");
        let kept = broker.keep_alive(&payer, task).await.unwrap();
        self.show(&kept);
        drop(kept);
        self.t.sweep_for(31).await;
        let outcome = broker.keep_alive(&payer, task).await;
        self.failed(outcome, "TASK_NOT_ACTIVE");
    }
}
