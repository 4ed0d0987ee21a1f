//! `taskpass issue …`: tokens and certificates under a task.

use std::path::Path;

use taskpass_api::v1;
use taskpass_client::LocalKey;
use taskpass_core::ttl::{MAX_CERTIFICATE_TTL, MAX_TOKEN_TTL};

use crate::cli::issue::{CertArgs, IssueCommand, TokenArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::files::folder::{CA, CERT, CertFolder, KEY};
use crate::view::credential::{IssuedCertificate, IssuedToken};
use crate::{files, values};

/// Runs one of the issue commands.
pub(crate) async fn run(context: &Context, command: IssueCommand) -> Result<(), CliError> {
    match command {
        IssueCommand::Token(args) => token(context, args).await,
        IssueCommand::Cert(args) => certificate(context, args).await,
    }
}

async fn token(context: &Context, args: TokenArgs) -> Result<(), CliError> {
    let request = token_request(args)?;
    let mut credentials = context.session().await?.credentials();
    let reply = credentials.issue_token(request).await?.into_inner();
    let issued = IssuedToken::from(reply);
    if context.output.is_json() {
        return context.output.json(&issued);
    }
    // The token alone is the result, so that a shell can take it as it is.
    context.output.aside(&issued);
    let line = zeroize::Zeroizing::new(format!("{}\n", issued.token().expose()));
    context.output.raw(line.as_bytes())
}

fn token_request(args: TokenArgs) -> Result<v1::IssueTokenRequest, CliError> {
    let ttl = values::maybe_ttl(args.ttl.as_deref(), MAX_TOKEN_TTL)?;
    let target = values::target(&args.target)?;
    let scopes = values::scopes_at(&target, &args.scopes)?;
    let bound = args
        .bind_cert
        .as_deref()
        .map(files::read_certificate)
        .transpose()?;
    Ok(v1::IssueTokenRequest {
        task_id: args.task,
        target,
        scopes,
        ttl,
        bind_certificate: bound.unwrap_or_default().into(),
    })
}

async fn certificate(context: &Context, args: CertArgs) -> Result<(), CliError> {
    let ttl = values::maybe_ttl(args.ttl.as_deref(), MAX_CERTIFICATE_TTL)?;
    let profile = values::certificate_profile(&args.profile)?;
    // Whatever can fail on this side comes before a certificate is issued.
    let (csr, key) = request_for(args.csr.as_deref())?;
    let folder = CertFolder::open(&args.out, key.is_none())?;
    let request = v1::IssueCertificateRequest {
        task_id: args.task,
        csr: csr.into(),
        ttl,
        profile: profile.into(),
    };
    let mut credentials = context.session().await?.credentials();
    let reply = credentials.issue_certificate(request).await?.into_inner();
    let mut contents: Vec<(&'static str, &[u8])> = Vec::new();
    if let Some(key) = &key {
        contents.push((KEY, key.key_pem().as_bytes()));
    }
    contents.push((CA, reply.ca_pem.as_bytes()));
    contents.push((CERT, reply.cert_pem.as_bytes()));
    folder.write(&*context.rng, &contents)?;
    let files = contents.iter().map(|(name, _)| *name).collect();
    let issued = IssuedCertificate::new(reply, &args.out, files);
    context.output.show(&issued)
}

/// The caller's request, or a fresh key with a request for it.
fn request_for(csr: Option<&Path>) -> Result<(Vec<u8>, Option<LocalKey>), CliError> {
    if let Some(path) = csr {
        return Ok((files::read_csr(path)?, None));
    }
    let key = LocalKey::generate()?;
    Ok((key.csr_der().to_vec(), Some(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn requested(rest: &str) -> Result<v1::IssueTokenRequest, CliError> {
        let line = format!("taskpass issue token --task T {rest}");
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Issue(IssueCommand::Token(args)) => token_request(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_says_what_was_asked() {
        let request = requested("--target https://a --scope x y --ttl 90s").unwrap();
        assert_eq!(request.task_id, "T");
        assert_eq!(request.scopes, ["x", "y"]);
        assert_eq!(request.ttl.unwrap().seconds, 90);
        assert!(request.bind_certificate.is_empty());
    }

    #[test]
    fn values_are_judged_here() {
        for (rest, reason) in [
            ("--target https://a --scope x --ttl -5m", "INVALID_TTL"),
            ("--target https://a --scope x --ttl 2h", "INVALID_TTL"),
            ("--target a --scope x", "INVALID_TARGET"),
            ("--target https://a --scope X", "INVALID_SCOPE"),
            ("--target https://a --scope https://b#x", "INVALID_SCOPE"),
            (
                "--target https://a --scope x --bind-cert /nowhere/cert.pem",
                "FILE_ERROR",
            ),
        ] {
            assert_eq!(requested(rest).unwrap_err().reason(), reason, "{rest}");
        }
    }

    #[test]
    fn without_a_request_a_key_is_made() {
        let (csr, key) = request_for(None).unwrap();
        assert_eq!(key.unwrap().csr_der(), csr);
    }
}
