//! One run of the command line, to its end.

use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::wait::{PATIENCE, poll};

/// How a run ended, and what it said.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    line: String,
}

impl Outcome {
    /// The object on standard output, of a run that succeeded.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{self}");
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("not one JSON object ({error}): {self}"),
        }
    }

    /// A string member of that object.
    pub fn text(&self, member: &str) -> String {
        match self.json().get(member).and_then(|value| value.as_str()) {
            Some(text) => text.to_owned(),
            None => panic!("no text `{member}`: {self}"),
        }
    }

    /// Checks that it succeeded.
    pub fn ok(&self) {
        assert_eq!(self.code, 0, "{self}");
    }

    /// The reason with which standard error begins, of a run that was refused (exit code 1).
    pub fn reason(&self) -> &str {
        assert_eq!(self.code, 1, "{self}");
        match self.stderr.split_once(": ") {
            Some((reason, _)) => reason,
            None => panic!("standard error does not begin with a reason: {self}"),
        }
    }

    /// Checks that it was refused for `reason`, and that standard error says each of `parts`.
    pub fn refused(&self, reason: &str, parts: &[&str]) {
        assert_eq!(self.reason(), reason, "{self}");
        assert!(self.stdout.is_empty(), "{self}");
        for part in parts {
            assert!(self.stderr.contains(part), "does not say `{part}`: {self}");
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` ended with {}\n--- stdout\n{}\n--- stderr\n{}",
            self.line, self.code, self.stdout, self.stderr
        )
    }
}

/// Runs the binary with exactly this environment, and with `input` on its standard input.
pub fn run(
    bin: &Path,
    environment: &[(&str, &str)],
    args: &[impl AsRef<str>],
    input: &[u8],
) -> Outcome {
    let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
    let line = args.join(" ");
    let mut child = Command::new(bin)
        .args(&args)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be run");
    let mut stdin = child.stdin.take().expect("it was piped");
    // Who does not read its input may have ended already.
    let _ = stdin.write_all(input);
    drop(stdin);
    let stdout = gather(child.stdout.take().expect("it was piped"));
    let stderr = gather(child.stderr.take().expect("it was piped"));
    let ended = poll(PATIENCE, &mut || child.try_wait().ok().flatten());
    let Some(status) = ended else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("`{line}` did not end within {PATIENCE:?}");
    };
    let text = |gathered: std::thread::JoinHandle<Vec<u8>>| {
        let bytes = gathered.join().expect("reading does not panic");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Outcome {
        code: status.code().unwrap_or(-1),
        stdout: text(stdout),
        stderr: text(stderr),
        line,
    }
}

fn gather(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}
