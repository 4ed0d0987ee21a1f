//! Processes on this machine: this one, and the command line's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use taskpass_api::v1;
use taskpass_client::{Agent, Connection, connect};
use taskpass_testkit::{Broker, refused, run, within};

use crate::issuer::{Issuer, Signer, job};
use crate::{BIN, READ, furnish, started, work};

/// A broker whose socket knows one program of our user.
fn broker(folder: &Path, executable: &Path) -> (Broker, String) {
    broker_with(folder, executable, "")
}

fn broker_with(folder: &Path, executable: &Path, also: &str) -> (Broker, String) {
    let socket = folder.join("agent.sock");
    let uid = rustix::process::getuid().as_raw();
    let config = format!(
        "[unix]\nlisten = \"{}\"\nmode = \"0600\"\n[[unix.rule]]\nagent = \"invoice-bot\"\n\
         uid = {uid}\nexecutable = \"{}\"\n{also}",
        socket.display(),
        executable.display()
    );
    let broker = Broker::builder(BIN).serve(&config).start();
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    (broker, format!("unix:{}", socket.display()))
}

fn cli(broker: &Broker, addr: &str) -> taskpass_testkit::Outcome {
    let start = [
        "-o",
        "json",
        "task",
        "start",
        "--purpose",
        "p",
        "--scope",
        READ,
    ];
    run(broker.bin(), &[("TASKPASS_ADDR", addr)], &start, b"")
}

#[tokio::test]
async fn a_process_is_the_agent_that_a_rule_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let own = std::env::current_exe().unwrap().canonicalize().unwrap();
    let (mut broker, addr) = broker(folder.path(), &own);
    furnish(&broker).await;
    let agent = within(Agent::connect_unix(&addr)).await.unwrap();
    let task = work(&agent).await.unwrap();
    let entry = started(&broker, &task.id().to_string()).await;
    assert_eq!(entry["agent"], "invoice-bot");
    let attestation = &entry["attestation"];
    assert_eq!(attestation["method"], "unix");
    assert_eq!(attestation["uid"], rustix::process::getuid().as_raw());
    assert_eq!(attestation["executable"], own.display().to_string());
    assert!(entry.get("generation").is_none(), "{entry}");
    // Another program of the same user.
    cli(&broker, &addr).refused("UNAUTHENTICATED", &["no rule"]);

    // Revoked, a connection from before is nobody's; one that is made afterwards, suspended.
    let revoke = ["revoke", "--agent", "invoice-bot", "--reason", "drill"];
    broker.cli("", &revoke).ok();
    let old = work(&agent).await.unwrap_err();
    assert_eq!(old.reason, "UNAUTHENTICATED", "{old}");
    // Left behind by a kill, it is taken over.
    broker.kill9();
    broker.restart();
    let agent = within(Agent::connect_unix(&addr)).await.unwrap();
    let suspended = work(&agent).await.unwrap_err();
    assert!(["AGENT_SUSPENDED", "UNAUTHENTICATED"].contains(&suspended.reason.as_str()));
}

#[tokio::test]
async fn a_stranger_may_ask_for_health_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let bin = Path::new(BIN).canonicalize().unwrap();
    let (broker, addr) = broker(folder.path(), &bin);
    furnish(&broker).await;
    // The program that the rule names.
    assert!(!cli(&broker, &addr).text("task_id").is_empty());
    // This one is not it.
    let channel = within(connect(&addr, None, "")).await.unwrap();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    let request = tonic_health::pb::HealthCheckRequest::default();
    within(health.check(request)).await.unwrap();
    let mut enrolment = v1::enrolment_service_client::EnrolmentServiceClient::new(channel.clone());
    let answer = within(enrolment.enrol(v1::EnrolRequest::default())).await;
    assert_eq!(refused(answer).reason, "UNAUTHENTICATED");
    let refusal = work(&Agent::over(channel)).await.unwrap_err();
    assert_eq!(refusal.reason, "UNAUTHENTICATED");
    assert!(refusal.message.contains("no rule"), "{refusal}");
    // No identity is shown there.
    let identity = broker.identity("admin");
    let shown = connect(&addr, Some(&identity), identity.ca_pem()).await;
    assert!(shown.is_err());
}

#[tokio::test]
async fn a_token_lets_nobody_in_whom_no_rule_of_the_socket_names() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::start().await;
    let (broker, addr) = broker_with(
        folder.path(),
        Path::new("/usr/bin/somebody-else"),
        &issuer.trusted(),
    );
    furnish(&broker).await;
    let file = folder.path().join("token");
    std::fs::write(&file, Signer::Ec.signed(&job())).unwrap();
    let channel = within(connect(&addr, None, "")).await.unwrap();
    let showing = Agent::by(Connection::presenting(channel, &file));
    let refusal = work(&showing).await.unwrap_err();
    assert_eq!(refusal.reason, "UNAUTHENTICATED");
    assert!(refusal.message.contains("one way"), "{refusal}");
    // Where no process is known, it is good.
    let anchors = broker.identity("admin").ca_pem().to_owned();
    let agent = Agent::connect_presenting(broker.authority(), &file, &anchors);
    let agent = within(agent).await.unwrap();
    work(&agent).await.unwrap();
}

#[tokio::test]
async fn strangers_keep_nobody_out_whom_a_rule_names() {
    let folder = tempfile::tempdir().unwrap();
    let bin = Path::new(BIN).canonicalize().unwrap();
    let limits = "[transport]\nconnections = 64\n";
    let (broker, addr) = broker_with(folder.path(), &bin, limits);
    furnish(&broker).await;
    let socket = addr.strip_prefix("unix:").unwrap();
    let mut held = Vec::new();
    // As many as there may be, and they begin as a good peer does.
    for _ in 0..64 {
        use std::io::Write as _;
        let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        let opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        // It may have been closed already.
        let _ = stream.write_all(opening);
        held.push(stream);
    }
    assert!(!cli(&broker, &addr).text("task_id").is_empty());
    drop(held);
}
