//! `taskpass run`, as an agent developer has it: what the command finds and does not find, what is
//! left of it, and what happens when it, the broker or the network go.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "run/running.rs"]
mod running;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use running::{Running, is_alive};
use rustix::process::{Pid, Signal, kill_process};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;
use taskpass_testkit::{Broker, Outcome, until};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const READ: &str = "https://ledger.example#invoices:read";
const WRITE: &str = "https://ledger.example#invoices:write";
const WHO: &str = "invoice-bot";

fn broker() -> Broker {
    Broker::builder(BIN).option("--lost-after=5s").start()
}

/// Runs a command to its end.
fn run(broker: &Broker, options: &[&str], command: &[&str]) -> Outcome {
    let line = [
        &["run", "--purpose", "drill", "--scope", READ][..],
        options,
        &["--"],
        command,
    ]
    .concat();
    broker.cli(WHO, &line)
}

fn sh(script: &str) -> [&str; 3] {
    ["sh", "-c", script]
}

/// The line with which it begins.
fn begun(outcome: &Outcome) -> Value {
    let line = outcome.stderr.lines().next().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|_| panic!("{outcome}"))
}

fn state(broker: &Broker, task: &str) -> String {
    broker.cli("", &["task", "show", task]).text("state")
}

fn ends_of(broker: &Broker, task: &str) -> Vec<Value> {
    let entries = broker.audit().into_iter();
    let entries = entries.map(|logged| logged["entry"].clone());
    entries
        .filter(|entry| entry["kind"] == "task.end" && entry["task"] == task)
        .collect()
}

#[test]
fn the_commands_exit_code_is_ours_and_nothing_is_left() {
    let broker = broker();
    let script = "sleep 997 & echo $!; setsid sleep 998 & echo $!; \
                  (trap '' TERM; exec sleep 999) & echo $!; cat $TASKPASS_TOKEN_FILE; exit 7";
    let outcome = run(&broker, &[], &sh(script));
    assert_eq!(outcome.code, 7, "{outcome}");
    let begun = begun(&outcome);
    let task = begun["task_id"].as_str().unwrap();
    assert_eq!(begun["scopes"], serde_json::json!([READ]));
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let [first, second, third, token] = lines[..] else {
        panic!("{outcome}")
    };
    // Not what went its own way, nor what does not want to hear.
    for pid in [first, second, third] {
        assert!(pid.parse::<u32>().is_ok() && !is_alive(pid), "{outcome}");
    }
    assert!(!Path::new(begun["folder"].as_str().unwrap()).exists());
    assert_eq!(state(&broker, task), "completed");
    let input = token.as_bytes();
    let asked = broker.cli_with("", &["introspect", "--token-file", "-"], input);
    assert_eq!(asked.json()["active"], false);
    let tasks = broker.cli("", &["task", "list", "--active"]).json();
    assert_eq!(tasks["tasks"], serde_json::json!([]));
}

#[test]
fn a_command_that_cannot_be_run_is_said_as_a_shell_says_it() {
    let broker = broker();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::write(&data, "not a program").unwrap();
    for (command, code) in [("/no/such/command", 127), (data.to_str().unwrap(), 126)] {
        let outcome = run(&broker, &["-q"], &[command]);
        assert_eq!(outcome.code, code, "{outcome}");
        assert!(outcome.stderr.starts_with("COMMAND_FAILED: "), "{outcome}");
    }
    let killed = run(&broker, &["-q"], &sh("kill -9 $$"));
    assert_eq!(killed.code, 137, "{killed}");
    assert!(killed.stderr.is_empty(), "{killed}");
}

#[test]
fn the_command_finds_its_credentials_and_not_the_identity() {
    let broker = broker();
    let script = "tr '\\0' '\\n' < /proc/self/environ; echo ---; ls -l /proc/self/fd; echo ---; \
                  cat $TASKPASS_CERT $TASKPASS_KEY $TASKPASS_CA | grep -c BEGIN; \
                  cat $TASKPASS_TOKENS; ls -ln $TASKPASS_CREDENTIALS/";
    let outcome = run(&broker, &[], &sh(script));
    assert_eq!(outcome.code, 0, "{outcome}");
    let parts: Vec<_> = outcome.stdout.split("---\n").collect();
    let [environment, open, found] = parts[..] else {
        panic!("{outcome}")
    };
    let identity = broker.identity_folder(WHO).display().to_string();
    let data = broker.data().display().to_string();
    assert!(!outcome.stdout.contains(&identity), "{outcome}");
    assert!(!outcome.stdout.contains(&data), "{outcome}");
    let ours: Vec<_> = environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| name.starts_with("TASKPASS_"))
        .map(|(name, _)| name)
        .collect();
    let mut sorted = ours.clone();
    sorted.sort_unstable();
    let expected = ["CA", "CERT", "CREDENTIALS", "KEY", "TOKENS", "TOKEN_FILE"];
    assert_eq!(sorted, expected.map(|name| format!("TASKPASS_{name}")));
    // Whoever started the test may have left files of its own open; nothing of ours is among them.
    for of_ours in ["socket:", "anon_inode:"] {
        assert!(!open.contains(of_ours), "{open}");
    }
    assert!(
        found.starts_with("6\n") || found.starts_with("5\n"),
        "{found}"
    );
    let index = found.lines().nth(1).unwrap();
    let index: Value = serde_json::from_str(index).unwrap();
    assert_eq!(index[0]["target"], "https://ledger.example");
    assert_eq!(index[0]["scopes"], serde_json::json!(["invoices:read"]));
    let files = found.lines().filter(|line| line.starts_with('-'));
    for file in files {
        assert!(file.starts_with("-rw-------"), "{file}");
    }
}

#[test]
fn what_the_broker_refuses_is_not_run() {
    let broker = broker();
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("ran");
    let touch = ["touch", marker.to_str().unwrap()];
    let line = [
        &["run", "--purpose", "x", "--scope", WRITE, "--"][..],
        &touch,
    ]
    .concat();
    let outcome = broker.cli(WHO, &line);
    outcome.refused("POLICY_DENIED", &[]);
    let nobody = broker.cli("operator", &line);
    assert_eq!(nobody.code, 1, "{nobody}");
    assert!(!marker.exists());
    let tasks = broker.cli("", &["task", "list", "--active"]).json();
    assert_eq!(tasks["tasks"], serde_json::json!([]));
}

#[test]
fn killed_without_a_word_the_command_goes_and_the_task_is_lost() {
    let broker = broker();
    let mut running = Running::start(
        &broker,
        WHO,
        &["--scope", READ],
        &sh("echo $$; exec sleep 1000"),
    );
    let (command, task) = (running.line(), running.task().to_owned());
    assert!(is_alive(&command));
    running.send(Signal::KILL);
    until("the command is gone", || {
        (!is_alive(&command)).then_some(())
    });
    until("the task is lost", || {
        (state(&broker, &task) == "lost").then_some(())
    });
    let end = until("the end is in the log", || ends_of(&broker, &task).pop());
    assert_eq!(end["reason"], "lost");
    assert!(end["actor"].is_null());
    let again = [
        "issue",
        "token",
        "--task",
        &task,
        "--target",
        "https://ledger.example",
    ];
    let again = [&again[..], &["--scope", "invoices:read"]].concat();
    broker.cli(WHO, &again).refused("TASK_NOT_ACTIVE", &[]);
}

#[test]
fn credentials_are_renewed_as_a_pair_and_signals_reach_the_command() {
    let broker = broker();
    let options = ["--scope", READ, "--token-ttl", "3s", "--cert-ttl", "4s"];
    let running = Running::start(&broker, WHO, &options, &["sleep", "1000"]);
    let current = running.folder().join("current");
    let mut seen = Vec::new();
    until("three generations were seen", || {
        // Resolved once, as a careful reader does.
        let generation = std::fs::canonicalize(&current).ok()?;
        let read = |name: &str| std::fs::read_to_string(generation.join(name)).ok();
        let (cert, key) = (read("cert.pem")?, read("key.pem")?);
        let (token, anchors) = (read("token")?, read("ca.pem")?);
        let leaf = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
        let key = zeroize::Zeroizing::new(key);
        taskpass_client::Identity::new(cert, key, anchors).unwrap();
        let payload = token.split('.').nth(1).unwrap();
        let claims = BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let thumbprint = BASE64URL_NOPAD.encode(digest(&SHA256, &leaf).as_ref());
        assert_eq!(claims["cnf"]["x5t#S256"], thumbprint);
        if !seen.contains(&generation) {
            seen.push(generation);
        }
        (seen.len() == 3).then_some(())
    });
    // Of the ones before only the last is kept.
    let kept = std::fs::read_dir(running.folder()).unwrap().count();
    assert!(kept <= 3, "{kept}");
    let (task, folder) = (running.task().to_owned(), running.folder().clone());
    running.send(Signal::TERM);
    let ended = running.ended();
    assert_eq!(ended.code, 143, "{}", ended.stderr);
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    assert!(!folder.exists());
    assert_eq!(state(&broker, &task), "completed");
}

#[test]
fn the_command_can_answer_a_signal_itself() {
    let broker = broker();
    let script = "trap 'exit 5' USR1; echo ready; while :; do sleep 0.1; done";
    let mut running = Running::start(&broker, WHO, &["--scope", READ], &sh(script));
    assert_eq!(running.line(), "ready");
    running.send(Signal::USR1);
    assert_eq!(running.ended().code, 5);
}

/// The line of somebody who runs `command`, outside of what [`run`] waits for.
fn line(broker: &Broker, command: &mut Command) -> std::process::Child {
    command
        .env("TASKPASS_ADDR", &broker.addresses().addr)
        .env("TASKPASS_IDENTITY", broker.identity_folder(WHO))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn told_to_end_before_the_command_begins_it_ends_in_order() {
    let broker = broker();
    let pid = |id: u32| Pid::from_raw(id.try_into().unwrap()).unwrap();
    // Whatever it asks is not answered.
    kill_process(pid(broker.pid().unwrap()), Signal::STOP).unwrap();
    let mut command = Command::new(BIN);
    command.args(["run", "--purpose", "drill", "--scope", READ, "--", "true"]);
    let mut running = line(&broker, &mut command);
    let status = format!("/proc/{}/status", running.id());
    until("it takes signals", || {
        let status = std::fs::read_to_string(&status).ok()?;
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        (caught & (1 << (15 - 1)) != 0).then_some(())
    });
    kill_process(pid(running.id()), Signal::TERM).unwrap();
    let ended = until("it ends", || running.try_wait().unwrap());
    // By itself: not by the signal.
    assert_eq!(ended.code(), Some(143), "{ended}");
}

#[test]
fn what_was_there_before_it_is_left_alone() {
    let broker = broker();
    let script = "sleep 996 & echo $!; exec \"$0\" run -q --purpose drill --scope \"$1\" -- \
                  sh -c 'sleep 995 & echo $!'";
    let mut command = Command::new("sh");
    command.args(["-c", script, BIN, READ]);
    let mut running = line(&broker, &mut command);
    let mut said = BufReader::new(running.stdout.take().unwrap()).lines();
    let mut pid = || said.next().unwrap().unwrap();
    let (helper, left) = (pid(), pid());
    until("what the command left is gone", || {
        (!is_alive(&left)).then_some(())
    });
    let ended = until("it ends", || running.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0), "{ended}");
    assert!(is_alive(&helper));
    let helper = Pid::from_raw(helper.parse().unwrap()).unwrap();
    kill_process(helper, Signal::KILL).unwrap();
}

#[test]
fn an_operator_who_ends_the_task_ends_the_command() {
    let broker = broker();
    // One that does not want to hear is killed after the grace.
    let script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    let options = ["--scope", READ, "--grace", "1s"];
    let mut running = Running::start(&broker, WHO, &options, &sh(script));
    assert_eq!(running.line(), "ready");
    let task = running.task().to_owned();
    let revoke = ["revoke", "--task", &task, "--reason", "drill"];
    broker.cli("", &revoke).ok();
    let ended = running.ended();
    assert_eq!(ended.code, 77, "{}", ended.stderr);
    let said = "TASK_NOT_ACTIVE: the task is over: it is revoked";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert_eq!(state(&broker, &task), "revoked");
}

#[test]
fn told_to_it_lets_the_command_go_on() {
    let broker = broker();
    let script = "trap 'exit 3' USR1; echo ready; while :; do sleep 0.1; done";
    let options = ["--scope", READ, "--keep-running"];
    let mut running = Running::start(&broker, WHO, &options, &sh(script));
    assert_eq!(running.line(), "ready");
    let task = running.task().to_owned();
    let revoke = ["revoke", "--task", &task, "--reason", "drill"];
    broker.cli("", &revoke).ok();
    until("nobody holds the task any more", || {
        let metrics = broker.ops("/metrics").text();
        metrics
            .contains("taskpass_keep_alive_streams 0\n")
            .then_some(())
    });
    running.send(Signal::USR1);
    let ended = running.ended();
    assert_eq!(ended.code, 3, "{}", ended.stderr);
}

#[test]
fn a_broker_that_restarts_finds_the_task_alive() {
    let mut broker = broker();
    let running = Running::start(&broker, WHO, &["--scope", READ], &["sleep", "1000"]);
    let held = |broker: &Broker| {
        let metrics = broker.ops("/metrics").text();
        let all = [
            "taskpass_keep_alive_streams 1\n",
            "taskpass_tied_tasks_away 0\n",
        ];
        all.iter().all(|line| metrics.contains(line)).then_some(())
    };
    until("it is held", || held(&broker));
    broker.restart();
    assert!(
        broker
            .ops("/metrics")
            .text()
            .contains("taskpass_tied_tasks 1\n")
    );
    until("it is held again", || held(&broker));
    assert_eq!(state(&broker, running.task()), "active");
    running.send(Signal::TERM);
    assert_eq!(running.ended().code, 143);
}

#[test]
fn another_user_gets_the_credentials_and_reaches_nothing_else() {
    let broker = broker();
    let identity = broker.identity_folder(WHO).join("key.pem");
    let script = format!(
        "id -u; id -G; cat $TASKPASS_CERT $TASKPASS_TOKEN_FILE | wc -l; \
         cat {} 2>&1; cat /proc/$PPID/environ 2>&1; \
         rm -f $TASKPASS_KEY; mv $TASKPASS_CREDENTIALS/token /tmp/ 2>/dev/null || echo kept",
        identity.display()
    );
    let outcome = run(&broker, &["--user", "65534:65533", "-q"], &sh(&script));
    if !rustix::process::geteuid().is_root() {
        outcome.refused("NOT_PERMITTED", &[]);
        return;
    }
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert_eq!(lines[..2], ["65534", "65533"], "{outcome}");
    assert!(lines[2].trim().parse::<u32>().unwrap() > 10, "{outcome}");
    assert_eq!(
        outcome.stdout.matches("Permission denied").count(),
        2,
        "{outcome}"
    );
    assert!(!outcome.stdout.contains("PRIVATE"), "{outcome}");
    assert_eq!(lines.last(), Some(&"kept"), "{outcome}");
}
