//! A folder of policies: the shipped ones, and one more file.

use std::path::PathBuf;

use tempfile::TempDir;

/// A copy of the shipped policies, with `extra` beside them.
pub fn policies(extra: &str) -> TempDir {
    let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/policies");
    let folder = tempfile::tempdir().expect("a folder can be made");
    for entry in std::fs::read_dir(shipped).expect("the shipped policies are there") {
        let entry = entry.expect("their folder can be read");
        let copy = folder.path().join(entry.file_name());
        std::fs::copy(entry.path(), copy).expect("a file can be copied");
    }
    std::fs::write(folder.path().join("extra.cedar"), extra).expect("a file can be written");
    folder
}

/// A policy that permits `from` to hand work on to `to`.
pub fn pair(from: &str, to: &str) -> String {
    format!(
        "@id(\"{from}-to-{to}\")\n\
         permit (principal == Agent::\"{to}\", action == Action::\"delegate\", resource)\n\
         when {{ resource.agent == Agent::\"{from}\" }};\n"
    )
}
