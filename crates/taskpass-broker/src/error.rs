//! What a use case answers when it does not do what was asked.
//!
//! The variants are the domain's; [`Error::reason`] is their stable name on every wire. They know
//! nothing of gRPC or HTTP.

mod convert;
mod field;

use taskpass_core::grant::Denial;
use taskpass_core::registry::RowKey;
use taskpass_core::task::TaskState;
use taskpass_core::ttl::TtlError;
use taskpass_core::{AgentName, CredentialId, DecisionId, ScopeRef, TargetUri, TaskId};

use crate::federation::AttestationRefusal;
use crate::limits::LimitReached;
use crate::registry::Fault;
use field::field_reason;

/// A request was not done. Nothing changed, but for the entry that records a refusal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A lifetime is malformed, zero or over the maximum.
    #[error(transparent)]
    InvalidTtl(#[from] TtlError),
    /// A scope is malformed, missing, or of another target.
    #[error("{message}")]
    InvalidScope {
        /// What is wrong, and what would be right.
        message: String,
    },
    /// No such target is registered.
    #[error("there is no target `{target}`")]
    UnknownTarget {
        /// What was named.
        target: String,
    },
    /// The target has no such scope.
    #[error("there is no scope `{}` at `{}`", scope.scope, scope.target)]
    UnknownScope {
        /// What was named.
        scope: ScopeRef,
    },
    /// A field is missing or malformed.
    #[error("`{field}`: {expected}")]
    InvalidField {
        /// The field, as in the API.
        field: &'static str,
        /// What would be right.
        expected: String,
    },
    /// A certificate signing request is not acceptable.
    #[error("`csr`: {message}")]
    InvalidCsr {
        /// Why.
        message: String,
    },
    /// The certificate to bind to is not a live one of the same task.
    #[error("`bind_certificate`: {expected}")]
    InvalidBinding {
        /// What would be right.
        expected: &'static str,
    },
    /// A batch is too large.
    #[error("a batch has 1 to {max} items, not {found}")]
    TooManyItems {
        /// How many were given.
        found: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A request message is larger than is accepted.
    #[error("a request message of this caller has at most {limit} bytes")]
    MessageTooLarge {
        /// The limit.
        limit: usize,
    },
    /// Nobody authenticated, or not acceptably.
    #[error("{message}")]
    Unauthenticated {
        /// Why, without helping a guesser.
        message: &'static str,
    },
    /// What others say about the caller is not accepted.
    #[error(transparent)]
    AttestationRefused(#[from] AttestationRefusal),
    /// Whether it is to be accepted cannot be told now.
    #[error(
        "the keys of issuer `{issuer}` cannot be fetched, so that its tokens cannot be checked; try \
         again"
    )]
    AttestationUnavailable {
        /// The issuer's name in the configuration.
        issuer: String,
    },
    /// The enrolment token is unknown, used, expired or void: not told apart.
    #[error("the enrolment token is not accepted; ask an administrator for a new one")]
    EnrolmentRefused,
    /// This kind of caller may not call this.
    #[error("{caller} may not call {method}")]
    MethodNotAllowed {
        /// Who called.
        caller: String,
        /// The full method name.
        method: String,
    },
    /// The agent is suspended, retired, out of its time, or without an active owner.
    #[error("agent `{agent}` is refused: {why}")]
    AgentSuspended {
        /// The agent.
        agent: String,
        /// Which of these.
        why: &'static str,
    },
    /// The operator or verifier is suspended or retired.
    #[error("{caller} is suspended or retired")]
    CallerSuspended {
        /// Who called.
        caller: String,
    },
    /// Two keys claimed one generation of the identity; it accepts nothing any more.
    #[error(
        "two keys claimed to follow this identity; it has ended, and its holder must enrol anew"
    )]
    IdentityConflict,
    /// Policy denies.
    #[error("policy denies this request")]
    PolicyDenied(Box<Denial>),
    /// Policy denies it to an agent above the task: none does for another what it could not do itself.
    #[error("policy denies this to agent `{agent}`, for which the task is run")]
    AboveDenied {
        /// The agent that is denied.
        agent: AgentName,
        /// Why.
        denial: Box<Denial>,
    },
    /// A scope is beyond what the task, or its parent, was started with.
    #[error("scope `{scope}` is not in the task's ceiling")]
    ScopeExceedsTask {
        /// The scope.
        scope: ScopeRef,
    },
    /// A scope that actuates needs a token bound to a certificate.
    #[error("scope `{scope}` actuates: its token must be bound to a certificate of the task")]
    BindingRequired {
        /// The scope.
        scope: ScopeRef,
    },
    /// The task, or one above it, is over.
    #[error("task {task} is {state}")]
    TaskNotActive {
        /// The task.
        task: TaskId,
        /// What became of it.
        state: TaskState,
    },
    /// The parent already is as deep as tasks may be.
    #[error("a task has at most {max} tasks above it")]
    TaskTooDeep {
        /// How many.
        max: usize,
    },
    /// The parent has as many tasks beneath it as it may have.
    #[error("task {parent} has as many tasks beneath it as it may have; complete some first")]
    TooManyChildren {
        /// The parent.
        parent: TaskId,
    },
    /// A verifier speaks of a target that is not its own.
    #[error("`{target}` is no target of this verifier")]
    ForeignTarget {
        /// What it named.
        target: TargetUri,
    },
    /// The target is suspended or retired.
    #[error("target `{target}` is not active")]
    TargetNotActive {
        /// The target.
        target: TargetUri,
    },
    /// Everything was revoked, and nobody has resumed the broker.
    #[error("everything was revoked; nothing is issued until an administrator resumes the broker")]
    BrokerHalted,
    /// The store came out of a backup, and nobody has unsealed it.
    #[error(
        "the broker was restored from a backup and is sealed: an operator must enrol anew with the \
         enrolment that `taskpass restore` wrote, look at what is missing, and unseal it"
    )]
    BrokerSealed,
    /// The last active administrator cannot be taken away.
    #[error("`{name}` is the last active administrator")]
    LastAdmin {
        /// Who.
        name: String,
    },
    /// Retired is for ever.
    #[error("{key} is retired; register another name")]
    Retired {
        /// The entry.
        key: RowKey,
    },
    /// An agent needs an active owner.
    #[error("owner `{owner}` is not active")]
    OwnerNotActive {
        /// The owner.
        owner: String,
    },
    /// No such task, or none of the caller's.
    #[error("there is no task {task}")]
    TaskNotFound {
        /// What was named.
        task: TaskId,
    },
    /// No such credential, or none of the caller's.
    #[error("there is no credential {credential}")]
    CredentialNotFound {
        /// What was named.
        credential: CredentialId,
    },
    /// No such entry in the registry.
    #[error("there is no {key}")]
    EntryNotFound {
        /// What was named.
        key: RowKey,
    },
    /// No such log is kept.
    #[error("there is no log {log}; kept are {kept}")]
    LogNotFound {
        /// What was named.
        log: String,
        /// Which logs there are.
        kept: String,
    },
    /// The log does not have the entry, or does not have it yet.
    #[error("{what}; what happened just now is logged within about a second")]
    NotLogged {
        /// What was asked for, and what there is.
        what: String,
    },
    /// The keys are not such that this could be done.
    #[error("{message}")]
    KeyNotReady {
        /// Why, and what to do.
        message: String,
    },
    /// The certificate of an authority is not acceptable.
    #[error("`certificate`: {message}")]
    InvalidCertificate {
        /// Why.
        message: String,
    },
    /// No such key.
    #[error("there is no key `{key}`")]
    KeyNotFound {
        /// What was named.
        key: String,
    },
    /// The name is taken, or was.
    #[error("{key} is registered already; names are not used again")]
    AlreadyRegistered {
        /// The entry.
        key: RowKey,
    },
    /// The idempotency key came with another request before.
    #[error("the idempotency key was used for another request, which started task {task}")]
    IdempotencyKeyReused {
        /// The earlier task.
        task: TaskId,
    },
    /// A stage does not rise without evidence that this broker can check.
    #[error("the stage of {who} does not rise: {why}")]
    NotReady {
        /// Whose.
        who: String,
        /// What is wrong with the evidence, and what would be right.
        why: &'static str,
    },
    /// A second operator has to do this, and the caller is none.
    #[error("{why}")]
    SecondOperatorRequired {
        /// Why, and what to do.
        why: &'static str,
    },
    /// Nothing like that waits for approval.
    #[error("there is no proposal {proposal} that waits: it may have been decided, or ended")]
    ProposalNotFound {
        /// What was named.
        proposal: DecisionId,
    },
    /// The same waits already.
    #[error("proposal {proposal} for agent `{agent}` waits already; approve or reject it first")]
    AlreadyProposed {
        /// The one that waits.
        proposal: DecisionId,
        /// The agent.
        agent: AgentName,
    },
    /// Too much waits for approval.
    #[error("as many proposals wait as may; approve or reject some")]
    ProposalsFull,
    /// Somebody changed the entry since it was read.
    #[error("{key} has version {found}, not {expected}; read it again")]
    VersionChanged {
        /// The entry.
        key: RowKey,
        /// What the caller had read.
        expected: u64,
        /// What it is.
        found: u64,
    },
    /// Somebody changed the registry since the difference was reviewed.
    #[error("the registry is at version {found}, not {expected}; review the difference again")]
    RegistryVersionChanged {
        /// What the caller had read.
        expected: u64,
        /// What it is.
        found: u64,
    },
    /// What is to be registered is not acceptable; nothing of it was.
    #[error("{}", crate::registry::summary(faults))]
    InvalidEntries {
        /// Each fault.
        faults: Vec<Fault>,
    },
    /// One change would be too large.
    #[error("one change of the registry has at most {max} entries, not {found}; {advice}")]
    TooManyChanges {
        /// How many it would have.
        found: usize,
        /// How many it may have.
        max: usize,
        /// What to do.
        advice: &'static str,
    },
    /// A limit is reached.
    #[error("{0}")]
    LimitReached(Box<LimitReached>),
    /// Too many streams keep tasks alive.
    #[error("this task, or this agent, is kept alive by as many streams as it may be; close one")]
    KeepAliveStreams,
    /// The broker is busy.
    #[error("too many requests are waiting")]
    QueueFull,
    /// A drill runs, or was held a moment ago.
    #[error("{why}; there is one drill at a time, and one a minute")]
    DrillNotNow {
        /// Which of these.
        why: &'static str,
        /// When another may be held.
        retry_after: std::time::Duration,
    },
    /// The credential is not one to hold a drill with.
    #[error("no drill with credential {credential}: {why}")]
    NotDrillable {
        /// What was named.
        credential: CredentialId,
        /// Why.
        why: &'static str,
    },
    /// Something was revoked within this second.
    #[error("something that would match was revoked within this second; try again in a second")]
    RetryAfterRevocation,
    /// The wall clock is behind what was committed before: nothing can be issued safely.
    #[error("the broker's clock went back; nothing is issued until it has caught up")]
    ClockUnsafe,
    /// The store, or the outbox of the log, does not take writes.
    #[error("the store does not take writes")]
    StoreUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The audit log is longer than the store knows: an older store was put back.
    #[error("the audit log goes on where the store ends: an older store was put back")]
    RolledBack(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The audit log cannot be read or written.
    #[error("the audit log is not available")]
    LogUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Our own fault.
    #[error("an internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The stable name of this outcome, as in `ErrorInfo.reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidTtl(_) => "INVALID_TTL",
            Self::InvalidScope { .. } => "INVALID_SCOPE",
            Self::UnknownTarget { .. } => "UNKNOWN_TARGET",
            Self::UnknownScope { .. } => "UNKNOWN_SCOPE",
            Self::InvalidField { field, .. } => field_reason(field),
            Self::InvalidCsr { .. } => "INVALID_CSR",
            Self::InvalidBinding { .. } => "INVALID_BINDING",
            Self::MessageTooLarge { .. } => "MESSAGE_TOO_LARGE",
            Self::Unauthenticated { .. } | Self::AttestationRefused(_) => "UNAUTHENTICATED",
            Self::AttestationUnavailable { .. } => "ATTESTATION_UNAVAILABLE",
            Self::EnrolmentRefused => "ENROLMENT_REFUSED",
            Self::MethodNotAllowed { .. } => "METHOD_NOT_ALLOWED",
            Self::AgentSuspended { .. } => "AGENT_SUSPENDED",
            Self::CallerSuspended { .. } => "CALLER_SUSPENDED",
            Self::IdentityConflict => "IDENTITY_CONFLICT",
            Self::PolicyDenied(_) | Self::AboveDenied { .. } => "POLICY_DENIED",
            Self::ScopeExceedsTask { .. } => "SCOPE_EXCEEDS_TASK",
            Self::BindingRequired { .. } => "BINDING_REQUIRED",
            Self::TaskNotActive { .. } => "TASK_NOT_ACTIVE",
            Self::TaskTooDeep { .. } => "TASK_TOO_DEEP",
            Self::TooManyChildren { .. } => "FAN_OUT",
            Self::ForeignTarget { .. } => "FOREIGN_TARGET",
            Self::TargetNotActive { .. } => "TARGET_NOT_ACTIVE",
            Self::BrokerHalted => "BROKER_HALTED",
            Self::BrokerSealed => "BROKER_SEALED",
            Self::LastAdmin { .. } => "LAST_ADMIN",
            Self::Retired { .. } => "RETIRED",
            Self::OwnerNotActive { .. } => "OWNER_NOT_ACTIVE",
            Self::TaskNotFound { .. } => "TASK_NOT_FOUND",
            Self::CredentialNotFound { .. } => "CREDENTIAL_NOT_FOUND",
            Self::EntryNotFound { key } => match key {
                RowKey::Owner(_) => "OWNER_NOT_FOUND",
                RowKey::Agent(_) => "AGENT_NOT_FOUND",
                RowKey::Target(_) => "TARGET_NOT_FOUND",
                RowKey::Operator(_) => "OPERATOR_NOT_FOUND",
                RowKey::Verifier(_) => "VERIFIER_NOT_FOUND",
                RowKey::System => "NOT_FOUND",
            },
            Self::LogNotFound { .. } => "LOG_NOT_FOUND",
            Self::NotLogged { .. } => "ENTRY_NOT_FOUND",
            Self::RolledBack(_) => "STORE_ROLLED_BACK",
            Self::LogUnavailable(_) => "LOG_UNAVAILABLE",
            Self::KeyNotFound { .. } => "KEY_NOT_FOUND",
            Self::KeyNotReady { .. } => "KEY_NOT_READY",
            Self::InvalidCertificate { .. } => "INVALID_CERTIFICATE",
            Self::AlreadyRegistered { .. } => "ALREADY_REGISTERED",
            Self::IdempotencyKeyReused { .. } => "IDEMPOTENCY_KEY_REUSED",
            Self::NotReady { .. } => "NOT_READY",
            Self::SecondOperatorRequired { .. } => "SECOND_OPERATOR_REQUIRED",
            Self::ProposalNotFound { .. } => "PROPOSAL_NOT_FOUND",
            Self::AlreadyProposed { .. } => "ALREADY_PROPOSED",
            Self::ProposalsFull => "PROPOSALS_FULL",
            Self::VersionChanged { .. } | Self::RegistryVersionChanged { .. } => "VERSION_CHANGED",
            Self::InvalidEntries { .. } => "INVALID_REGISTRY",
            Self::TooManyItems { .. } | Self::TooManyChanges { .. } => "TOO_MANY_ITEMS",
            Self::LimitReached(reached) => reached.limit.as_str(),
            Self::KeepAliveStreams => "KEEP_ALIVE_STREAMS",
            Self::QueueFull => "QUEUE_FULL",
            Self::DrillNotNow { .. } => "DRILL_NOT_NOW",
            Self::NotDrillable { .. } => "NOT_DRILLABLE",
            Self::RetryAfterRevocation => "RETRY_AFTER_REVOCATION",
            Self::ClockUnsafe => "CLOCK_UNSAFE",
            Self::StoreUnavailable(_) => "STORE_UNAVAILABLE",
            Self::Internal(_) => "INTERNAL",
        }
    }

    /// Whether the refusal was a judgement about the caller, which the audit trail records, and
    /// not merely a malformed or untimely request.
    pub fn is_denial(&self) -> bool {
        matches!(
            self,
            Self::PolicyDenied(_)
                | Self::AboveDenied { .. }
                | Self::TooManyChildren { .. }
                | Self::ScopeExceedsTask { .. }
                | Self::BindingRequired { .. }
                | Self::AgentSuspended { .. }
                | Self::CallerSuspended { .. }
                | Self::ForeignTarget { .. }
                | Self::TaskNotFound { .. }
                | Self::TaskNotActive { .. }
                | Self::TargetNotActive { .. }
                | Self::BrokerHalted
                | Self::BrokerSealed
                | Self::InvalidBinding { .. }
                | Self::LimitReached { .. }
                | Self::EnrolmentRefused
                | Self::IdentityConflict
        )
    }

    /// An error that nobody outside can mend.
    pub fn internal(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal(Box::new(source))
    }

    /// The audit log cannot be read or written.
    pub(crate) fn log(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::LogUnavailable(Box::new(source))
    }

    /// A malformed field.
    pub fn field(field: &'static str, expected: impl Into<String>) -> Self {
        Self::InvalidField {
            field,
            expected: expected.into(),
        }
    }
}
