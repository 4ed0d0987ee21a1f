//! What somebody may do to months, and how it is seen.

use super::*;

/// What is done to the months, and a part of the refusal.
type Tampering<'a> = (&'a str, &'a dyn Fn(&Path, &[String; 3]), &'a str);

/// Removes a month, to be made again.
fn again(root: &Path, month: &str) {
    fs::remove_dir_all(root.join(month)).unwrap();
}

fn all_are_seen(cases: &[Tampering<'_>]) {
    for (what, tamper, expected) in cases {
        let (root, notes) = months();
        tamper(root.path(), &notes);
        let error = verify_logs(root.path(), None, None)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{what}: {error}");
    }
}

#[test]
fn what_was_done_to_a_closed_month_is_seen() {
    all_are_seen(&[
        (
            "two months are swapped, with their keys",
            &|root, _| {
                for (from, to) in [("2026-09", "x"), ("2026-11", "2026-09"), ("x", "2026-11")] {
                    fs::rename(root.join(from), root.join(to)).unwrap();
                    let vkey = |name| root.join(format!("{name}.vkey"));
                    fs::rename(vkey(from), vkey(to)).unwrap();
                }
            },
            "the folder 2026-09 holds the log broker.example/log/2026-11, expected one whose name \
             ends in /2026-09",
        ),
        (
            "the last entries of an earlier month are dropped, under a checkpoint that was valid once",
            &|root, _| {
                again(root, MONTHS[1]);
                // The same log as it was, and was signed, after its first entry.
                let note = months_note(root, MONTHS[0]);
                month(root, MONTHS[1], Some(&note), 0);
            },
            "log 2026-11 has 1 entries, but 2026-12 began after 5: its end is missing",
        ),
        (
            "a closed month goes on",
            &|root, notes| {
                again(root, MONTHS[1]);
                month(root, MONTHS[1], Some(&notes[0]), 6);
            },
            "log 2026-11 has 7 entries, but 2026-12 began after 5: it went on after it was closed",
        ),
        (
            "a month is rebuilt to the same size, by somebody with the key",
            &|root, notes| {
                again(root, MONTHS[1]);
                let mut entries = rest(5);
                entries[0] = first(&origin(MONTHS[1]), Some(&notes[0]));
                entries[4] = b"{\"n\":\"forged\"}".to_vec();
                write(root, MONTHS[1], SEED, &entries);
            },
            "but 2026-12 began after",
        ),
        (
            "a month is rebuilt by somebody without the key, who puts an own one beside it",
            &|root, notes| {
                again(root, MONTHS[1]);
                let mut entries = rest(5);
                entries[0] = first(&origin(MONTHS[1]), Some(&notes[0]));
                write(root, MONTHS[1], 8, &entries);
            },
            "log 2026-12 begins with a checkpoint that is not one of 2026-11",
        ),
        (
            "the key beside a month is another one",
            &|root, _| {
                let other = key(8, &origin(MONTHS[1])).to_string();
                fs::write(root.join("2026-11.vkey"), other).unwrap();
            },
            "log 2026-11 does not hold",
        ),
    ]);
}

#[test]
fn what_a_month_begins_with_is_compared() {
    all_are_seen(&[
        (
            "the last month names another end",
            &|root, notes| {
                again(root, MONTHS[2]);
                let other = notes[1].replace("\n5\n", "\n4\n");
                month(root, MONTHS[2], Some(&other), 0);
            },
            "log 2026-12 begins with a checkpoint that is not one of 2026-11",
        ),
        (
            "the last month names nothing",
            &|root, _| {
                again(root, MONTHS[2]);
                month(root, MONTHS[2], None, 0);
            },
            "log 2026-12 begins as if there was none before it, but 2026-11 is there",
        ),
        (
            "the last month names nonsense",
            &|root, _| {
                again(root, MONTHS[2]);
                month(root, MONTHS[2], Some("nonsense"), 0);
            },
            "log 2026-12 begins with a checkpoint that is not one of 2026-11",
        ),
        (
            "a month between two is left out",
            &|root, _| {
                again(root, MONTHS[1]);
                fs::remove_file(root.join("2026-11.vkey")).unwrap();
            },
            "log 2026-12 follows broker.example/log/2026-11, but the one before it here is \
             broker.example/log/2026-09: one is missing",
        ),
        (
            "a month is left out, but its key is not",
            &|root, _| again(root, MONTHS[2]),
            "the key 2026-12.vkey is there, but the folder 2026-12 of its log is missing",
        ),
        (
            "a month does not begin as one does",
            &|root, _| {
                again(root, MONTHS[0]);
                write(root, MONTHS[0], SEED, &rest(3));
            },
            "log 2026-09 must begin with an entry of kind `log` that names broker.example/log/2026-09",
        ),
        (
            "a month's first entry names another log",
            &|root, notes| {
                again(root, MONTHS[2]);
                write(
                    root,
                    MONTHS[2],
                    SEED,
                    &[first(&origin("2027-01"), Some(&notes[1]))],
                );
            },
            "log 2026-12 must begin with an entry of kind `log` that names broker.example/log/2026-12",
        ),
    ]);
}

#[test]
fn what_is_in_the_folder_is_looked_at() {
    all_are_seen(&[
        (
            "an entry is changed",
            &|root, _| {
                let bundle = root.join("2026-09/tile/entries/000");
                let mut bytes = fs::read(&bundle).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(bundle, bytes).unwrap();
            },
            "log 2026-09 does not hold",
        ),
        (
            "a checkpoint is missing",
            &|root, _| fs::remove_file(root.join("2026-09/checkpoint")).unwrap(),
            "log 2026-09 does not hold",
        ),
        (
            "a file that is none of a log's",
            &|root, _| fs::write(root.join("notes.txt"), "x").unwrap(),
            "notes.txt does not belong into a folder of logs, which has folders named like",
        ),
        (
            "a folder that is no month",
            &|root, _| fs::create_dir(root.join("2026-13")).unwrap(),
            "2026-13 does not belong into a folder of logs",
        ),
        (
            "a key that is none",
            &|root, _| fs::write(root.join("2026-11.vkey"), "x").unwrap(),
            "2026-11.vkey holds no public key",
        ),
    ]);
}

/// The checkpoint of a month.
fn months_note(root: &Path, month: &str) -> String {
    fs::read_to_string(root.join(month).join("checkpoint")).unwrap()
}
