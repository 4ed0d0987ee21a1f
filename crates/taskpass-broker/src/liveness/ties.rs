//! Who holds which tie at this moment: in memory, by the monotonic clock.
//!
//! What the broker slept through counts for nobody: a gap between two sweeps moves every grace that
//! runs. No decision is made here, and nothing is written.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use taskpass_core::tie::Tie;
use taskpass_core::{AgentName, TaskId, Timestamp};

/// Streams that may hold one task.
pub(super) const MAX_STREAMS_OF_TASK: u32 = 4;
/// Streams of one agent.
pub(super) const MAX_STREAMS_OF_AGENT: u32 = 1024;
/// Two sweeps that lie further apart than this: nobody could have been heard in between.
const GAP: Duration = Duration::from_secs(3);

/// The ties of tasks that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Ties(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    tied: BTreeMap<TaskId, Held>,
    /// Streams by agent; none is left out, none is zero.
    streams: BTreeMap<AgentName, u32>,
    swept: Option<Duration>,
}

#[derive(Debug)]
struct Held {
    tie: Tie,
    streams: u32,
    /// Since when nobody holds it. Of a tie that was read at the start: since the first sweep.
    away: Option<Duration>,
}

/// What came of trying to hold a tie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// It is held.
    Held,
    /// There is no such tie.
    NotTied,
    /// There are as many streams as there may be.
    Full,
}

impl Ties {
    /// Takes in a tie that was recorded. One that is there stays as it is.
    pub(super) fn add(&self, tie: Tie) {
        self.lock().tied.entry(tie.task).or_insert(Held {
            tie,
            streams: 0,
            away: None,
        });
    }

    /// Holds the tie of a task, if it has one and there is room.
    pub(super) fn hold(&self, task: TaskId, agent: &AgentName) -> Hold {
        let mut state = self.lock();
        let State { tied, streams, .. } = &mut *state;
        let of_agent = streams.get(agent).copied().unwrap_or(0);
        let Some(held) = tied.get_mut(&task) else {
            return if of_agent < MAX_STREAMS_OF_AGENT {
                Hold::NotTied
            } else {
                Hold::Full
            };
        };
        if held.streams >= MAX_STREAMS_OF_TASK || of_agent >= MAX_STREAMS_OF_AGENT {
            return Hold::Full;
        }
        held.streams += 1;
        held.away = None;
        streams.insert(agent.clone(), of_agent + 1);
        Hold::Held
    }

    /// Lets go of it: the grace begins when nobody holds it any more.
    pub(super) fn release(&self, task: TaskId, agent: &AgentName, now: Duration) {
        let mut state = self.lock();
        if let Some(held) = state.tied.get_mut(&task) {
            held.streams = held.streams.saturating_sub(1);
            if held.streams == 0 {
                held.away = Some(now);
            }
        }
        if let Some(count) = state.streams.get_mut(agent) {
            *count -= 1;
            if *count == 0 {
                state.streams.remove(agent);
            }
        }
    }

    /// The ties that nobody has held for longer than `grace`. Those of tasks past their deadline are
    /// forgotten.
    pub(super) fn lost(&self, now: Duration, wall: Timestamp, grace: Duration) -> Vec<Tie> {
        let mut state = self.lock();
        let gap = now.saturating_sub(state.swept.unwrap_or(now));
        let slept = if gap > GAP { gap } else { Duration::ZERO };
        state.swept = Some(now);
        state
            .tied
            .retain(|task, held| held.streams > 0 || wall < task.deadline());
        let mut lost = Vec::new();
        for held in state.tied.values_mut().filter(|held| held.streams == 0) {
            let since = held.away.unwrap_or(now).saturating_add(slept).min(now);
            held.away = Some(since);
            if now.saturating_sub(since) >= grace {
                lost.push(held.tie);
            }
        }
        lost
    }

    /// Whether nobody holds it still.
    pub(super) fn is_away(&self, task: TaskId) -> bool {
        let state = self.lock();
        state.tied.get(&task).is_some_and(|held| held.streams == 0)
    }

    /// Forgets a tie whose task is over.
    pub(super) fn forget(&self, task: TaskId) {
        self.lock().tied.remove(&task);
    }

    /// How many there are, and how many of them nobody holds.
    pub(crate) fn count(&self) -> (usize, usize) {
        let state = self.lock();
        let away = state.tied.values().filter(|held| held.streams == 0);
        (state.tied.len(), away.count())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_core::DecisionId;
    use taskpass_core::rng::SeededRng;

    const GRACE: Duration = Duration::from_secs(30);
    const NOON: Timestamp = Timestamp::from_secs(1000);

    fn tie(deadline: u64) -> Tie {
        let rng = SeededRng::new(deadline);
        Tie {
            task: TaskId::generate(Timestamp::from_secs(deadline), &rng),
            at: NOON,
            entry: DecisionId::generate(NOON, &rng),
        }
    }

    fn agent(name: &str) -> AgentName {
        name.parse().unwrap()
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// Sweeps every second, up to and at `until`; when the tie was lost first.
    fn lost_at(ties: &Ties, from: u64, until: u64) -> Option<u64> {
        (from..=until).find(|now| !ties.lost(secs(*now), NOON, GRACE).is_empty())
    }

    #[test]
    fn any_stream_holds_and_the_grace_begins_with_the_last() {
        let (ties, tie, a) = (Ties::default(), tie(9000), agent("a"));
        assert_eq!(ties.hold(tie.task, &a), Hold::NotTied);
        ties.add(tie);
        assert_eq!(ties.hold(tie.task, &a), Hold::Held);
        assert_eq!(ties.hold(tie.task, &a), Hold::Held);
        assert_eq!(lost_at(&ties, 0, 100), None);
        ties.release(tie.task, &a, secs(100));
        assert_eq!(lost_at(&ties, 101, 200), None);
        ties.release(tie.task, &a, secs(200));
        assert_eq!(ties.count(), (1, 1));
        // It came back in time, and went again.
        assert_eq!(lost_at(&ties, 201, 229), None);
        assert_eq!(ties.hold(tie.task, &a), Hold::Held);
        assert_eq!(ties.count(), (1, 0));
        assert_eq!(lost_at(&ties, 230, 240), None);
        ties.release(tie.task, &a, secs(240));
        assert_eq!(lost_at(&ties, 241, 400), Some(270));
        // Until somebody says that it is over.
        assert!(ties.is_away(tie.task));
        assert_eq!(lost_at(&ties, 271, 271), Some(271));
        ties.forget(tie.task);
        assert_eq!(lost_at(&ties, 272, 400), None);
    }

    #[test]
    fn what_was_read_at_the_start_has_one_grace_from_the_first_sweep() {
        let (ties, tie) = (Ties::default(), tie(9000));
        ties.add(tie);
        assert_eq!(lost_at(&ties, 500, 700), Some(530));
    }

    #[test]
    fn what_the_broker_slept_through_counts_for_nobody() {
        let (ties, tie, a) = (Ties::default(), tie(9000), agent("a"));
        ties.add(tie);
        assert_eq!(ties.hold(tie.task, &a), Hold::Held);
        assert_eq!(lost_at(&ties, 0, 10), None);
        ties.release(tie.task, &a, secs(10));
        assert_eq!(lost_at(&ties, 11, 20), None);
        // An hour of silence, in which nobody could have come back.
        assert!(ties.lost(secs(3620), NOON, GRACE).is_empty());
        assert_eq!(lost_at(&ties, 3621, 4000), Some(3640));
    }

    #[test]
    fn a_deadline_ends_it_without_a_word() {
        let (ties, tie) = (Ties::default(), tie(1001));
        ties.add(tie);
        assert!(ties.lost(secs(0), NOON, GRACE).is_empty());
        let later = Timestamp::from_secs(1001);
        assert!(ties.lost(secs(60), later, GRACE).is_empty());
        assert_eq!(ties.count(), (0, 0));
    }

    #[test]
    fn streams_are_few() {
        let (ties, a, b) = (Ties::default(), agent("a"), agent("b"));
        let one = tie(9000);
        ties.add(one);
        for _ in 0..MAX_STREAMS_OF_TASK {
            assert_eq!(ties.hold(one.task, &a), Hold::Held);
        }
        assert_eq!(ties.hold(one.task, &a), Hold::Full);
        ties.release(one.task, &a, secs(1));
        assert_eq!(ties.hold(one.task, &a), Hold::Held);
        for n in 0..(MAX_STREAMS_OF_AGENT - MAX_STREAMS_OF_TASK) {
            let other = tie(10_000 + u64::from(n));
            ties.add(other);
            assert_eq!(ties.hold(other.task, &a), Hold::Held);
        }
        let last = tie(99_000);
        // Refused before anything is recorded.
        assert_eq!(ties.hold(last.task, &a), Hold::Full);
        ties.add(last);
        assert_eq!(ties.hold(last.task, &a), Hold::Full);
        assert_eq!(ties.hold(last.task, &b), Hold::Held);
    }
}
