//! What happens when. Whatever happens at one instant happens in the order in which it was planned.

use std::collections::BTreeMap;
use std::sync::Arc;

use taskpass_core::identity::Principal;
use taskpass_core::{TaskId, Timestamp};

use super::habit::Work;
use super::operate::Act;

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event {
    /// An agent is registered and enrols.
    Arrive(usize),
    /// Somebody renews its identity in time.
    Renew(Principal),
    /// An agent starts a task, or a part of one.
    Begin {
        /// Who starts it.
        who: usize,
        work: Arc<Work>,
    },
    /// The next step of a task that runs.
    Step { task: TaskId, step: usize },
    /// The agent of a task says that it is done.
    Done(TaskId),
    /// An agent asks in a loop for what it is not given.
    Loop(usize),
    /// Somebody who runs the broker does something.
    Operate(Act),
}

/// Events in the order of time.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    events: BTreeMap<(Timestamp, u64), Event>,
    planned: u64,
}

impl Agenda {
    /// Plans an event.
    pub(super) fn plan(&mut self, at: Timestamp, event: Event) {
        self.planned = self.planned.wrapping_add(1);
        self.events.insert((at, self.planned), event);
    }

    /// The next event before `end`.
    pub(super) fn next(&mut self, end: Timestamp) -> Option<(Timestamp, Event)> {
        let ((at, number), event) = self.events.pop_first()?;
        if at < end {
            return Some((at, event));
        }
        self.events.insert((at, number), event);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_until_the_end() {
        let at = Timestamp::from_secs;
        let mut agenda = Agenda::default();
        for (when, who) in [(5, 1), (3, 2), (5, 3), (9, 4)] {
            agenda.plan(at(when), Event::Arrive(who));
        }
        let mut came = Vec::new();
        while let Some((when, Event::Arrive(who))) = agenda.next(at(9)) {
            came.push((when.secs(), who));
        }
        assert_eq!(came, [(3, 2), (5, 1), (5, 3)]);
        assert!(matches!(agenda.next(at(10)), Some((_, Event::Arrive(4)))));
        assert!(agenda.next(at(10)).is_none());
    }
}
