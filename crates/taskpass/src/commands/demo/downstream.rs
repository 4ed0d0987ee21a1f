//! The API's side: keys and anchors over public HTTP, revocations over the feed, checks offline.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use taskpass_client::{Token, connect_feed};
use taskpass_core::TargetUri;
use taskpass_core::secret::Secret;
use taskpass_verify::{Feed, Reason, Refusal, Settings, Staleness, VerifiedToken, Verifier};
use tokio::task::JoinHandle;

use super::house::{House, SCOPE, TARGET};
use super::people;
use super::step::{Expecting as _, Outcome, Unmet, ensure, millis};
use crate::commands::verify::issuer;
use crate::http::HttpClient;

/// How long the feed may take to deliver a complete set of rules, at the start or after a crash.
const READY: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(5);

/// What an API has that verifies.
#[derive(Debug)]
pub(super) struct Downstream {
    pub(super) verifier: Verifier,
    pub(super) audience: TargetUri,
    /// The broker's `/ca.pem`.
    pub(super) anchors_pem: String,
    /// What the verifier enrolled with.
    pub(super) enrolled_with: Secret,
    feed: JoinHandle<()>,
}

impl Drop for Downstream {
    fn drop(&mut self) {
        self.feed.abort();
    }
}

impl Downstream {
    /// Checks a token that is bound to nothing.
    pub(super) fn check(&self, token: &str) -> Result<VerifiedToken, Refusal> {
        self.verifier.verify_token(token, &self.audience)
    }

    /// Waits until the feed was connected to more than `before` times and has confirmed its rules.
    pub(super) async fn reconnected(&self, before: u64) -> Result<(), Unmet> {
        let connected = async {
            while self.verifier.metrics().connects <= before {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(READY, connected).await.map_err(|_| {
            let expected = format!("the feed reconnects within {}s", READY.as_secs());
            Unmet::new(expected, "it did not")
        })
    }
}

/// Step: the token verifies offline.
pub(super) async fn verify(house: &House<'_>, token: &Token) -> Outcome<Downstream> {
    let context = house.context;
    let (identity, enrolled_with) = people::verifier(house).await?;
    let base = &house.addresses.http;
    let http = HttpClient::new(base, None, Arc::clone(&context.clock))
        .expecting("a client for public HTTP")?;
    let issuer = issuer::fetch(&http, base)
        .await
        .expecting("the discovery document, the keys and the anchors")?;
    let audience: TargetUri = TARGET.parse().expecting("an audience")?;
    let (keys, anchors_pem) = (issuer.jwks.len(), issuer.task_anchors_pem.clone());
    let settings = Settings {
        issuer: issuer.iss,
        trust_domain: house.trust_domain.clone(),
        audiences: BTreeSet::from([audience.clone()]),
        staleness: Staleness::default(),
        jwks: issuer.jwks,
        task_anchors_pem: issuer.task_anchors_pem,
    };
    let verifier = Verifier::new(settings, Arc::clone(&context.clock))
        .expecting("a verifier for these keys and anchors")?;
    let too_early = verifier.verify_token(token.expose(), &audience);
    refused_for(too_early, Reason::NotReady)?;
    let channel =
        connect_feed(house.address.authority(), &identity).expecting("a channel for the feed")?;
    let feed = Feed::new(verifier.clone(), channel, Arc::clone(&context.rng));
    let downstream = Downstream {
        feed: tokio::spawn(feed.run(std::future::pending())),
        verifier,
        audience,
        anchors_pem,
        enrolled_with,
    };
    tokio::time::timeout(READY, downstream.verifier.wait_until_ready())
        .await
        .expecting("the feed delivers the revocations")?;
    let told = check(house, &downstream, token, keys)?;
    Ok((downstream, told))
}

fn check(
    house: &House<'_>,
    downstream: &Downstream,
    token: &Token,
    keys: usize,
) -> Result<Vec<String>, Unmet> {
    let clock = &house.context.clock;
    let begun = clock.monotonic();
    let verified = downstream.check(token.expose());
    let took = clock.monotonic().saturating_sub(begun);
    let verified = verified.expecting("the token is good")?;
    let scope = SCOPE.parse().expecting("a scope")?;
    verified
        .require_scope(&scope)
        .expecting("the token permits its scope")?;
    ensure(
        verified.credential_id() == token.id(),
        format!("credential {}", token.id()),
        verified.credential_id(),
    )?;
    refused_for(downstream.check(&forged(token.expose())), Reason::Untrusted)?;
    Ok(vec![
        format!(
            "{}: {keys} keys, then no further call",
            house.addresses.http
        ),
        format!(
            "agent {}, task {}, in {} ms; another signature: {}",
            verified.agent(),
            verified.task(),
            millis(took),
            Reason::Untrusted
        ),
        "before the revocations had arrived it was refused: not_ready".to_owned(),
    ])
}

/// Nothing, if it was refused for that reason.
pub(super) fn refused_for<T>(outcome: Result<T, Refusal>, reason: Reason) -> Result<(), Unmet> {
    let refusal = outcome.refused(&format!("refused: {reason}"))?;
    ensure(
        refusal.reason() == reason,
        format!("refused: {reason}"),
        &refusal,
    )
}

/// The same text with another first character of its signature.
fn forged(token: &str) -> String {
    let Some((signed, signature)) = token.rsplit_once('.') else {
        return String::new();
    };
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let rest: String = signature.chars().skip(1).collect();
    format!("{signed}.{other}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_token_differs_in_its_signature_alone() {
        for (token, expected) in [
            ("h.p.Axy", "h.p.Bxy"),
            ("h.p.zxy", "h.p.Axy"),
            ("h.p.", "h.p.A"),
            ("", ""),
        ] {
            assert_eq!(forged(token), expected);
        }
    }
}
