//! `taskpass verify`: checks a token as a downstream API would, with the library that one would use.
//!
//! The issuer's metadata and keys come over public HTTP, the revocations from the feed. Without the
//! feed nothing can be said about revocations, and that is said aloud.

pub(crate) mod issuer;

use std::collections::BTreeSet;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use taskpass_client::Identity;
use taskpass_core::TargetUri;
use taskpass_core::secret::{Secret, Sha256};
use taskpass_core::spiffe::{Subject, TrustDomain};
use taskpass_core::ttl::CLOCK_SKEW;
use taskpass_token::{Claims, Expect, check, jws};
use taskpass_verify::{Feed, Reason, Refusal, Settings, Staleness, Verifier};

use self::issuer::Issuer;
use crate::cli::verify::VerifyArgs;
use crate::context::Context;
use crate::errors::CliError;
use crate::files;
use crate::http::HttpClient;
use crate::session::Session;
use crate::view::verification::Verification;

/// How long to wait for a complete set of revocations.
const READY: Duration = Duration::from_secs(15);

/// A token and what came with it.
struct Presented {
    token: Secret,
    /// What it says, of which nothing is believed yet.
    claims: Claims,
    audience: TargetUri,
    certificate: Option<(Vec<u8>, Vec<Vec<u8>>)>,
}

/// Verifies.
pub(crate) async fn run(context: &Context, args: VerifyArgs) -> Result<(), CliError> {
    let presented = match present(&args) {
        Err(Failed::Refused(refusal)) => return answer(context, Err(refusal), false),
        Err(Failed::Other(error)) => return Err(error),
        Ok(presented) => presented,
    };
    let http = HttpClient::new(
        context.http_url()?,
        context.http_ca(),
        Arc::clone(&context.clock),
    )?;
    let issuer = issuer::fetch(&http, context.http_url()?).await?;
    if args.no_feed {
        context
            .output
            .note("WARNING: revocations are NOT checked (--no-feed): a revoked token passes");
        let outcome = without_feed(context, &issuer, &presented);
        return answer(context, outcome, false);
    }
    let verifier = with_feed(context, issuer, &presented).await?;
    answer(context, judge(&verifier, &presented), true)
}

/// No outcome, for one of two reasons.
enum Failed {
    Refused(Refusal),
    Other(CliError),
}

impl From<CliError> for Failed {
    fn from(error: CliError) -> Self {
        Self::Other(error)
    }
}

fn present(args: &VerifyArgs) -> Result<Presented, Failed> {
    use taskpass_token::TokenError;
    let token = files::read_secret(&args.token_file)?;
    let asked = args
        .audience
        .as_deref()
        .map(crate::values::target)
        .transpose()?;
    let certificate = args.cert.as_deref().map(files::read_chain).transpose()?;
    let refused = |error| Failed::Refused(Refusal::Token(error));
    let parts = jws::parse(token.expose()).map_err(|e| refused(TokenError::Malformed(e)))?;
    let claims = Claims::from_json(&parts.payload).map_err(|e| refused(TokenError::Claims(e)))?;
    let audience = asked
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| claims.audience.clone());
    Ok(Presented {
        token,
        claims,
        audience,
        certificate,
    })
}

/// Everything but the revocations.
fn without_feed(
    context: &Context,
    issuer: &Issuer,
    presented: &Presented,
) -> Result<Claims, Refusal> {
    let expect = Expect {
        issuer: &issuer.iss,
        // Nobody says which trust domain to expect: the issuer's keys have only one.
        trust_domain: &presented.claims.subject.trust_domain,
        audience: Some(&presented.audience),
        now: context.clock.now(),
        leeway: CLOCK_SKEW,
    };
    let checked = check(presented.token.expose(), &issuer.jwks, &expect).map_err(Refusal::Token)?;
    match (checked.bound_to(), &presented.certificate) {
        (None, _) => {}
        (Some(_), None) => return Err(Refusal::CertificateMissing),
        (Some(digest), Some((leaf, _))) if digest == Sha256::of(leaf) => {}
        (Some(_), Some(_)) => return Err(Refusal::OtherCertificate),
    }
    Ok(checked.claims().clone())
}

/// A verifier that knows the revocations.
async fn with_feed(
    context: &Context,
    issuer: Issuer,
    presented: &Presented,
) -> Result<Verifier, CliError> {
    let identity = context.identity()?;
    may_watch(context, &identity)?;
    let address = context.required_address()?;
    let settings = Settings {
        issuer: issuer.iss,
        trust_domain: trust_domain(&identity),
        audiences: BTreeSet::from([presented.audience.clone()]),
        staleness: Staleness::default(),
        jwks: issuer.jwks,
        task_anchors_pem: issuer.task_anchors_pem,
    };
    let verifier = Verifier::new(settings, Arc::clone(&context.clock))
        .map_err(|error| CliError::caused("INVALID_ANCHORS", error.to_string(), error))?;
    // Connect once at once: the feed itself would go on trying without a word.
    Session::connect(&address, &identity)
        .await
        .map_err(|error| context.with_readiness(error))?;
    let channel = taskpass_client::connect_feed(address.authority(), &identity)?;
    let feed = Feed::new(verifier.clone(), channel, Arc::clone(&context.rng));
    let mut ready = false;
    feed.run(async {
        let wait = tokio::time::timeout(READY, verifier.wait_until_ready());
        ready = wait.await.is_ok();
    })
    .await;
    if !ready {
        let message = format!("the revocations did not arrive within {}s", READY.as_secs());
        return Err(CliError::new("FEED_UNAVAILABLE", message)
            .hint("the identity must be an operator's or a verifier's of this broker"));
    }
    Ok(verifier)
}

/// Operators see all revocations, verifiers those of their targets, agents none.
fn may_watch(context: &Context, identity: &Identity) -> Result<(), CliError> {
    match &identity.name().subject {
        Subject::Operator(_) => Ok(()),
        Subject::Verifier(name) => {
            context.output.note(&format!(
                "note: as verifier {name} you see the revocations of its own targets only"
            ));
            Ok(())
        }
        Subject::Agent(_) | Subject::Task(..) | Subject::Broker => {
            let message = format!("{} may not watch revocations", identity.name());
            Err(CliError::new("FEED_UNAVAILABLE", message)
                .hint("use an operator's or a verifier's identity, or --no-feed"))
        }
    }
}

fn trust_domain(identity: &Identity) -> TrustDomain {
    identity.name().trust_domain.clone()
}

fn judge(verifier: &Verifier, presented: &Presented) -> Result<Claims, Refusal> {
    let (token, audience) = (presented.token.expose(), &presented.audience);
    match &presented.certificate {
        None => verifier.verify_token(token, audience)?,
        Some((leaf, above)) => {
            let above: Vec<&[u8]> = above.iter().map(Vec::as_slice).collect();
            let certificate = verifier.verify_certificate(leaf, &above)?;
            verifier.verify_token_with(token, audience, &certificate)?
        }
    };
    // The very text that was just found to be good.
    Ok(presented.claims.clone())
}

/// Prints the outcome; of a refusal also its reason on standard error.
fn answer(
    context: &Context,
    outcome: Result<Claims, Refusal>,
    revocations_checked: bool,
) -> Result<(), CliError> {
    match outcome {
        Ok(claims) => context
            .output
            .show(&Verification::valid(&claims, revocations_checked)),
        Err(refusal) => {
            let reason = refusal.reason();
            if context.output.is_json() {
                let view = Verification::refused(reason.as_str(), revocations_checked);
                context.output.json(&view)?;
            }
            Err(failure(reason, &refusal))
        }
    }
}

fn failure(reason: Reason, refusal: &Refusal) -> CliError {
    let word = match reason {
        Reason::Malformed => "TOKEN_MALFORMED",
        Reason::Untrusted => "TOKEN_UNTRUSTED",
        Reason::Issuer => "TOKEN_ISSUER",
        Reason::Audience => "TOKEN_AUDIENCE",
        Reason::Expired => "TOKEN_EXPIRED",
        Reason::NotYetValid => "TOKEN_NOT_YET_VALID",
        Reason::Lifetime => "TOKEN_LIFETIME",
        Reason::Binding => "TOKEN_BINDING",
        Reason::Shape => "CERTIFICATE_SHAPE",
        Reason::Scope => "TOKEN_SCOPE",
        Reason::Revoked => "TOKEN_REVOKED",
        Reason::NotReady => "FEED_NOT_READY",
        Reason::Stale => "FEED_STALE",
        Reason::KeysStale => "KEYS_STALE",
    };
    let mut said = Vec::new();
    let mut cause = refusal.source();
    while let Some(error) = cause {
        said.push(error.to_string());
        cause = error.source();
    }
    let error = if said.is_empty() {
        CliError::new(word, refusal.to_string())
    } else {
        // From what was refused down to what is wrong with it.
        CliError::new(word, said.join(": "))
    };
    match refusal {
        Refusal::CertificateMissing => error.hint("give the certificate with --cert FILE"),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
