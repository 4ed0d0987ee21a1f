//! Checkpoints that the broker hands outward by itself.

use std::path::Path;

use taskpass_log::{Checkpoint, Hash};
use taskpass_testkit::{Broker, until};

use crate::{BIN, open};

fn metric(broker: &Broker, name: &str) -> u64 {
    let text = broker.ops("/metrics").text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in:\n{text}"))
        .trim()
        .parse()
        .unwrap()
}

fn exported(path: &Path) -> Option<Checkpoint> {
    let note = std::fs::read(path).ok()?;
    Some(Checkpoint::parse_unverified(&note).unwrap())
}

/// Something for the log.
fn change(broker: &Broker, name: &str) {
    let contact = format!("{name}@example.org");
    broker
        .cli("", &["owner", "register", name, "--contact", &contact])
        .ok();
}

#[test]
fn the_newest_checkpoint_is_in_the_file_and_at_the_command() {
    let away = tempfile::tempdir().unwrap();
    let (file, sent) = (away.path().join("checkpoint"), away.path().join("sent"));
    std::fs::create_dir(&sent).unwrap();
    let sections = format!(
        "[audit.export]\nfile = {file:?}\ninterval = \"1s\"\n\
         command = [\"/bin/sh\", \"-c\", \"cat > \\\"$0/$TASKPASS_SIZE\\\"\", {sent:?}]\n"
    );
    let mut broker = Broker::builder(BIN).serve(&sections).start();
    let first = until("a checkpoint is exported", || exported(&file));
    change(&broker, "one");
    let second = until("a newer one is exported", || {
        exported(&file).filter(|next| next.size > first.size)
    });
    until("the metric says so", || {
        (metric(&broker, "taskpass_checkpoint_exported_size") >= second.size).then_some(())
    });
    change(&broker, "two");
    assert_eq!(broker.stop(), 0, "{}", broker.log());
    // The last one is of the whole log, its stop included, and signed by the log's key.
    let last = exported(&file).unwrap();
    let log = broker.audit();
    assert_eq!(
        last.size,
        log.last().unwrap()["index"].as_u64().unwrap() + 1
    );
    let month = log.last().unwrap()["log"].as_str().unwrap();
    let vkey = std::fs::read_to_string(broker.path(&format!("audit/{month}.vkey"))).unwrap();
    let note = std::fs::read_to_string(&file).unwrap();
    assert_eq!(open(&note, &vkey), last);
    let at_the_command = std::fs::read_to_string(sent.join(last.size.to_string())).unwrap();
    assert_eq!(at_the_command, note);
    let beside: Vec<_> = std::fs::read_dir(away.path()).unwrap().collect();
    assert_eq!(beside.len(), 2, "{beside:?}");
}

#[test]
fn a_checkpoint_that_the_log_does_not_contain_is_kept() {
    let away = tempfile::tempdir().unwrap();
    let file = away.path().join("checkpoint");
    let sections = format!("[audit.export]\nfile = {file:?}\ninterval = \"1s\"\n");
    let broker = Broker::builder(BIN).serve(&sections).start();
    let real = until("a checkpoint is exported", || exported(&file));
    let mut changes = 0;
    let mut conflicts = 0;
    // As if the log had been longer, had had other entries, or had gone on into another month.
    let longer = real
        .to_string()
        .replace(&format!("\n{}\n", real.size), "\n4000000\n");
    let root = Hash::leaf(b"another history").to_string();
    let other = real.to_string().replace(&real.root.to_string(), &root);
    let month = real.origin.as_str().rsplit_once('/').unwrap().1;
    let later = real.to_string().replace(month, "9999-12");
    let gone = real.to_string().replace(month, "1999-12");
    for text in [longer, other, later, gone] {
        let note = format!("{text}\n\u{2014} x AAAAAAAA\n");
        Checkpoint::parse_unverified(note.as_bytes()).unwrap();
        std::fs::write(&file, &note).unwrap();
        changes += 1;
        change(&broker, &format!("owner-{changes}"));
        conflicts = until("the conflict is counted", || {
            let found = metric(&broker, "taskpass_checkpoint_export_conflicts_total");
            (found > conflicts).then_some(found)
        });
        assert_eq!(std::fs::read_to_string(&file).unwrap(), note, "it stays");
        let ready = broker.ops("/readyz");
        assert_eq!(ready.status, 503, "{text}");
        assert!(
            ready.text().contains("rolled back or rewritten"),
            "{}",
            ready.text()
        );
        assert!(
            broker.log().contains("is not in this log"),
            "{}",
            broker.log()
        );
        // Somebody has looked at it.
        std::fs::remove_file(&file).unwrap();
        until("it is exported and ready again", || {
            let good = exported(&file)?.size > real.size;
            (good && broker.ops("/readyz").status == 200).then_some(())
        });
    }
    // What is no checkpoint of ours is nobody's evidence, and yet not ours to replace.
    let another = real.to_string().replace("127.0.0.1", "broker.example");
    let another = format!("{another}\n\u{2014} x AAAAAAAA\n");
    for foreign in ["root:x:0:0\n".to_owned(), another] {
        let failures = metric(&broker, "taskpass_checkpoint_export_failures_total");
        std::fs::write(&file, &foreign).unwrap();
        changes += 1;
        change(&broker, &format!("owner-{changes}"));
        until("the failure is counted", || {
            let found = metric(&broker, "taskpass_checkpoint_export_failures_total");
            (found > failures).then_some(())
        });
        assert_eq!(std::fs::read_to_string(&file).unwrap(), foreign);
        assert_eq!(broker.ops("/readyz").status, 200);
        std::fs::remove_file(&file).unwrap();
    }
    let counted = metric(&broker, "taskpass_checkpoint_export_conflicts_total");
    assert_eq!(counted, conflicts, "a foreign file is no conflict");
}

#[test]
fn a_command_that_fails_is_tried_again() {
    let away = tempfile::tempdir().unwrap();
    let (flag, out) = (away.path().join("up"), away.path().join("out"));
    let sections = format!(
        "[audit.export]\ninterval = \"1s\"\ncommand = [\"/bin/sh\", \"-c\", \
         \"test -e $0 || {{ echo witness is down >&2; exit 1; }}; cat > $1.part && mv $1.part $1\", {flag:?}, {out:?}]\n"
    );
    let broker = Broker::builder(BIN).serve(&sections).start();
    until("the failure is counted", || {
        (metric(&broker, "taskpass_checkpoint_export_failures_total") > 0).then_some(())
    });
    until("it is in the log", || {
        broker.log().contains("witness is down").then_some(())
    });
    assert_eq!(broker.ops("/readyz").status, 200);
    std::fs::write(&flag, "").unwrap();
    until("the command has it", || exported(&out).map(drop));
}
