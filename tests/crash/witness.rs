//! Somebody outside who keeps every checkpoint that the broker ever published: whatever is killed,
//! the log on disk must continue each of them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use taskpass_log::{Checkpoint, LogName, NoteKey, Reader, proof, verify_folder};
use taskpass_testkit::{Broker, http};

/// How often it asks.
const EVERY: Duration = Duration::from_millis(15);

/// The checkpoints that were seen, and whoever goes on asking.
#[derive(Debug, Clone, Default)]
pub(crate) struct Witness {
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// Asks until it is dropped.
pub(crate) struct Asking {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Witness {
    /// Begins to ask the broker for its checkpoint. Nobody answering is no error here.
    pub(crate) fn ask(&self, broker: &Broker) -> Asking {
        let url = format!("{}/log/checkpoint", broker.addresses().http);
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, kept) = (Arc::clone(&stop), Arc::clone(&self.kept));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Ok(reply) = http::get(&url)
                    && reply.status == 200
                {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    if kept.last() != Some(&reply.body) {
                        kept.push(reply.body);
                    }
                }
                std::thread::sleep(EVERY);
            }
        });
        Asking {
            stop,
            thread: Some(thread),
        }
    }

    /// The log on disk verifies, and continues every checkpoint that was ever seen.
    pub(crate) fn check(&self, broker: &Broker) {
        let root = broker.path("audit");
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let logs = LogName::list(&root).expect("the logs can be listed");
        assert!(!logs.is_empty(), "a log");
        for log in logs {
            let key = key(&root, log);
            let report = verify_folder(&log.folder(&root), std::slice::from_ref(&key), None)
                .unwrap_or_else(|error| panic!("{log}: {error}\n{}", broker.log()));
            let reader = Reader::open(&log.folder(&root));
            let view = reader.at(report.checkpoint.size);
            for note in kept.iter() {
                let seen = Checkpoint::parse_unverified(note).expect("a checkpoint");
                if seen.origin != report.checkpoint.origin {
                    continue;
                }
                let seen = Checkpoint::open(note, std::slice::from_ref(&key)).expect("signed");
                let (size, now) = (seen.size, report.checkpoint.size);
                assert!(size <= now, "the log went back from {size} to {now}");
                let root = proof::root(&view, size).expect("the tiles are there");
                assert_eq!(
                    root, seen.root,
                    "another history of the first {size} entries"
                );
            }
        }
    }

    /// How many checkpoints were seen.
    pub(crate) fn seen(&self) -> usize {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

fn key(root: &Path, log: LogName) -> NoteKey {
    let text = std::fs::read_to_string(log.vkey(root)).expect("its public key");
    NoteKey::parse(text.trim_end()).expect("a public key")
}
