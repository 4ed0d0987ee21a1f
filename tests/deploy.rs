//! What stands in `deploy/` speaks of this broker: its metrics, its options, its ports.
//!
//! The tools that read these files in earnest run in `tests/deploy/check.sh`.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The words of `text` that begin with `taskpass_`.
fn metrics(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("taskpass_"))
        .map(|word| {
            let of_histogram = ["_bucket", "_sum", "_count"];
            of_histogram
                .iter()
                .find_map(|end| word.strip_suffix(end))
                .unwrap_or(word)
                .to_owned()
        })
        .collect()
}

/// The metrics that `docs/METRICS.md` describes, which a test of the server compares with the code.
fn documented() -> BTreeSet<String> {
    read("docs/METRICS.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|rest| rest.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
    let documented = documented();
    assert!(documented.len() > 30, "{documented:?}");
    for file in [
        "deploy/prometheus/taskpass.rules.yaml",
        "deploy/prometheus/taskpass.rules.test.yaml",
        "deploy/grafana/taskpass.json",
    ] {
        let used = metrics(&read(file));
        assert!(!used.is_empty(), "{file} names none");
        let unknown: Vec<_> = used.difference(&documented).collect();
        assert!(unknown.is_empty(), "{file} asks for {unknown:?}");
    }
}

#[test]
fn each_alert_is_explained_to_who_is_woken_by_it() {
    let operations = read("docs/OPERATIONS.md");
    for line in read("deploy/prometheus/taskpass.rules.yaml").lines() {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            assert!(operations.contains(name), "{name} is not in OPERATIONS.md");
        }
    }
}

#[test]
fn the_dashboard_is_a_dashboard() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("deploy/grafana/taskpass.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = &panel["gridPos"];
        let right = place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap();
        assert!(right <= 24, "{panel}");
        if panel["type"] != "row" {
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
        }
    }
}

#[test]
fn the_cluster_s_configuration_is_one_that_the_broker_takes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taskpass = || std::process::Command::new(env!("CARGO_BIN_EXE_taskpass"));
    let made = taskpass()
        .args(["init", "--trust-domain", "example.org"])
        .args(["--public-url", "https://taskpass.example.org", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let data = data.to_str().unwrap();
    for file in ["deploy/kubernetes/taskpass.toml", "config/taskpass.toml"] {
        let text = read(file)
            .replace("/run/secrets/taskpass/kek", &format!("{data}/kek"))
            .replace("/var/lib/taskpass", data);
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let checked = taskpass().arg("check-config").arg(&path).output().unwrap();
        assert!(checked.status.success(), "{file}: {checked:?}");
    }
}

#[test]
fn the_manifests_name_the_ports_of_the_configuration() {
    let config = read("deploy/kubernetes/taskpass.toml");
    let set = read("deploy/kubernetes/stateful-set.yaml");
    for (name, port) in [("grpc", 7443), ("http", 7480), ("ops", 7490)] {
        assert!(config.contains(&format!("\"0.0.0.0:{port}\"")), "{name}");
        let listed = format!("- name: {name}\n              containerPort: {port}");
        assert!(set.contains(&listed), "{name}");
    }
}

/// What a broker under a service manager says until `enough` of it was heard.
fn said(socket: &std::os::unix::net::UnixDatagram, enough: impl Fn(&str) -> bool) -> String {
    let mut said = String::new();
    let mut bytes = [0; 4096];
    while !enough(&said) {
        let length = socket.recv(&mut bytes).expect(&said);
        said.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        said.push('\n');
    }
    said
}

#[test]
fn a_service_manager_hears_that_it_is_ready_that_it_lives_and_that_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_taskpass"))
        .args(["init", "--trust-domain", "example.org"])
        .args(["--public-url", "http://127.0.0.1:1", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let config = data.join("ports.toml");
    let text = "data = \".\"\n[key_encryption_key]\nfile = \"kek\"\n\
                [grpc]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
                [ops]\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(&config, text).unwrap();
    let at = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&at).unwrap();
    socket
        .set_read_timeout(Some(std::time::Duration::from_mins(1)))
        .unwrap();
    let mut broker = std::process::Command::new(env!("CARGO_BIN_EXE_taskpass"))
        .args(["serve", "--config"])
        .arg(&config)
        .env("NOTIFY_SOCKET", &at)
        .env("WATCHDOG_USEC", "200000")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let life = said(&socket, |said| said.matches("WATCHDOG=1").count() >= 3);
    assert!(life.starts_with("READY=1\n"), "{life}");
    let pid = rustix::process::Pid::from_child(&broker);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    said(&socket, |said| said.contains("STOPPING=1"));
    assert!(broker.wait().unwrap().success());
}
