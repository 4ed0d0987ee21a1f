//! `taskpass serve`: the broker.

use std::path::PathBuf;

use clap::Args;
use taskpass_server::{Listeners, Settings};
use taskpass_store::Store as _;

use crate::config::Config;
use crate::context::Context;
use crate::errors::CliError;
use crate::host::{self, Host, Inherited, Layout, Opening};

/// What to run.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: taskpass serve --config /etc/taskpass/taskpass.toml

SIGTERM or Ctrl-C ends it: it stops accepting, finishes what was begun, writes the rest of the
audit log, and exits with 0. SIGHUP makes it read policies and certificates again.

Under systemd it takes the sockets that a unit passes (by their addresses), says when it is ready,
and gives signs of life if WatchdogSec= asks for them.")]
pub(crate) struct ServeArgs {
    /// The configuration; `taskpass check-config FILE` checks one
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: ServeArgs) -> Result<(), CliError> {
    let config = Config::load(&args.config)?;
    host::diagnostics(&config.log_filter, config.log_json)?;
    let kek = config.kek.read()?;
    let layout = Layout::of(&config.data);
    if layout.making().exists() {
        return Err(CliError::new(
            "STORE_UNFINISHED",
            format!("making {} was cut off", layout.folder().display()),
        )
        .hint("run `taskpass init` again; nothing in there has been used"));
    }
    let store = host::open_store(context, &layout, config.cache_bytes, config.outbox_limit)?;
    if store.birth().dev {
        return Err(CliError::new(
            "DEV_STORE",
            format!("{} was made by `taskpass dev`", layout.folder().display()),
        )
        .hint("make a broker with `taskpass init`; a development store is never served"));
    }
    if config.behind_tls_proxy {
        tracing::warn!(
            "http.behind_tls_proxy is set: public HTTP is plain text here, and whoever reaches \
             it past the proxy is not protected"
        );
    }
    let fronts = 3 + u64::from(config.oauth.is_some()) + u64::from(config.unix.is_some());
    host::descriptors::take(config.transport.connections, fronts);
    let mut inherited = Inherited::take()?;
    let listeners = Listeners {
        grpc: inherited.bind("gRPC", config.grpc).await?,
        http: inherited.bind("public HTTP", config.http).await?,
        ops: inherited.bind("health and metrics", config.ops).await?,
        oauth: match config.oauth {
            Some(address) => Some(inherited.bind("OAuth", address).await?),
            None => None,
        },
        unix: match config.unix {
            Some(socket) => Some((host::socket::bind(&socket)?, socket.trust)),
            None => None,
        },
    };
    inherited.finish()?;
    let settings = Settings {
        dns_names: config.grpc_dns,
        ip_addresses: config.grpc_ips,
        http_tls: config.http_tls,
        oauth_url: config.oauth_url,
        federation: config.federation,
        reflection: false,
        policies: config.policies.clone(),
        log_folder: config.log_folder,
        keep_months: config.keep_months,
        checkpoint_export: config.checkpoint_export,
        reap_interval: config.reap_interval,
        archive_interval: config.archive_interval,
        limits: config.transport,
    };
    let opening = Opening {
        kek,
        policies: config.policies,
        limits: config.limits,
    };
    Host::start(context, store, opening, listeners, settings)
        .await?
        .run_until_told()
        .await
}
