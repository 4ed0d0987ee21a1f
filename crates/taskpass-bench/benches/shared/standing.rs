//! A caller as the edge would have found it, where proving it is not what is measured.

use taskpass_broker::Standing;
use taskpass_core::Timestamp;
use taskpass_core::audit::Attestation;
use taskpass_core::caller::Caller;
use taskpass_core::revocation::Facts;
use taskpass_core::secret::Sha256;

/// One whose identity was issued then.
pub(crate) fn standing(caller: Caller, issued_at: Timestamp) -> Standing {
    Standing {
        decision: None,
        facts: Facts::of_identity(&caller.principal(), None, issued_at),
        caller,
        generation: 1,
        trace_id: None,
        attestation: Attestation::Mtls {
            key: Sha256::of(b"key"),
        },
    }
}
