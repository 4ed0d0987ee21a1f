//! What an agent's stage rises on.
//!
//! Evidence is a readiness report that passed. The broker cannot make it anew: that it passed is the word
//! of the operator who made it. What the broker does check is what it rests on (`AuditLog::vouch`): a state
//! that its own log had, with nothing older than an hour left out. The report's hash goes into the entry, so
//! that whoever has the log can make the report anew and see whether it was true.
//!
//! A stage that somebody is registered at has risen on nothing: where no operator raises one alone, none
//! registers above the lowest.

use std::collections::BTreeSet;

use taskpass_core::Timestamp;
use taskpass_core::access::Stage;
use taskpass_core::promotion::{
    Ground, PromotionFacts, READINESS_MAX_AGE, ReadinessFacts, SecondOperator, rise,
};
use taskpass_core::registry::{Agent, Registry, Row, RowKey};

use super::read;
use crate::broker::Broker;
use crate::error::Error;

/// Whether a stage rises without grounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PromotionRule {
    /// On evidence, or by force with a reason.
    #[default]
    Evidence,
    /// With a reason, as every change that widens something.
    Open,
}

/// What changes of the registry ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeRules {
    /// Whether a stage rises without grounds.
    pub promotion: PromotionRule,
    /// What one operator alone cannot do.
    pub second_operator: BTreeSet<SecondOperator>,
}

/// On what a stage is to rise. Of a change by which none rises it is not asked.
#[derive(Debug, Clone, Default)]
pub enum Grounds {
    /// Nothing that was said.
    #[default]
    Nothing,
    /// A readiness report.
    Readiness(Vouched),
    /// The operator's word: the reason of the change says why.
    Force,
}

/// What a caller says of a readiness report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Whether every requirement passed.
    pub passed: bool,
    /// Which report, resting on which state of which log.
    pub facts: ReadinessFacts,
}

/// A statement whose log is ours: only `AuditLog::vouch` makes one.
#[derive(Debug, Clone)]
pub struct Vouched(pub(crate) ReadinessFacts);

/// Why a report of that time is no evidence at `now`, if it is none. `skew`: how far the clock of whoever
/// made it may be ahead.
pub(crate) fn untimely(
    facts: &ReadinessFacts,
    now: Timestamp,
    skew: std::time::Duration,
) -> Option<&'static str> {
    if facts.made_at > now.plus(skew) {
        return Some("its readiness report is said to be of the future; set the clock");
    }
    (now.since(facts.made_at) > READINESS_MAX_AGE)
        .then_some("its readiness report was made more than an hour ago; make it again")
}

impl ChangeRules {
    /// How `agent` rises from a stage to another on `grounds`, if it may.
    fn judge(
        &self,
        agent: &Agent,
        (from, to): (Stage, Stage),
        grounds: &Grounds,
        (now, skew): (Timestamp, std::time::Duration),
    ) -> Result<PromotionFacts, Error> {
        let refused = |why| Error::NotReady {
            who: RowKey::Agent(agent.name.clone()).to_string(),
            why,
        };
        let (by, readiness) = match grounds {
            Grounds::Force => (Ground::Force, None),
            Grounds::Readiness(Vouched(facts)) if facts.agent != agent.name => {
                return Err(refused("its readiness report is of another agent"));
            }
            Grounds::Readiness(Vouched(facts)) if facts.to != to => {
                return Err(refused("its readiness report is for another stage"));
            }
            Grounds::Readiness(Vouched(facts)) => match untimely(facts, now, skew) {
                None => (Ground::Evidence, Some(facts.clone())),
                Some(why) => return Err(refused(why)),
            },
            Grounds::Nothing => match self.promotion {
                PromotionRule::Open => (Ground::Open, None),
                PromotionRule::Evidence => {
                    return Err(refused(
                        "a stage rises on a readiness report that passed, or by force with a reason",
                    ));
                }
            },
        };
        Ok(PromotionFacts {
            from,
            to,
            by,
            readiness,
            proposal: None,
        })
    }

    /// Whether one operator alone may register `agent` at its stage: to come in above the lowest is a rise.
    fn check_new(&self, agent: &Agent) -> Result<(), Error> {
        let asks = self.second_operator.contains(&SecondOperator::Promote);
        if asks && agent.stage > Stage::ReadOnly {
            return Err(Error::SecondOperatorRequired {
                why: "no operator alone gives an agent a stage above read-only: register it at read-only, then \
                      promote it by `taskpass agent promote`",
            });
        }
        Ok(())
    }

    /// Whether one operator alone cannot do that. What nobody asked about was no more shown than what was
    /// forced: else leaving out the word would be the way around it.
    fn needs_second(&self, promotion: &PromotionFacts) -> bool {
        self.second_operator.contains(&SecondOperator::Promote)
            || promotion.by != Ground::Evidence
                && self.second_operator.contains(&SecondOperator::Force)
    }
}

impl Broker {
    /// How the stage of an agent rises if `row` is written, and whether a second operator has to approve
    /// it. `None` if none rises.
    pub(crate) fn rise_of(
        &self,
        registry: &Registry,
        row: &Row,
        grounds: &Grounds,
        now: Timestamp,
    ) -> Result<Option<(PromotionFacts, bool)>, Error> {
        let Row::Agent(agent) = row else {
            return Ok(None);
        };
        let rules = &self.limits.changes;
        let Ok(present) = read(registry, &row.key()) else {
            return rules.check_new(agent).map(|()| None);
        };
        let Some(stages) = rise(&present.value, row) else {
            return Ok(None);
        };
        let promotion = rules.judge(agent, stages, grounds, (now, self.limits.skew))?;
        let second = rules.needs_second(&promotion);
        Ok(Some((promotion, second)))
    }

    /// The same of a change that one operator is about to make alone.
    pub(crate) fn rise_alone(
        &self,
        registry: &Registry,
        row: &Row,
        grounds: &Grounds,
        now: Timestamp,
    ) -> Result<Option<PromotionFacts>, Error> {
        match self.rise_of(registry, row, grounds, now)? {
            None => Ok(None),
            Some((promotion, false)) => Ok(Some(promotion)),
            Some((_, true)) => Err(Error::SecondOperatorRequired {
                why: "this broker lets no operator raise a stage so alone: propose it for each agent by \
                      `taskpass agent promote`, and let another operator approve it",
            }),
        }
    }
}
