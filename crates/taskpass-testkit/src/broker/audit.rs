//! The audit log of a broker, read from its folder while it is written, or after.

use std::path::Path;

use serde_json::{Value, json};
use taskpass_log::{Checkpoint, LogName, Reader};

use super::Broker;
use crate::wait::{PATIENCE, poll};

impl Broker {
    /// The entries under the newest published checkpoints, in order, each as `log`, `index` and
    /// `entry`. What happened just now comes within a second; after a stop everything is there.
    pub fn audit(&self) -> Vec<Value> {
        let root = self.path("audit");
        let mut failure = String::new();
        // A file that a checkpoint covers can have another name the moment after.
        let entries = poll(PATIENCE, &mut || match read(&root) {
            Ok(entries) => Some(entries),
            Err(error) => {
                failure = error;
                None
            }
        });
        match entries {
            Some(entries) => entries,
            None => panic!("the audit log does not read: {failure}\n{}", self.log()),
        }
    }
}

fn read(root: &Path) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    for log in LogName::list(root).map_err(|error| error.to_string())? {
        let reader = Reader::open(&log.folder(root));
        let Some(note) = reader.checkpoint().map_err(|error| error.to_string())? else {
            continue;
        };
        let checkpoint = Checkpoint::parse_unverified(&note).map_err(|error| error.to_string())?;
        let view = reader.at(checkpoint.size);
        for entry in view.entries(0..checkpoint.size) {
            let (index, entry) = entry.map_err(|error| error.to_string())?;
            let entry: Value = serde_json::from_slice(&entry).map_err(|error| error.to_string())?;
            all.push(json!({ "log": log.to_string(), "index": index, "entry": entry }));
        }
    }
    Ok(all)
}
