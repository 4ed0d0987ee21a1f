//! How many files this process may have open at one time: every connection is one.
//!
//! What a process begins with is often far below what it may have. It takes all that it may have; where
//! that is less than the configured connections need, it says so at the start, and serves all the same:
//! then newcomers wait where the files end, and not where the configuration says.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open beside connections: the store, the log, sockets, and what the runtimes need.
const BESIDE: u64 = 256;

/// Takes what may be had, and says if it is too little for `connections` at each of `listeners`.
pub(crate) fn take(connections: usize, listeners: u64) {
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    if before.current != before.maximum
        && let Err(error) = setrlimit(Resource::Nofile, wanted)
    {
        tracing::debug!(%error, "the limit of open files could not be raised");
    }
    let allowed = getrlimit(Resource::Nofile).current;
    let connections = u64::try_from(connections).unwrap_or(u64::MAX);
    if let Some((allowed, needed)) = too_few(allowed, connections, listeners) {
        tracing::warn!(
            allowed,
            needed,
            connections,
            "fewer files may be open than transport.connections needs: raise the limit of open files \
             (LimitNOFILE=, ulimit -Hn) or lower transport.connections"
        );
    }
}

/// What is allowed and what is needed, if it does not suffice. No limit at all always does.
fn too_few(allowed: Option<u64>, connections: u64, listeners: u64) -> Option<(u64, u64)> {
    let needed = connections.saturating_mul(listeners).saturating_add(BESIDE);
    let allowed = allowed.filter(|allowed| *allowed < needed)?;
    Some((allowed, needed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_counted_for_each_listener() {
        for (allowed, connections, listeners, expected) in [
            (None, u64::MAX, 3, None),
            (Some(12_544), 4_096, 3, None),
            (Some(12_543), 4_096, 3, Some((12_543, 12_544))),
            (Some(1_024), 4_096, 3, Some((1_024, 12_544))),
            (Some(1_024), u64::MAX, 3, Some((1_024, u64::MAX))),
        ] {
            assert_eq!(too_few(allowed, connections, listeners), expected);
        }
    }

    #[test]
    fn all_that_may_be_had_is_taken() {
        take(1, 1);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
