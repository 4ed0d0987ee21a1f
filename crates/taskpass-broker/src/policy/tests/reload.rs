//! A changed directory: in force whole, or not at all.

use std::fs;
use std::path::Path;

use taskpass_policy::PolicySet;
use taskpass_store::{MetaKey, Store as _};

use super::{World, shipped_dir};
use crate::policy::{Looked, PolicyDirectory};
use crate::testing::TestBroker;

const CLOSED: &str = "@id(\"closed\") forbid (principal, action, resource);";

/// A copy of the shipped directory.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(shipped_dir()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

type Spoil = fn(&Path);

fn counts(t: &TestBroker) -> (u64, u64) {
    let metrics = t.broker.metrics();
    (metrics.policy_loads.get(), metrics.policy_refusals.get())
}

#[tokio::test]
async fn a_change_is_taken_when_it_has_settled() {
    let t = TestBroker::new().await;
    let folder = copy();
    let mut directory = PolicyDirectory::new(folder.path().to_owned());
    let shipped = t.broker.policy_hash();
    assert_eq!(
        directory.look(&t.broker, false).await.unwrap(),
        Looked::Same
    );
    assert!(t.start("reader", &["read"]).await.is_ok());

    write(folder.path(), "extra.cedar", "@id(\"half");
    assert_eq!(
        directory.look(&t.broker, false).await.unwrap(),
        Looked::Changing
    );
    write(folder.path(), "extra.cedar", CLOSED);
    assert_eq!(
        directory.look(&t.broker, false).await.unwrap(),
        Looked::Changing
    );
    assert_eq!((t.broker.policy_hash(), counts(&t)), (shipped, (0, 0)));
    assert_eq!(
        directory.look(&t.broker, false).await.unwrap(),
        Looked::InForce
    );
    assert_eq!(counts(&t), (1, 0));
    let denied = t.start("reader", &["read"]).await.unwrap_err();
    assert_eq!(denied.reason(), "POLICY_DENIED");
    assert_eq!(
        t.broker.policy_hash(),
        PolicySet::from_dir(folder.path()).unwrap().hash()
    );
    assert_eq!(
        directory.look(&t.broker, false).await.unwrap(),
        Looked::Same
    );

    // Told, it waits for nothing.
    fs::remove_file(folder.path().join("extra.cedar")).unwrap();
    assert_eq!(
        directory.look(&t.broker, true).await.unwrap(),
        Looked::InForce
    );
    assert_eq!((t.broker.policy_hash(), counts(&t)), (shipped, (2, 0)));
    assert!(t.start("reader", &["read"]).await.is_ok());
}

#[tokio::test]
async fn what_does_not_load_is_refused_and_the_old_set_stays() {
    let t = TestBroker::new().await;
    let before = t.broker.policy_hash();
    let spoils: [(&str, Spoil); 6] = [
        ("syntax", |f| {
            write(
                f,
                "extra.cedar",
                "@id(\"x\") permit (principal, action resource);",
            );
        }),
        ("a name", |f| {
            write(f, "extra.cedar", "permit (principal, action, resource);");
        }),
        ("a stray file", |f| write(f, "extra.cedr", CLOSED)),
        ("no schema", |f| {
            fs::remove_file(f.join("taskpass.cedarschema")).unwrap();
        }),
        ("no policy", |f| {
            for entry in fs::read_dir(f).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|ending| ending == "cedar") {
                    fs::remove_file(path).unwrap();
                }
            }
        }),
        ("no directory", |f| fs::remove_dir_all(f).unwrap()),
    ];
    for (index, (what, spoil)) in spoils.into_iter().enumerate() {
        let folder = copy();
        let mut directory = PolicyDirectory::new(folder.path().to_owned());
        spoil(folder.path());
        let looks = [
            (false, Looked::Changing),
            (false, Looked::Refused),
            // Said once; again when asked.
            (false, Looked::Same),
            (true, Looked::Refused),
            (false, Looked::Same),
        ];
        for (told, expected) in looks {
            let looked = directory.look(&t.broker, told).await.unwrap();
            assert_eq!(looked, expected, "{what}");
        }
        let refusals = 2 * (u64::try_from(index).unwrap() + 1);
        assert_eq!(
            (t.broker.policy_hash(), counts(&t)),
            (before, (0, refusals)),
            "{what}"
        );
        assert!(t.start("reader", &["read"]).await.is_ok(), "{what}");
    }
}

/// What is put right is the set that is in force: nothing to do, and the next fault is said again.
#[tokio::test]
async fn a_fault_that_comes_back_is_said_again() {
    let t = TestBroker::new().await;
    let folder = copy();
    let mut directory = PolicyDirectory::new(folder.path().to_owned());
    for round in 1..=2 {
        write(folder.path(), "extra.cedar", "junk");
        for expected in [Looked::Changing, Looked::Refused, Looked::Same] {
            assert_eq!(directory.look(&t.broker, false).await.unwrap(), expected);
        }
        fs::remove_file(folder.path().join("extra.cedar")).unwrap();
        assert_eq!(
            directory.look(&t.broker, false).await.unwrap(),
            Looked::Same
        );
        assert_eq!(counts(&t), (0, round));
    }
}

#[tokio::test]
async fn the_log_says_which_set_came_into_force() {
    let mut world = World::new().await;
    let folder = copy();
    write(folder.path(), "extra.cedar", CLOSED);
    let mut directory = PolicyDirectory::new(folder.path().to_owned());
    world.t.advance(1);
    directory.look(&world.t.broker, true).await.unwrap();
    world.t.advance(1);
    let hash = world.t.broker.policy_hash().to_string();
    let denied = world.t.start("reader", &["read"]).await.unwrap_err();
    assert_eq!(denied.reason(), "POLICY_DENIED");
    // So the next start with this set records no second time that it came into force.
    let known = world.t.store.meta(MetaKey::PolicySet).await.unwrap();
    assert_eq!(known.unwrap(), world.t.broker.policy_hash().as_bytes());
    let entries = world.entries().await;
    let came: Vec<_> = entries
        .iter()
        .filter(|entry| entry["kind"] == "policy")
        .map(|entry| entry["subject"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(came.len(), 2, "the first one, and this: {came:?}");
    assert_eq!(came[1], hash);
    let order: Vec<_> = entries
        .iter()
        .filter(|entry| {
            entry["subject"] == hash.as_str() || entry["decision"]["policy_set"] == hash.as_str()
        })
        .map(|entry| entry["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        order,
        ["policy", "task.start"],
        "first it is on record, then it decides"
    );
}
