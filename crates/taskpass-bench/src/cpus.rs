//! Which CPUs a thread may use: so that what loads a server does not take the CPUs that it is measured on.

/// CPUs of this machine, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cpus(Vec<usize>);

/// The CPUs of this process in two halves; `None` where there is only one, or the system does not tell.
pub(crate) fn halves() -> Option<(Cpus, Cpus)> {
    split(&system::allowed()?)
}

fn split(all: &[usize]) -> Option<(Cpus, Cpus)> {
    let (one, other) = all.split_at_checked(all.len() / 2)?;
    let halves = (Cpus(one.to_vec()), Cpus(other.to_vec()));
    (!one.is_empty()).then_some(halves)
}

impl Cpus {
    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        self.0.len()
    }

    /// The calling thread, and each that it starts from here on, uses no others.
    pub(crate) fn pin(&self) {
        if let Err(error) = system::pin(&self.0) {
            tracing::warn!(%error, "a thread of the bench could not be kept to its CPUs");
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    pub(super) fn allowed() -> Option<Vec<usize>> {
        let set = sched_getaffinity(None).ok()?;
        let all = (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu));
        Some(all.collect())
    }

    pub(super) fn pin(cpus: &[usize]) -> std::io::Result<()> {
        let mut set = CpuSet::new();
        for cpu in cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU) {
            set.set(*cpu);
        }
        Ok(sched_setaffinity(None, &set)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn allowed() -> Option<Vec<usize>> {
        None
    }

    pub(super) fn pin(_: &[usize]) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_share_nothing() {
        assert_eq!(split(&[]), None);
        assert_eq!(split(&[3]), None);
        let (one, other) = split(&[0, 2, 5]).unwrap();
        assert_eq!((one.0, other.0), (vec![0], vec![2, 5]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_pinned_thread_starts_is_pinned() {
        let Some((one, _)) = halves() else { return };
        let seen = std::thread::spawn(move || {
            one.pin();
            let own = std::thread::spawn(system::allowed).join().unwrap();
            (one.0, own)
        });
        let (one, own) = seen.join().unwrap();
        assert_eq!(own, Some(one));
    }
}
