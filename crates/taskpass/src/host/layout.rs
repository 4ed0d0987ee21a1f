//! Where a broker keeps what, beneath its data folder.

use std::path::{Path, PathBuf};

/// The files of a data folder.
#[derive(Debug, Clone)]
pub(crate) struct Layout(PathBuf);

impl Layout {
    /// The layout of a folder.
    pub(crate) fn of(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// The store.
    pub(crate) fn store(&self) -> PathBuf {
        self.0.join("store.redb")
    }

    /// There while the folder is being made: nothing in it has been used, and making begins anew.
    pub(crate) fn making(&self) -> PathBuf {
        self.0.join("making")
    }

    /// There while the folder is being restored from a backup: it is not secured yet.
    pub(crate) fn restoring(&self) -> PathBuf {
        self.0.join("restoring")
    }

    /// What making the folder writes, beside the store.
    pub(crate) fn made(&self) -> [PathBuf; 5] {
        let store = self.store();
        [
            taskpass_store::redb_store::marker_path(&store),
            store,
            self.kek(),
            self.first_enrolment(),
            self.config(),
        ]
    }

    /// The key-encryption key that `init` and `dev` write.
    pub(crate) fn kek(&self) -> PathBuf {
        self.0.join("kek")
    }

    /// The audit log, where the configuration names no other place.
    pub(crate) fn audit(&self) -> PathBuf {
        self.0.join("audit")
    }

    /// The configuration that `init` writes.
    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("taskpass.toml")
    }

    /// The first administrator's enrolment, which `init` writes.
    pub(crate) fn first_enrolment(&self) -> PathBuf {
        self.0.join("admin-enrolment.json")
    }

    /// The identities of a development broker.
    pub(crate) fn identities(&self) -> PathBuf {
        self.0.join("identities")
    }

    /// The exports of a development broker.
    pub(crate) fn env(&self) -> PathBuf {
        self.0.join("env")
    }

    /// The addresses of a development broker, so that a restart keeps them.
    pub(crate) fn addresses(&self) -> PathBuf {
        self.0.join("dev.toml")
    }
}
