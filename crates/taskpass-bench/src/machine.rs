//! What the operating system says of this machine and of processes.

use std::path::Path;

/// How many CPUs this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The bytes of memory that a process holds, of this one if `process` is absent; `None` where
/// the operating system does not tell.
pub fn resident(process: Option<u32>) -> Option<u64> {
    let process = process.map_or_else(|| "self".to_owned(), |id| id.to_string());
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes.saturating_mul(1024))
}

/// The bytes that are free for this user on the disk of `folder`.
pub fn free(folder: &Path) -> std::io::Result<u64> {
    let figures = rustix::fs::statvfs(folder)?;
    Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
}

/// How many files this process may have open, once it has taken all that it may have.
pub fn files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    // Refused, it stays as it was.
    let _ = setrlimit(Resource::Nofile, wanted);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_answers() {
        assert!(cores() >= 1);
        assert!(files() > 100);
        assert!(free(Path::new("/")).is_ok());
        if cfg!(target_os = "linux") {
            assert!(resident(None).unwrap() > 100_000);
            assert_eq!(
                resident(Some(std::process::id())).is_some(),
                resident(None).is_some()
            );
        }
        assert_eq!(resident(Some(u32::MAX)), None);
    }
}
