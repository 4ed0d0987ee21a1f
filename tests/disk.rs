//! A disk that fills: nothing is issued, whatever was issued can still be revoked, and with room
//! again all goes on.
//!
//! The disk is a small one in memory, in a mount namespace of the test's own: the test runs itself
//! once more inside. Where no namespace can be made, it says that it did not run.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use taskpass_testkit::{Broker, until};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
/// Says that this is the run inside, and where the small disk is.
const INSIDE: &str = "TASKPASS_TEST_SMALL_DISK";
const MIB: u64 = 1024 * 1024;

#[test]
fn a_full_disk_stops_issuing_and_nothing_else() {
    if let Some(disk) = std::env::var_os(INSIDE) {
        return filled(Path::new(&disk));
    }
    let disk = tempfile::tempdir().expect("a folder");
    let mount = "mount -t tmpfs -o size=200m small \"$1\" || exit 77; shift; exec \"$@\"";
    let itself = std::env::current_exe().expect("the test's own path");
    let ran = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            mount,
            "sh",
        ])
        .arg(disk.path())
        .arg(itself)
        .args(["--exact", "a_full_disk_stops_issuing_and_nothing_else"])
        .args(["--nocapture"])
        .env(INSIDE, disk.path())
        .env("TMPDIR", disk.path())
        .output();
    match ran {
        Ok(ran) if ran.status.success() => {}
        Ok(ran) if String::from_utf8_lossy(&ran.stdout).contains("running 1 test") => {
            let (out, err) = (ran.stdout, ran.stderr);
            let text = [out, err].concat();
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&text));
        }
        Ok(_) | Err(_) => eprintln!("not run: no mount namespace can be made here"),
    }
}

fn free(disk: &Path) -> u64 {
    let disk = rustix::fs::statvfs(disk).expect("the disk");
    disk.f_bavail * disk.f_frsize
}

/// Writes until so many bytes are free.
fn fill(disk: &Path, leave: u64) -> PathBuf {
    let path = disk.join("filling");
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .expect("a file");
    while free(disk) > leave {
        let step = (free(disk) - leave).min(MIB);
        let bytes = vec![1; usize::try_from(step).expect("a mebibyte")];
        if file.write_all(&bytes).is_err() {
            break;
        }
    }
    path
}

fn filled(disk: &Path) {
    let broker = Broker::start(BIN);
    let scope = "https://ledger.example#invoices:read";
    let start = ["task", "start", "--purpose", "p", "--scope", scope];
    let (first, second) = (
        broker.cli("invoice-bot", &start).text("task_id"),
        broker.cli("invoice-bot", &start).text("task_id"),
    );
    let issue = |task: &str| {
        let target = "https://ledger.example";
        let args = ["issue", "token", "--task", task, "--target", target];
        broker.cli(
            "invoice-bot",
            &[&args[..], &["--scope", "invoices:read"]].concat(),
        )
    };
    let credential = issue(&first).text("credential_id");
    issue(&second).ok();
    let ready = || broker.ops("/readyz").status;
    assert_eq!(ready(), 200);

    let filling = fill(disk, 20 * MIB);
    issue(&first).refused("STORE_UNAVAILABLE", &["disk is nearly full"]);
    assert_eq!(ready(), 503);
    assert!(broker.ops("/readyz").text().contains("nearly full"));
    let revoke = ["revoke", "--credential", &credential, "--reason", "drill"];
    broker.cli("", &revoke).ok();

    // To the last byte: what is kept back makes room for the next revocations.
    fill(disk, 0);
    issue(&first).refused("STORE_UNAVAILABLE", &[]);
    assert!(free(disk) > 16 * MIB, "the reserve was given up");
    broker
        .cli("", &["revoke", "--task", &second, "--reason", "drill"])
        .ok();

    std::fs::remove_file(filling).expect("the file was there");
    until("there is room again", || {
        (issue(&first).code == 0).then_some(())
    });
    assert_eq!(ready(), 200);
    // What was revoked while nothing could be issued is revoked.
    issue(&second).refused("TASK_NOT_ACTIVE", &[]);
}
