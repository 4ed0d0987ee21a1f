//! Running a broker in this process: from a folder to listeners, until a signal.

pub(crate) mod descriptors;
mod layout;
mod manager;
mod seed;
pub(crate) mod socket;

use std::path::Path;
use std::sync::Arc;

use taskpass_broker::{Broker, Deps, Limits};
use taskpass_issuer::KeyEncryptionKey;
use taskpass_policy::{Engine, PolicySet};
use taskpass_server::{Listeners, Running, Settings};
use taskpass_store::{Batched, OpenError, Options, RedbBackend, Store as _};
use tokio::net::TcpListener;

use crate::context::Context;
use crate::errors::CliError;

pub(crate) use layout::Layout;
pub(crate) use manager::Inherited;
pub(crate) use seed::sample;

/// A broker that runs in this process.
pub(crate) struct Host {
    /// The broker.
    pub(crate) broker: Arc<Broker>,
    /// Its edges.
    pub(crate) running: Running,
    store: Arc<Batched<RedbBackend>>,
}

/// What a host is opened with.
pub(crate) struct Opening {
    /// Unseals the keys.
    pub(crate) kek: KeyEncryptionKey,
    /// Where the policies are; the shipped ones if absent.
    pub(crate) policies: Option<std::path::PathBuf>,
    /// Limits and defaults.
    pub(crate) limits: Limits,
}

/// Opens the store of a folder.
pub(crate) fn open_store(
    context: &Context,
    layout: &Layout,
    cache_bytes: usize,
    outbox_limit: u64,
) -> Result<Batched<RedbBackend>, CliError> {
    if layout.restoring().exists() {
        return Err(CliError::new(
            "STORE_UNFINISHED",
            format!("restoring {} was cut off", layout.folder().display()),
        )
        .hint("run the same `taskpass restore` again; it begins anew"));
    }
    open_options(context, layout, cache_bytes, outbox_limit)
}

/// Opens the store of a folder that is being restored.
pub(crate) fn open_unfinished(
    context: &Context,
    layout: &Layout,
) -> Result<Batched<RedbBackend>, CliError> {
    open_options(context, layout, 64 << 20, 200_000)
}

fn open_options(
    context: &Context,
    layout: &Layout,
    cache_bytes: usize,
    outbox_limit: u64,
) -> Result<Batched<RedbBackend>, CliError> {
    let options = Options {
        cache_bytes,
        outbox_limit,
        clock: Some(Arc::clone(&context.clock)),
        ..Options::default()
    };
    quietly(|| taskpass_store::redb_store::open(&layout.store(), options))
        .map_err(|error| store_error(&error))
}

/// Does what may panic and catches that itself, as the database library can over a damaged file: our
/// own error says so, and must be the first thing on standard error.
fn quietly<T>(action: impl FnOnce() -> T) -> T {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = action();
    std::panic::set_hook(hook);
    outcome
}

/// An error of opening, in the words of the command line.
pub(crate) fn store_error(error: &OpenError) -> CliError {
    let reason = match error {
        OpenError::Missing { .. } => "STORE_MISSING",
        OpenError::Exists { .. } => "STORE_EXISTS",
        OpenError::InUse { .. } => "STORE_IN_USE",
        OpenError::Newer { .. } => "STORE_NEWER",
        OpenError::UnexpectedlyEmpty { .. } => "STORE_EMPTY",
        OpenError::Damaged { .. } => "STORE_DAMAGED",
        OpenError::Failed { .. } => "STORE_UNAVAILABLE",
    };
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    CliError::new(reason, message)
}

/// The policies of a folder, or the shipped ones.
pub(crate) fn policies(dir: Option<&Path>) -> Result<PolicySet, CliError> {
    let loaded = match dir {
        Some(dir) => PolicySet::from_dir(dir),
        None => PolicySet::shipped(),
    };
    loaded.map_err(|error| CliError::caused("INVALID_POLICY", "the policies do not load", error))
}

impl Host {
    /// Opens the broker on an open store, and starts its edges on bound listeners.
    pub(crate) async fn start(
        context: &Context,
        store: Batched<RedbBackend>,
        opening: Opening,
        listeners: Listeners,
        settings: Settings,
    ) -> Result<Self, CliError> {
        let store = Arc::new(store);
        let deps = Deps {
            store: Arc::clone(&store) as Arc<dyn taskpass_store::Store>,
            policy: Engine::new(policies(opening.policies.as_deref())?),
            kek: opening.kek,
            clock: Arc::clone(&context.clock),
            rng: Arc::clone(&context.rng),
            limits: opening.limits,
        };
        let broker = Broker::open(deps).await.map_err(open_error)?;
        if let Some(at) = broker.sealed_at() {
            tracing::error!(
                restored_at = %at,
                "this broker was restored from a backup and is sealed: nothing is issued and no agent \
                 enrols until an administrator unseals it (`taskpass unseal`)"
            );
        }
        let running = taskpass_server::start(
            Arc::clone(&broker),
            Arc::clone(&context.clock),
            listeners,
            settings,
        )
        .await
        .map_err(not_started)?;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            grpc = %running.grpc,
            http = %running.http,
            ops = %running.ops,
            oauth = running.oauth.map(tracing::field::display),
            issuer = store.birth().public_url,
            policy_set = %broker.policy_hash(),
            "ready"
        );
        Ok(Self {
            broker,
            running,
            store,
        })
    }

    /// The store beneath the broker.
    pub(crate) fn store(&self) -> &Batched<RedbBackend> {
        &self.store
    }

    /// Whether the identity line of a principal still accepts its newest key.
    pub(crate) async fn accepts(&self, principal: &taskpass_core::identity::Principal) -> bool {
        let line = self.store.identity(principal).await;
        line.ok()
            .flatten()
            .is_some_and(|line| line.broken_at.is_none())
    }

    /// Runs until SIGTERM or SIGINT, finishes what was begun, and closes the store. A store that
    /// fails while running ends the process with an error: what is on disk is then unknown.
    pub(crate) async fn run_until_told(self) -> Result<(), CliError> {
        manager::ready();
        let store = Arc::clone(&self.store);
        let told = tokio::select! {
            told = signal(|| self.running.reread()) => told,
            never = manager::sign_of_life(|| store.stats()) => match never {},
            () = self.store.stopped() => Err(CliError::new(
                "STORE_FAILED",
                "the store failed to write; nothing more is acknowledged",
            )
            .hint("look at the disk, then start again: what was acknowledged is there")),
        };
        manager::stopping();
        let in_time = self.running.stop().await;
        if !in_time {
            tracing::warn!("some requests were cut off: they took longer than the grace");
        }
        drop(self.broker);
        self.store.close().await;
        told
    }
}

fn not_started(error: taskpass_server::StartError) -> CliError {
    if let taskpass_server::StartError::Log(log @ taskpass_broker::Error::RolledBack(_)) = &error {
        let why = std::error::Error::source(log).map_or(String::new(), ToString::to_string);
        return CliError::new("STORE_ROLLED_BACK", format!("{log}: {why}")).hint(
            "stop here: revocations would be forgotten. Put the newer store back, or use `taskpass \
             restore` with a backup and this audit folder as --log",
        );
    }
    CliError::caused("START_FAILED", "the listeners did not start", error)
}

fn open_error(error: taskpass_broker::OpenError) -> CliError {
    match error {
        taskpass_broker::OpenError::Keys(error) => {
            CliError::caused("WRONG_KEK", "the signing keys could not be unsealed", error)
                .hint("use the key-encryption key that this store was made with")
        }
        error @ taskpass_broker::OpenError::PolicyNotApproved { .. } => CliError::new(
            "POLICY_NOT_APPROVED",
            error.to_string(),
        )
        .hint(
            "start it with the policies that were in force, let two operators approve the others \
                 (`taskpass policy approve HASH`), and put them in place then",
        ),
        other => CliError::caused("STORE_UNAVAILABLE", "the broker could not be opened", other),
    }
}

/// Waits to be told to stop; `reread` is called for each SIGHUP.
async fn signal(reread: impl Fn()) -> Result<(), CliError> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error| CliError::caused("INTERNAL", "could not wait for signals", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reread(),
        }
    }
    tracing::info!("stopping");
    Ok(())
}

/// Binds a listener, saying which one failed.
pub(crate) async fn bind(
    what: &str,
    address: std::net::SocketAddr,
) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|error| {
        CliError::caused(
            "ADDRESS_UNAVAILABLE",
            format!("could not listen on {address} for {what}"),
            error,
        )
        .hint("another process may listen there; port 0 takes any free one")
    })
}

/// Sets up diagnostics of a broker. Has no effect if they were set up before.
pub(crate) fn diagnostics(filter: &str, json: bool) -> Result<(), CliError> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|error| CliError::caused("INVALID_CONFIG", "log.filter does not read", error))?;
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_env_filter(filter);
    let _ = if json {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
    Ok(())
}
