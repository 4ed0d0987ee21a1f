mod agreement;
mod approve;
mod current;
mod decisions;
mod observe;
mod operators;
mod reload;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use taskpass_policy::PolicySet;

use crate::testing::TestBroker;
use crate::testing::log::lines;
use crate::{Archiver, LogSettings};

/// Where the shipped policies are.
fn shipped_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/policies")
}

/// The schema, and the files of the shipped policies with `extra` beside them.
fn shipped_and(extra: &str) -> PolicySet {
    let mut files: Vec<(String, String)> = std::fs::read_dir(shipped_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "cedar"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    assert_eq!(files.len(), 6);
    files.push(("extra.cedar".into(), extra.into()));
    PolicySet::from_sources(&schema(), &files).unwrap()
}

fn only(text: &str) -> PolicySet {
    PolicySet::from_sources(&schema(), &[("only.cedar".into(), text.into())]).unwrap()
}

fn schema() -> String {
    std::fs::read_to_string(shipped_dir().join("taskpass.cedarschema")).unwrap()
}

/// A broker whose log is written.
struct World {
    t: TestBroker,
    folder: tempfile::TempDir,
    archiver: Archiver,
}

impl World {
    async fn new() -> Self {
        let t = TestBroker::new().await;
        let folder = tempfile::tempdir().unwrap();
        let settings = LogSettings {
            folder: folder.path().to_owned(),
            keep_months: None,
        };
        let archiver = Archiver::open(Arc::clone(&t.broker), settings)
            .await
            .unwrap();
        Self {
            t,
            folder,
            archiver,
        }
    }

    /// All entries, the oldest first.
    async fn entries(&mut self) -> Vec<Value> {
        self.archiver.drain().await.unwrap();
        lines(self.folder.path())
            .into_iter()
            .map(|line| line.entry)
            .collect()
    }
}
