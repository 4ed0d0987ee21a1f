//! What is said of a limit that is reached: which, whose, how much, and when there will be room.

use std::fmt;
use std::time::Duration;

use taskpass_core::identity::Principal;
use taskpass_core::registry::RowKey;
use taskpass_store::Counter;

macro_rules! limits {
    ($($(#[$doc:meta])* $variant:ident => $word:literal),+ $(,)?) => {
        /// Every limit that is checked at run time, but for the form of task trees.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Limit { $($(#[$doc])* $variant),+ }

        impl Limit {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its stable name, as in `ErrorInfo.reason`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

limits! {
    /// Credentials of an agent, and of the tasks beneath its own.
    LiveCredentialsPerAgent => "LIVE_CREDENTIALS_PER_AGENT",
    /// Credentials of an owner's agents.
    LiveCredentialsPerOwner => "LIVE_CREDENTIALS_PER_OWNER",
    /// Tokens for a target.
    LiveCredentialsPerTarget => "LIVE_CREDENTIALS_PER_TARGET",
    /// Tasks of an agent, and beneath them.
    LiveTasksPerAgent => "LIVE_TASKS_PER_AGENT",
    /// Tasks of an owner's agents.
    LiveTasksPerOwner => "LIVE_TASKS_PER_OWNER",
    /// Issues to an agent.
    IssuesPerSecondPerAgent => "ISSUES_PER_SECOND_PER_AGENT",
    /// Issues to an owner's agents.
    IssuesPerSecondPerOwner => "ISSUES_PER_SECOND_PER_OWNER",
    /// Tokens issued for a target.
    IssuesPerSecondPerTarget => "ISSUES_PER_SECOND_PER_TARGET",
    /// Items about the use of credentials that a caller reports in a minute.
    UseItemsPerMinute => "USE_ITEMS_PER_MINUTE",
    /// Requests of a caller in a second.
    RequestsPerCaller => "REQUESTS_PER_CALLER",
    /// Requests of all callers together in a second.
    RequestsOfAll => "REQUESTS_OF_ALL",
    /// Requests of a caller at one time.
    InFlightPerCaller => "IN_FLIGHT_PER_CALLER",
    /// Streams of a caller at one time.
    StreamsPerCaller => "STREAMS_PER_CALLER",
}

impl Limit {
    /// Whether it bounds how fast somebody goes, or how much at one time; such refusals come as fast
    /// as requests do, and are counted instead of recorded.
    pub const fn is_counted_only(self) -> bool {
        match self {
            Self::IssuesPerSecondPerAgent
            | Self::IssuesPerSecondPerOwner
            | Self::IssuesPerSecondPerTarget
            | Self::UseItemsPerMinute
            | Self::RequestsPerCaller
            | Self::RequestsOfAll
            | Self::InFlightPerCaller
            | Self::StreamsPerCaller => true,
            Self::LiveCredentialsPerAgent
            | Self::LiveCredentialsPerOwner
            | Self::LiveCredentialsPerTarget
            | Self::LiveTasksPerAgent
            | Self::LiveTasksPerOwner => false,
        }
    }
}

/// A limit that is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitReached {
    /// Which.
    pub limit: Limit,
    /// Whose, such as `agent/invoice-bot`.
    pub whose: String,
    /// How much is allowed.
    pub allowed: u64,
    /// How much there is; of a rate it is not told.
    pub used: Option<u64>,
    /// When there will be room, if nothing else takes it; `None` if nobody knows, or never.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whose, allowed, .. } = self;
        match self.limit {
            Limit::LiveCredentialsPerAgent
            | Limit::LiveCredentialsPerOwner
            | Limit::LiveCredentialsPerTarget => {
                write!(
                    f,
                    "{whose} has as many live credentials as it may: {allowed}"
                )
            }
            Limit::LiveTasksPerAgent | Limit::LiveTasksPerOwner => {
                write!(f, "{whose} has as many live tasks as it may: {allowed}")
            }
            Limit::IssuesPerSecondPerAgent
            | Limit::IssuesPerSecondPerOwner
            | Limit::IssuesPerSecondPerTarget => {
                write!(
                    f,
                    "{whose} is issued credentials as fast as it may be: {allowed}/s"
                )
            }
            Limit::UseItemsPerMinute => {
                write!(
                    f,
                    "{whose} reports as many uses as it may: {allowed} items a minute"
                )
            }
            Limit::RequestsOfAll => {
                write!(
                    f,
                    "{whose} send requests faster than the broker takes: {allowed}/s"
                )
            }
            Limit::RequestsPerCaller => {
                write!(f, "{whose} sends requests faster than it may: {allowed}/s")
            }
            Limit::InFlightPerCaller => {
                write!(
                    f,
                    "{whose} has as many requests under way as it may: {allowed}"
                )
            }
            Limit::StreamsPerCaller => {
                write!(f, "{whose} has as many streams open as it may: {allowed}")
            }
        }
    }
}

impl LimitReached {
    /// A counter that a commit found full.
    pub(crate) fn counted(
        counter: &Counter,
        allowed: u64,
        used: u64,
        retry_after: Option<Duration>,
    ) -> Self {
        let (limit, whose) = match counter {
            Counter::Agent(name) => (Limit::LiveCredentialsPerAgent, format!("agent/{name}")),
            Counter::Owner(name) => (Limit::LiveCredentialsPerOwner, format!("owner/{name}")),
            Counter::Target(uri) => (Limit::LiveCredentialsPerTarget, format!("target/{uri}")),
            Counter::AgentTasks(name) => (Limit::LiveTasksPerAgent, format!("agent/{name}")),
            Counter::OwnerTasks(name) => (Limit::LiveTasksPerOwner, format!("owner/{name}")),
        };
        Self {
            limit,
            whose,
            allowed,
            used: Some(used),
            retry_after,
        }
    }

    /// A bucket that has too little left.
    pub(crate) fn too_fast(key: &RowKey, rate: u32, retry_after: Option<Duration>) -> Self {
        let (limit, whose) = match key {
            RowKey::Owner(name) => (Limit::IssuesPerSecondPerOwner, format!("owner/{name}")),
            RowKey::Target(uri) => (Limit::IssuesPerSecondPerTarget, format!("target/{uri}")),
            RowKey::Agent(_) | RowKey::Operator(_) | RowKey::Verifier(_) | RowKey::System => {
                let name = key.to_string().replacen(' ', "/", 1);
                (Limit::IssuesPerSecondPerAgent, name)
            }
        };
        Self {
            limit,
            whose,
            allowed: rate.into(),
            used: None,
            retry_after,
        }
    }

    /// The edge's pace of all callers together.
    pub fn of_all(allowed: u64, retry_after: Option<Duration>) -> Self {
        Self {
            limit: Limit::RequestsOfAll,
            whose: "all callers".to_owned(),
            allowed,
            used: None,
            retry_after,
        }
    }

    /// A limit at the edge, of a caller.
    pub fn of_caller(
        limit: Limit,
        caller: &Principal,
        allowed: u64,
        used: Option<u64>,
        retry_after: Option<Duration>,
    ) -> Self {
        Self {
            limit,
            whose: caller.to_string(),
            allowed,
            used,
            retry_after,
        }
    }
}
