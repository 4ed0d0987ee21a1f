//! The client's side of the story: what it was handed, what it asked to be ended, and what of that
//! was acknowledged.
//!
//! A request is noted before it is sent, an answer when it is there. So after a crash each
//! credential has one of three fates: it must live, it must be dead, or the answer was lost and both
//! are right, as long as everybody is told the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// What a client holds.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A token.
    Token(String),
    /// A certificate with its issuing authority's, in PEM.
    Certificate(String),
}

/// A credential that left the broker.
#[derive(Debug, Clone)]
pub(crate) struct Handed {
    pub(crate) id: String,
    pub(crate) task: String,
    pub(crate) agent: String,
    pub(crate) what: What,
}

/// Something that ends credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ruling {
    Credential(String),
    Task(String),
    /// What an agent held when it was asked for: the first so many of all that was handed out.
    Agent(String, usize),
    /// A task that its agent completes.
    Completed {
        task: String,
        agent: String,
    },
}

impl Ruling {
    /// Selector and value, as the trail has them.
    pub(crate) fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Credential(id) => ("credential", id),
            Self::Task(id) | Self::Completed { task: id, .. } => ("task", id),
            Self::Agent(name, _) => ("agent", name),
        }
    }
}

/// A ruling, and its `seq` once it was acknowledged (0 of a completion, which tells none).
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) ruling: Ruling,
    pub(crate) acknowledged: Option<u64>,
}

/// A task that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) agent: String,
    pub(crate) parent: String,
    pub(crate) key: String,
    pub(crate) purpose: String,
    pub(crate) task: Option<String>,
}

/// What must hold of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Lives,
    Dead,
    Unknown,
}

#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) handed: Vec<Handed>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) starts: Vec<Start>,
    /// Answers that nobody should have got.
    pub(crate) unexpected: Vec<String>,
    ids: BTreeSet<String>,
}

/// The ledger; clones share the notes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    notes: Arc<Mutex<Notes>>,
    ending: Arc<AtomicBool>,
}

impl Ledger {
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().expect("nobody panics with the notes")
    }

    /// From now on connections may break.
    pub(crate) fn set_ending(&self, ending: bool) {
        self.ending.store(ending, Ordering::SeqCst);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    pub(crate) fn hand(&self, handed: Handed) {
        let mut notes = self.notes();
        if !notes.ids.insert(handed.id.clone()) {
            notes
                .unexpected
                .push(format!("{} was handed out twice", handed.id));
        }
        notes.handed.push(handed);
    }

    pub(crate) fn ask(&self, ruling: Ruling) -> usize {
        let mut notes = self.notes();
        let ruling = match ruling {
            Ruling::Agent(name, _) => Ruling::Agent(name, notes.handed.len()),
            other => other,
        };
        notes.asked.push(Asked {
            ruling,
            acknowledged: None,
        });
        notes.asked.len() - 1
    }

    pub(crate) fn acknowledge(&self, asked: usize, seq: u64) {
        self.notes().asked[asked].acknowledged = Some(seq);
    }

    pub(crate) fn ask_start(&self, start: Start) -> usize {
        let mut notes = self.notes();
        notes.starts.push(start);
        notes.starts.len() - 1
    }

    pub(crate) fn started(&self, start: usize, task: &str) {
        self.notes().starts[start].task = Some(task.to_owned());
    }

    pub(crate) fn unexpected(&self, what: String) {
        self.notes().unexpected.push(what);
    }
}

impl Notes {
    /// What must hold of each credential, in the order in which they were handed out.
    pub(crate) fn fates(&self) -> Vec<Fate> {
        let parents: BTreeMap<&str, &str> = self
            .starts
            .iter()
            .filter_map(|start| Some((start.task.as_deref()?, start.parent.as_str())))
            .collect();
        let mut credentials: BTreeMap<&str, bool> = BTreeMap::new();
        let mut tasks: BTreeMap<&str, bool> = BTreeMap::new();
        let mut agents = Vec::new();
        for asked in &self.asked {
            let sure = asked.acknowledged.is_some();
            let slot = match &asked.ruling {
                Ruling::Credential(id) => credentials.entry(id).or_default(),
                Ruling::Task(id) | Ruling::Completed { task: id, .. } => {
                    tasks.entry(id).or_default()
                }
                Ruling::Agent(name, before) => {
                    agents.push((name, *before, sure));
                    continue;
                }
            };
            *slot |= sure;
        }
        let fate = |(place, handed): (usize, &Handed)| {
            let mut found = Vec::new();
            found.extend(credentials.get(handed.id.as_str()));
            let mut task = handed.task.as_str();
            loop {
                found.extend(tasks.get(task));
                match parents.get(task) {
                    Some(parent) if !parent.is_empty() => task = parent,
                    _ => break,
                }
            }
            for (name, before, sure) in &agents {
                if **name == handed.agent {
                    // What arrived after the request was sent may have been issued on either side.
                    found.push(if *sure && place < *before {
                        &true
                    } else {
                        &false
                    });
                }
            }
            match found.as_slice() {
                [] => Fate::Lives,
                some if some.contains(&&true) => Fate::Dead,
                _ => Fate::Unknown,
            }
        };
        self.handed.iter().enumerate().map(fate).collect()
    }
}
