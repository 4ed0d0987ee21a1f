//! What agents do, and what they must get.

use taskpass_core::Ttl;
use taskpass_core::access::CertificateProfile;
use taskpass_store::Store as _;

use super::picture::{
    AGENTS, Credential, Held, LIVE_TASKS, LIVES, MOST_HOLDS, SCOPES, TARGETS, Task, Tie, scopes,
};
use super::run::Run;
use crate::testing::{as_agent, csr};
use crate::{CertificateRequest, Error, StartRequest, TokenRequest};

impl Run {
    pub(super) async fn start(&mut self, parent: Option<usize>, wish: (usize, usize, usize)) {
        let (agent, set, life) = wish;
        let now = self.now();
        let above = parent.map(|parent| self.model.task(now, parent));
        if above == Some(None) {
            return;
        }
        let parent = above.flatten();
        let set = parent.map_or(set, |parent| self.model.part(parent, set));
        let by = parent.map_or(agent, |parent| self.model.tasks[parent].agent);
        let request = StartRequest {
            purpose: "random".into(),
            scopes: scopes(set),
            ttl: Some(Ttl::from_mins(LIVES[life])),
            parent: parent.map(|parent| self.model.tasks[parent].id),
            agent: parent.map(|_| AGENTS[agent].parse().unwrap()),
            idempotency_key: None,
        };
        let allowed = self.model.may_start(now, parent, agent, set);
        let caller = as_agent(AGENTS[by]);
        let started = match self.t.broker.start_task(&caller, request).await {
            Ok(reply) => Some(reply.task),
            Err(_) if self.store.is_dead() => self.unknown_task().await,
            Err(Error::LimitReached(reached)) => {
                assert!(allowed, "{reached}");
                let mut chain = parent
                    .map(|task| self.model.chain(task))
                    .unwrap_or_default();
                chain.insert(agent);
                let (_, counted) = self.model.most_tasks(now, &chain);
                assert!(counted >= usize::try_from(LIVE_TASKS).unwrap(), "{reached}");
                None
            }
            Err(error) => {
                assert!(!allowed, "{error:?}");
                None
            }
        };
        let Some(task) = started else { return };
        assert!(allowed, "{} was started", task.id);
        self.note_task(&task, parent, (agent, set));
    }

    fn note_task(
        &mut self,
        task: &taskpass_core::task::Task,
        parent: Option<usize>,
        (agent, set): (usize, usize),
    ) {
        let model = &mut self.model;
        let mut line = vec![model.tasks.len()];
        line.extend(parent.iter().flat_map(|above| &model.tasks[*above].line));
        assert_eq!(task.ancestors.len(), line.len() - 1);
        for (above, place) in task.ancestors.iter().zip(&line[1..]) {
            let known = &model.tasks[*place];
            assert_eq!(
                (above.task, above.agent.as_str()),
                (known.id, AGENTS[known.agent])
            );
            assert!(task.deadline_at() <= known.id.deadline());
            assert!(task.scopes.is_subset(&scopes(known.scopes)));
        }
        model.tasks.push(Task {
            id: task.id,
            line,
            agent,
            scopes: set,
            over: false,
            tie: None,
        });
        let last = model.tasks.len() - 1;
        let (count, _) = model.most_tasks(self.t.now(), &model.chain(last));
        assert!(
            count <= usize::try_from(LIVE_TASKS).unwrap(),
            "{count} live tasks"
        );
    }

    /// A task that was recorded before its answer was lost.
    async fn unknown_task(&self) -> Option<taskpass_core::task::Task> {
        let all = self.t.store.tasks(None, None, 10_000).await.unwrap().items;
        let known = |id| self.model.tasks.iter().any(|task| task.id == id);
        all.into_iter().find(|task| !known(task.id))
    }

    pub(super) async fn issue(&mut self, task: usize, scope: Option<usize>) {
        let now = self.now();
        let Some(task) = self.model.task(now, task) else {
            return;
        };
        let scope = scope.map(|scope| self.model.scope(task, scope));
        let known = &self.model.tasks[task];
        let id = known.id;
        let caller = as_agent(AGENTS[known.agent]);
        let broker = &self.t.broker;
        let outcome = if let Some(scope) = scope {
            let (target, name) = SCOPES[scope];
            let request = TokenRequest {
                task: id,
                target: TARGETS[target].parse().unwrap(),
                scopes: [name.parse().unwrap()].into(),
                ttl: Some(Ttl::from_mins(5)),
                bind: None,
            };
            let issued = broker.issue_token(&caller, &request).await;
            issued.map(|token| (token.credential.clone(), Held::Token(token)))
        } else {
            let request = CertificateRequest {
                task: id,
                csr: csr(),
                profile: CertificateProfile::Client,
                ttl: Some(Ttl::from_mins(10)),
            };
            let issued = broker.issue_certificate(&caller, &request).await;
            issued.map(|issued| (issued.credential.clone(), Held::Certificate(issued)))
        };
        let allowed = self.model.may_issue(now, task, scope);
        let issued = match outcome {
            Ok(issued) => Some(issued),
            Err(_) if self.store.is_dead() => {
                let lost = self.unknown_credential(task).await;
                lost.map(|credential| (credential, Held::Nothing))
            }
            Err(Error::LimitReached(reached)) => {
                assert!(allowed && self.model.is_full(now, task), "{reached}");
                return;
            }
            // In the last second of its life there is nothing left to live in.
            Err(Error::TaskNotActive { .. }) if id.deadline().secs() <= now.secs() + 1 => return,
            Err(error) => {
                assert!(!allowed, "{error:?}");
                return;
            }
        };
        let Some((credential, held)) = issued else {
            return;
        };
        assert!(
            allowed && !self.model.is_full(now, task),
            "issued under {id}"
        );
        for above in &self.model.tasks[task].line {
            assert!(credential.expires_at() <= self.model.tasks[*above].id.deadline());
        }
        self.model.credentials.push(Credential {
            id: credential.id,
            held,
            task,
            target: scope.map(|scope| SCOPES[scope].0),
            key: credential.key.clone(),
            expires_at: credential.expires_at(),
            revoked: false,
        });
    }

    async fn unknown_credential(
        &self,
        task: usize,
    ) -> Option<taskpass_core::credential::Credential> {
        let task = self.model.tasks[task].id;
        let all = self.t.store.credentials(task, None, 10_000).await.unwrap();
        let known = |id| self.model.credentials.iter().any(|one| one.id == id);
        all.items.into_iter().find(|one| !known(one.id))
    }

    pub(super) async fn complete(&mut self, task: usize, up: usize) {
        let now = self.now();
        let Some(task) = self.model.task(now, task) else {
            return;
        };
        let known = &self.model.tasks[task];
        let id = known.id;
        let above = known
            .line
            .get(up)
            .map(|above| self.model.tasks[*above].agent);
        let by = above.unwrap_or((known.agent + up) % AGENTS.len());
        let may = self.model.chain(task).contains(&by);
        let live = self
            .model
            .live(now, |one| self.model.is_beneath(one.task, task));
        let caller = as_agent(AGENTS[by]);
        match self.t.broker.complete_task(&caller, id).await {
            Ok((_, count)) => {
                assert!(may);
                assert_eq!(count, live);
            }
            Err(_) if self.store.is_dead() => {
                if !may || !self.has_ended(task).await {
                    return;
                }
            }
            // What the reaper has removed is as unknown as another's.
            Err(error) => {
                assert_eq!(error.reason(), "TASK_NOT_FOUND");
                assert!(!may || id.deadline() <= now);
                return;
            }
        }
        self.model.end(|model, other| model.is_beneath(other, task));
    }

    pub(super) async fn hold(&mut self, task: usize) {
        let Some(task) = self.model.task(self.now(), task) else {
            return;
        };
        let known = &self.model.tasks[task];
        let caller = as_agent(AGENTS[known.agent]);
        let held = self.t.broker.keep_alive(&caller, known.id).await;
        let has_room = self
            .holds
            .get(&task)
            .is_none_or(|held| held.len() < MOST_HOLDS);
        let allowed = self.model.is_live(self.now(), task) && has_room;
        match held {
            Ok(held) => {
                assert!(allowed, "kept alive");
                self.holds.entry(task).or_default().push(held);
                self.model.tasks[task].tie = Some(Tie::Held);
            }
            Err(_) if self.store.is_dead() => {
                let ties = self.t.store.ties(None, 10_000).await.unwrap().items;
                let id = self.model.tasks[task].id;
                if ties.iter().any(|tie| tie.task == id) {
                    self.model.tasks[task].tie = Some(Tie::Away(None));
                }
            }
            Err(error) => assert!(!allowed, "{error:?}"),
        }
    }

    pub(super) fn leave(&mut self, task: usize) {
        // Of those that are kept alive.
        let place = task.checked_rem(self.holds.len()).unwrap_or(0);
        let Some(task) = self.holds.keys().nth(place).copied() else {
            return;
        };
        let Some(held) = self.holds.get_mut(&task) else {
            return;
        };
        held.pop();
        if held.is_empty() {
            self.holds.remove(&task);
            let second = self.model.second;
            if let Some(task) = self.model.tasks.get_mut(task) {
                task.tie = task.tie.map(|_| Tie::Away(Some(second)));
            }
        }
    }
}
