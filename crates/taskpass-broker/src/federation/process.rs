//! Processes on this machine: what the kernel says of who is at the other end of a Unix socket.
//!
//! The user is the boundary. An executable tells the programs of one user apart while they mean well, and
//! no more: whoever runs as that user can make such a program run and use its connection. So a rule
//! always names a user.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use taskpass_core::audit::Attestation;
use taskpass_core::identity::Principal;
use taskpass_core::{AgentName, Timestamp};

use super::{AttestationRefusal, RuleError, only};
use crate::standing::Proved;

/// How long a connection stands for the process that made it.
pub(crate) const CONNECTION_LIFE: Duration = Duration::from_hours(1);
/// The longest path: it is recorded.
const MAX_LEN: usize = 512;

/// A process, as it was when it connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// The file that it runs, if that could be told beyond doubt.
    pub executable: Option<PathBuf>,
}

/// A rule: whoever is this user, in this group, running this file, is this agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRule {
    agent: AgentName,
    uid: u32,
    gid: Option<u32>,
    executable: Option<PathBuf>,
}

impl ProcessRule {
    /// A rule about a user, narrowed to a group and a file if they are given.
    pub fn new(
        agent: AgentName,
        uid: u32,
        gid: Option<u32>,
        executable: Option<&Path>,
    ) -> Result<Self, RuleError> {
        let plain = |path: &Path| {
            let text = path.to_str().unwrap_or_default();
            let parts = path
                .components()
                .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
            path.is_absolute()
                && parts
                && (2..=MAX_LEN).contains(&text.len())
                && !text.contains(['*', '?'])
                && !text.chars().any(char::is_control)
        };
        if executable.is_some_and(|path| !plain(path)) {
            return Err(RuleError::new(
                "rule.executable",
                "an absolute path without `..`, links and wildcards",
            ));
        }
        Ok(Self {
            agent,
            uid,
            gid,
            executable: executable.map(Path::to_owned),
        })
    }

    fn matches(&self, process: &Process) -> bool {
        self.uid == process.uid
            && self.gid.is_none_or(|gid| gid == process.gid)
            && (self.executable.is_none() || self.executable == process.executable)
    }
}

/// The rules of the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessTrust {
    rules: Vec<ProcessRule>,
}

impl ProcessTrust {
    /// Believes the kernel about those whom rules name.
    pub fn new(rules: Vec<ProcessRule>) -> Result<Self, RuleError> {
        if rules.is_empty() {
            return Err(RuleError::new("rule", "at least one, or nobody can come"));
        }
        for (n, rule) in rules.iter().enumerate() {
            let same = |other: &&ProcessRule| {
                (other.uid, other.gid, &other.executable) == (rule.uid, rule.gid, &rule.executable)
            };
            if rules.iter().take(n).any(|other| same(&other)) {
                return Err(RuleError::new(
                    "rule",
                    "two rules are about the same processes",
                ));
            }
        }
        Ok(Self { rules })
    }

    /// The agent that a process is, whose connection was made at `now`.
    pub fn proved(&self, process: &Process, now: Timestamp) -> Result<Proved, AttestationRefusal> {
        let matching = || self.rules.iter().filter(|rule| rule.matches(process));
        let agent = only(matching().map(|rule| &rule.agent))?;
        let by_executable = matching().any(|rule| rule.executable.is_some());
        let executable = process.executable.as_deref().filter(|_| by_executable);
        Ok(Proved {
            principal: Principal::Agent(agent.clone()),
            attestation: Attestation::Unix {
                uid: process.uid,
                gid: process.gid,
                executable: executable.map(|path| path.display().to_string()),
            },
            issued_at: now,
            expires_at: now.plus(CONNECTION_LIFE),
            issued_by: None,
        })
    }
}
