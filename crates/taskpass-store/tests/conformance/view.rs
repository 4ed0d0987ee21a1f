//! Everything that can be read, as text: two stores are equal if their views are.

use std::fmt::Write as _;

use taskpass_store::{Counter, MetaKey, Reader};

use crate::values::{agent, at, digest, owner, principal, reporter, target};

const MANY: usize = 10_000;

/// All that `reader` can say about the alphabets of `values`.
pub(crate) fn view(reader: &dyn Reader) -> String {
    let mut text = String::new();
    let mut say = |what: &dyn std::fmt::Debug| writeln!(text, "{what:?}").unwrap();

    say(reader.birth());
    say(&reader.last_committed_at());
    let mut rows = reader.registry().unwrap();
    rows.sort_by_key(|row| row.value.key());
    say(&rows);

    let tasks = reader.tasks(None, None, MANY).unwrap();
    assert!(!tasks.more);
    for task in &tasks.items {
        say(task);
        assert_eq!(reader.task(task.id).unwrap().as_ref(), Some(task));
        say(&reader.children(task.id, None, MANY).unwrap());
        for credential in reader.credentials(task.id, None, MANY).unwrap().items {
            say(&credential);
            let by_id = reader.credential(credential.id).unwrap();
            assert_eq!(by_id, Some(credential));
        }
    }
    for n in 0..6 {
        say(&reader.tasks(Some(&agent(n)), None, MANY).unwrap());
        say(&reader.enrolment(digest(n)).unwrap());
        say(&reader.identity(&principal(n)).unwrap());
        say(&reader.reporting(&reporter(n)).unwrap());
        for counter in [
            Counter::Agent(agent(n)),
            Counter::Owner(owner(n)),
            Counter::Target(target(n)),
            Counter::AgentTasks(agent(n)),
            Counter::OwnerTasks(owner(n)),
        ] {
            for minute in 0..8 {
                say(&reader.live(&counter, at(minute * 60)));
            }
        }
    }
    say(&reader.live_credentials());
    say(&reader.keys().unwrap());
    say(&reader.outbox(MANY).unwrap());
    say(&reader.outbox_len());
    say(&reader.archive_cursor().unwrap());
    for key in [
        MetaKey::SettledSeq,
        MetaKey::CrlNumber,
        MetaKey::PolicySet,
        MetaKey::KeysVersion,
        MetaKey::Shutdown,
        MetaKey::OldestLog,
        MetaKey::ListKey,
        MetaKey::RegistryVersion,
        MetaKey::Swept,
        MetaKey::Restored,
        MetaKey::Proposals,
        MetaKey::PolicyApprovals,
    ] {
        say(&reader.meta(key).unwrap());
    }
    say(&reader.leased_places().unwrap());
    say(&reader.ties(None, MANY).unwrap());
    let rules = reader.rules();
    say(&rules.newest_seq());
    say(&rules.after(0, MANY));
    text
}
