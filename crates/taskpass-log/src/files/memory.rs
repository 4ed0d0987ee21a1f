//! Files in memory that forget like a disk without power, and fail when told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::{Files, Found, FoundKind, join, parent, too_long};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    File(Vec<u8>),
    Folder,
}

type Names = BTreeMap<String, Node>;

#[derive(Debug, Default)]
struct Inner {
    /// What a running process sees.
    now: Names,
    /// What is on the disk for certain.
    durable: Names,
    /// How many operations that change something were made.
    changes: usize,
    /// From which such operation on every one fails.
    fail_at: Option<usize>,
}

/// What a crash leaves behind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Crash {
    /// The process was killed: everything that it did is there.
    Kill,
    /// The power failed: of the names that were not synced, some are there and some are not.
    Power(u64),
}

/// A folder in memory; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Inner>>);

impl Memory {
    /// Fails from the `at`-th changing operation on, which is done by half.
    pub(crate) fn failing_at(self, at: usize) -> Self {
        self.0.lock().unwrap().fail_at = Some(at);
        self
    }

    /// How many changing operations were made.
    pub(crate) fn changes(&self) -> usize {
        self.0.lock().unwrap().changes
    }

    /// What is there after a crash, working again.
    pub(crate) fn after(&self, crash: Crash) -> Self {
        let inner = self.0.lock().unwrap();
        let mut names = match crash {
            Crash::Kill => inner.now.clone(),
            Crash::Power(seed) => {
                let mut names = inner.durable.clone();
                let mut state = seed | 1;
                let paths = inner.now.keys().chain(inner.durable.keys());
                for path in paths.collect::<std::collections::BTreeSet<_>>() {
                    // A small generator: each unsynced name is there, or not.
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    if inner.now.get(path) != inner.durable.get(path) && state & 4 == 0 {
                        match inner.now.get(path) {
                            Some(node) => names.insert(path.clone(), node.clone()),
                            None => names.remove(path),
                        };
                    }
                }
                names
            }
        };
        // Whatever lay in a folder that is gone is gone.
        loop {
            let lost: Vec<_> = names
                .keys()
                .filter(|path| !is_folder(&names, parent(path)))
                .cloned()
                .collect();
            if lost.is_empty() {
                break;
            }
            for path in lost {
                names.remove(&path);
            }
        }
        Self(Arc::new(Mutex::new(Inner {
            durable: names.clone(),
            now: names,
            ..Inner::default()
        })))
    }

    /// The path and content of each file.
    pub(crate) fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let inner = self.0.lock().unwrap();
        let file = |(path, node): (&String, &Node)| match node {
            Node::File(content) => Some((path.clone(), content.clone())),
            Node::Folder => None,
        };
        inner.now.iter().filter_map(file).collect()
    }

    /// Puts a file there, and the folders for it.
    pub(crate) fn put(&self, path: &str, content: &[u8]) {
        let mut inner = self.0.lock().unwrap();
        let mut folder = parent(path);
        while !folder.is_empty() {
            inner.now.insert(folder.to_owned(), Node::Folder);
            folder = parent(folder);
        }
        inner
            .now
            .insert(path.to_owned(), Node::File(content.to_vec()));
    }

    /// Takes a file away.
    pub(crate) fn take(&self, path: &str) {
        self.0.lock().unwrap().now.remove(path).unwrap();
    }

    /// A copy that shares nothing.
    pub(crate) fn copy(&self) -> Self {
        self.after(Crash::Kill)
    }

    /// Makes a change, unless it is the one that fails: then `half` of it is made.
    fn change<T>(
        &self,
        half: impl FnOnce(&mut Inner),
        whole: impl FnOnce(&mut Inner) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut inner = self.0.lock().unwrap();
        let this = inner.changes;
        inner.changes += 1;
        match inner.fail_at {
            Some(at) if this == at => {
                half(&mut inner);
                Err(io::Error::other("cut off"))
            }
            Some(at) if this > at => Err(io::Error::other("after the cut")),
            _ => whole(&mut inner),
        }
    }
}

fn is_folder(names: &Names, path: &str) -> bool {
    path.is_empty() || names.get(path) == Some(&Node::Folder)
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Files for Memory {
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let inner = self.0.lock().unwrap();
        match inner.now.get(path) {
            Some(Node::File(content)) if content.len() as u64 <= limit => Ok(content.clone()),
            Some(Node::File(_)) => Err(too_long(limit)),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(missing()),
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Found>> {
        let inner = self.0.lock().unwrap();
        if !is_folder(&inner.now, folder) {
            return Err(missing());
        }
        let found = |(path, node): (&String, &Node)| {
            let name = path
                .rsplit_once('/')
                .map_or(path.as_str(), |(_, name)| name);
            (parent(path) == folder).then(|| Found {
                name: name.to_owned(),
                kind: match node {
                    Node::File(_) => FoundKind::File,
                    Node::Folder => FoundKind::Folder,
                },
            })
        };
        Ok(inner.now.iter().filter_map(found).collect())
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        self.change(
            |_| (),
            |inner| {
                if !is_folder(&inner.now, parent(folder)) {
                    return Err(missing());
                }
                inner.now.insert(folder.to_owned(), Node::Folder);
                Ok(())
            },
        )
    }

    fn write(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let put = |inner: &mut Inner, content: &[u8]| {
            if !is_folder(&inner.now, parent(path)) {
                return Err(missing());
            }
            let node = Node::File(content.to_vec());
            // The content is durable, but for a new file its name is not.
            if let Some(known) = inner.durable.get_mut(path) {
                *known = node.clone();
            }
            inner.now.insert(path.to_owned(), node);
            Ok(())
        };
        self.change(
            |inner| drop(put(inner, &content[..content.len() / 2])),
            |inner| put(inner, content),
        )
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(
            |_| (),
            |inner| {
                if !is_folder(&inner.now, parent(to)) {
                    return Err(missing());
                }
                let node = inner.now.remove(from).ok_or_else(missing)?;
                inner.now.insert(to.to_owned(), node);
                Ok(())
            },
        )
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.change(
            |_| (),
            |inner| {
                if !is_folder(&inner.now, folder) {
                    return Err(missing());
                }
                let inside = |names: &Names| -> Names {
                    let inside = names.iter().filter(|(path, _)| parent(path) == folder);
                    inside.map(|(p, n)| (p.clone(), n.clone())).collect()
                };
                for path in inside(&inner.durable).into_keys() {
                    inner.durable.remove(&path);
                }
                let now = inside(&inner.now);
                inner.durable.extend(now);
                Ok(())
            },
        )
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        self.change(
            |_| (),
            |inner| match inner.now.get(path) {
                Some(Node::File(_)) => {
                    inner.now.remove(path);
                    Ok(())
                }
                _ => Err(missing()),
            },
        )
    }

    fn remove_folder(&self, folder: &str) -> io::Result<()> {
        self.change(
            |_| (),
            |inner| {
                let inside = join(folder, "");
                if inner.now.keys().any(|path| path.starts_with(&inside)) {
                    return Err(io::ErrorKind::DirectoryNotEmpty.into());
                }
                inner.now.remove(folder).map(drop).ok_or_else(missing)
            },
        )
    }
}
