//! The texts that a policy set is made of: its schema and its files.
//!
//! They are read once; what is hashed is what is compiled.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use taskpass_core::secret::Sha256;

use crate::error::LoadError;
use crate::load::SCHEMA_FILE;

/// What files with cases end in: they stand beside the policies that they are about.
const CASES: &str = ".cases.toml";

/// A schema and policy files, as they were read; nothing is known yet about what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    schema: String,
    files: BTreeMap<String, String>,
}

impl Sources {
    /// The schema and the policy files of the directory `path`.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(path).map_err(|source| failed(path, source))? {
            let entry = entry.map_err(|source| failed(path, source))?;
            let file = entry.path();
            let name = entry.file_name().into_string().unwrap_or_default();
            let is = |ending: &str| file.extension().is_some_and(|found| found == ending);
            if name.starts_with('.') || name == SCHEMA_FILE || is("md") || name.ends_with(CASES) {
                continue;
            }
            if name.is_empty() || !is("cedar") {
                return Err(LoadError::UnexpectedFile { path: file });
            }
            files.insert(name, text(&file)?);
        }
        let schema = text(&path.join(SCHEMA_FILE))?;
        Ok(Self { schema, files })
    }

    /// A schema and files, each a name and a text.
    pub(crate) fn of(schema: &str, files: &[(String, String)]) -> Result<Self, LoadError> {
        let mut sorted = BTreeMap::new();
        for (name, text) in files {
            if sorted.insert(name.clone(), text.clone()).is_some() {
                return Err(LoadError::DuplicateFile { file: name.clone() });
            }
        }
        Ok(Self {
            schema: schema.to_owned(),
            files: sorted,
        })
    }

    /// The hash of the set that they make. Each part is preceded by its length, so that no byte can
    /// move from one part to the next unnoticed.
    pub fn hash(&self) -> Sha256 {
        let names_and_texts = self.files.iter().flat_map(|(name, text)| [name, text]);
        let mut bytes = Vec::new();
        for part in std::iter::once(&self.schema).chain(names_and_texts) {
            // A length is at most 64 bits on every platform.
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        Sha256::of(&bytes)
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    pub(crate) const fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }
}

fn text(path: &Path) -> Result<String, LoadError> {
    fs::read_to_string(path).map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: io::Error) -> LoadError {
    LoadError::Read {
        path: path.to_owned(),
        source,
    }
}
