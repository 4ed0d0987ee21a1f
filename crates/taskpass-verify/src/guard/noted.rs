//! The use that a request was counted as, until its handler says better what it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use taskpass_core::{CredentialId, ScopeName, TargetUri};

use crate::token::VerifiedToken;
use crate::uses::{Outcome, Use, Uses};

#[derive(Clone)]
pub(super) struct Noted {
    uses: Uses,
    scope: ScopeName,
    action: Option<Arc<str>>,
    gathering: u64,
    named: Arc<AtomicBool>,
}

impl Noted {
    /// Counts a use.
    pub(super) fn new(
        uses: &Uses,
        id: CredentialId,
        target: &TargetUri,
        scope: &ScopeName,
        action: Option<&Arc<str>>,
        outcome: Outcome,
    ) -> Self {
        let noted = Use {
            scope: Some(scope),
            action: action.map(AsRef::as_ref),
            resource: None,
            outcome,
        };
        Self {
            uses: uses.clone(),
            gathering: uses.add(id, target, &noted),
            scope: scope.clone(),
            action: action.cloned(),
            named: Arc::default(),
        }
    }

    /// Gives it a name; whatever has one already is counted once more.
    pub(super) fn name(&self, token: &VerifiedToken, action: &str, resource: Option<&str>) {
        let is = Use {
            scope: Some(&self.scope),
            action: Some(action),
            resource,
            outcome: Outcome::Allowed,
        };
        if self.named.swap(true, Ordering::Relaxed) {
            return self.uses.note(token, &is);
        }
        let was = Use {
            action: self.action.as_deref(),
            resource: None,
            ..is
        };
        let (id, target) = (token.credential_id(), token.audience());
        self.uses.name(id, target, (&was, self.gathering), &is);
    }
}
