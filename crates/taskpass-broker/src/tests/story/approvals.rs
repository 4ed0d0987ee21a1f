//! What waits for a second operator: approved by one, rejected by one, and refused to whoever proposed it.

use taskpass_core::access::Stage;
use taskpass_core::audit::Attestation;
use taskpass_core::caller::Caller;
use taskpass_core::promotion::SecondOperator;
use taskpass_core::registry::{Agent, Operator, Role, Row, State};
use taskpass_core::secret::Sha256;

use super::{REASON, Story};
use crate::testing::ops;
use crate::{ChangeRules, Grounds, Standing, Update, Updated};

impl Story {
    pub(super) async fn approvals(&mut self) {
        self.t
            .reopen_with(ChangeRules {
                second_operator: [SecondOperator::Promote].into(),
                ..ChangeRules::default()
            })
            .await;
        let (broker, ops) = (self.t.broker.clone(), ops());
        let row = Row::Operator(Operator {
            name: "deputy".parse().unwrap(),
            roles: [Role::Admin].into(),
            state: State::Active,
        });
        broker.register(&ops, row).await.unwrap();
        let deputy = Standing {
            caller: Caller::Operator("deputy".parse().unwrap(), [Role::Admin].into()),
            attestation: Attestation::Mtls {
                key: Sha256::of(b"deputy"),
            },
            ..ops.clone()
        };
        let stranger = "stranger".parse().unwrap();
        let template = broker.registry().agent(&stranger).unwrap().value.clone();
        let mut agent = Agent {
            name: "riser".parse().unwrap(),
            stage: Stage::ReadOnly,
            ..template
        };
        let row = Row::Agent(agent.clone());
        broker.register(&ops, row).await.unwrap();
        agent.stage = Stage::Bounded;
        let update = |grounds| Update {
            row: Row::Agent(agent.clone()),
            expected: 1,
            reason: REASON.to_owned(),
            grounds,
        };
        let outcome = broker.replace(&ops, &update(Grounds::Nothing)).await;
        self.failed(outcome, "NOT_READY");
        for approve in [false, true] {
            let waits = broker.replace(&ops, &update(Grounds::Force)).await;
            let Updated::Waits(proposal) = waits.unwrap() else {
                panic!("nothing waits");
            };
            let outcome = broker.approve(&ops, proposal.id).await;
            self.failed(outcome, "SECOND_OPERATOR_REQUIRED");
            if approve {
                broker.approve(&deputy, proposal.id).await.unwrap();
            } else {
                broker.reject(&deputy, proposal.id, REASON).await.unwrap();
            }
        }
        broker.proposals(&ops).await.unwrap();
        let set = Sha256::of(b"policies");
        let approved = broker.approve_policy(&ops, set, REASON).await;
        self.show(&approved.unwrap());
        let outcome = broker.approve_policy(&ops, set, REASON).await;
        self.failed(outcome, "SECOND_OPERATOR_REQUIRED");
        self.t.reopen().await;
    }
}
