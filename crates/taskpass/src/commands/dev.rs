//! `taskpass dev`: a development broker on loopback, with a sample registry and identities.

mod addresses;
mod identities;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use taskpass_broker::{LOST_AFTER_BOUNDS, Limits, first_rows};
use taskpass_issuer::KeyEncryptionKey;
use taskpass_server::{CheckpointExport, HttpTls, Listeners, Settings, TransportLimits};
use taskpass_store::{Birth, Store as _};

use crate::commands::init;
use crate::config::KekSource;
use crate::context::Context;
use crate::errors::CliError;
use crate::host::{self, Host, Layout, Opening};
use crate::output::{Ink, View};
use addresses::Addresses;

/// Where to keep what, and where to listen. Port 0 is any free one.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  taskpass dev --data ./dev
  source ./dev/env                    (in another terminal)
  taskpass agent list

It registers what config/registry.dev.toml says, and writes an identity for everybody in there.
A restart on the same folder keeps the addresses, the issuer and everything issued.
For development only: it listens on loopback, and `serve` refuses its store.")]
pub(crate) struct DevArgs {
    /// The folder for everything; a throw-away one if absent
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where to listen for gRPC [default: as before, or 127.0.0.1:7443]
    #[arg(long, value_name = "ADDR")]
    pub(crate) grpc: Option<SocketAddr>,
    /// Where to listen for public HTTP [default: as before, or 127.0.0.1:7480]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    /// Where to listen for health and metrics [default: as before, or 127.0.0.1:7490]
    #[arg(long, value_name = "ADDR")]
    pub(crate) ops: Option<SocketAddr>,
    /// Where to listen for OAuth [default: as before, or 127.0.0.1:7444; any port if --http has 0]
    #[arg(long, value_name = "ADDR")]
    pub(crate) oauth: Option<SocketAddr>,
    /// A folder of policies instead of the shipped ones; read again when it changes
    #[arg(long, value_name = "DIR")]
    pub(crate) policies: Option<PathBuf>,
    /// How long expired records can still be read
    #[arg(long, value_name = "TIME", default_value = "1m")]
    pub(crate) retention: String,
    /// How long a tied task goes on without its process, from 5s to 5m
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30s",
        allow_hyphen_values = true
    )]
    pub(crate) lost_after: String,
}

/// What a new terminal needs.
#[derive(Debug, Serialize)]
struct Ready {
    data: String,
    addr: String,
    http: String,
    ops: String,
    oauth: String,
    identity: String,
    #[serde(skip)]
    env: String,
}

impl View for Ready {
    fn text(&self, _: &Ink) -> String {
        format!(
            "{}\n# The same lines are in {}/env. In another terminal:\n#   source {}/env\n\
             #   taskpass --identity {}/identities/invoice-bot task start \\\n\
             #     --purpose \"reconcile march\" --scope https://ledger.example#invoices:read --ttl 10m\n\
             # Ctrl-C stops the broker.\n",
            self.env, self.data, self.data, self.data
        )
    }
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: DevArgs) -> Result<(), CliError> {
    let filter = if context.verbosity() > 0 {
        "info"
    } else {
        "warn"
    };
    host::diagnostics(filter, false)?;
    let limits = limits(&args)?;
    // Kept until the end of the run: dropping it removes the folder.
    let throw_away = match &args.data {
        Some(_) => None,
        None => Some(throw_away()?),
    };
    let folder = args
        .data
        .clone()
        .or_else(|| throw_away.as_ref().map(|dir| dir.path().to_owned()));
    let Some(folder) = folder else {
        return Err(CliError::new("INTERNAL", "no folder"));
    };
    let layout = Layout::of(&folder);
    let addresses = Addresses::choose(&layout, &args)?;
    host::descriptors::take(TransportLimits::default().connections, 4);
    let listeners = Listeners {
        grpc: host::bind("gRPC", addresses.grpc).await?,
        http: host::bind("public HTTP", addresses.http).await?,
        ops: host::bind("health and metrics", addresses.ops).await?,
        oauth: Some(host::bind("OAuth", addresses.oauth).await?),
        unix: None,
    };
    let addresses = Addresses::of(&listeners)?;
    // Before anything is made: a restart after a cut-off start must find the issuer's port.
    crate::files::folder::make(layout.folder())?;
    addresses.keep(&layout)?;
    let kek = prepare(context, &layout, &addresses).await?;
    let host = start(context, &layout, kek, listeners, limits, args.policies).await?;
    identities::write(context, &host, &layout).await?;
    let ready = ready(&layout, &addresses);
    std::fs::write(layout.env(), &ready.env)
        .map_err(|error| CliError::file("write", &layout.env(), error))?;
    context.output.show(&ready)?;
    host.run_until_told().await
}

fn limits(args: &DevArgs) -> Result<Limits, CliError> {
    let (least, most) = LOST_AFTER_BOUNDS;
    let lost_after = duration(&args.lost_after)?;
    if !(least..=most).contains(&lost_after) {
        return Err(CliError::new(
            "INVALID_DURATION",
            "--lost-after is from 5s to 5m",
        ));
    }
    Ok(Limits {
        // One machine, one clock: nobody's may differ.
        skew: Duration::from_secs(1),
        retention: duration(&args.retention)?,
        lost_after,
        ..Limits::default()
    })
}

fn duration(text: &str) -> Result<Duration, CliError> {
    humantime::parse_duration(text).map_err(|_| {
        CliError::new("INVALID_DURATION", format!("`{text}` is not a duration"))
            .hint("write it like `90s`, `5m` or `1h`")
    })
}

fn throw_away() -> Result<tempfile::TempDir, CliError> {
    tempfile::Builder::new()
        .prefix("taskpass-dev-")
        .tempdir()
        .map_err(|error| CliError::caused("FILE_ERROR", "could not make a folder", error))
}

/// Makes the store, or reads the key of the one that is there.
async fn prepare(
    context: &Context,
    layout: &Layout,
    addresses: &Addresses,
) -> Result<KeyEncryptionKey, CliError> {
    let there = layout.store().exists()
        || taskpass_store::redb_store::marker_path(&layout.store()).exists();
    if there && !layout.making().exists() {
        return KekSource::File(layout.kek()).read();
    }
    let url = format!("http://{}", addresses.http);
    let trust_domain =
        "dev.taskpass.test"
            .parse()
            .map_err(|error: taskpass_core::spiffe::ParseSpiffeError| {
                CliError::new("INTERNAL", error.to_string())
            })?;
    let birth = Birth {
        trust_domain,
        public_url: url.clone(),
        crl_url: url,
        dev: true,
        born_at: context.clock.now(),
        epoch: init::epoch(context),
    };
    let kek = init::make(context, layout, &birth).await?;
    init::finish(layout)?;
    Ok(kek)
}

async fn start(
    context: &Context,
    layout: &Layout,
    kek: KeyEncryptionKey,
    listeners: Listeners,
    limits: Limits,
    policies: Option<PathBuf>,
) -> Result<Host, CliError> {
    let store = host::open_store(context, layout, 64 << 20, 200_000)?;
    if !store.birth().dev {
        return Err(CliError::new(
            "NOT_A_DEV_STORE",
            format!(
                "{} was not made by `taskpass dev`",
                layout.folder().display()
            ),
        )
        .hint("run it with `taskpass serve`, or name another folder"));
    }
    let own = listeners
        .http
        .local_addr()
        .map(|http| format!("http://{http}"));
    if own.as_deref().ok() != Some(store.birth().public_url.as_str()) {
        let issuer = &store.birth().public_url;
        return Err(CliError::new(
            "ISSUER_FIXED",
            format!("this broker's issuer is {issuer}, so public HTTP cannot be elsewhere"),
        )
        .hint("name that address with --http, or begin with another folder"));
    }
    let now = context.clock.now();
    first_rows(&store, host::sample(now)?.rows, &*context.rng, now)
        .await
        .map_err(|error| {
            CliError::caused(
                "STORE_UNAVAILABLE",
                "the sample could not be registered",
                error,
            )
        })?;
    let settings = Settings {
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        http_tls: HttpTls::Plain,
        policies: policies.clone(),
        oauth_url: None,
        reflection: true,
        log_folder: layout.audit(),
        keep_months: None,
        checkpoint_export: CheckpointExport::default(),
        federation: taskpass_server::FederationSettings::default(),
        reap_interval: Duration::from_secs(1),
        archive_interval: Duration::from_millis(250),
        limits: TransportLimits::default(),
    };
    let opening = Opening {
        kek,
        policies,
        limits,
    };
    Host::start(context, store, opening, listeners, settings).await
}

fn ready(layout: &Layout, addresses: &Addresses) -> Ready {
    let folder =
        std::fs::canonicalize(layout.folder()).unwrap_or_else(|_| layout.folder().to_owned());
    let absolute = Layout::of(&folder);
    let mut ready = Ready {
        data: folder.display().to_string(),
        addr: format!("https://{}", addresses.grpc),
        http: format!("http://{}", addresses.http),
        ops: format!("http://{}", addresses.ops),
        oauth: format!("https://{}", addresses.oauth),
        identity: absolute.identities().join("operator").display().to_string(),
        env: String::new(),
    };
    ready.env = format!(
        "export TASKPASS_ADDR={}\nexport TASKPASS_HTTP={}\nexport TASKPASS_OPS={}\nexport TASKPASS_OAUTH={}\nexport TASKPASS_IDENTITY='{}'\n",
        ready.addr, ready.http, ready.ops, ready.oauth, ready.identity
    );
    ready
}
