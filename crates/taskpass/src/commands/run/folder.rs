//! The private folder: one generation of credentials at a time, changed as a whole.
//!
//! Each generation is a folder of its own; `current` is a link to the newest one and is moved in one
//! step, so that what it leads to always fits together. The generation before stays until the next
//! one, for whoever has its path already. For another user the folders are ours and only the files
//! are that user's: nobody but us can put something else in their place.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use taskpass_client::Credentials;
use taskpass_core::Timestamp;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::user::User;
use crate::errors::CliError;

const CURRENT: &str = "current";
const CERT: &str = "cert.pem";
const KEY: &str = "key.pem";
const CA: &str = "ca.pem";
/// Key and certificate in one, for programs that read one file: it cannot be half of two.
const BOTH: &str = "both.pem";
const INDEX: &str = "tokens.json";

/// Where the command finds what, by way of the link.
#[derive(Debug, Clone)]
pub(super) struct Files {
    current: PathBuf,
    tokens: usize,
    certificate: bool,
}

impl Files {
    pub(super) fn at(current: &Path, tokens: usize, certificate: bool) -> Self {
        Self {
            current: current.to_owned(),
            tokens,
            certificate,
        }
    }

    /// The environment variables that say so.
    pub(super) fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        /// More are in the index only.
        const NAMES: [&str; 8] = [
            "TASKPASS_TOKEN_FILE",
            "TASKPASS_TOKEN_FILE_2",
            "TASKPASS_TOKEN_FILE_3",
            "TASKPASS_TOKEN_FILE_4",
            "TASKPASS_TOKEN_FILE_5",
            "TASKPASS_TOKEN_FILE_6",
            "TASKPASS_TOKEN_FILE_7",
            "TASKPASS_TOKEN_FILE_8",
        ];
        let mut all = vec![
            ("TASKPASS_CREDENTIALS", self.current.clone()),
            ("TASKPASS_TOKENS", self.current.join(INDEX)),
        ];
        let tokens = NAMES.iter().zip(1..=self.tokens);
        all.extend(tokens.map(|(name, n)| (*name, self.current.join(token_name(n)))));
        if self.certificate {
            for (name, file) in [
                ("TASKPASS_CERT", CERT),
                ("TASKPASS_KEY", KEY),
                ("TASKPASS_CA", CA),
            ] {
                all.push((name, self.current.join(file)));
            }
        }
        all
    }
}

/// The file of the token number `n`, from 1.
fn token_name(n: usize) -> String {
    if n == 1 {
        "token".to_owned()
    } else {
        format!("token-{n}")
    }
}

/// One line of the index.
#[derive(Serialize)]
struct Indexed {
    target: String,
    file: String,
    scopes: Vec<String>,
    expires_at: Timestamp,
}

/// The folder. It is shredded when this is dropped.
pub(super) struct Folder {
    base: TempDir,
    owner: Option<(u32, u32)>,
    /// The newest generation, and the one before.
    kept: Vec<PathBuf>,
}

impl Drop for Folder {
    fn drop(&mut self) {
        for generation in &self.kept {
            shred(generation);
        }
        // The rest goes with the base.
    }
}

impl Folder {
    /// Makes it inside `place`. Another user can pass through it, and read what is that user's.
    pub(super) fn make(place: &Path, user: Option<&User>) -> Result<Self, CliError> {
        let failed = |error| CliError::file("make a folder in", place, error);
        let base = tempfile::Builder::new()
            .prefix("taskpass-run-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(place)
            .map_err(failed)?;
        if user.is_some() {
            let passable = Permissions::from_mode(0o711);
            std::fs::set_permissions(base.path(), passable).map_err(failed)?;
        }
        Ok(Self {
            base,
            owner: user.map(|user| (user.uid, user.gid)),
            kept: Vec::new(),
        })
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        self.base.path()
    }

    /// Where the newest generation is found.
    pub(super) fn current(&self) -> PathBuf {
        self.base.path().join(CURRENT)
    }

    /// Puts a generation in place of the one that is there.
    pub(super) fn put(&mut self, credentials: &Credentials) -> Result<(), CliError> {
        let number = credentials.generation();
        let place = self.base.path().join(number.to_string());
        let put = || -> io::Result<()> {
            let mode = if self.owner.is_some() { 0o711 } else { 0o700 };
            DirBuilder::new().mode(mode).create(&place)?;
            for (name, content) in contents(credentials)? {
                self.write(&place.join(name), &content)?;
            }
            let next = self.base.path().join("next");
            std::os::unix::fs::symlink(number.to_string(), &next)?;
            std::fs::rename(&next, self.current())
        };
        if let Err(error) = put() {
            let _ = std::fs::remove_file(self.base.path().join("next"));
            shred(&place);
            return Err(CliError::file("write credentials to", &place, error));
        }
        self.kept.push(place);
        if self.kept.len() > 2 {
            shred(&self.kept.remove(0));
        }
        Ok(())
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mode = if self.owner.is_some() { 0o400 } else { 0o600 };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        if let Some((uid, gid)) = self.owner {
            std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
        }
        file.write_all(content)
    }
}

/// The files of a generation.
fn contents(credentials: &Credentials) -> io::Result<Vec<(String, Zeroizing<Vec<u8>>)>> {
    let mut files = Vec::new();
    let mut add = |name: &str, parts: &[&[u8]]| {
        files.push((name.to_owned(), Zeroizing::new(parts.concat())));
    };
    if let Some(certificate) = credentials.certificate() {
        let (cert, key) = (certificate.cert_pem(), certificate.key_pem());
        add(CERT, &[cert.as_bytes()]);
        add(KEY, &[key.as_bytes()]);
        add(CA, &[certificate.ca_pem().as_bytes()]);
        add(BOTH, &[key.as_bytes(), b"\n", cert.as_bytes()]);
    }
    let mut index = Vec::new();
    for (n, (target, token)) in (1..).zip(credentials.tokens()) {
        let file = token_name(n);
        add(&file, &[token.expose().as_bytes()]);
        index.push(Indexed {
            target: target.to_string(),
            file,
            scopes: token.scopes().iter().map(ToString::to_string).collect(),
            expires_at: token.expires_at(),
        });
    }
    add(INDEX, &[&serde_json::to_vec(&index)?, b"\n"]);
    Ok(files)
}

/// Overwrites and removes what is in a folder, and the folder. In memory, where this should lie, that
/// is all there is to do; on a disk it is what can be done.
fn shred(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let _ = overwrite(&path);
        let _ = std::fs::remove_file(&path);
    }
    let _ = std::fs::remove_dir(folder);
}

fn overwrite(path: &Path) -> io::Result<()> {
    let length = path.symlink_metadata()?.len();
    // A file that is only for reading is ours to open for writing only if it lets us.
    let _ = std::fs::set_permissions(path, Permissions::from_mode(0o600));
    let mut file: File = OpenOptions::new().write(true).open(path)?;
    let zeros = [0; 4096];
    let mut left = usize::try_from(length).unwrap_or(usize::MAX);
    while left > 0 {
        let part = zeros.get(..left.min(zeros.len())).unwrap_or(&zeros);
        file.write_all(part)?;
        left -= part.len();
    }
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shredded_is_gone_and_was_overwritten() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("1");
        std::fs::create_dir(&folder).unwrap();
        let secret = folder.join("key.pem");
        std::fs::write(&secret, vec![b'x'; 5000]).unwrap();
        // Somebody who has it open sees what was written over it.
        let open = File::open(&secret).unwrap();
        shred(&folder);
        assert!(!folder.exists());
        let seen = io::read_to_string(open).unwrap();
        assert_eq!(seen, "\0".repeat(5000));
    }

    #[test]
    fn the_folder_is_private_and_goes_with_its_owner() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::make(base.path(), None).unwrap();
        let path = folder.path().to_owned();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_first_tokens_have_a_variable_each() {
        for (tokens, certificate, expected) in
            [(1, true, 6), (1, false, 3), (3, false, 5), (20, true, 13)]
        {
            let files = Files::at(Path::new("/x/current"), tokens, certificate);
            assert_eq!(files.variables().len(), expected);
        }
    }
}
