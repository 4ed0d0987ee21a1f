//! The file as it is written, and how it becomes a [`Config`].

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use taskpass_broker::{LOST_AFTER, LOST_AFTER_BOUNDS, LimitDefaults, Limits};
use taskpass_core::ttl::{self, Ttl};
use taskpass_server::{CallerLimits, HttpTls, TransportLimits};

use super::audit::Audit;
use super::federation::{Federation, Unix};
use super::limits::Limits as AmountLimits;
use super::registry::Registry;
use super::{Config, KekSource};

/// A duration in humantime's notation, such as `90s` or `5m`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub(super) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|_| {
            serde::de::Error::custom(format!(
                "`{text}` is not a duration; write it like `90s`, `5m` or `1h`"
            ))
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    data: PathBuf,
    key_encryption_key: Kek,
    #[serde(default)]
    grpc: Grpc,
    #[serde(default)]
    http: Http,
    #[serde(default)]
    ops: Ops,
    #[serde(default)]
    oauth: Oauth,
    #[serde(default)]
    federation: Federation,
    #[serde(default)]
    unix: Unix,
    #[serde(default)]
    policy: Policy,
    #[serde(default)]
    issue: Issue,
    #[serde(default)]
    limits: AmountLimits,
    #[serde(default)]
    registry: Registry,
    #[serde(default)]
    tasks: Tasks,
    #[serde(default)]
    reaper: Reaper,
    #[serde(default)]
    audit: Audit,
    #[serde(default)]
    store: StoreSection,
    #[serde(default)]
    transport: Transport,
    #[serde(default)]
    log: Log,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kek {
    file: Option<PathBuf>,
    env: Option<String>,
    credential: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grpc {
    listen: Option<SocketAddr>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    addresses: Vec<IpAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    listen: Option<SocketAddr>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default)]
    behind_tls_proxy: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ops {
    listen: Option<SocketAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Oauth {
    listen: Option<SocketAddr>,
    url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    dir: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "they are the keys of the file")]
struct Issue {
    token_ttl: Option<Time>,
    certificate_ttl: Option<Time>,
    task_ttl: Option<Time>,
    task_max_ttl: Option<Time>,
    identity_ttl: Option<Time>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reaper {
    interval: Option<Time>,
    retention: Option<Time>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreSection {
    cache_mib: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Transport {
    connections: Option<usize>,
    connections_per_address: Option<usize>,
    handshakes: Option<usize>,
    handshake_timeout: Option<Time>,
    streams: Option<u32>,
    in_flight: Option<usize>,
    message_bytes: Option<usize>,
    keepalive: Option<Time>,
    idle_timeout: Option<Time>,
    grace: Option<Time>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tasks {
    lost_after: Option<Time>,
}

impl Tasks {
    fn lost_after(&self) -> Result<Duration, String> {
        let (least, most) = LOST_AFTER_BOUNDS;
        let time = self.lost_after.map_or(LOST_AFTER, |time| time.0);
        if (least..=most).contains(&time) {
            return Ok(time);
        }
        Err("tasks.lost_after: from 5s to 5m".to_owned())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    filter: Option<String>,
    #[serde(default)]
    json: bool,
}

const GRPC: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7443);
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7480);
const OPS: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7490);

impl File {
    pub(super) fn check(self, folder: &Path) -> Result<Config, String> {
        let data = folder.join(&self.data);
        let http = self.http.listen.unwrap_or(HTTP);
        let http_tls = http_tls(&self.http, http, folder)?;
        let log_folder = self.audit.folder(folder, &data);
        let limits = limits(
            &self.issue,
            self.limits.amounts()?,
            self.tasks.lost_after()?,
            &self.reaper,
        )?;
        let limits = Limits {
            changes: self.registry.rules()?,
            uses: self.limits.uses()?,
            ..limits
        };
        oauth(&self.oauth)?;
        Ok(Config {
            keep_months: self.audit.keep_months()?,
            checkpoint_export: self.audit.export(folder, &log_folder)?,
            archive_interval: self.audit.interval()?,
            outbox_limit: self.audit.outbox_limit()?,
            log_folder,
            kek: kek(self.key_encryption_key, folder)?,
            policies: self.policy.dir.map(|dir| folder.join(dir)),
            grpc: self.grpc.listen.unwrap_or(GRPC),
            grpc_dns: names(self.grpc.names)?,
            grpc_ips: self.grpc.addresses,
            http,
            http_tls,
            behind_tls_proxy: self.http.behind_tls_proxy,
            ops: self.ops.listen.unwrap_or(OPS),
            oauth: self.oauth.listen,
            oauth_url: self.oauth.url,
            federation: self.federation.check(folder)?,
            unix: self.unix.check(folder)?,
            limits,
            reap_interval: positive(
                "reaper.interval",
                self.reaper.interval,
                Duration::from_secs(10),
            )?,
            transport: transport(&self.transport, self.limits.caller()?)?,
            cache_bytes: self
                .store
                .cache_mib
                .unwrap_or(256)
                .saturating_mul(1024 * 1024),
            log_filter: self.log.filter.unwrap_or_else(|| "info".to_owned()),
            log_json: self.log.json,
            data,
        })
    }
}

fn kek(kek: Kek, folder: &Path) -> Result<KekSource, String> {
    match (kek.file, kek.env, kek.credential) {
        (Some(file), None, None) => Ok(KekSource::File(folder.join(file))),
        (None, Some(name), None) => Ok(KekSource::Env(name)),
        (None, None, Some(name)) => Ok(KekSource::Credential(name)),
        _ => {
            Err("key_encryption_key: name exactly one of `file`, `env` and `credential`".to_owned())
        }
    }
}

fn http_tls(http: &Http, listen: SocketAddr, folder: &Path) -> Result<HttpTls, String> {
    match (&http.cert, &http.key) {
        (Some(_), Some(_)) if http.behind_tls_proxy => {
            Err("http: either `cert` and `key`, or `behind_tls_proxy`, not both".to_owned())
        }
        (Some(cert), Some(key)) => Ok(HttpTls::Files {
            cert: folder.join(cert),
            key: folder.join(key),
        }),
        (None, None) if listen.ip().is_loopback() || http.behind_tls_proxy => Ok(HttpTls::Plain),
        (None, None) => Err(format!(
            "http.listen: {listen} is not loopback, so public HTTP needs TLS: name `http.cert` and \
             `http.key`, or say `http.behind_tls_proxy = true` if a proxy terminates TLS"
        )),
        _ => Err("http: `cert` and `key` go together".to_owned()),
    }
}

/// Clients must be told where the front is, in a form that they can put a path behind.
fn oauth(oauth: &Oauth) -> Result<(), String> {
    match (&oauth.listen, &oauth.url) {
        (None, Some(_)) => Err("oauth.url: there is no `oauth.listen`".to_owned()),
        (Some(listen), None) if !listen.ip().is_loopback() => Err(format!(
            "oauth.listen: {listen} is not loopback, so say how clients reach it: `oauth.url = \
             \"https://…\"`"
        )),
        (_, Some(url)) if !is_base(url) => Err(format!(
            "oauth.url: `{url}` is not like https://broker.example:7444"
        )),
        _ => Ok(()),
    }
}

fn is_base(url: &str) -> bool {
    url.parse::<http::Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("https")
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.path_and_query().is_none_or(|rest| rest.as_str() == "/")
            && !url.contains(['@', '#', '?'])
    })
}

fn names(names: Vec<String>) -> Result<Vec<String>, String> {
    let good = |name: &String| {
        (1..=253).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
    };
    match names.iter().find(|name| !good(name)) {
        Some(name) => Err(format!("grpc.names: `{name}` is not a DNS name")),
        None => Ok(names),
    }
}

fn limits(
    issue: &Issue,
    amounts: LimitDefaults,
    lost_after: Duration,
    reaper: &Reaper,
) -> Result<Limits, String> {
    let default = Limits::default();
    Ok(Limits {
        token_ttl: life(
            "issue.token_ttl",
            issue.token_ttl,
            default.token_ttl,
            ttl::MAX_TOKEN_TTL,
        )?,
        certificate_ttl: life(
            "issue.certificate_ttl",
            issue.certificate_ttl,
            default.certificate_ttl,
            ttl::MAX_CERTIFICATE_TTL,
        )?,
        task_ttl: life(
            "issue.task_ttl",
            issue.task_ttl,
            default.task_ttl,
            ttl::MAX_TASK_TTL,
        )?,
        task_max_ttl: life(
            "issue.task_max_ttl",
            issue.task_max_ttl,
            default.task_max_ttl,
            ttl::MAX_TASK_TTL,
        )?,
        identity_ttl: life(
            "issue.identity_ttl",
            issue.identity_ttl,
            default.identity_ttl,
            ttl::MAX_IDENTITY_TTL,
        )?,
        amounts,
        uses: default.uses,
        changes: default.changes,
        lost_after,
        skew: default.skew,
        retention: reaper.retention.map_or(default.retention, |time| time.0),
    })
}

fn life(key: &str, asked: Option<Time>, default: Ttl, max: Ttl) -> Result<Ttl, String> {
    match asked {
        Some(time) => Ttl::new(time.0, max).map_err(|error| format!("{key}: {error}")),
        None => Ok(default),
    }
}

pub(super) fn positive(
    key: &str,
    asked: Option<Time>,
    default: Duration,
) -> Result<Duration, String> {
    let time = asked.map_or(default, |time| time.0);
    if time < Duration::from_millis(10) {
        return Err(format!("{key}: at least 10ms"));
    }
    Ok(time)
}

fn at_least_a_second(
    key: &str,
    asked: Option<Time>,
    default: Duration,
) -> Result<Duration, String> {
    let time = positive(key, asked, default)?;
    if time < Duration::from_secs(1) {
        return Err(format!("{key}: at least 1s"));
    }
    Ok(time)
}

fn transport(file: &Transport, caller: CallerLimits) -> Result<TransportLimits, String> {
    let default = TransportLimits::default();
    let limits = TransportLimits {
        connections: file.connections.unwrap_or(default.connections),
        handshakes: file.handshakes.unwrap_or(default.handshakes),
        handshake_timeout: positive(
            "transport.handshake_timeout",
            file.handshake_timeout,
            default.handshake_timeout,
        )?,
        streams: file.streams.unwrap_or(default.streams),
        in_flight: file.in_flight.unwrap_or(default.in_flight),
        message_bytes: file.message_bytes.unwrap_or(default.message_bytes),
        header_bytes: default.header_bytes,
        keepalive: positive("transport.keepalive", file.keepalive, default.keepalive)?,
        idle_timeout: at_least_a_second(
            "transport.idle_timeout",
            file.idle_timeout,
            default.idle_timeout,
        )?,
        grace: positive("transport.grace", file.grace, default.grace)?,
        connections_per_address: file
            .connections_per_address
            .unwrap_or(default.connections_per_address),
        caller,
    };
    let some = [
        ("connections", limits.connections),
        ("connections_per_address", limits.connections_per_address),
        ("handshakes", limits.handshakes),
        ("streams", limits.streams as usize),
        ("in_flight", limits.in_flight),
        ("message_bytes", limits.message_bytes),
    ];
    match some.iter().find(|(_, value)| *value == 0) {
        Some((key, _)) => Err(format!("transport.{key}: at least 1")),
        None => Ok(limits),
    }
}
