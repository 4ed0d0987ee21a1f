//! What the command left behind: nothing of it goes on.
//!
//! We are the one that orphans come to, so everything that the command started, and that its own
//! parents did not wait for, becomes a child of ours, also what left its process group. What is our
//! child and not reaped has an id that is nobody else's: a signal can reach no stranger. A shell that
//! became us (`helper & exec taskpass run …`) leaves us children that are none of the command's: those
//! that were there before it are left alone.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait, waitpid};

/// How often it is looked whether they have ended.
const LOOK: Duration = Duration::from_millis(20);
/// How long they may take to end once they were told, and once they were killed.
const LINGER: Duration = Duration::from_secs(2);

/// Whom the command leaves to us.
pub(super) struct Family {
    /// Our children from before it. They are not reaped while it runs, so that no id of theirs becomes
    /// somebody else's.
    strangers: Vec<Pid>,
}

impl Family {
    /// Call it before the command is started.
    pub(super) fn before_the_command() -> Self {
        Self {
            strangers: children(),
        }
    }

    /// Ends what the command left, and reaps it. Call it when the command itself was reaped.
    pub(super) async fn end(mut self) {
        for signal in [Signal::TERM, Signal::KILL] {
            let mut told = Vec::new();
            let mut waited = Duration::ZERO;
            while waited < LINGER {
                if self.none_is_left() {
                    return;
                }
                // Each time anew: the children of those that end come to us next.
                for pid in self.left() {
                    if !told.contains(&pid) {
                        told.push(pid);
                        let _ = kill_process(pid, signal);
                    }
                }
                tokio::time::sleep(LOOK).await;
                waited += LOOK;
            }
        }
    }

    /// Reaps what came to us and has ended, but not the command itself.
    pub(super) fn reap_others(&self, command: Pid) {
        for pid in self.left().into_iter().filter(|pid| *pid != command) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }

    /// Our children, but for the strangers.
    fn left(&self) -> Vec<Pid> {
        let mut left = children();
        left.retain(|pid| !self.strangers.contains(pid));
        left
    }

    /// Reaps whatever has ended; whether that was all.
    fn none_is_left(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                // A stranger's id is free from now on.
                Ok(Some((pid, _))) => self.strangers.retain(|stranger| *stranger != pid),
                Err(Errno::INTR) => {}
                Ok(None) => return !self.strangers.is_empty() && self.left().is_empty(),
                // No child at all, or nobody can tell.
                Err(_) => return true,
            }
        }
    }
}

/// Our children, as far as the system says.
fn children() -> Vec<Pid> {
    let us = i32::try_from(std::process::id()).unwrap_or(0);
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = entries.flatten().filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.parse::<i32>().ok()
    });
    numbers
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_ok_and(|stat| parent_in(&stat) == Some(us))
        })
        .filter_map(Pid::from_raw)
        .collect()
}

/// The parent that a line of `/proc/<pid>/stat` names; a process can have any name, parentheses included.
fn parent_in(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_pass_for_a_parent() {
        for (stat, parent) in [
            ("12 (sh) S 7 12 12 0", Some(7)),
            ("12 (a) S 1 (b) R 7 12 12 0", Some(7)),
            ("12 (a b) Z 8", Some(8)),
            ("12 (sh S 7", None),
            ("12 (sh) S", None),
            ("", None),
        ] {
            assert_eq!(parent_in(stat), parent, "{stat}");
        }
    }
}
