//! `taskpass init`: a new broker.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use taskpass_broker::{first_enrolment, first_keys, first_rows};
use taskpass_core::enrolment::FIRST_ENROLMENT_TTL;
use taskpass_core::identity::Principal;
use taskpass_core::registry::{Operator, Role, Row, State};
use taskpass_core::spiffe::TrustDomain;
use taskpass_issuer::{Hierarchy, Issuer, IssuerConfig, KeyEncryptionKey};
use taskpass_store::{Birth, Store as _};

use crate::context::Context;
use crate::errors::CliError;
use crate::files::NewSecretFile;
use crate::host::{self, Layout};
use crate::output::{Ink, View};

/// What cannot be changed once something was issued.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  taskpass init --data /var/lib/taskpass --trust-domain example.org \\
      --public-url https://taskpass.example.org

Writes the hierarchies, the keys, a configuration to begin with, and the first administrator's
enrolment, which works once and for an hour. Then:
  taskpass serve --config /var/lib/taskpass/taskpass.toml
  taskpass enrol --token-file /var/lib/taskpass/admin-enrolment.json --out ~/.taskpass/admin")]
pub(crate) struct InitArgs {
    /// The folder for everything
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The trust domain of all SPIFFE IDs, such as example.org
    #[arg(long, value_name = "NAME")]
    pub(crate) trust_domain: String,
    /// The issuer of all tokens: where the public HTTP can be reached
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: String,
    /// Where certificates say that revocation lists are; beneath the public URL if absent
    #[arg(long, value_name = "URL")]
    pub(crate) crl_url: Option<String>,
}

/// The first administrator.
const ADMIN: &str = "admin";

#[derive(Debug, Serialize)]
struct Made {
    data: String,
    config: String,
    key_encryption_key: String,
    enrolment: String,
    trust_domain: String,
    issuer: String,
}

impl View for Made {
    fn text(&self, _: &Ink) -> String {
        format!(
            "A broker for {} is in {}.\n\n\
             Keep a copy of {} in a safe place: without it the signing keys are lost.\n\n\
             Next:\n  taskpass serve --config {}\n  taskpass enrol --token-file {} --out ~/.taskpass/admin   (within an hour)\n",
            self.trust_domain, self.data, self.key_encryption_key, self.config, self.enrolment
        )
    }
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: InitArgs) -> Result<(), CliError> {
    let trust_domain: TrustDomain =
        args.trust_domain
            .parse()
            .map_err(|error: taskpass_core::spiffe::ParseSpiffeError| {
                CliError::new("INVALID_TRUST_DOMAIN", error.to_string())
            })?;
    let public_url = base_url(&args.public_url, true)?;
    let crl_url = match &args.crl_url {
        Some(url) => base_url(url, false)?,
        None => public_url.clone(),
    };
    let layout = Layout::of(&args.data);
    let birth = Birth {
        trust_domain: trust_domain.clone(),
        public_url: public_url.clone(),
        crl_url,
        dev: false,
        born_at: context.clock.now(),
        epoch: epoch(context),
    };
    let kek = make(context, &layout, &birth).await?;
    let enrolment = enrol_admin(context, &layout, &birth, &kek).await?;
    write_new(&layout.first_enrolment(), enrolment.as_bytes())?;
    write_new(&layout.config(), starter(&birth).as_bytes())?;
    finish(&layout)?;
    context.output.show(&Made {
        data: args.data.display().to_string(),
        config: layout.config().display().to_string(),
        key_encryption_key: layout.kek().display().to_string(),
        enrolment: layout.first_enrolment().display().to_string(),
        trust_domain: trust_domain.to_string(),
        issuer: public_url,
    })
}

/// Begins to make a folder: from the start, if an earlier attempt was cut off in the middle.
fn begin(layout: &Layout) -> Result<(), CliError> {
    crate::files::folder::make(layout.folder())?;
    let making = layout.making();
    if making.exists() {
        for path in layout.made() {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(CliError::file("remove", &path, error));
                }
                _ => {}
            }
        }
        return Ok(());
    }
    if layout.store().exists() {
        return Err(host::store_error(&taskpass_store::OpenError::Exists {
            path: layout.store(),
        }));
    }
    std::fs::File::create(&making)
        .and_then(|file| file.sync_all())
        .and_then(|()| sync(layout.folder()))
        .map_err(|error| CliError::file("write", &making, error))
}

/// Says that the folder is made. Until then nobody serves it.
pub(crate) fn finish(layout: &Layout) -> Result<(), CliError> {
    let making = layout.making();
    // What was made must be on disk before the mark goes.
    sync(layout.folder())
        .and_then(|()| std::fs::remove_file(&making))
        .and_then(|()| sync(layout.folder()))
        .map_err(|error| CliError::file("remove", &making, error))
}

fn sync(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Makes the folder, the key-encryption key, the store and the signing keys. The caller
/// [`finish`]es.
pub(crate) async fn make(
    context: &Context,
    layout: &Layout,
    birth: &Birth,
) -> Result<KeyEncryptionKey, CliError> {
    begin(layout)?;
    let kek = KeyEncryptionKey::generate()
        .map_err(|error| CliError::caused("INTERNAL", "could not make a key", error))?;
    write_new(&layout.kek(), kek.to_text().expose().as_bytes())?;
    taskpass_store::redb_store::create(&layout.store(), birth, &*context.rng)
        .map_err(|error| host::store_error(&error))?;
    let store = host::open_store(context, layout, 16 << 20, 200_000)?;
    let keys = first_keys(
        &store,
        &birth.trust_domain,
        &kek,
        &*context.rng,
        context.clock.now(),
    )
    .await;
    store.close().await;
    keys.map_err(|error| CliError::caused("INTERNAL", "the keys could not be made", error))?;
    Ok(kek)
}

/// Registers the first administrator, and makes its enrolment.
async fn enrol_admin(
    context: &Context,
    layout: &Layout,
    birth: &Birth,
    kek: &KeyEncryptionKey,
) -> Result<String, CliError> {
    let failed = |error| CliError::caused("INTERNAL", "the administrator could not be made", error);
    let store = host::open_store(context, layout, 16 << 20, 200_000)?;
    let now = context.clock.now();
    let name: taskpass_core::OperatorName = ADMIN
        .parse()
        .map_err(|_| CliError::new("INTERNAL", "no name"))?;
    let admin = Operator {
        name: name.clone(),
        roles: [Role::Admin].into(),
        state: State::Active,
    };
    first_rows(&store, vec![Row::Operator(admin)], &*context.rng, now)
        .await
        .map_err(failed)?;
    let token = first_enrolment(
        &store,
        &Principal::Operator(name),
        FIRST_ENROLMENT_TTL,
        &*context.rng,
        now,
    )
    .await
    .map_err(failed)?;
    let keys = store.keys().await.map_err(|error| {
        CliError::caused("STORE_UNAVAILABLE", "the keys could not be read", error)
    })?;
    store.close().await;
    let config = IssuerConfig {
        trust_domain: birth.trust_domain.clone(),
        issuer_url: birth.public_url.clone(),
        crl_url: birth.crl_url.clone(),
    };
    let issuer = Issuer::open(keys, config, kek)
        .map_err(|error| CliError::caused("INTERNAL", "the keys do not open", error))?;
    let file = serde_json::json!({
        "token": token.expose(),
        "addr": "https://localhost:7443",
        "ca_pem": issuer.anchors(Hierarchy::Control, now),
    });
    Ok(format!("{file:#}\n"))
}

/// A random epoch that is not 0, which a verifier's first request says.
pub(crate) fn epoch(context: &Context) -> u64 {
    context.rng.below(u64::MAX).max(1)
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    NewSecretFile::create(path)?.fill(bytes)
}

/// The configuration to begin with.
fn starter(birth: &Birth) -> String {
    let host = birth
        .public_url
        .split_once("://")
        .map_or("", |(_, rest)| rest)
        .split([':', '/'])
        .next()
        .unwrap_or_default();
    let names = if host.parse::<std::net::IpAddr>().is_ok() || host == "localhost" {
        String::new()
    } else {
        format!("\"{host}\"")
    };
    format!(
        "# Written by `taskpass init`. Every option: config/taskpass.full.toml.\n\
         data = \".\"\n\n\
         [key_encryption_key]\n\
         # Better kept apart from the data: move it, and name its new place here.\n\
         file = \"kek\"\n\n\
         [grpc]\n# Listen on all addresses when agents on other machines call.\n\
         listen = \"127.0.0.1:7443\"\nnames = [{names}]\n\n\
         [http]\n# Outside loopback it needs cert and key, or behind_tls_proxy = true.\n\
         listen = \"127.0.0.1:7480\"\n"
    )
}

/// A base URL without a slash at its end; `https` unless it is on loopback, or CRLs.
fn base_url(text: &str, needs_tls: bool) -> Result<String, CliError> {
    let invalid = |message: &str| {
        CliError::new("INVALID_URL", format!("`{text}`: {message}"))
            .hint("such as https://taskpass.example.org")
    };
    let url = text.trim_end_matches('/');
    let uri: http::Uri = url.parse().map_err(|_| invalid("not a URL"))?;
    let host = uri.host().ok_or_else(|| invalid("no host"))?;
    if uri.query().is_some() || text.contains('#') || text.contains('@') {
        return Err(invalid("no query, fragment or user belongs in it"));
    }
    let loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(url.to_owned()),
        Some("http") if loopback || !needs_tls => Ok(url.to_owned()),
        Some("http") => Err(invalid(
            "tokens name it as their issuer; it must be https outside loopback",
        )),
        _ => Err(invalid("http or https")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls() {
        for (text, tls, expected) in [
            ("https://a.example/", true, Some("https://a.example")),
            (
                "https://a.example:8443/x",
                true,
                Some("https://a.example:8443/x"),
            ),
            ("http://127.0.0.1:7480", true, Some("http://127.0.0.1:7480")),
            ("http://[::1]:80", true, Some("http://[::1]:80")),
            ("http://a.example", true, None),
            ("http://a.example", false, Some("http://a.example")),
            ("ftp://a", false, None),
            ("https://a?x", true, None),
            ("https://u@a", true, None),
            ("a.example", true, None),
            ("", true, None),
        ] {
            assert_eq!(base_url(text, tls).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_starter_is_a_configuration() {
        let birth = Birth {
            trust_domain: "example.org".parse().unwrap(),
            public_url: "https://taskpass.example.org".into(),
            crl_url: "https://taskpass.example.org".into(),
            dev: false,
            born_at: taskpass_core::Timestamp::ZERO,
            epoch: 1,
        };
        let config = crate::config::Config::parse(&starter(&birth), Path::new("/d")).unwrap();
        assert_eq!(config.grpc_dns, ["taskpass.example.org"]);
        assert_eq!(config.data, Path::new("/d/."));
    }
}
