//! One state's agents, with everything that they held before it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use taskpass_api::v1::principal;
use taskpass_client::{Agent, Certificate, Connection, LocalKey, Renewing, Task, Wanted};
use taskpass_testkit::within;
use tokio::sync::Mutex;
use tonic::transport::Channel;

use crate::assertion::Key;
use crate::house::House;
use crate::http::{Shown, identity};
use crate::issuer::{Signer, now, pod};
use crate::path::By;
use crate::state::State;

/// How long what the client renews lives: it is renewed after two thirds of that.
const SHORT: Option<Duration> = Some(Duration::from_secs(4));

/// The agent, as it proves itself in one way over gRPC.
pub(crate) struct Way {
    pub(crate) connection: Connection,
    pub(crate) agent: Agent,
    /// The task, as seen from there.
    pub(crate) task: Task,
}

pub(crate) struct Column {
    pub(crate) house: Arc<House>,
    pub(crate) state: State,
    pub(crate) identity: Way,
    pub(crate) federated: Way,
    pub(crate) svid: Way,
    pub(crate) channel: Channel,
    pub(crate) helper: Agent,
    /// The agent above, and its task.
    pub(crate) above: (Agent, Task),
    pub(crate) beneath: Task,
    pub(crate) lent: Task,
    pub(crate) certificate: Certificate,
    /// A token of the task.
    pub(crate) subject: String,
    pub(crate) shown: Shown,
    pub(crate) key: Key,
    /// Of the next identity: the same each time, because another one would look like a theft.
    pub(crate) next_key: LocalKey,
    pub(crate) renewing: Mutex<Option<Renewing>>,
}

impl Column {
    /// Enrols the agents, and starts what they work on.
    pub(crate) async fn furnish(house: Arc<House>, state: State) -> Self {
        let broker = &house.broker;
        let scopes = state.ceiling();
        for name in [state.agent().to_owned(), state.above(), state.helper()] {
            broker.enrol(principal::Kind::Agent(name)).await;
        }
        let channel = broker.channel(state.agent()).await;
        let agent = Agent::over(channel.clone());
        let helper = broker.services(&state.helper()).await.agent();
        let above = broker.services(&state.above()).await.agent();
        let plan = above.start_task("plan", &scopes, None).await.unwrap();
        let task = if state.is_of_those_above() {
            let name = state.agent().parse().unwrap();
            let given = plan.delegate(&name, "a part", &scopes, None).await.unwrap();
            agent.take_up(given.id()).await.unwrap()
        } else {
            agent.start_task("work", &scopes, None).await.unwrap()
        };
        let beneath = task.start_child("detail", &scopes, None).await.unwrap();
        let name = state.helper().parse().unwrap();
        let given = task.delegate(&name, "help", &scopes, None).await.unwrap();
        let lent = helper.take_up(given.id()).await.unwrap();
        let subject = task.token(&state.target(), ["read"], None).await.unwrap();

        // The same agent by the word of others.
        let file = broker.path(&format!("{}.jwt", state.agent()));
        let mut claims = pod();
        claims["sub"] = json!(state.agent());
        claims["exp"] = json!(now() + 900);
        std::fs::write(&file, Signer::Rsa.signed(&claims)).unwrap();
        let federated = Connection::presenting(broker.anonymous().await, &file);
        let svid = house.authority.connect(broker, &state.spiffe_id()).await;
        let key = Key::new();
        tokio::task::block_in_place(|| key.register(broker, state.agent()));
        Self {
            state,
            certificate: task.certificate(None).await.unwrap(),
            identity: way(channel.clone().into(), &task).await,
            federated: way(federated, &task).await,
            svid: way(svid.into(), &task).await,
            channel,
            helper,
            above: (above, plan),
            beneath,
            lent,
            subject: subject.expose().to_owned(),
            shown: identity(broker, state.agent()),
            key,
            next_key: LocalKey::generate().unwrap(),
            renewing: Mutex::new(None),
            house,
        }
    }

    /// The way over gRPC of a caller that proves itself so.
    pub(crate) fn way(&self, by: By) -> &Way {
        match by {
            By::Identity => &self.identity,
            By::Federated => &self.federated,
            By::Svid => &self.svid,
            By::Unix | By::OauthIdentity | By::OauthKey => panic!("{by:?} is not gRPC over TLS"),
        }
    }

    /// What the client is to keep fresh.
    pub(crate) fn wanted(&self) -> Wanted {
        let wanted = Wanted::default().certificate(SHORT);
        let target = self.state.target();
        wanted.token(&target, ["read"], SHORT).unwrap()
    }
}

async fn way(connection: Connection, task: &Task) -> Way {
    let agent = Agent::by(connection.clone());
    let task = within(agent.take_up(task.id())).await.unwrap();
    Way {
        connection,
        agent,
        task,
    }
}
