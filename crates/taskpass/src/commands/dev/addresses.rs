//! Where a development broker listens: what was asked for, or what it had before.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use taskpass_server::Listeners;

use super::DevArgs;
use crate::errors::CliError;
use crate::host::Layout;

/// The addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Addresses {
    pub(super) grpc: SocketAddr,
    pub(super) http: SocketAddr,
    pub(super) ops: SocketAddr,
    /// Absent in folders from before there was an OAuth front.
    #[serde(default = "oauth_default")]
    pub(super) oauth: SocketAddr,
}

const fn oauth_default() -> SocketAddr {
    loopback(7444)
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl Addresses {
    /// What to bind: the folder's own addresses where nothing, or any port, was asked for.
    pub(super) fn choose(layout: &Layout, args: &DevArgs) -> Result<Self, CliError> {
        let kept = Self::kept(layout)?;
        let chosen = Self {
            grpc: one(args.grpc, kept.map(|kept| kept.grpc), 7443),
            http: one(args.http, kept.map(|kept| kept.http), 7480),
            ops: one(args.ops, kept.map(|kept| kept.ops), 7490),
            oauth: oauth(args, kept),
        };
        for (option, address) in [
            ("--grpc", chosen.grpc),
            ("--http", chosen.http),
            ("--ops", chosen.ops),
            ("--oauth", chosen.oauth),
        ] {
            if !address.ip().is_loopback() {
                return Err(CliError::new(
                    "DEV_LOOPBACK_ONLY",
                    format!("{option} {address}: a development broker listens on loopback only"),
                )
                .hint(
                    "for anything else make a broker with `taskpass init` and run `taskpass serve`",
                ));
            }
        }
        if let Some(kept) = kept
            && kept.http != chosen.http
        {
            return Err(CliError::new(
                "ISSUER_FIXED",
                format!(
                    "this broker's issuer is http://{}, so --http cannot change",
                    kept.http
                ),
            )
            .hint("leave --http out, or begin with another folder"));
        }
        Ok(chosen)
    }

    fn kept(layout: &Layout) -> Result<Option<Self>, CliError> {
        let path = layout.addresses();
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map(Some).map_err(|error| {
                CliError::caused(
                    "INVALID_CONFIG",
                    format!("{} does not read", path.display()),
                    error,
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CliError::file("read", &path, error)),
        }
    }

    /// What the listeners are bound to.
    pub(super) fn of(listeners: &Listeners) -> Result<Self, CliError> {
        let at = |listener: &tokio::net::TcpListener| {
            listener
                .local_addr()
                .map_err(|error| CliError::caused("INTERNAL", "a listener has no address", error))
        };
        Ok(Self {
            grpc: at(&listeners.grpc)?,
            http: at(&listeners.http)?,
            ops: at(&listeners.ops)?,
            oauth: match &listeners.oauth {
                Some(listener) => at(listener)?,
                None => oauth_default(),
            },
        })
    }

    /// Remembers them for the next start.
    pub(super) fn keep(&self, layout: &Layout) -> Result<(), CliError> {
        let text = toml::to_string(self)
            .map_err(|error| CliError::caused("INTERNAL", "could not write addresses", error))?;
        let path = layout.addresses();
        std::fs::write(&path, text).map_err(|error| CliError::file("write", &path, error))
    }
}

/// Whoever takes any port for the rest wants no fixed one here.
fn oauth(args: &DevArgs, kept: Option<Addresses>) -> SocketAddr {
    let any = args.http.filter(|http| http.port() == 0);
    one(
        args.oauth.or(any),
        kept.map(|kept| kept.oauth),
        oauth_default().port(),
    )
}

fn one(asked: Option<SocketAddr>, kept: Option<SocketAddr>, default: u16) -> SocketAddr {
    match (asked, kept) {
        (Some(asked), Some(kept)) if asked.port() == 0 && asked.ip() == kept.ip() => kept,
        (Some(asked), _) => asked,
        (None, Some(kept)) => kept,
        (None, None) => loopback(default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_keeps_its_ports() {
        let any = Some(loopback(0));
        assert_eq!(one(any, Some(loopback(5)), 1), loopback(5));
        assert_eq!(one(None, Some(loopback(5)), 1), loopback(5));
        assert_eq!(one(Some(loopback(6)), Some(loopback(5)), 1), loopback(6));
        assert_eq!(one(any, None, 1), loopback(0));
        assert_eq!(one(None, None, 1), loopback(1));
    }
}
