//! The files of a policy directory.

use std::fs;
use std::io;
use std::path::Path;

use super::SCHEMA_FILE;
use crate::error::LoadError;

/// The schema and the policy files of the directory `path`.
pub(super) fn read(path: &Path) -> Result<(String, Vec<(String, String)>), LoadError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|source| failed(path, source))? {
        let entry = entry.map_err(|source| failed(path, source))?;
        let file = entry.path();
        let name = entry.file_name().into_string().unwrap_or_default();
        let is = |ending: &str| file.extension().is_some_and(|found| found == ending);
        if name.starts_with('.') || name == SCHEMA_FILE || is("md") {
            continue;
        }
        if name.is_empty() || !is("cedar") {
            return Err(LoadError::UnexpectedFile { path: file });
        }
        files.push((name, text(&file)?));
    }
    let schema = text(&path.join(SCHEMA_FILE))?;
    Ok((schema, files))
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
