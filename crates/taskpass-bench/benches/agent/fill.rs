//! A million credentials, and agents with fewer: recorded as issuing records them, without signatures.

use std::time::Duration;

use taskpass_bench::pace::since;
use taskpass_core::credential::{Credential, CredentialBody, CredentialKind};
use taskpass_core::id::DecisionId;
use taskpass_core::listing::{ListPlace, list_hour};
use taskpass_core::secret::Sha256;
use taskpass_core::task::Task;
use taskpass_core::{CredentialId, TaskId, Timestamp};
use taskpass_store::{Change, Commit, Lane, Store as _};

use crate::rows::LEDGER;
use crate::{ALL, Bench, CERTIFICATES, EACH, MEDIUM, MEDIUM_EACH, TASKS, TURNS, medium, tokens};

impl Bench {
    pub(crate) fn task(&self, agent: &str) -> Task {
        let now = self.bare.clock.now();
        Task {
            id: TaskId::generate(now.plus(Duration::from_hours(2)), &*self.bare.rng),
            agent: agent.parse().unwrap(),
            purpose: "bench".into(),
            scopes: [format!("{LEDGER}#read").parse().unwrap()].into(),
            ancestors: Vec::new(),
            started_at: now,
            decision: DecisionId::generate(now, &*self.bare.rng),
            ended: None,
        }
    }

    /// The `n`th credential: they end one after the other.
    pub(crate) fn credential(&self, task: &Task, n: u64) -> Credential {
        let now = self.bare.clock.now();
        let (first, last) = (self.ends.0.millis(), self.ends.1.millis());
        let end = Timestamp::from_millis(first + (last - first) * n / ALL);
        let is_certificate = n.is_multiple_of(10);
        let place = if is_certificate {
            n / 10
        } else {
            n - n / 10 - 1
        };
        Credential {
            id: CredentialId::generate(end, &*self.bare.rng),
            task: task.id,
            ancestors: Vec::new(),
            agent: task.agent.clone(),
            owner: "team".parse().unwrap(),
            issued_at: now,
            key: if is_certificate {
                self.authority.1.clone()
            } else {
                self.token_key.clone()
            },
            decision: DecisionId::generate(now, &*self.bare.rng),
            digest: Sha256::of(&n.to_be_bytes()),
            listed: ListPlace::from_number(place),
            body: if is_certificate {
                CredentialBody::Certificate
            } else {
                CredentialBody::Token {
                    target: LEDGER.parse().unwrap(),
                    scopes: vec!["read".parse().unwrap()],
                    bound_to: None,
                }
            },
        }
    }

    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Duration {
        let mut commit = Commit::new(self.bare.clock.now()).in_lane(Lane::Normal);
        commit.changes = changes;
        let began = self.bare.clock.monotonic();
        self.bare.store.commit(commit).await.unwrap();
        since(began, &*self.bare.clock)
    }

    pub(crate) async fn start(&self, task: &Task) {
        let start = Change::StartTask {
            task: task.clone(),
            idempotency: None,
            owner: "team".parse().unwrap(),
        };
        self.commit(vec![start]).await;
    }

    /// Places for all, then the credentials.
    pub(crate) async fn fill(&self) {
        let kinds = [
            (CredentialKind::Token, tokens()),
            (CredentialKind::Certificate, CERTIFICATES),
        ];
        for (kind, next) in kinds {
            let hour = list_hour(self.ends.0);
            self.commit(vec![Change::LeasePlaces { kind, hour, next }])
                .await;
        }
        for number in 0..TASKS {
            let task = self.task("large");
            self.start(&task).await;
            let own = number * EACH..(number + 1) * EACH;
            let record = own.map(|n| Change::RecordCredential(self.credential(&task, n)));
            self.commit(record.collect()).await;
        }
    }

    /// Tokens only, for each of the medium agents, under fifty tasks.
    pub(crate) async fn fill_medium(&self) {
        for number in 0..MEDIUM {
            for part in 0..MEDIUM_EACH / EACH {
                let task = self.task(&medium(number));
                self.start(&task).await;
                let first = ALL - CERTIFICATES + TURNS as u64;
                let first = first + number * MEDIUM_EACH + part * EACH;
                let record = (0..EACH).map(|n| {
                    let mut credential = self.credential(&task, part * EACH + n / 9 * 10 + 1);
                    credential.listed = ListPlace::from_number(first + n);
                    Change::RecordCredential(credential)
                });
                self.commit(record.collect()).await;
            }
        }
    }
}
