//! `taskpass check-config`: is this configuration one that `serve` would take?

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::config::Config;
use crate::context::Context;
use crate::errors::CliError;
use crate::host;
use crate::output::{Ink, View};

/// What to check.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: taskpass check-config /etc/taskpass/taskpass.toml

Checks the file, and the policies, keys of issuers and bundles that it names as files. Opens no
store, reads no key of the broker's, asks nobody: whether an issuer or trust domain is the broker's
own, which is refused, is known when it is served."
)]
pub(crate) struct CheckConfigArgs {
    /// The configuration
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    data: String,
    grpc: String,
    http: String,
    ops: String,
    oauth: Option<String>,
    unix: Option<String>,
    issuers: Vec<String>,
    trust_domains: Vec<String>,
    policy_set: String,
    policies: Vec<String>,
}

impl View for Checked {
    fn text(&self, _: &Ink) -> String {
        format!(
            "{} is good.\n  data      {}\n  grpc      {}\n  http      {}\n  ops       {}\n  oauth     {}\n  unix      {}\n  issuers   {}\n  domains   {}\n  policies  {} (set {})\n",
            self.file,
            self.data,
            self.grpc,
            self.http,
            self.ops,
            self.oauth.as_deref().unwrap_or("off"),
            self.unix.as_deref().unwrap_or("off"),
            or_none(&self.issuers),
            or_none(&self.trust_domains),
            self.policies.join(", "),
            self.policy_set.chars().take(12).collect::<String>(),
        )
    }
}

fn names<T>(list: &[T], name: impl Fn(&T) -> String) -> Vec<String> {
    list.iter().map(name).collect()
}

fn or_none(list: &[String]) -> String {
    if list.is_empty() {
        "none".to_owned()
    } else {
        list.join(", ")
    }
}

/// Runs it.
#[expect(clippy::unused_async, reason = "every command has the same signature")]
pub(crate) async fn run(context: &Context, args: CheckConfigArgs) -> Result<(), CliError> {
    let config = Config::load(&args.file)?;
    let policies = host::policies(config.policies.as_deref())?;
    config.federation.check().map_err(|error| {
        CliError::caused("INVALID_CONFIG", "federation cannot be set up", error)
    })?;
    context.output.show(&Checked {
        file: args.file.display().to_string(),
        data: config.data.display().to_string(),
        grpc: config.grpc.to_string(),
        http: config.http.to_string(),
        ops: config.ops.to_string(),
        oauth: config.oauth.map(|address| address.to_string()),
        unix: config.unix.map(|socket| socket.path.display().to_string()),
        issuers: names(&config.federation.jwt, |issuer| {
            issuer.trust.issuer().to_owned()
        }),
        trust_domains: names(&config.federation.svid, |domain| {
            domain.trust.trust_domain().to_string()
        }),
        policy_set: policies.hash().to_string(),
        policies: policies.policy_ids(),
    })
}
