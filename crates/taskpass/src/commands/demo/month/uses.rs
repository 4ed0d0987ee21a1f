//! What APIs see of the tokens that they accept, and what their verifiers report of it.
//!
//! Some report from the beginning, one begins late, one is silent for a while, one loses a little; behind
//! other APIs there is nobody who reports. Some agents say themselves what they did.

use std::collections::BTreeMap;
use std::time::Duration;

use taskpass_broker::{IssuedToken, MAX_USE_BATCH, ReportedUse, UseBatch, UseReport};
use taskpass_core::audit::{UseItem, UseOutcome};
use taskpass_core::coverage::{BatchId, Window};
use taskpass_core::identity::Principal;
use taskpass_core::{TargetUri, Timestamp};

use super::apis::{Habit, REPORTERS};
use super::habit::TokenWish;
use super::play::Play;
use super::world::Size;
use super::{DAY, broken, refused};
use crate::errors::CliError;

/// What each reporting API has seen, and not reported yet.
#[derive(Debug)]
pub(super) struct Uses {
    reporters: Vec<Reporter>,
    /// Each with when it was.
    seen: BTreeMap<TargetUri, Vec<(Timestamp, ReportedUse)>>,
}

/// A verifier that reports.
#[derive(Debug)]
struct Reporter {
    who: Principal,
    target: TargetUri,
    habit: Habit,
    /// When it does not: before the first and from the second instant on until the third.
    begins: Timestamp,
    stops: Timestamp,
    resumes: Timestamp,
    /// Up to when it has reported; `None` while it does not.
    reported: Option<Timestamp>,
}

impl Reporter {
    fn reports(&self, now: Timestamp) -> bool {
        now >= self.begins && !(self.stops..self.resumes).contains(&now)
    }
}

impl Uses {
    /// Nothing yet.
    pub(super) fn new(size: &Size) -> Result<Self, CliError> {
        let end = size.end().plus(DAY);
        let reporter = |(name, uri, habit): &(&str, &str, Habit)| {
            let name = name.parse().map_err(broken("name a verifier"))?;
            let (begins, stops, resumes) = match habit {
                Habit::Always | Habit::Lossy => (size.from, end, end),
                Habit::Late => (size.part(50), end, end),
                Habit::Silent => (size.from, size.part(40), size.part(52)),
            };
            Ok(Reporter {
                who: Principal::Verifier(name),
                target: uri.parse().map_err(broken("name a target"))?,
                habit: *habit,
                begins,
                stops,
                resumes,
                reported: None,
            })
        };
        let reporters = REPORTERS.iter().map(reporter);
        Ok(Self {
            reporters: reporters.collect::<Result<_, CliError>>()?,
            seen: BTreeMap::new(),
        })
    }
}

impl Play {
    /// What the API behind a token sees of it; what its agent says of it, if it says anything.
    pub(super) async fn used(
        &mut self,
        who: usize,
        issued: &IssuedToken,
        wish: &TokenWish,
    ) -> Result<(), CliError> {
        let first = self.now().plus(Duration::from_secs(1));
        let last = first.plus(Duration::from_mins(1));
        let refused_one = self.dice.in_hundred(3);
        let mut items = Vec::new();
        for (scope, count) in &wish.uses {
            let mut add = |outcome, count| {
                let scope = Some(scope.clone());
                let item = UseItem::new(scope, None, None, outcome, count, (first, last));
                let credential = issued.credential.id;
                items.extend(item.map(|item| ReportedUse { credential, item }));
            };
            add(UseOutcome::Allowed, *count);
            if refused_one {
                add(UseOutcome::Refused, 1);
            }
        }
        if self.world.member(who)?.says_itself {
            self.own_word(who, items.clone()).await?;
        }
        let of_target = self.uses.seen.entry(wish.target.clone()).or_default();
        of_target.extend(items.into_iter().map(|item| (first, item)));
        Ok(())
    }

    async fn own_word(&self, who: usize, items: Vec<ReportedUse>) -> Result<(), CliError> {
        let (agent, method) = (self.agent(who)?, "VerificationService/ReportUse");
        let Some(standing) = self.people.standing(&self.house, &agent, method).await? else {
            return Ok(());
        };
        if items.is_empty() {
            return Ok(());
        }
        let report = UseReport {
            batch: None,
            items,
            unreadable: 0,
        };
        let reported = self.house.broker.report_use(&standing, &report).await;
        refused(reported, "report uses").map(drop)
    }

    /// Each verifier that reports does so for the time since it last did.
    pub(super) async fn report_uses(&mut self) -> Result<(), CliError> {
        let now = self.now();
        for place in 0..self.uses.reporters.len() {
            let Some(reporter) = self.uses.reporters.get_mut(place) else {
                continue;
            };
            let mut seen = self.uses.seen.remove(&reporter.target).unwrap_or_default();
            if !reporter.reports(now) {
                reporter.reported = None;
                continue;
            }
            // Of the time before it ran nothing is said.
            let from = reporter.reported.replace(now).unwrap_or(now);
            seen.retain(|(at, _)| *at >= from);
            let mut lost = 0;
            if reporter.habit == Habit::Lossy && self.dice.in_hundred(10) {
                let count = seen.pop().map_or(0, |(_, seen)| seen.item.count());
                lost = u32::try_from(count).unwrap_or(u32::MAX);
            }
            let items = seen.into_iter().map(|(_, seen)| seen).collect();
            let (who, target) = (reporter.who.clone(), reporter.target.clone());
            let window = Window { from, until: now };
            self.report(&who, &target, window, items, lost).await?;
        }
        // Of what nobody reports nothing is kept.
        self.uses.seen.clear();
        Ok(())
    }

    async fn report(
        &mut self,
        who: &Principal,
        target: &TargetUri,
        window: Window,
        items: Vec<ReportedUse>,
        mut lost: u32,
    ) -> Result<(), CliError> {
        let method = "VerificationService/ReportUse";
        let Some(standing) = self.people.standing(&self.house, who, method).await? else {
            return Ok(());
        };
        let mut rest = items.into_iter().peekable();
        loop {
            let items: Vec<_> = rest.by_ref().take(MAX_USE_BATCH).collect();
            let report = UseReport {
                batch: Some(UseBatch {
                    id: self.batch_id()?,
                    target: target.clone(),
                    window,
                    lost: std::mem::take(&mut lost),
                    last: false,
                }),
                items,
                unreadable: 0,
            };
            let reported = self.house.broker.report_use(&standing, &report).await;
            refused(reported, "report uses")?;
            if rest.peek().is_none() {
                return Ok(());
            }
        }
    }

    fn batch_id(&mut self) -> Result<BatchId, CliError> {
        let half = |number: u64| number.saturating_add(1).to_be_bytes();
        let bytes = [
            half(self.dice.below(u64::MAX)),
            half(self.dice.below(u64::MAX)),
        ]
        .concat();
        let id = BatchId::from_slice(&bytes);
        id.ok_or_else(|| CliError::new("INTERNAL", "no id for a batch"))
    }
}
