//! The command that a checkpoint is handed to.
//!
//! No shell, the checkpoint on standard input, and an environment of three variables: what the
//! broker was started with (it may hold the key-encryption key) is not handed on. It is ended when it
//! takes too long; processes that it began itself are its own affair.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use taskpass_broker::Signed;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio_util::task::AbortOnDropHandle;

/// Where programs are found that are named without a folder.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How much of what it says on standard error is looked at.
const SAID: usize = 1024;
/// How long what it said last is waited for, once it has ended: a child of it may hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Why a command did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("no command is named")]
    Empty,
    #[error("`{program}` could not be started")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("`{program}` could not be waited for")]
    Wait {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("`{program}` was not done after {limit:?}, and was killed")]
    Late { program: String, limit: Duration },
    #[error("`{program}` ended with {status}: {said}")]
    Failed {
        program: String,
        status: ExitStatus,
        said: String,
    },
}

/// Runs a command with a checkpoint on its standard input, and waits until it has ended well.
pub(super) async fn run(
    argv: &[String],
    signed: &Signed,
    limit: Duration,
) -> Result<(), CommandError> {
    let (program, arguments) = argv.split_first().ok_or(CommandError::Empty)?;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("TASKPASS_LOG", signed.log.to_string())
        .env("TASKPASS_SIZE", signed.size.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| CommandError::Start {
            program: program.clone(),
            source,
        })?;
    let (input, errors) = (child.stdin.take(), child.stderr.take());
    let said = AbortOnDropHandle::new(tokio::spawn(listen(errors)));
    let feed = async {
        if let Some(mut input) = input {
            // One that does not read to the end decides by its exit code whether that is well.
            let _: io::Result<()> = input.write_all(signed.checkpoint.as_bytes()).await;
        }
    };
    let ended = tokio::time::timeout(limit, async { tokio::join!(feed, child.wait()).1 }).await;
    let status = match ended {
        Ok(Ok(status)) => status,
        Ok(Err(source)) => {
            let program = program.clone();
            return Err(CommandError::Wait { program, source });
        }
        Err(_) => {
            // Waits for it too, so that none is left unburied.
            let _: io::Result<()> = child.kill().await;
            let program = program.clone();
            return Err(CommandError::Late { program, limit });
        }
    };
    let said = match tokio::time::timeout(LAST_WORDS, said).await {
        Ok(Ok(said)) => said,
        Ok(Err(_)) | Err(_) => String::new(),
    };
    if status.success() {
        if !said.is_empty() {
            tracing::info!(program, said, "the export's command");
        }
        return Ok(());
    }
    Err(CommandError::Failed {
        program: program.clone(),
        status,
        said: if said.is_empty() {
            "it said nothing".to_owned()
        } else {
            said
        },
    })
}

/// Reads to the end, so that nobody is held up, and keeps the first line.
async fn listen(errors: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut errors) = errors else {
        return String::new();
    };
    let (mut kept, mut buffer) = (Vec::new(), [0; SAID]);
    while let Ok(read) = errors.read(&mut buffer).await {
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        let room = SAID.saturating_sub(kept.len());
        kept.extend(bytes.iter().take(room));
    }
    first_line(&kept)
}

fn first_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed() -> Signed {
        Signed {
            log: "2026-11".parse().unwrap(),
            size: 42,
            checkpoint: "a checkpoint\n".to_owned(),
            vkey: String::new(),
        }
    }

    async fn shell(script: &str, limit: Duration) -> Result<(), CommandError> {
        let argv = ["sh", "-c", script].map(str::to_owned);
        run(&argv, &signed(), limit).await
    }

    #[tokio::test]
    async fn it_gets_the_checkpoint_and_little_else() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let script = format!(
            "cat > {0} && echo $TASKPASS_LOG $TASKPASS_SIZE >> {0} && test -z \"$HOME$CARGO\"",
            out.display()
        );
        shell(&script, COMMAND).await.unwrap();
        let text = std::fs::read_to_string(out).unwrap();
        assert_eq!(text, "a checkpoint\n2026-11 42\n");
    }

    const COMMAND: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn what_fails_says_how() {
        let failed = shell("echo; echo 'no route' >&2; exit 3", COMMAND).await;
        let Err(CommandError::Failed { status, said, .. }) = failed else {
            panic!("{failed:?}");
        };
        assert_eq!((status.code(), said.as_str()), (Some(3), "no route"));
        let nothing = run(&["/nowhere/at-all".to_owned()], &signed(), COMMAND).await;
        assert!(matches!(nothing, Err(CommandError::Start { .. })));
        assert!(matches!(
            run(&[], &signed(), COMMAND).await,
            Err(CommandError::Empty)
        ));
    }

    /// One that reads nothing, one that says a lot, one whose child holds the pipes.
    #[tokio::test]
    async fn what_ends_well_is_well() {
        for script in ["exit 0", "head -c 300000 /dev/zero >&2", "sleep 3 & exit 0"] {
            shell(script, COMMAND).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed() {
        let late = shell("exec sleep 600", Duration::from_millis(50)).await;
        assert!(matches!(late, Err(CommandError::Late { .. })), "{late:?}");
    }

    #[test]
    fn a_line_is_short_and_plain() {
        assert_eq!(first_line(b"\n \n\x1b[31mno\x07 way\nmore"), "[31mno way");
        assert_eq!(first_line(&[b'x'; 900]).len(), 200);
        assert_eq!(first_line(b""), "");
    }
}
