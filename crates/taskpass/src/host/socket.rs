//! The Unix socket's file: made in one step with the mode that it is to have.
//!
//! It is bound under another name, gets its mode, and takes its place by a rename: at no moment can
//! anybody connect who may not. One that a broker left behind is replaced; one where somebody answers,
//! and a file that is no socket, are not.

use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use tokio::net::UnixListener;

use crate::config::Socket;
use crate::errors::CliError;

/// Binds it. Needs a tokio runtime.
pub(crate) fn bind(socket: &Socket) -> Result<UnixListener, CliError> {
    let path = &socket.path;
    check_place(path)?;
    let failed = |error| {
        let message = format!("could not listen on {}", path.display());
        CliError::caused("ADDRESS_UNAVAILABLE", message, error)
            .hint("its folder must be there, and the broker may write to it")
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(socket.mode))
        .and_then(|()| std::fs::rename(&fresh, path))
        .map_err(failed)?;
    Ok(listener)
}

/// Whether something is there that may be replaced, or nothing.
fn check_place(path: &Path) -> Result<(), CliError> {
    let taken = |what: &str| {
        let message = format!("could not listen on {}: {what}", path.display());
        Err(CliError::new("ADDRESS_UNAVAILABLE", message))
    };
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => taken("it is no socket"),
        Ok(_) if UnixStream::connect(path).is_ok() => taken("another process listens there"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_broker::federation::{ProcessRule, ProcessTrust};

    #[tokio::test]
    async fn what_is_left_behind_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let rule = ProcessRule::new("bot".parse().unwrap(), 1, None, None).unwrap();
        let socket = |mode| Socket {
            path: folder.path().join("agent.sock"),
            mode,
            trust: ProcessTrust::new(vec![rule.clone()]).unwrap(),
        };
        let path = socket(0o600).path;
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let first = bind(&socket(0o600)).unwrap();
        assert_eq!(mode(), 0o600);
        let refused = bind(&socket(0o600)).unwrap_err();
        assert_eq!(refused.reason(), "ADDRESS_UNAVAILABLE");
        drop(first);
        let second = bind(&socket(0o660)).unwrap();
        assert_eq!(mode(), 0o660);
        assert!(UnixStream::connect(&path).is_ok());
        drop(second);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "mine").unwrap();
        assert!(bind(&socket(0o600)).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }
}
