//! The binary is exchanged: a store that an old one wrote is migrated at the start, with what was in it.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use taskpass_testkit::until;

use crate::BIN;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/schema-1");

/// What its tokens say that they are from.
const ISSUER: &str = "127.0.0.1:36419";

/// A data folder as the old program left it.
fn unpack(folder: &Path) {
    let packed = std::fs::read(format!("{FIXTURE}/store.redb.gz")).unwrap();
    let mut store = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut store).unwrap();
    std::fs::write(folder.join("store.redb"), store).unwrap();
    for file in ["store.birth", "kek"] {
        std::fs::copy(format!("{FIXTURE}/{file}"), folder.join(file)).unwrap();
    }
}

#[test]
fn the_new_program_migrates_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    unpack(folder.path());
    let log = folder.path().join("stderr");
    let mut dev = Command::new(BIN);
    dev.args(["-v", "dev", "--data"]).arg(folder.path());
    dev.args(["--http", ISSUER]);
    for option in ["--grpc", "--ops"] {
        dev.args([option, "127.0.0.1:0"]);
    }
    let to = std::fs::File::create(&log).unwrap();
    let mut child = dev.stdout(Stdio::null()).stderr(to).spawn().unwrap();
    let said = until("it is ready, or ended", || {
        let said = std::fs::read_to_string(&log).unwrap();
        let over = child.try_wait().unwrap().is_some();
        (over || said.contains("ready")).then_some(said)
    });
    let _ = child.kill();
    let _ = child.wait();
    assert!(said.contains("the store was migrated"), "{said}");
    // Unless somebody else listens there at this moment.
    let taken = said.contains("ADDRESS_UNAVAILABLE");
    assert!(taken || said.contains("ready"), "{said}");
}
