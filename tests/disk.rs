//! A disk that fills: nothing is issued, whatever was issued can still be revoked, and with room
//! again all goes on. If it is the log's only, its entries wait, and nothing else does.
//!
//! The disk is a small one in memory, in a mount namespace of the test's own: the test runs itself
//! once more inside. Where no namespace can be made, it says that it did not run.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says if it did not run"
)]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use taskpass_testkit::{Broker, until};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
/// Says that this is the run inside, and where the small disk is.
const INSIDE: &str = "TASKPASS_TEST_SMALL_DISK";
const MIB: u64 = 1024 * 1024;

/// Runs the test `name` once more, with a small disk of its own and with its folders on it or not.
fn with_small_disk(name: &str, size: &str, folders: bool, inside: fn(&Path)) {
    if let Some(disk) = std::env::var_os(INSIDE) {
        return inside(Path::new(&disk));
    }
    let disk = tempfile::tempdir().expect("a folder");
    let mount =
        format!("mount -t tmpfs -o size={size} small \"$1\" || exit 77; shift; exec \"$@\"");
    let itself = std::env::current_exe().expect("the test's own path");
    let mut again = Command::new("unshare");
    again.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    again
        .args([mount.as_str(), "sh"])
        .arg(disk.path())
        .arg(itself);
    again.args(["--exact", name, "--nocapture"]);
    again.env(INSIDE, disk.path());
    if folders {
        again.env("TMPDIR", disk.path());
    }
    match again.output() {
        Ok(ran) if ran.status.success() => {}
        Ok(ran) if String::from_utf8_lossy(&ran.stdout).contains("running 1 test") => {
            let (out, err) = (ran.stdout, ran.stderr);
            let text = [out, err].concat();
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&text));
        }
        Ok(_) | Err(_) => eprintln!("not run: no mount namespace can be made here"),
    }
}

#[test]
fn a_full_disk_stops_issuing_and_nothing_else() {
    with_small_disk(
        "a_full_disk_stops_issuing_and_nothing_else",
        "200m",
        true,
        filled,
    );
}

#[test]
fn a_full_folder_of_the_log_fills_the_outbox_which_drains_by_itself() {
    with_small_disk(
        "a_full_folder_of_the_log_fills_the_outbox_which_drains_by_itself",
        "4m",
        false,
        filled_log,
    );
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

fn metric(broker: &Broker, name: &str) -> u64 {
    let page = broker.ops("/metrics").text();
    let found = page.lines().find_map(|line| line.strip_prefix(name));
    let value = found.and_then(|value| value.trim().parse().ok());
    value.expect("a metric")
}

fn filled_log(disk: &Path) {
    let config = format!("[audit]\ndir = \"{}/log\"\n", disk.display());
    let mut broker = Broker::builder(BIN).serve(&config).start();
    let owner = |name: &str| {
        let register = ["owner", "register", name, "--contact", "a@example.org"];
        broker.cli("", &register).ok();
    };
    owner("before");
    until("the log has it", || {
        (metric(&broker, "taskpass_outbox_entries ") == 0).then_some(())
    });
    let filling = fill(disk, 0);
    for name in ["one", "two", "three"] {
        owner(name);
    }
    until("writing fails", || {
        (metric(&broker, "taskpass_log_failures_total ") > 1).then_some(())
    });
    assert!(metric(&broker, "taskpass_outbox_entries ") >= 3);
    assert!(broker.log().contains("the audit log cannot be written"));
    // Nothing is missing, and nothing need be started anew.
    std::fs::remove_file(filling).expect("the file was there");
    until("the outbox drains", || {
        (metric(&broker, "taskpass_outbox_entries ") == 0).then_some(())
    });
    owner("after");
    assert_eq!(broker.stop(), 0);
    let folder = disk.join("log").display().to_string();
    broker.cli("", &["audit", "verify", &folder]).ok();
    for name in ["before", "one", "two", "three", "after"] {
        let subject = format!("owner {name}");
        assert!(
            logged(&disk.join("log"), &subject),
            "{name} is not in the log"
        );
    }
}

/// Whether an entry is about `subject`; the log is verified already.
fn logged(root: &Path, subject: &str) -> bool {
    let logs = taskpass_log::LogName::list(root).expect("the logs");
    logs.iter().any(|log| {
        let reader = taskpass_log::Reader::open(&log.folder(root));
        let note = reader
            .checkpoint()
            .expect("it reads")
            .expect("a checkpoint");
        let size = taskpass_log::Checkpoint::parse_unverified(&note)
            .expect("a checkpoint")
            .size;
        let view = reader.at(size);
        view.entries(0..size)
            .filter_map(Result::ok)
            .any(|(_, entry)| String::from_utf8_lossy(&entry).contains(subject))
    })
}
