//! The sections about those whom the broker believes besides itself.
//!
//! What rules may say is judged by the broker's own types; here the file's words become those, and the
//! messages name the section.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use taskpass_broker::federation::{
    ClaimRule, DEFAULT_MAX_AGE, JwtTrust, Pattern, ProcessRule, ProcessTrust, SvidRule, SvidTrust,
};
use taskpass_core::AgentName;
use taskpass_server::{FederationSettings, JwtIssuer, KeySource, SvidDomain};
use taskpass_token::foreign::ForeignAlg;

use super::file::Time;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Federation {
    #[serde(default)]
    jwt: Vec<Jwt>,
    #[serde(default)]
    spiffe: Vec<Spiffe>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jwt {
    name: String,
    issuer: String,
    audience: String,
    algorithms: Vec<String>,
    jwks_file: Option<PathBuf>,
    jwks_url: Option<String>,
    ca_file: Option<PathBuf>,
    max_age: Option<Time>,
    #[serde(default)]
    rule: Vec<JwtRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JwtRule {
    agent: String,
    claims: BTreeMap<String, Wanted>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spiffe {
    trust_domain: String,
    bundle_file: PathBuf,
    #[serde(default)]
    rule: Vec<SpiffeRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpiffeRule {
    agent: String,
    spiffe_id: Wanted,
}

/// A value, or its beginning.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text, or { prefix = \"…\" }")]
enum Wanted {
    Exactly(String),
    Beneath(Beneath),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beneath {
    prefix: String,
}

impl Wanted {
    fn pattern(&self, field: &str) -> Result<Pattern, String> {
        match self {
            Self::Exactly(text) => Pattern::exact(field, text),
            Self::Beneath(Beneath { prefix }) => Pattern::prefix(field, prefix),
        }
        .map_err(|error| error.to_string())
    }
}

impl Federation {
    pub(super) fn check(self, folder: &Path) -> Result<FederationSettings, String> {
        let jwt = self.jwt.into_iter().map(|jwt| {
            let named = format!("federation.jwt `{}`", jwt.name);
            jwt.check(folder).map_err(|why| format!("{named}: {why}"))
        });
        let svid = self.spiffe.into_iter().map(|domain| {
            let named = format!("federation.spiffe `{}`", domain.trust_domain);
            domain
                .check(folder)
                .map_err(|why| format!("{named}: {why}"))
        });
        Ok(FederationSettings {
            jwt: jwt.collect::<Result<_, _>>()?,
            svid: svid.collect::<Result<_, _>>()?,
        })
    }
}

impl Jwt {
    fn check(self, folder: &Path) -> Result<JwtIssuer, String> {
        let algorithms: Vec<ForeignAlg> = self
            .algorithms
            .iter()
            .map(|alg| alg.parse())
            .collect::<Result<_, _>>()
            .map_err(|error| format!("algorithms: {error}"))?;
        let keys = match (self.jwks_file, self.jwks_url) {
            (Some(file), None) if self.ca_file.is_none() => KeySource::File(folder.join(file)),
            (Some(_), None) => return Err("ca_file: belongs to `jwks_url`".to_owned()),
            (None, Some(url)) => KeySource::Url {
                url,
                ca_file: self.ca_file.map(|file| folder.join(file)),
            },
            _ => return Err("name exactly one of `jwks_file` and `jwks_url`".to_owned()),
        };
        let rules = self.rule.iter().map(JwtRule::check);
        let trust = JwtTrust::new(
            &self.name,
            &self.issuer,
            &self.audience,
            algorithms,
            self.max_age.map_or(DEFAULT_MAX_AGE, |time| time.0),
            rules.collect::<Result<_, _>>()?,
        );
        Ok(JwtIssuer {
            trust: trust.map_err(|error| error.to_string())?,
            keys,
        })
    }
}

impl JwtRule {
    fn check(&self) -> Result<ClaimRule, String> {
        let claims = self.claims.iter().map(|(path, wanted)| {
            let field = format!("claims.{path}");
            let path = path
                .parse()
                .map_err(|error: taskpass_broker::federation::RuleError| error.to_string())?;
            Ok((path, wanted.pattern(&field)?))
        });
        let claims = claims.collect::<Result<_, String>>()?;
        ClaimRule::new(agent(&self.agent)?, claims).map_err(|error| error.to_string())
    }
}

impl Spiffe {
    fn check(self, folder: &Path) -> Result<SvidDomain, String> {
        let domain = self
            .trust_domain
            .parse()
            .map_err(|error| format!("trust_domain: {error}"))?;
        let rules = self.rule.iter().map(|rule| {
            let id = rule.spiffe_id.pattern("rule.spiffe_id")?;
            Ok(SvidRule::new(agent(&rule.agent)?, id))
        });
        let rules = rules.collect::<Result<_, String>>()?;
        let trust = SvidTrust::new(domain, rules).map_err(|error| error.to_string())?;
        Ok(SvidDomain {
            trust,
            bundle: folder.join(self.bundle_file),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unix {
    listen: Option<PathBuf>,
    mode: Option<String>,
    #[serde(default)]
    rule: Vec<UnixRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnixRule {
    agent: String,
    uid: u32,
    gid: Option<u32>,
    executable: Option<PathBuf>,
}

/// The longest path of a socket that every system takes.
const MAX_SOCKET: usize = 100;

impl Unix {
    pub(super) fn check(self, folder: &Path) -> Result<Option<Socket>, String> {
        let Some(listen) = self.listen else {
            return match (self.mode, self.rule.is_empty()) {
                (None, true) => Ok(None),
                _ => Err("unix: there is no `unix.listen`".to_owned()),
            };
        };
        let path = folder.join(listen);
        if path.file_name().is_none() || path.as_os_str().len() > MAX_SOCKET {
            return Err(format!(
                "unix.listen: the path of a file, of at most {MAX_SOCKET} bytes"
            ));
        }
        let rules = self.rule.iter().map(|rule| {
            let agent = agent(&rule.agent)?;
            ProcessRule::new(agent, rule.uid, rule.gid, rule.executable.as_deref())
                .map_err(|error| error.to_string())
        });
        let trust = rules
            .collect::<Result<_, _>>()
            .and_then(|rules| ProcessTrust::new(rules).map_err(|error| error.to_string()));
        Ok(Some(Socket {
            path,
            mode: mode(self.mode.as_deref().unwrap_or("0660"))?,
            trust: trust.map_err(|why| format!("unix: {why}"))?,
        }))
    }
}

/// Who may connect at all: read and write, for user, group and others.
fn mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| mode & !0o666 == 0 && mode & 0o600 == 0o600)
        .ok_or_else(|| format!("unix.mode: `{text}` is not like \"0600\", \"0660\" or \"0666\""))
}

/// Where the Unix socket is, and whom it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Socket {
    /// Its path.
    pub(crate) path: PathBuf,
    /// Who may connect at all.
    pub(crate) mode: u32,
    /// Which processes are which agents.
    pub(crate) trust: ProcessTrust,
}

fn agent(name: &str) -> Result<AgentName, String> {
    name.parse()
        .map_err(|_| format!("rule.agent: `{name}` is not the name of an agent"))
}
