//! What waits for a second operator, as it is kept under [`MetaKey::Proposals`], and who approved which set
//! of policies, under [`MetaKey::PolicyApprovals`].
//!
//! One value for all of it: a change of it is guarded by [`Guard::MetaIs`] with what was read, so that of
//! two who decide about a proposal one is told that it is gone.
//!
//! [`Guard::MetaIs`]: crate::Guard::MetaIs
//! [`MetaKey::Proposals`]: crate::MetaKey::Proposals
//! [`MetaKey::PolicyApprovals`]: crate::MetaKey::PolicyApprovals

use prost::Message as _;
use taskpass_core::promotion::{PolicyApproval, Proposal};

use crate::error::StoreError;
use crate::record::{self, PolicyApprovalsRecord, ProposalsRecord};

/// Reads what is kept; where nothing was ever kept, nothing waits.
pub fn proposals(kept: Option<&[u8]>) -> Result<Vec<Proposal>, StoreError> {
    kept.map_or(Ok(Vec::new()), |bytes| {
        record::read("meta", bytes, ProposalsRecord::into_proposals)
    })
}

/// As it is kept.
pub fn proposals_value(proposals: &[Proposal]) -> Vec<u8> {
    ProposalsRecord::from(proposals).encode_to_vec()
}

/// Reads what is kept; where nothing was ever kept, nobody approved anything.
pub fn policy_approvals(kept: Option<&[u8]>) -> Result<Vec<PolicyApproval>, StoreError> {
    kept.map_or(Ok(Vec::new()), |bytes| {
        record::read("meta", bytes, PolicyApprovalsRecord::into_approvals)
    })
}

/// As it is kept.
pub fn policy_approvals_value(approvals: &[PolicyApproval]) -> Vec<u8> {
    PolicyApprovalsRecord::from(approvals).encode_to_vec()
}

#[cfg(test)]
mod tests {
    use taskpass_core::access::Stage;
    use taskpass_core::promotion::{
        Ground, MAX_PROPOSALS, PROPOSAL_TTL, PromotionFacts, ReadinessFacts, RequirementsFacts,
    };
    use taskpass_core::rng::SeededRng;
    use taskpass_core::secret::Sha256;
    use taskpass_core::{DecisionId, Timestamp};

    use super::*;

    fn proposal(n: u64, readiness: bool) -> Proposal {
        let at = Timestamp::from_millis(1_700_000_000_123 + n);
        let readiness = readiness.then(|| ReadinessFacts {
            report: Sha256::of(b"report"),
            log: "broker.example/log/2023-11".to_owned(),
            size: 17,
            root: Sha256::of(b"root"),
            made_at: at,
            agent: "invoice-bot".parse().unwrap(),
            to: Stage::Bounded,
            // Of those that were kept before there are none.
            requirements: (n > 1).then(|| RequirementsFacts {
                sha256: Sha256::of(b"requirements"),
                asked: 9,
                not_asked: 1,
            }),
        });
        Proposal {
            id: DecisionId::generate(at, &SeededRng::new(n)),
            agent: "invoice-bot".parse().unwrap(),
            version: 4,
            promotion: PromotionFacts {
                from: Stage::ReadOnly,
                to: Stage::Bounded,
                by: match readiness {
                    Some(_) => Ground::Evidence,
                    None => Ground::Force,
                },
                readiness,
                proposal: None,
            },
            reason: "six quiet weeks".to_owned(),
            by: "ops".parse().unwrap(),
            key: Sha256::of(b"key"),
            at,
            ends_at: at.plus(PROPOSAL_TTL),
        }
    }

    #[test]
    fn what_is_kept_reads_back() {
        let all = vec![proposal(1, true), proposal(2, true), proposal(3, false)];
        assert_eq!(proposals(Some(&proposals_value(&all))).unwrap(), all);
        assert_eq!(proposals(None).unwrap(), []);
        assert_eq!(proposals(Some(&[])).unwrap(), []);
    }

    #[test]
    fn approvals_read_back_and_are_bounded() {
        let approval = |n: u64| PolicyApproval {
            set: Sha256::of(b"set"),
            by: format!("ops-{n}").parse().unwrap(),
            key: Sha256::of(&n.to_be_bytes()),
            ends_at: Timestamp::from_millis(1_700_000_000_000 + n),
        };
        let most: Vec<_> = (0..=64).map(approval).collect();
        let kept = policy_approvals_value(&most[1..]);
        assert_eq!(policy_approvals(Some(&kept)).unwrap(), &most[1..]);
        assert_eq!(policy_approvals(None).unwrap(), []);
        assert!(policy_approvals(Some(&policy_approvals_value(&most))).is_err());
        assert!(policy_approvals(Some(&kept[..kept.len() - 1])).is_err());
    }

    #[test]
    fn what_is_damaged_or_too_much_is_refused() {
        let most: Vec<_> = (0..=64).map(|n| proposal(n, false)).collect();
        assert!(most.len() > MAX_PROPOSALS);
        assert!(proposals(Some(&proposals_value(&most[1..]))).is_ok());
        assert!(proposals(Some(&proposals_value(&most))).is_err());
        let bytes = proposals_value(&[proposal(1, true)]);
        for cut in 1..bytes.len() {
            assert!(proposals(Some(&bytes[..cut])).is_err(), "{cut}");
        }
    }
}
