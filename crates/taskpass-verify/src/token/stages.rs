//! The way of a token from a text to something that can be relied on, one type for each step.
//!
//! ```text
//! UnverifiedToken ── check ──▶ SignedToken ── for_target ──▶ TargetedToken ─┬ unbound ────────▶ VerifiedToken
//!     a text          form, signature,        meant for         │ if it has no cnf
//!                     claims, times           this API          └ presented_with ──▶ VerifiedToken
//!                                                                 the peer's certificate, and the rules
//! ```
//!
//! Each step takes the one before it and gives nothing of use until the last: no scopes, no agent, no
//! task. So a token that was checked in part cannot be mistaken for one that was checked, and one that
//! is bound to a certificate yields nothing without it. [`Verifier::verify_token`] and
//! [`Verifier::verify_token_with`] go the whole way.
//!
//! ```compile_fail
//! # fn half(verifier: &taskpass_verify::Verifier, text: &str, here: &taskpass_core::TargetUri)
//! # -> Result<(), taskpass_verify::Refusal> {
//! let signed = verifier.check(text.into())?;
//! let scopes = signed.for_target(here)?.scopes(); // not yet: it may be bound, or revoked
//! # Ok(()) }
//! ```

use std::fmt;

use taskpass_core::key::KeyId;
use taskpass_core::{CredentialId, TargetUri};
use taskpass_token::{Checked, TokenError, jws};

use super::VerifiedToken;
use crate::certificate::VerifiedCertificate;
use crate::refusal::Refusal;
use crate::state::View;
use crate::verifier::Verifier;

/// A text that may be a token. It does not show itself, for it may be a good one.
#[derive(Clone, Copy)]
pub struct UnverifiedToken<'a>(&'a str);

impl<'a> UnverifiedToken<'a> {
    /// Takes a text as it came.
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The key that it claims to be signed with; nothing of that is believed.
    pub fn claimed_key(&self) -> Option<KeyId> {
        let parsed = jws::parse(self.0).ok()?;
        KeyId::parse(parsed.header.kid.as_deref()?)
    }

    pub(crate) const fn text(&self) -> &'a str {
        self.0
    }
}

impl<'a> From<&'a str> for UnverifiedToken<'a> {
    fn from(text: &'a str) -> Self {
        Self(text)
    }
}

impl fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnverifiedToken([redacted])")
    }
}

/// A token that one of the issuer's keys signed, whose claims are of the right form, and whose time
/// is now. What it is for and who may present it is not known yet.
#[derive(Debug)]
#[must_use = "nothing is verified yet"]
pub struct SignedToken<'v> {
    verifier: &'v Verifier,
    checked: Checked,
}

/// A [`SignedToken`] that is meant for this API. Who may present it is not known yet, nor whether it
/// is revoked.
#[derive(Debug)]
#[must_use = "nothing is verified yet"]
pub struct TargetedToken<'v> {
    verifier: &'v Verifier,
    checked: Checked,
}

impl Verifier {
    /// The first step: form, type, key, the key's own algorithm, signature, claims, issuer, subject
    /// and times.
    pub fn check(&self, token: UnverifiedToken<'_>) -> Result<SignedToken<'_>, Refusal> {
        let outcome = self.signed(token.text()).map(|checked| SignedToken {
            verifier: self,
            checked,
        });
        self.counters().note_refusal(outcome)
    }
}

impl<'v> SignedToken<'v> {
    /// `jti`, for a log.
    pub fn credential_id(&self) -> CredentialId {
        self.checked.id()
    }

    /// The second step: it is for `target`, and `target` is one of this verifier's.
    pub fn for_target(self, target: &TargetUri) -> Result<TargetedToken<'v>, Refusal> {
        let Self { verifier, checked } = self;
        let outcome = if !verifier.speaks_for(target) {
            Err(Refusal::NotOurAudience(target.clone()))
        } else if checked.target() != target {
            let other = TokenError::Audience(checked.target().clone());
            Err(Refusal::Token(other))
        } else {
            Ok(TargetedToken { verifier, checked })
        };
        verifier.counters().note_refusal(outcome)
    }
}

impl TargetedToken<'_> {
    /// `jti`, for a log.
    pub fn credential_id(&self) -> CredentialId {
        self.checked.id()
    }

    /// Whether it can be presented only with a certificate.
    pub fn is_bound(&self) -> bool {
        self.checked.bound_to().is_some()
    }

    /// The last step for a token that is bound to nothing: no rule revokes it. One that is bound is
    /// refused.
    pub fn unbound(self) -> Result<VerifiedToken, Refusal> {
        let verifier = self.verifier;
        verifier.counters().note(self.finish(None))
    }

    /// The last step over a connection whose peer proved `certificate`: that is good still, the token
    /// is bound to it or to nothing, and no rule revokes either.
    pub fn presented_with(
        self,
        certificate: &VerifiedCertificate,
    ) -> Result<VerifiedToken, Refusal> {
        let verifier = self.verifier;
        verifier.counters().note(self.finish(Some(certificate)))
    }

    fn finish(
        self,
        certificate: Option<&VerifiedCertificate>,
    ) -> Result<(VerifiedToken, View), Refusal> {
        let Self { verifier, checked } = self;
        let mut view = View::Confirmed;
        if let Some(certificate) = certificate {
            view = verifier.certificate_beside_token(certificate)?;
        }
        binding(&checked, certificate)?;
        view = view.max(verifier.judge_token(&checked)?);
        Ok((VerifiedToken::new(checked), view))
    }
}

/// If the token asks for a certificate, it is this one, and of the same task.
fn binding(token: &Checked, certificate: Option<&VerifiedCertificate>) -> Result<(), Refusal> {
    match (token.bound_to(), certificate) {
        (Some(_), None) => Err(Refusal::CertificateMissing),
        // Digests of public certificates: nothing here is secret, so they may be compared as they are.
        (Some(digest), Some(given)) if digest != given.digest() => Err(Refusal::OtherCertificate),
        (Some(_), Some(given))
            if token.task() != given.task() || token.agent() != given.agent() =>
        {
            Err(Refusal::OtherTask)
        }
        (None, _) | (Some(_), Some(_)) => Ok(()),
    }
}
