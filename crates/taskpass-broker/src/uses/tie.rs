//! Which credential a reported use is of, and what of the report can be so.
//!
//! A credential is found while its record is kept, which is its life and some minutes more. What the
//! record says corrects the report: a scope that the credential does not have was not allowed, and
//! nothing happened before it was issued, after it ended, or in the future.

use std::collections::BTreeMap;

use taskpass_core::audit::{UseItem, UseOutcome};
use taskpass_core::coverage::Window;
use taskpass_core::credential::{Credential, CredentialBody};
use taskpass_core::{AgentName, CredentialId, TargetUri, Timestamp};

use super::ReportedUse;
use crate::broker::Broker;
use crate::error::Error;

/// Which credentials may be reported on, and of which time.
pub(super) enum Bounds<'a> {
    /// By the target's verifier: tokens for it, and certificates, which are for every target.
    Target(&'a TargetUri, Window),
    /// By the agent whose they are.
    Own(&'a AgentName),
}

/// A credential with what it was used for.
pub(super) struct Used {
    pub(super) credential: Credential,
    pub(super) items: Vec<UseItem>,
}

/// A report, tied to what is recorded.
#[derive(Default)]
pub(super) struct Tied {
    pub(super) credentials: Vec<Used>,
    /// Items of these.
    pub(super) accepted: u64,
    /// Items of other credentials.
    pub(super) unknown: u64,
    /// Of these, those of credentials that ended so long ago that their record may be gone.
    pub(super) late: u64,
    /// The uses of the unknown items.
    pub(super) unknown_uses: u64,
}

impl Broker {
    /// Ties each item to its credential.
    pub(super) async fn tie_uses(
        &self,
        items: &[ReportedUse],
        bounds: &Bounds<'_>,
        now: Timestamp,
    ) -> Result<Tied, Error> {
        let mut by_credential: BTreeMap<CredentialId, Vec<UseItem>> = BTreeMap::new();
        for ReportedUse { credential, item } in items {
            by_credential
                .entry(*credential)
                .or_default()
                .push(item.clone());
        }
        let kept = self.limits.skew.saturating_add(self.limits.retention);
        let mut tied = Tied::default();
        for (id, items) in by_credential {
            let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
            let record = self.store.credential(id).await?;
            let Some(credential) = record.filter(|credential| bounds.admit(credential)) else {
                let uses = items.iter().map(UseItem::count);
                tied.unknown_uses = uses.fold(tied.unknown_uses, u64::saturating_add);
                tied.unknown += count;
                if id.ends_at().plus(kept) < now {
                    tied.late += count;
                }
                continue;
            };
            let items = items.into_iter();
            let items = items.map(|item| bounds.correct(item, &credential, now));
            tied.accepted += count;
            tied.credentials.push(Used {
                items: items.collect(),
                credential,
            });
        }
        Ok(tied)
    }
}

impl Bounds<'_> {
    fn admit(&self, credential: &Credential) -> bool {
        match self {
            Self::Target(target, _) => credential.target().is_none_or(|own| own == *target),
            Self::Own(agent) => credential.agent == **agent,
        }
    }

    /// The target that an entry about the credential names.
    pub(super) fn target<'c>(&'c self, credential: &'c Credential) -> Option<&'c TargetUri> {
        match self {
            Self::Target(target, _) => Some(target),
            Self::Own(_) => credential.target(),
        }
    }

    fn correct(&self, item: UseItem, credential: &Credential, now: Timestamp) -> UseItem {
        let item = match item.scope() {
            Some(scope) if !has(credential, scope) => item.refused(),
            _ => item,
        };
        let (mut from, mut until) = (credential.issued_at, now);
        if let Self::Target(_, window) = self {
            from = from.max(window.from);
            until = until.min(window.until);
        }
        // What was refused may have been refused because it was over.
        if item.outcome() == UseOutcome::Allowed {
            until = until.min(credential.expires_at());
        }
        item.within(from, until)
    }
}

fn has(credential: &Credential, scope: &taskpass_core::ScopeName) -> bool {
    match &credential.body {
        CredentialBody::Token { scopes, .. } => scopes.contains(scope),
        CredentialBody::Certificate => false,
    }
}
