//! Filling a store with credentials that nobody holds, in large commits.

use std::ops::Range;

use taskpass_core::credential::{Credential, CredentialBody};
use taskpass_core::id::DecisionId;
use taskpass_core::key::KeyId;
use taskpass_core::listing::ListPlace;
use taskpass_core::rng::Rng;
use taskpass_core::secret::Sha256;
use taskpass_core::{Clock, CredentialId, TaskId, Timestamp};
use taskpass_store::{Batched, Change, Commit, RedbBackend, Store as _};

use crate::error::BenchError;
use crate::house::{ES256_TARGET, SCOPE};

/// What failed, where it did.
const FILL: &str = "fill the store";
/// Credentials of one commit.
const STEP: u64 = 1_000;

/// Records `count` tokens that end within `ends`, one after the other, a thousand to a task.
pub(crate) async fn fill(
    store: &Batched<RedbBackend>,
    count: u64,
    ends: Range<Timestamp>,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<(), BenchError> {
    let digest = Sha256::of(b"nobody holds it");
    let now = clock.now();
    let template = Credential {
        id: CredentialId::generate(ends.start, rng),
        task: TaskId::generate(ends.end, rng),
        ancestors: Vec::new(),
        agent: "worker-0".parse().map_err(BenchError::setup(FILL))?,
        owner: "bench-team".parse().map_err(BenchError::setup(FILL))?,
        issued_at: now,
        key: KeyId::from_thumbprint(digest),
        decision: DecisionId::generate(now, rng),
        digest,
        listed: ListPlace::from_number(0),
        body: CredentialBody::Token {
            target: ES256_TARGET.parse().map_err(BenchError::setup(FILL))?,
            scopes: vec![SCOPE.parse().map_err(BenchError::setup(FILL))?],
            bound_to: None,
        },
    };
    let span = ends.end.since(ends.start).as_millis();
    for first in (0..count).step_by(usize::try_from(STEP).unwrap_or(1)) {
        let task = TaskId::generate(ends.end, rng);
        let mut commit = Commit::new(clock.now());
        for number in first..count.min(first + STEP) {
            let after = span * u128::from(number) / u128::from(count);
            let after = u64::try_from(after).unwrap_or(u64::MAX);
            let end = Timestamp::from_millis(ends.start.millis().saturating_add(after));
            commit = commit.change(Change::RecordCredential(Credential {
                id: CredentialId::generate(end, rng),
                decision: DecisionId::generate(now, rng),
                task,
                ..template.clone()
            }));
        }
        store
            .commit(commit)
            .await
            .map_err(BenchError::setup(FILL))?;
    }
    Ok(())
}
