//! Commits: changes, and the guards under which they may happen.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use taskpass_core::coverage::Reporting;
use taskpass_core::credential::{Credential, CredentialKind};
use taskpass_core::enrolment::Enrolment;
use taskpass_core::identity::{IdentityLine, Principal};
use taskpass_core::key::KeyRecord;
use taskpass_core::registry::{Row, RowKey};
use taskpass_core::revocation::{Facts, Rule, RuleDraft};
use taskpass_core::secret::Sha256;
use taskpass_core::task::{Ended, Task};
use taskpass_core::tie::Tie;
use taskpass_core::{AgentName, DecisionId, OwnerName, TargetUri, TaskId, Timestamp, VerifierName};

/// Which commits go first when several wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Operators' revocations: before everything else, with room reserved in the queue and the
    /// outbox.
    Urgent,
    /// Requests.
    Normal,
    /// Reaper, archiver and other background work.
    Background,
}

/// Changes that happen together, or not at all.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The wall clock of the request: against it guards compare deadlines, and it is what a rule's
    /// `at` becomes.
    pub at: Timestamp,
    /// Which commits it overtakes.
    pub lane: Lane,
    /// What must hold. All guards are checked before any change is made.
    pub guards: Vec<Guard>,
    /// What changes, in order.
    pub changes: Vec<Change>,
}

impl Commit {
    /// An empty commit of the normal lane.
    pub fn new(at: Timestamp) -> Self {
        Self {
            at,
            lane: Lane::Normal,
            guards: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Moves it to another lane.
    #[must_use]
    pub fn in_lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// Adds a guard.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guards.push(guard);
        self
    }

    /// Adds a change.
    #[must_use]
    pub fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }
}

/// A condition, as data, so that every backend can check it inside its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The registry row still has this version; 0 means that there is none.
    Unchanged {
        /// The row.
        key: RowKey,
        /// The version that was read.
        version: u64,
    },
    /// The task and each of its ancestors is recorded, has not ended, is before its deadline at
    /// [`Commit::at`], and no rule matches it.
    TaskLive {
        /// The task.
        id: TaskId,
    },
    /// The task is recorded, and has not ended before its deadline. Whether it is live otherwise is
    /// not asked.
    NotEnded {
        /// The task.
        id: TaskId,
    },
    /// The task is not tied.
    NotTied {
        /// The task.
        id: TaskId,
    },
    /// No rule matches.
    NotRevoked(Facts),
    /// A pending enrolment is recorded under this hash, unused and unexpired at [`Commit::at`].
    EnrolmentPending {
        /// SHA-256 of the token.
        hash: Sha256,
    },
    /// The identity line still has this generation and is not broken; 0 means that there is none
    /// (a broken line may be replaced by naming its generation with `broken: true`).
    Generation {
        /// Whose line.
        principal: Principal,
        /// The generation that was read.
        generation: u64,
        /// Whether the line was broken when it was read.
        broken: bool,
    },
    /// Fewer than `limit` are counted.
    Below {
        /// Which counter.
        counter: Counter,
        /// The limit.
        limit: u64,
    },
    /// Directly beneath the task there are fewer than `live` tasks that have neither ended nor reached
    /// their deadline at [`Commit::at`], and that no rule matches; and fewer than `all` that have not
    /// reached their deadline, ended or not, which bounds what counting costs.
    FewerChildren {
        /// The task above.
        parent: TaskId,
        /// The limit of live ones.
        live: u64,
        /// The limit of all that are before their deadline.
        all: u64,
    },
    /// No task was started under this key by this agent. If one was, the refusal names it.
    NotStarted(IdempotencyKey),
    /// The next place that nobody leased on the lists of an hour still is what was read; 0 means
    /// that none was leased yet.
    NextPlace {
        /// Whose lists.
        kind: CredentialKind,
        /// The hour.
        hour: u64,
        /// What was read.
        next: u64,
    },
    /// What is kept of a verifier's reports still has this version; 0 means that nothing is.
    ReportingIs {
        /// Whose, and of which target.
        reporter: Reporter,
        /// The version that was read.
        version: u64,
    },
    /// A value still is what was read; `None` means that there is none.
    MetaIs {
        /// Which value.
        key: MetaKey,
        /// What was read.
        value: Option<Vec<u8>>,
    },
}

/// One change.
#[derive(Debug, Clone)]
pub enum Change {
    /// Writes a registry row; its version becomes the present one plus one. A commit with one or more
    /// of these also raises [`MetaKey::RegistryVersion`], once.
    PutRow(Row),
    /// Records a task, its place under its parent and agent, and its idempotency key.
    StartTask {
        /// The task.
        task: Task,
        /// What makes a repeated start the same start.
        idempotency: Option<IdempotencyKey>,
        /// The agent's owner at this moment: whose live tasks it counts among, until it ends.
        owner: OwnerName,
    },
    /// Records that a task ended early, which gives its place among live tasks back. Changes nothing if it had ended already: whoever records
    /// the end elsewhere too guards it with [`Guard::NotEnded`].
    EndTask {
        /// The task.
        id: TaskId,
        /// When and why.
        ended: Ended,
    },
    /// Ties a task. Its end removes the tie, and so does the reaper after its deadline.
    TieTask(Tie),
    /// Records a credential and counts it.
    RecordCredential(Credential),
    /// Makes a rule: gives it the next `seq` and its `issued_before`.
    Revoke(RuleDraft),
    /// Records a pending enrolment under the hash of its token.
    PutEnrolment {
        /// SHA-256 of the token.
        hash: Sha256,
        /// The enrolment.
        enrolment: Enrolment,
    },
    /// Marks an enrolment as used.
    UseEnrolment {
        /// SHA-256 of the token.
        hash: Sha256,
    },
    /// Voids all pending enrolments of a principal.
    VoidEnrolments(Principal),
    /// Writes an identity line.
    PutIdentity(IdentityLine),
    /// Writes a key.
    PutKey(KeyRecord),
    /// Puts an audit entry into the outbox.
    Outbox(Outboxed),
    /// Removes entries from the outbox, which the log now holds, and moves the log's cursor.
    Archived {
        /// The entries.
        ids: Vec<DecisionId>,
        /// Where the log ends now.
        cursor: ArchiveCursor,
    },
    /// Leases the places of an hour's lists up to `next`. Guard it with [`Guard::NextPlace`].
    LeasePlaces {
        /// Whose lists.
        kind: CredentialKind,
        /// The hour.
        hour: u64,
        /// The next place that is free.
        next: u64,
    },
    /// Writes what is kept of a verifier's reports; its version becomes the present one plus one. Guard
    /// it with [`Guard::ReportingIs`].
    PutReporting {
        /// Whose, and of which target.
        reporter: Reporter,
        /// What is kept.
        reporting: Reporting,
    },
    /// Writes a value.
    PutMeta {
        /// Which.
        key: MetaKey,
        /// The value.
        value: Vec<u8>,
    },
}

/// Whose reports of what credentials are used for, and of which target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reporter {
    /// The verifier.
    pub verifier: VerifierName,
    /// One of its targets.
    pub target: TargetUri,
}

/// How far the places on an hour's lists are leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeasedPlaces {
    /// Whose lists.
    pub kind: CredentialKind,
    /// The hour.
    pub hour: u64,
    /// The next place that is free.
    pub next: u64,
}

/// An audit entry on its way to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outboxed {
    /// The entry's id: its place in the outbox.
    pub id: DecisionId,
    /// The entry as JSON.
    pub json: Bytes,
}

/// Where the log ends. Empty before the first entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveCursor {
    /// The name of the log that is written to.
    pub log: String,
    /// Its state, in the log's own encoding.
    pub state: Vec<u8>,
}

/// What makes a repeated start of a task the same start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey {
    /// Whose key; two agents never share one.
    pub agent: AgentName,
    /// SHA-256 of the key that the agent chose.
    pub key: Sha256,
    /// SHA-256 of what it asked for: the same key with another request is refused.
    pub request: Sha256,
}

/// What live credentials and live tasks are counted by: of an agent also those of the tasks beneath
/// its own, whoever runs them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// By agent.
    Agent(AgentName),
    /// By owner.
    Owner(OwnerName),
    /// By target: tokens only.
    Target(TargetUri),
    /// Tasks by agent.
    AgentTasks(AgentName),
    /// Tasks by owner.
    OwnerTasks(OwnerName),
}

/// Single values beside the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetaKey {
    /// Up to which rule the consequences (ended tasks and their entries) are derived.
    SettledSeq,
    /// The number of the newest CRL.
    CrlNumber,
    /// The hash of the policy set that was last in force.
    PolicySet,
    /// Raised with every change of a key: two changes never begin from the same keys.
    KeysVersion,
    /// How the broker was last stopped.
    Shutdown,
    /// The oldest audit log that is kept: older ones are removed.
    OldestLog,
    /// Orders the places of all status lists. Drawn once.
    ListKey,
    /// What the reaper removed and no audit entry tells yet: a [`Swept`](crate::Swept). Every step of
    /// the reaper adds to it.
    Swept,
    /// The version of the registry as a whole: the store itself raises it by one with every commit
    /// that writes a row, so that no writer can forget to. Absent before the first such commit, which
    /// counts as 0. Eight bytes, big-endian: [`registry_version`] and [`registry_version_value`].
    RegistryVersion,
    /// Of a store that came out of a backup: from which log its own goes on, and under which name.
    Restored,
    /// What waits for a second operator: [`proposals`](crate::proposals) reads it.
    Proposals,
    /// Who approved which set of policies: [`policy_approvals`](crate::policy_approvals) reads it.
    PolicyApprovals,
}

/// The version of the registry in what is kept under [`MetaKey::RegistryVersion`]; 0 for nothing.
pub fn registry_version(value: Option<&[u8]>) -> u64 {
    value
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes)
}

/// What is kept under [`MetaKey::RegistryVersion`] at this version: for [`Guard::MetaIs`].
pub fn registry_version_value(version: u64) -> Option<Vec<u8>> {
    (version > 0).then(|| version.to_be_bytes().to_vec())
}

/// What a commit did.
#[derive(Debug, Clone, Default)]
pub struct Committed {
    /// The rules that were made, in order.
    pub rules: Vec<Arc<Rule>>,
    /// The registry rows that were written, with their new versions.
    pub rows: Vec<(RowKey, u64)>,
    /// The version of the registry from now on, if rows were written.
    pub registry_version: Option<u64>,
}

/// Which guard did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A registry row has another version.
    #[error("{key} has changed since it was read")]
    Changed {
        /// The row.
        key: RowKey,
    },
    /// A task is not live.
    #[error("task {id} is over")]
    TaskNotLive {
        /// The task, or the ancestor that is over.
        id: TaskId,
    },
    /// No such task.
    #[error("there is no task {id}")]
    TaskUnknown {
        /// What was named.
        id: TaskId,
    },
    /// The task is tied already.
    #[error("task {id} is tied")]
    Tied {
        /// The task.
        id: TaskId,
    },
    /// A rule matches.
    #[error("revocation {seq} matches")]
    Revoked {
        /// The rule.
        seq: u64,
    },
    /// The enrolment token is unknown, used or expired.
    #[error("the enrolment token is unknown, used or expired")]
    EnrolmentSpent,
    /// The identity line has moved on.
    #[error("the identity has changed since it was read")]
    GenerationChanged,
    /// A limit is reached.
    #[error("a limit of {limit} is reached")]
    LimitReached {
        /// Which counter.
        counter: Counter,
        /// The limit.
        limit: u64,
        /// How many are counted.
        live: u64,
        /// After how long there will be room by expiry alone; `None` if never, because the limit is 0.
        room_in: Option<Duration>,
    },
    /// There are too many tasks directly beneath one.
    #[error("task {parent} has as many tasks beneath it as it may have")]
    TooManyChildren {
        /// The task above.
        parent: TaskId,
    },
    /// The task was started already.
    #[error("the task was started before, as {task}")]
    AlreadyStarted {
        /// The earlier task.
        task: TaskId,
        /// Whether the earlier request was the same.
        same_request: bool,
    },
    /// Somebody leased places meanwhile.
    #[error("the next free place is {next}")]
    PlacesLeased {
        /// The next free place.
        next: u64,
    },
    /// Somebody reported for the same verifier meanwhile.
    #[error("another report of verifier {} came in between", reporter.verifier)]
    ReportingChanged {
        /// Whose, and of which target.
        reporter: Reporter,
    },
    /// A value has changed.
    #[error("{key:?} has changed since it was read")]
    MetaChanged {
        /// Which.
        key: MetaKey,
    },
}
