//! Cutting an owner off at every file operation: what was promised still holds.
//!
//! The owner here does what the broker does: an outbox and a state in one store that commits both
//! together, a log, and signed checkpoints that somebody outside may have kept.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::checkpoint::Origin;
use crate::files::memory::{Crash, Memory};
use crate::testing::{ORIGIN, SEED, entries, keys, signed};
use crate::verify::verify_files;

/// What survives any crash, because the store has it or somebody outside.
struct Owner {
    /// Entries that the log does not have yet.
    outbox: VecDeque<Vec<u8>>,
    /// Entries that it has, as the store committed them.
    logged: Vec<Vec<u8>>,
    /// The log's state, as bytes.
    state: Vec<u8>,
    /// Checkpoints that were signed, published or not.
    signed: Vec<String>,
    /// Whether the commit of a state is made but not answered.
    unanswered: bool,
}

/// The owner stopped in the middle.
#[derive(Debug)]
struct CutOff;

impl Owner {
    fn new(total: u64) -> Self {
        Self {
            outbox: entries(0..total).into(),
            logged: Vec::new(),
            state: State::new(Origin::parse(ORIGIN).unwrap()).to_bytes(),
            signed: Vec::new(),
            unanswered: false,
        }
    }

    /// Opens the log and moves the outbox into it in these batches.
    ///
    /// Each time the outbox is in another order than before: what a crash left beyond the state is
    /// never what comes there now.
    fn run(&mut self, files: &Memory, batches: &[u64]) -> Result<(), CutOff> {
        self.outbox.make_contiguous().reverse();
        let state = State::from_bytes(&self.state).unwrap();
        let mut log = match TileLog::open_in(files.clone(), state) {
            Ok(log) => log,
            Err(OpenError::Io { .. }) => return Err(CutOff),
            Err(other) => panic!("what was committed must be there: {other:?}"),
        };
        for batch in batches {
            let count = usize::try_from(*batch).unwrap().min(self.outbox.len());
            let batch: Vec<_> = self.outbox.iter().take(count).collect();
            let batch: Vec<&[u8]> = batch.into_iter().map(Vec::as_slice).collect();
            let state = log.append(&batch).map_err(|_| CutOff)?;
            // One commit of the store.
            self.logged.extend(self.outbox.drain(..count));
            self.state = state.to_bytes();
            if std::mem::take(&mut self.unanswered) {
                return Err(CutOff);
            }
            log.committed(state.size());
            let note = signed(&state.checkpoint(), SEED);
            self.signed.push(note.clone());
            match log.publish_checkpoint(note.as_bytes()) {
                Ok(_) => {}
                Err(PublishError::Write(_)) => return Err(CutOff),
                Err(other) => panic!("what is committed can be published: {other:?}"),
            }
            log.prune().map_err(|_| CutOff)?;
        }
        Ok(())
    }

    /// Everything that is promised, after the owner has come to the end.
    fn check(&self, files: &Memory, total: u64) {
        assert!(self.outbox.is_empty());
        let report = verify_files(files, &keys(), None).unwrap();
        assert_eq!(report.checkpoint.size, total);
        assert_eq!(report.unsigned_files, 0);
        let view = View::over(files, total);
        let found: Vec<_> = view.entries(0..total).map(|e| e.unwrap().1).collect();
        assert_eq!(found, self.logged, "what was committed, in that order");
        let sorted = |mut all: Vec<_>| {
            all.sort();
            all
        };
        assert_eq!(sorted(found), sorted(entries(0..total)), "each entry once");
        for note in &self.signed {
            verify_files(files, &keys(), Some(note.as_bytes())).unwrap();
        }
    }
}

/// Runs until the cut, crashes, and runs on to the end with other batches.
fn survives(first: &[u64], then: &[u64], cut: usize, crash: Crash) {
    let total = first.iter().sum();
    let mut owner = Owner::new(total);
    let files = Memory::default().failing_at(cut);
    let _ = owner.run(&files, first);
    let files = files.after(crash);
    // What is published after a crash is whole, or nothing was published yet.
    if files.contents().iter().any(|(path, _)| path == CHECKPOINT) {
        verify_files(&files, &keys(), None).unwrap();
    }
    owner.run(&files, then).unwrap();
    owner.run(&files, &[total]).unwrap();
    owner.check(&files, total);
}

fn operations(batches: &[u64]) -> usize {
    let files = Memory::default();
    let mut owner = Owner::new(batches.iter().sum());
    owner.run(&files, batches).unwrap();
    files.changes()
}

const FIRST: [u64; 5] = [3, 252, 2, 300, 1];

#[test]
fn a_kill_at_any_operation_loses_repeats_and_forks_nothing() {
    for cut in 0..=operations(&FIRST) {
        survives(&FIRST, &[1, 7], cut, Crash::Kill);
        survives(&FIRST, &[600], cut, Crash::Kill);
    }
}

#[test]
fn a_power_loss_at_any_operation_loses_repeats_and_forks_nothing() {
    for cut in 0..=operations(&FIRST) {
        for seed in 1..6_u64 {
            let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            survives(&FIRST, &[2, 250], cut, Crash::Power(seed));
        }
    }
}

#[test]
fn a_commit_that_was_made_but_not_answered_is_found_again() {
    let mut owner = Owner::new(300);
    let files = Memory::default();
    owner.run(&files, &[10]).unwrap();
    owner.unanswered = true;
    assert!(owner.run(&files, &[250]).is_err());
    assert_eq!(State::from_bytes(&owner.state).unwrap().size(), 260);
    owner.run(&files, &[40]).unwrap();
    owner.check(&files, 300);
}

#[test]
fn what_a_crash_left_and_was_removed_does_not_come_back() {
    let files = Memory::default();
    let mut owner = Owner::new(300);
    owner.run(&files, &[10]).unwrap();
    // Written in full, never committed.
    let state = State::from_bytes(&owner.state).unwrap();
    let mut log = TileLog::open_in(files.clone(), state).unwrap();
    log.append(&entries(700..710)).unwrap();
    // The tile is full after the next batch, so nothing is written beside what was left.
    owner.run(&files, &[290]).unwrap();
    for seed in 1..40 {
        owner.check(&files.after(Crash::Power(seed)), 300);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_batches_and_several_crashes(
        batches in prop::collection::vec(1_u64..400, 1..6),
        cuts in prop::collection::vec((0_usize..120, any::<Option<u64>>()), 1..5),
    ) {
        let total = batches.iter().sum();
        let mut owner = Owner::new(total);
        let mut files = Memory::default();
        for (cut, seed) in cuts {
            files = files.failing_at(cut);
            let _ = owner.run(&files, &batches);
            files = files.after(seed.map_or(Crash::Kill, Crash::Power));
        }
        owner.run(&files, &[total]).unwrap();
        owner.check(&files, total);
    }
}
