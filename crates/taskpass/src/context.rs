//! What every command is handed: the clock, the random source, the output, and where to connect.
//!
//! Made once, in `main`. An option goes before the environment; an empty text counts as absent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use taskpass_client::Identity;
use taskpass_core::Clock;
use taskpass_core::rng::Rng;

use crate::cli::Globals;
use crate::errors::CliError;
use crate::output::Output;
use crate::session::{Address, Session};

/// The surroundings of a command.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Where the time comes from.
    pub(crate) clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub(crate) rng: Arc<dyn Rng>,
    /// Standard output and standard error.
    pub(crate) output: Output,
    globals: Globals,
}

impl Context {
    /// From what `main` made and read.
    pub(crate) fn new(globals: Globals, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        let output = Output::new(&globals, Arc::clone(&clock));
        Self {
            clock,
            rng,
            output,
            globals,
        }
    }

    /// The same surroundings at another time.
    pub(crate) fn at(&self, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            ..self.clone()
        }
    }

    /// Where the broker is, if it was said.
    pub(crate) fn address(&self) -> Result<Option<Address>, CliError> {
        given(self.globals.addr.as_ref())
            .map(str::parse)
            .transpose()
    }

    /// Where the broker is.
    pub(crate) fn required_address(&self) -> Result<Address, CliError> {
        self.address()?
            .ok_or_else(|| CliError::new("NO_ADDRESS", "the broker's address is not known"))
    }

    /// The folder of whom to call as.
    pub(crate) fn identity_folder(&self) -> Result<&Path, CliError> {
        self.globals
            .identity
            .as_deref()
            .filter(|folder| !folder.as_os_str().is_empty())
            .ok_or_else(|| CliError::new("NO_IDENTITY", "no identity was named"))
    }

    /// Whom to call as.
    pub(crate) fn identity(&self) -> Result<Identity, CliError> {
        let folder = self.identity_folder()?;
        let identity = Identity::load(folder)?;
        // A handshake with it would fail in words that say nothing about time.
        if self.clock.now() >= identity.expires_at() {
            let (name, ended) = (identity.name(), identity.expires_at());
            let message = format!("the identity of {name} ended at {ended}");
            return Err(CliError::new("IDENTITY_EXPIRED", message));
        }
        Ok(identity)
    }

    /// Calls the broker as the identity.
    pub(crate) async fn session(&self) -> Result<Session, CliError> {
        // Both are looked at before anything is sent, the address first: it is what is missing most.
        let address = self.required_address()?;
        let session = if address.is_socket() {
            Session::at_socket(&address).await
        } else if let Some(token_file) = named(self.globals.attestation_token_file.as_ref()) {
            Session::presenting(&address, token_file, &self.anchors()?).await
        } else {
            Session::connect(&address, &self.identity()?).await
        };
        session.map_err(|error| self.with_readiness(error))
    }

    /// The anchors to know the broker by, where there is no identity to hold them.
    fn anchors(&self) -> Result<String, CliError> {
        let Some(path) = named(self.globals.ca.as_ref()) else {
            return Err(
                CliError::new("NO_ANCHORS", "the broker's anchors are not known")
                    .hint("give --ca FILE, or set TASKPASS_CA: the ca.pem of an identity"),
            );
        };
        std::fs::read_to_string(path).map_err(|error| CliError::file("read", path, error))
    }

    /// How much to say on standard error.
    pub(crate) const fn verbosity(&self) -> u8 {
        self.globals.verbose
    }

    /// The base URL of the public HTTP, without a slash at its end.
    pub(crate) fn http_url(&self) -> Result<&str, CliError> {
        given(self.globals.http_url.as_ref())
            .map(|url| url.trim_end_matches('/'))
            .ok_or_else(|| {
                CliError::new("NO_HTTP_URL", "the broker's public HTTP is not known")
                    .hint("give --http-url, or set TASKPASS_HTTP to the issuer's base URL")
            })
    }

    /// The anchors to trust the public HTTP by, if they were named.
    pub(crate) fn http_ca(&self) -> Option<&Path> {
        self.globals
            .http_ca
            .as_deref()
            .filter(|path| !path.as_os_str().is_empty())
    }

    /// Adds where to ask for the broker's readiness, if that is known.
    pub(crate) fn with_readiness(&self, error: CliError) -> CliError {
        match given(self.globals.ops_url.as_ref()) {
            Some(ops) if error.reason() == "UNREACHABLE" => {
                let ops = ops.trim_end_matches('/');
                error.hint(format!("is the broker ready? ask {ops}/readyz"))
            }
            _ => error,
        }
    }
}

fn named(path: Option<&PathBuf>) -> Option<&Path> {
    path.map(PathBuf::as_path)
        .filter(|path| !path.as_os_str().is_empty())
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser as _;
    use rcgen::{CertificateParams, KeyPair, SanType};
    use taskpass_core::rng::SystemRng;
    use taskpass_core::time::SystemClock;

    fn context(line: &[&str]) -> Context {
        let line = [&["taskpass", "version"], line].concat();
        let globals = Cli::try_parse_from(line).unwrap().globals;
        Context::new(
            globals,
            Arc::new(SystemClock::new()),
            Arc::new(SystemRng::new()),
        )
    }

    #[test]
    fn what_is_missing_is_said() {
        let empty = context(&["--addr", " ", "--identity", "", "--http-url", ""]);
        assert_eq!(empty.required_address().unwrap_err().reason(), "NO_ADDRESS");
        assert_eq!(empty.identity().unwrap_err().reason(), "NO_IDENTITY");
        assert_eq!(empty.http_url().unwrap_err().reason(), "NO_HTTP_URL");
        let full = context(&["--addr", "https://b:1", "--http-url", "https://b/"]);
        assert_eq!(full.required_address().unwrap().authority(), "b:1");
        assert_eq!(full.http_url().unwrap(), "https://b");
    }

    #[test]
    fn an_identity_that_has_ended_is_not_used() {
        let folder = tempfile::TempDir::new().unwrap();
        for (year, expected) in [(2020, Some("IDENTITY_EXPIRED")), (2100, None)] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            let name = "spiffe://example.org/operator/ops".try_into().unwrap();
            params.subject_alt_names = vec![SanType::URI(name)];
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            let pem = params.self_signed(&key).unwrap().pem();
            let key_pem = zeroize::Zeroizing::new(key.serialize_pem());
            let identity = Identity::new(pem.clone(), key_pem, pem).unwrap();
            identity.save(folder.path()).unwrap();
            let context = context(&["--identity", folder.path().to_str().unwrap()]);
            let refused = context.identity().err();
            assert_eq!(refused.as_ref().map(CliError::reason), expected);
        }
    }

    #[test]
    fn readiness_is_for_a_broker_that_cannot_be_reached() {
        use crate::output::Ink;
        let context = context(&["--ops-url", "http://127.0.0.1:7490/"]);
        let said = |reason| {
            let error = context.with_readiness(CliError::new(reason, "x"));
            error.render(&Ink::plain(), false)
        };
        assert!(said("UNREACHABLE").contains("http://127.0.0.1:7490/readyz"));
        assert!(!said("NO_ADDRESS").contains("readyz"));
    }
}
