//! What was found, against what was expected: everything that is wrong, at once.

use std::fmt::Write as _;

use crate::act::Found;
use crate::expected::Expected;
use crate::path::{PATHS, Path};
use crate::state::State;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Good,
    Bad,
    Repaired,
    /// Everything was revoked.
    Halted,
    /// The broker issues again.
    GoesOn,
}

const ORDER: [Phase; 5] = [
    Phase::Good,
    Phase::Bad,
    Phase::Repaired,
    Phase::Halted,
    Phase::GoesOn,
];

struct Cell {
    phase: Phase,
    state: State,
    path: Path,
    expected: Expected,
    found: Found,
}

/// Whether that is what the table says.
pub(crate) fn is_right(expected: &Expected, found: &Found) -> bool {
    match (expected, found) {
        (Expected::Allowed, Ok(())) => true,
        (Expected::Refused(reasons), Err(reason)) => reasons == reason,
        (Expected::Allowed, Err(_)) | (Expected::Refused(_), Ok(())) => false,
    }
}

impl Cell {
    fn is_right(&self) -> bool {
        is_right(&self.expected, &self.found)
    }

    fn mark(&self) -> char {
        match (self.is_right(), &self.found) {
            (true, Ok(())) => '+',
            (true, Err(_)) => '-',
            // The worst there can be.
            (false, Ok(())) => '!',
            (false, Err(_)) => '?',
        }
    }
}

#[derive(Default)]
pub(crate) struct Report {
    cells: Vec<Cell>,
}

impl Report {
    pub(crate) fn note(
        &mut self,
        phase: Phase,
        state: State,
        path: Path,
        expected: Expected,
        found: Found,
    ) {
        self.cells.push(Cell {
            phase,
            state,
            path,
            expected,
            found,
        });
    }

    /// Fails with the whole table if any cell is wrong.
    pub(crate) fn check(&self) {
        let wrong: Vec<_> = self.cells.iter().filter(|cell| !cell.is_right()).collect();
        let walked = |phase| self.cells.iter().filter(|cell| cell.phase == phase).count();
        assert_eq!(walked(Phase::Bad), State::ALL.len() * PATHS.len());
        assert_eq!(walked(Phase::Good), walked(Phase::Bad));
        for phase in ORDER {
            assert!(walked(phase) >= PATHS.len(), "{phase:?} was not walked");
        }
        assert!(wrong.is_empty(), "{}", self.table(&wrong));
    }

    fn table(&self, wrong: &[&Cell]) -> String {
        let mut text = format!(
            "{} of {} cells are wrong\n\n+ granted, - refused, as expected; \
             ! granted and should not have been; ? refused otherwise\n",
            wrong.len(),
            self.cells.len()
        );
        for (phase, state) in ORDER.iter().flat_map(|p| State::ALL.map(|s| (*p, s))) {
            let of_row = |cell: &&Cell| cell.phase == phase && cell.state == state;
            let marks: String = self.cells.iter().filter(of_row).map(Cell::mark).collect();
            if !marks.is_empty() {
                let name = format!("{phase:?} {state:?}");
                let _ = writeln!(text, "{name:<34}{marks}");
            }
        }
        text.push('\n');
        for cell in wrong {
            let Cell {
                phase,
                state,
                path: (by, what),
                expected,
                found,
            } = cell;
            let _ = writeln!(
                text,
                "{phase:?} {state:?}, {by:?} {what:?}: {found:?}, not {expected:?}"
            );
        }
        text
    }
}
