//! Enrolling, renewing, and renewing with a key that was copied.

use taskpass_core::Timestamp;
use taskpass_core::audit::Attestation;
use taskpass_core::identity::Principal;
use taskpass_store::Store as _;

use super::picture::{AGENTS, Line, Model};
use super::run::Run;
use crate::testing::{csr, ops};
use crate::{Error, Proved};

pub(super) fn principal(agent: usize) -> Principal {
    Principal::Agent(AGENTS[agent].parse().unwrap())
}

impl Model {
    /// Whether an identity of the agent is accepted: the newest one (0), or the one before (1).
    pub(super) fn accepts(&self, now: Timestamp, agent: usize, back: usize) -> bool {
        let line = &self.lines[agent];
        let proved = line.proved.iter().rev().nth(back);
        self.takes_part(agent)
            && !line.refused
            && proved.is_some_and(|proved| now < proved.expires_at)
    }
}

impl Run {
    pub(super) async fn enrol(&mut self, agent: usize) {
        let broker = &self.t.broker;
        let token = broker
            .create_enrolment_token(&ops(), &principal(agent))
            .await;
        let enrolled = match token {
            Ok(token) => broker.enrol(token.token.expose(), &csr()).await,
            Err(error) => Err(error),
        };
        match enrolled {
            Ok(_) => {
                assert!(self.model.takes_part(agent), "enrolled");
                self.model.lines[agent] = Line {
                    proved: vec![self.newest(agent).await],
                    refused: false,
                };
            }
            Err(_) if self.store.is_dead() => self.lose_line(agent),
            Err(error) => {
                assert!(!self.model.takes_part(agent), "{error:?}");
                assert_eq!(error.reason(), "ENROLMENT_REFUSED");
            }
        }
    }

    /// Renews with the newest identity; with one of before, which was answered, it was copied, and the line
    /// ends.
    pub(super) async fn renew(&mut self, agent: usize, back: usize) {
        let now = self.now();
        let line = &self.model.lines[agent];
        let Some(proved) = line.proved.iter().rev().nth(back).cloned() else {
            return;
        };
        let accepted = self.model.accepts(now, agent, back);
        let broker = &self.t.broker;
        let renewed = match broker.standing_to_renew(&proved, None).await {
            Ok(standing) => broker.renew_identity(&standing, &csr()).await,
            Err(error) => Err(error),
        };
        match renewed {
            Ok(renewed) => {
                assert!(accepted && back == 0, "renewed");
                assert_eq!(renewed.principal, principal(agent));
                let newest = self.newest(agent).await;
                self.model.lines[agent].proved.push(newest);
            }
            Err(_) if self.store.is_dead() => self.lose_line(agent),
            Err(Error::IdentityConflict) => {
                assert!(accepted && back > 0, "the line ended");
                self.model.lines[agent].refused = true;
            }
            Err(error) => assert!(!accepted, "{error:?}"),
        }
    }

    /// The newest identity, as a connection would prove it.
    async fn newest(&self, agent: usize) -> Proved {
        let principal = principal(agent);
        let line = self.t.store.identity(&principal).await.unwrap().unwrap();
        Proved {
            principal,
            attestation: Attestation::Mtls {
                key: line.current.key,
            },
            issued_at: line.current.issued_at,
            expires_at: line.current.expires_at,
            issued_by: None,
        }
    }
}
