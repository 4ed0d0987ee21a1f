//! The folder of the demonstration: a throw-away one, or one that is kept.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::context::Context;
use crate::errors::CliError;
use crate::files::folder;

/// A folder that nothing else is in.
#[derive(Debug)]
pub(super) enum Place {
    /// Removed at the end.
    ThrowAway(TempDir),
    /// Named by the user.
    Kept(PathBuf),
}

impl Place {
    /// Makes a throw-away folder, or takes the one to keep: new or empty.
    pub(super) fn choose(keep: Option<PathBuf>) -> Result<Self, CliError> {
        let Some(path) = keep else {
            return throw_away(&std::env::temp_dir());
        };
        folder::make(&path)?;
        let mut entries =
            std::fs::read_dir(&path).map_err(|error| CliError::file("look into", &path, error))?;
        if entries.next().is_some() {
            let message = format!("{} is not empty", path.display());
            return Err(CliError::new("FILE_EXISTS", message)
                .hint("name a new or empty folder with --keep"));
        }
        Ok(Self::Kept(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::ThrowAway(dir) => dir.path(),
            Self::Kept(path) => path,
        }
    }

    /// Removes it, or says where it is.
    pub(super) fn leave(self, context: &Context) {
        match self {
            Self::ThrowAway(dir) => {
                let path = dir.path().to_owned();
                if let Err(error) = dir.close() {
                    let path = path.display();
                    context
                        .output
                        .note(&format!("note: could not remove {path}: {error}"));
                }
            }
            Self::Kept(path) => context
                .output
                .note(&format!("the data is in {}", path.display())),
        }
    }
}

fn throw_away(beneath: &Path) -> Result<Place, CliError> {
    tempfile::Builder::new()
        .prefix("taskpass-demo-")
        .tempdir_in(beneath)
        .map(Place::ThrowAway)
        .map_err(|error| {
            let message = format!("could not make a folder in {}", beneath.display());
            CliError::caused("FILE_ERROR", message, error)
                .hint("set TMPDIR to a folder that you can write to, or name one with --keep")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_to_keep_is_new_or_empty() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("story");
        for _ in 0..2 {
            let place = Place::choose(Some(path.clone())).unwrap();
            assert_eq!(place.path(), path);
        }
        std::fs::write(path.join("mine"), "x").unwrap();
        let refused = Place::choose(Some(path.clone())).unwrap_err();
        assert_eq!(refused.reason(), "FILE_EXISTS");
        assert!(path.join("mine").exists());
        let file = path.join("mine");
        assert_eq!(
            Place::choose(Some(file)).unwrap_err().reason(),
            "FILE_ERROR"
        );
    }

    #[test]
    fn where_nothing_can_be_made_that_is_said() {
        let dir = TempDir::new().unwrap();
        let refused = throw_away(&dir.path().join("missing")).unwrap_err();
        assert_eq!(refused.reason(), "FILE_ERROR");
        assert!(refused.to_string().contains("missing"));
    }
}
