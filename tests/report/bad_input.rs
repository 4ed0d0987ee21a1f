//! What a report cannot rest on, and what cannot be meant: each is refused with its reason, the place, and
//! what to do, before anything is printed or written.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use taskpass_testkit::Broker;

use super::{BIN, work};

/// The reports that rest on a log and a registry.
const REPORTS: [&[&str]; 5] = [
    &["inventory"],
    &["least-privilege"],
    &["exposure"],
    &["readiness"],
    &["evidence", "--framework", "owasp-nhi"],
];
/// What `readiness` ends with where an agent is not ready.
const NOT_READY: i32 = 3;

/// A name, what is done to a log, the reason that it is refused for, and what is said.
type Damage<'a> = (&'a str, fn(&Path), &'a str, &'a [&'a str]);

/// A log and a registry, and folders in which a copy of them is damaged.
struct Copies {
    broker: Broker,
    scratch: tempfile::TempDir,
}

impl Copies {
    async fn new() -> Self {
        let broker = Broker::start(BIN);
        work(&broker).await;
        let (log, registry) = (broker.arg("copy"), broker.arg("registry.toml"));
        broker.cli("", &["audit", "export", "--out", &log]).ok();
        let export = ["registry", "export", "--out", &registry];
        broker.cli("", &export).ok();
        let scratch = tempfile::tempdir().unwrap();
        Self { broker, scratch }
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path().join(name).display().to_string()
    }

    /// A copy of the log that was changed.
    fn damaged(&self, name: &str, damage: fn(&Path)) -> String {
        let copy = self.scratch.path().join(name);
        copied(&self.broker.path("copy"), &copy);
        damage(&copy);
        copy.display().to_string()
    }

    /// Each report of these files, with more arguments, is refused like this; and says what to do.
    fn refuses(&self, log: &str, registry: &str, more: &[&str], reason: &str, says: &[&str]) {
        for report in REPORTS {
            let source = ["--log", log, "--registry", registry];
            let line = [&["report"], report, &source[..], more].concat();
            let outcome = self.broker.cli_raw("", &line, b"");
            outcome.refused(reason, says);
            outcome.refused(reason, &["hint: "]);
        }
    }
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copied(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The first file beneath a folder whose path has `part`.
fn file(root: &Path, part: &str) -> PathBuf {
    let mut pending = vec![root.to_owned()];
    let mut found = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            pending.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.to_string_lossy().contains(part) {
            found.push(path);
        }
    }
    found.sort();
    found.swap_remove(0)
}

/// Turns one bit of a file.
fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_log_that_does_not_hold_is_refused_with_the_place() {
    let copies = Copies::new().await;
    let registry = copies.broker.arg("registry.toml");
    let evidence = "keep it as evidence";
    let cases: [Damage<'_>; 8] = [
        (
            "entry",
            |log| flip(&file(log, "tile/entries/"), 100),
            "LOG_INVALID",
            &[
                "does not hold",
                "entry 0 is not the one",
                "tile/0/",
                evidence,
            ],
        ),
        (
            "tile",
            |log| flip(&file(log, "tile/0/"), 40),
            "LOG_INVALID",
            &[
                "does not hold",
                "entry 1 is not the one",
                "tile/0/",
                evidence,
            ],
        ),
        (
            "checkpoint",
            |log| flip(&file(log, "/checkpoint"), 8),
            "LOG_INVALID",
            &["checkpoint is not accepted", "does not hold", evidence],
        ),
        (
            "signature",
            |log| {
                let path = file(log, "/checkpoint");
                let text = fs::read_to_string(&path).unwrap();
                fs::write(path, text.split_once("\n\n").unwrap().0).unwrap();
            },
            "LOG_INVALID",
            &["checkpoint is not accepted", "signature lines", evidence],
        ),
        (
            "gone",
            |log| fs::remove_file(file(log, "tile/0/")).unwrap(),
            "LOG_INCOMPLETE",
            &["tile/0/", "is missing", "copy it again"],
        ),
        (
            "bundle",
            |log| fs::remove_file(file(log, "tile/entries/")).unwrap(),
            "LOG_INCOMPLETE",
            &["tile/entries/", "is missing", "copy it again"],
        ),
        (
            "foreign",
            |log| fs::write(file(log, "tile/0/").with_file_name("x"), "").unwrap(),
            "LOG_FOREIGN_FILE",
            &["tile/0/", "nothing vouches for it"],
        ),
        (
            "no-key",
            |log| fs::remove_file(file(log, ".vkey")).unwrap(),
            "NO_KEY",
            &[".vkey, is missing", "give --key"],
        ),
    ];
    for (name, damage, reason, says) in cases {
        let log = copies.damaged(name, damage);
        copies.refuses(&log, &registry, &[], reason, says);
    }
    let log = copies.broker.arg("copy");
    let other = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    for (key, reason, says) in [
        (other, "LOG_UNTRUSTED", "is it the key of this broker?"),
        (
            "no-such.vkey",
            "INVALID_KEY",
            "neither a public key nor a file",
        ),
    ] {
        copies.refuses(&log, &registry, &["--key", key], reason, &[says]);
    }
    let nowhere = copies.path("nowhere");
    copies.refuses(
        &nowhere,
        &registry,
        &[],
        "FILE_ERROR",
        &["audit export --out"],
    );
    let empty = copies.path("empty");
    fs::create_dir(&empty).unwrap();
    copies.refuses(&empty, &registry, &[], "NO_LOG", &["audit export --out"]);
}

#[tokio::test]
async fn a_registry_that_does_not_read_is_refused_with_the_place() {
    let copies = Copies::new().await;
    let log = copies.broker.arg("copy");
    let cases: [(&[u8], &[&str]); 5] = [
        (b"[[agent]\n", &["line 1", "docs/REGISTRY.md"]),
        (b"[[owner]]\nname = 1\n", &["line 2, column 8"]),
        (
            b"[[target]]\nuri = 'https://a.example'\nrisk = 'huge'\n",
            &["3:8", "risk", "low, medium, high"],
        ),
        (b"[[owner]]\nname = 'x'\ncontract = 'y'\n", &["contract"]),
        (b"\xff\xfe", &["is not UTF-8"]),
    ];
    for (n, (bytes, says)) in cases.iter().enumerate() {
        let file = copies.path(&format!("{n}.toml"));
        fs::write(&file, bytes).unwrap();
        copies.refuses(&log, &file, &[], "INVALID_REGISTRY", says);
    }
    let gone = copies.path("gone.toml");
    copies.refuses(&log, &gone, &[], "FILE_ERROR", &["could not read"]);
    // One without the other is a mistake on the command line.
    for half in [["--log", &log], ["--registry", &gone]] {
        let line = [&["report", "inventory"], &half[..]].concat();
        assert_eq!(copies.broker.cli_raw("", &line, b"").code, 2);
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_and_nothing_is_written() {
    let copies = Copies::new().await;
    let (log, registry) = (
        copies.broker.arg("copy"),
        copies.broker.arg("registry.toml"),
    );
    for (since, says) in [
        ("2999-01-01", "the period begins at 2999-01-01T00:00:00Z"),
        ("soon", "`soon` is no instant"),
        ("2026-02-30", "is no instant"),
    ] {
        let more = ["--since", since];
        copies.refuses(&log, &registry, &more, "INVALID_PERIOD", &[says, "30d"]);
    }
    let named: [(&str, &[&str], &str); 5] = [
        ("exposure", &["--agent", "nobody"], "AGENT_NOT_FOUND"),
        ("exposure", &["--owner", "nobody"], "OWNER_NOT_FOUND"),
        ("least-privilege", &["--agent", "nobody"], "AGENT_NOT_FOUND"),
        ("least-privilege", &["--owner", "nobody"], "OWNER_NOT_FOUND"),
        (
            "least-privilege",
            &["--target", "https://nowhere.example"],
            "TARGET_NOT_FOUND",
        ),
    ];
    for (report, more, reason) in named {
        let line = ["report", report, "--log", &log, "--registry", &registry];
        let outcome = copies.broker.cli_raw("", &[&line[..], more].concat(), b"");
        outcome.refused(reason, &[more[1], "hint: "]);
    }

    // Where a file cannot go is said before the log is read: here it would not even verify.
    let broken = copies.damaged("broken", |log| flip(&file(log, "tile/0/"), 40));
    let there = copies.path("there");
    fs::write(&there, "mine").unwrap();
    let nowhere = copies.path("no/such/folder/file");
    for option in ["--csv", "--html"] {
        let (to, says) = ([option, &there], ["exists already", "name another file"]);
        copies.refuses(&broken, &registry, &to, "FILE_EXISTS", &says);
        let (to, says) = ([option, &nowhere], ["no/such/folder", "is the path right"]);
        copies.refuses(&broken, &registry, &to, "FILE_ERROR", &says);
        // And what is refused for another reason leaves no file behind.
        let out = copies.path("out");
        copies.refuses(&broken, &registry, &[option, &out], "LOG_INVALID", &[]);
        assert!(!Path::new(&out).exists());
    }
    let suggest = ["report", "least-privilege", "--log", &broken, "--registry"];
    let suggest = [&suggest[..], &[&registry, "--suggest", &there]].concat();
    let outcome = copies.broker.cli_raw("", &suggest, b"");
    outcome.refused("FILE_EXISTS", &["exists already"]);
    assert_eq!(fs::read_to_string(&there).unwrap(), "mine");

    let policies = copies.path("policies");
    fs::create_dir(&policies).unwrap();
    let line = ["report", "least-privilege", "--log", &log, "--registry"];
    let line = [&line[..], &[&registry, "--policies", &policies]].concat();
    let outcome = copies.broker.cli_raw("", &line, b"");
    outcome.refused("INVALID_POLICY", &["do not load", "hint: "]);
}

/// Nothing is known of before the log: that is no error, and it is said.
#[tokio::test]
async fn a_period_from_before_the_log_is_reported_on_with_a_note() {
    let copies = Copies::new().await;
    let (log, registry) = (
        copies.broker.arg("copy"),
        copies.broker.arg("registry.toml"),
    );
    for report in REPORTS {
        let source = [
            "--log",
            &log,
            "--registry",
            &registry,
            "--since",
            "2020-01-01",
        ];
        let line = [&["report"], report, &source[..]].concat();
        let outcome = copies.broker.cli_raw("", &line, b"");
        let not_ready = report[0] == "readiness" && outcome.code == NOT_READY;
        assert!(outcome.code == 0 || not_ready, "{outcome}");
        assert!(
            outcome.stdout.contains("nothing is known of before"),
            "{outcome}"
        );
        let outcome = copies.broker.cli("", &line);
        let about: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let about = &about["about"];
        assert_eq!(about["since"], json!("2020-01-01T00:00:00Z"));
        assert!(about["log_first_at"].as_str() > about["since"].as_str());
    }
}
