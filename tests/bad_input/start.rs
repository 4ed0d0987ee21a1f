//! What keeps a broker from starting, and the command line from calling it.

use std::path::Path;
use std::process::Command;

use data_encoding::BASE64;
use taskpass_testkit::{Broker, Outcome, run};

use crate::*;

/// The binary without a broker of its own.
fn taskpass(args: &[&str]) -> Outcome {
    run(Path::new(BIN), &[], args, b"")
}

#[test]
fn configuration() {
    let broker = Broker::builder(BIN).serve("").start();
    let path = broker.path("taskpass.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    let file = broker.arg("other.toml");
    let kek = "[key_encryption_key]\nfile = \"kek\"";
    for (from, to, says) in [
        ("[ops]", "[ops]\nnope = 1", &["`nope`", "`listen`"][..]),
        ("data = \".\"", "data = \".\"\nnope = 1", &["`nope`"]),
        ("data = \".\"", "", &["data"]),
        (
            kek,
            "[key_encryption_key]",
            &["key_encryption_key", "`file`", "`env`"],
        ),
        (
            kek,
            "[key_encryption_key]\nfile = \"kek\"\nenv = \"KEK\"",
            &["exactly one"],
        ),
        (
            "[ops]",
            "[issue]\ntoken_ttl = \"2h\"\n[ops]",
            &["issue.token_ttl", "1h"],
        ),
        (
            "[ops]",
            "[issue]\nidentity_ttl = \"8d\"\n[ops]",
            &["issue.identity_ttl"],
        ),
        (
            "[ops]",
            "[issue]\ntask_ttl = \"5 parsecs\"\n[ops]",
            &["`5 parsecs`"],
        ),
        (
            "[ops]",
            "[limits.agent]\ndepth = 4\n[ops]",
            &["limits.agent.depth", "at most 3"],
        ),
        (
            "[ops]",
            "[reaper]\ninterval = \"0s\"\n[ops]",
            &["reaper.interval"],
        ),
        (
            "[http]\nlisten = \"127.0.0.1:",
            "[http]\nlisten = \"0.0.0.0:",
            &["http.listen", "TLS"],
        ),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(&file, good.replace(from, to)).unwrap();
        for args in [&["check-config", &file][..], &["serve", "--config", &file]] {
            let outcome = taskpass(args);
            outcome.refused("INVALID_CONFIG", says);
            assert!(outcome.stderr.contains("other.toml"), "{outcome}");
            assert!(!outcome.stderr.contains("\\u{a}"), "readable: {outcome}");
        }
    }
    taskpass(&["check-config", &path.display().to_string()]).ok();
    taskpass(&["check-config", &broker.arg("none.toml")]).refused("FILE_ERROR", &["none.toml"]);
}

#[test]
fn dev_stays_on_loopback() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("D");
    let folder = data.display().to_string();
    for option in ["--grpc", "--http", "--ops"] {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let args = ["dev", "--data", &folder, option, address];
            taskpass(&args).refused("DEV_LOOPBACK_ONLY", &[option, address, "loopback"]);
            assert!(!data.exists(), "nothing is made");
        }
    }
}

/// `serve` and `dev` each with the other's store, and with the file in a bad way.
#[test]
fn stores_that_are_not_opened() {
    let mut dev = Broker::start(BIN);
    assert_eq!(dev.stop(), 0);
    let config = dev.arg("serve.toml");
    let text = "data = \".\"\n[key_encryption_key]\nfile = \"kek\"\n[grpc]\nlisten = \"127.0.0.1:0\"\n\
                [http]\nlisten = \"127.0.0.1:0\"\n[ops]\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(&config, text).unwrap();
    taskpass(&["serve", "--config", &config]).refused("DEV_STORE", &["taskpass dev"]);

    let mut served = Broker::builder(BIN).serve("").start();
    assert_eq!(served.stop(), 0);
    let folder = served.data().display().to_string();
    let config = served.arg("taskpass.toml");
    let ports = [
        "--grpc",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--ops",
        "127.0.0.1:0",
    ];
    let dev_here = [&["dev", "--data", &folder][..], &ports].concat();
    taskpass(&dev_here).refused("NOT_A_DEV_STORE", &["taskpass serve"]);

    let store = served.path("store.redb");
    let good = std::fs::read(&store).unwrap();
    let newer = newer_schema(&store);
    let mut first_page = good.clone();
    first_page[..512].fill(0xa5);
    let mut everywhere = good.clone();
    for byte in everywhere.iter_mut().skip(4096).step_by(97) {
        *byte ^= 0x5a;
    }
    let cases = [
        ("of a newer version", Some(newer), "STORE_NEWER"),
        ("empty", Some(Vec::new()), "STORE_EMPTY"),
        ("gone", None, "STORE_EMPTY"),
        (
            "another file",
            Some(b"not a database at all".to_vec()),
            "STORE_DAMAGED",
        ),
        (
            "overwritten at its beginning",
            Some(first_page),
            "STORE_DAMAGED",
        ),
        ("overwritten in between", Some(everywhere), "STORE_DAMAGED"),
        (
            "cut in half",
            Some(good[..good.len() / 2].to_vec()),
            "STORE_DAMAGED",
        ),
    ];
    for (what, bytes, reason) in cases {
        match &bytes {
            Some(bytes) => std::fs::write(&store, bytes).unwrap(),
            None => std::fs::remove_file(&store).unwrap(),
        }
        for args in [&["serve", "--config", &config][..], &dev_here] {
            let outcome = taskpass(args);
            assert_eq!(outcome.reason(), reason, "{what}: {outcome}");
            assert!(outcome.stdout.is_empty(), "{what}: {outcome}");
        }
        if let Some(bytes) = bytes.filter(|bytes| bytes.len() < 1024) {
            assert_eq!(
                std::fs::read(&store).unwrap(),
                bytes,
                "{what}: left as it was"
            );
        }
        assert_eq!(
            store.exists(),
            what != "gone",
            "{what}: nothing is made in its place"
        );
    }
    // With the marker gone too, it is a folder without a store, and says so.
    std::fs::write(&store, &good).unwrap();
    let marker = served.path("store.birth");
    let kept = std::fs::read(&marker).unwrap();
    std::fs::remove_file(&marker).unwrap();
    taskpass(&["serve", "--config", &config]).refused("STORE_DAMAGED", &["marker"]);
    std::fs::write(&marker, kept).unwrap();
    served.try_launch().unwrap();
    served.cli("", &["keys", "list"]).ok();
}

/// The store as it would be if a newer program had written it.
fn newer_schema(store: &Path) -> Vec<u8> {
    let copy = store.with_extension("newer");
    std::fs::copy(store, &copy).unwrap();
    let database = redb::Database::open(&copy).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let meta: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta.1");
        let mut meta = transaction.open_table(meta).unwrap();
        let before = meta
            .insert("schema", 999_u32.to_be_bytes().as_slice())
            .unwrap();
        assert!(before.is_some(), "the schema's version is where we think");
    }
    transaction.commit().unwrap();
    drop(database);
    let bytes = std::fs::read(&copy).unwrap();
    std::fs::remove_file(copy).unwrap();
    bytes
}

#[test]
fn key_encryption_keys() {
    let mut broker = Broker::builder(BIN).serve("").start();
    assert_eq!(broker.stop(), 0);
    let config = broker.arg("taskpass.toml");
    let kek = broker.path("kek");
    let good = std::fs::read(&kek).unwrap();
    let wrong = BASE64.encode(&[7; 32]).into_bytes();
    for (bytes, reason, says) in [
        (Some(wrong), "WRONG_KEK", "key-encryption key"),
        (Some(b"too short".to_vec()), "INVALID_KEK", "32 bytes"),
        (Some(Vec::new()), "INVALID_KEK", "32 bytes"),
        (None, "NO_KEK", "key-encryption key"),
    ] {
        match bytes {
            Some(bytes) => std::fs::write(&kek, bytes).unwrap(),
            None => std::fs::remove_file(&kek).unwrap(),
        }
        let outcome = taskpass(&["serve", "--config", &config]);
        outcome.refused(reason, &[says]);
        assert!(
            !kek.exists() || std::fs::read(&kek).unwrap() != good,
            "no key is made"
        );
    }
    // From the environment: missing, and right.
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("file = \"kek\"", "env = \"TEST_KEK\"");
    std::fs::write(&config, text).unwrap();
    taskpass(&["serve", "--config", &config]).refused("NO_KEK", &["`TEST_KEK`"]);
    // The right one opens what all that left alone.
    std::fs::write(&kek, &good).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("env = \"TEST_KEK\"", "file = \"kek\""),
    )
    .unwrap();
    broker.try_launch().unwrap();
    broker.cli("", &["keys", "list"]).ok();
}

/// Where the broker cannot be reached, or nobody is named, the command line says so by itself.
#[test]
fn nobody_and_nowhere() {
    let broker = Broker::start(BIN);
    let identity = broker.identity_folder("operator").display().to_string();
    let addr = broker.addresses().addr.clone();
    let args = ["agent", "list"];
    let with = |environment: &[(&str, &str)]| run(Path::new(BIN), environment, &args, b"");
    let identity = ("TASKPASS_IDENTITY", identity.as_str());
    let here = ("TASKPASS_ADDR", addr.as_str());
    with(&[identity]).refused("NO_ADDRESS", &["--addr", "TASKPASS_ADDR"]);
    with(&[here]).refused("NO_IDENTITY", &["--identity", "TASKPASS_IDENTITY"]);
    let none = broker.arg("nobody");
    with(&[here, ("TASKPASS_IDENTITY", &none)]).refused("NO_IDENTITY", &["nobody"]);
    let nowhere = ("TASKPASS_ADDR", "https://127.0.0.1:1");
    with(&[identity, nowhere]).refused("UNREACHABLE", &["127.0.0.1:1"]);
    let typo = ("TASKPASS_ADDR", "https://");
    with(&[identity, typo]).refused("INVALID_ADDRESS", &["https://"]);
    // A key that others can read is not used.
    let exposed = broker.identity_folder("payout-bot");
    let chmod = Command::new("chmod")
        .arg("644")
        .arg(exposed.join("key.pem"))
        .status();
    assert!(chmod.unwrap().success());
    broker
        .cli("payout-bot", &["task", "list"])
        .refused("IDENTITY_EXPOSED", &["chmod 600"]);
}
