//! Where the private folder lies: in memory if the machine has such a place.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The folder in which to make ours. `runtime` is `XDG_RUNTIME_DIR`; `shared` says that another user
/// must reach what is in it.
pub(super) fn choose(runtime: Option<&Path>, shared: bool) -> PathBuf {
    let own = runtime.filter(|folder| !shared && is_private(folder));
    let root = [Path::new("/run")];
    let memory = [Path::new("/dev/shm")];
    let candidates = own
        .into_iter()
        .chain(root.into_iter().filter(|_| shared))
        .chain(memory);
    candidates
        .filter(|folder| folder.is_dir())
        .map(Path::to_owned)
        .next()
        .unwrap_or_else(std::env::temp_dir)
}

/// Whether nobody but us can enter it: somebody may have named a folder of theirs.
fn is_private(folder: &Path) -> bool {
    let us = rustix::process::geteuid().as_raw();
    folder.is_absolute()
        && std::fs::metadata(folder)
            .is_ok_and(|found| found.is_dir() && found.uid() == us && found.mode() & 0o777 == 0o700)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_a_private_runtime_folder_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path(), mode).unwrap();
        };
        mode(0o700);
        assert_eq!(choose(Some(folder.path()), false), folder.path());
        // Another user could not reach it.
        assert_ne!(choose(Some(folder.path()), true), folder.path());
        mode(0o750);
        assert_ne!(choose(Some(folder.path()), false), folder.path());
        for odd in [
            Some(Path::new("relative")),
            Some(Path::new("/nowhere")),
            None,
        ] {
            assert!(choose(odd, false).is_dir());
        }
    }
}
