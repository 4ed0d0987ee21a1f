//! What is due: one step at a time, each a change of its own.

use taskpass_core::key::{KeyPurpose, KeyRecord, KeyState};
use taskpass_core::time::Timestamp;

use super::{
    activate_next, can_make, dropped, is_root_needed, last_use, of, should_activate_next,
    should_prepare_next,
};
use crate::authority::Hierarchy;

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A key of this purpose is to be made, and waits for its turn.
    Make(KeyPurpose),
    /// These records change, for this reason.
    Change(Vec<KeyRecord>, &'static str),
}

/// The next thing to do at `now`; `None` if nothing is due. Keys are destroyed only if `forget`: not
/// while the time is in doubt.
pub fn next_step(records: &[KeyRecord], now: Timestamp, forget: bool) -> Option<Step> {
    let purposes = KeyPurpose::ALL.iter().copied();
    // Before anything takes over: an aged one must not.
    if let Some(step) = drop_aged(records, now) {
        return Some(step);
    }
    let activated = purposes
        .clone()
        .filter(|purpose| should_activate_next(records, *purpose, now))
        .find_map(|purpose| activate(records, purpose, now))
        .map(|changed| Step::Change(changed, "it was its turn"));
    activated
        .or_else(|| forget.then(|| destroy(records, now)).flatten())
        .or_else(|| {
            purposes
                .clone()
                .find(|purpose| {
                    should_prepare_next(records, *purpose) && can_make(records, *purpose)
                })
                .map(Step::Make)
        })
}

/// As [`activate_next`], and, where the active key cannot sign any more, without waiting.
fn activate(records: &[KeyRecord], purpose: KeyPurpose, now: Timestamp) -> Option<Vec<KeyRecord>> {
    activate_next(records, purpose, now).or_else(|| {
        let next = super::next_in_turn(records, purpose)?;
        Some(super::take_over(records, next, now))
    })
}

/// An authority that waited so long that its certificate would end in the middle of its service, and
/// that can be made anew.
fn drop_aged(records: &[KeyRecord], now: Timestamp) -> Option<Step> {
    Hierarchy::ALL.into_iter().find_map(|hierarchy| {
        let purpose = hierarchy.issuing();
        let aged = of(records, purpose, KeyState::Prepared)
            .find(|record| last_use(record).is_some_and(|end| end <= now))?;
        can_make(records, purpose)
            .then(|| Step::Change(vec![dropped(aged, now)], "it waited too long to be of use"))
    })
}

/// A private half that nothing needs any more.
fn destroy(records: &[KeyRecord], now: Timestamp) -> Option<Step> {
    let useless = |record: &&KeyRecord| {
        record.has_private()
            && match record.state {
                KeyState::Tainted => true,
                KeyState::Retired if is_root(record.purpose) => {
                    !is_root_needed(records, record, now)
                }
                KeyState::Retired => !record.is_published(now),
                KeyState::Waiting | KeyState::Prepared | KeyState::Active => false,
            }
    };
    let record = records.iter().find(useless)?;
    Some(Step::Change(
        vec![record.destroyed()],
        "nothing that it signed is left; its private half was destroyed",
    ))
}

fn is_root(purpose: KeyPurpose) -> bool {
    matches!(purpose, KeyPurpose::ControlRoot | KeyPurpose::TaskRoot)
}
