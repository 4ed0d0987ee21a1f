//! Proofs against the definition, and against every small change.

use proptest::prelude::*;

use super::*;
use crate::testing::{Leaves, naive_root, tree};

fn leaves(count: usize) -> Leaves {
    tree("a.example", size(count)).0
}

/// PATH of RFC 6962, word for word.
fn naive_path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(k);
    let (mut path, rest) = if m < k {
        (naive_path(m, left), right)
    } else {
        (naive_path(m - k, right), left)
    };
    path.push(naive_root(rest));
    path
}

/// SUBPROOF of RFC 6962, word for word.
fn naive_subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole {
            Vec::new()
        } else {
            vec![naive_root(leaves)]
        };
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(k);
    let (mut path, rest) = if m <= k {
        (naive_subproof(m, left, whole), right)
    } else {
        (naive_subproof(m - k, right, false), left)
    };
    path.push(naive_root(rest));
    path
}

fn size(n: usize) -> u64 {
    u64::try_from(n).unwrap()
}

/// Every proof that differs from `proof` by one hash more, less, swapped or altered.
fn variants(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for at in 0..=proof.len() {
        let mut longer = proof.to_vec();
        longer.insert(at, Hash::leaf(b"more"));
        all.push(longer);
    }
    for at in 0..proof.len() {
        let mut shorter = proof.to_vec();
        shorter.remove(at);
        all.push(shorter);
        let mut other = proof.to_vec();
        other[at] = Hash::leaf(b"other");
        all.push(other);
        if at > 0 {
            let mut swapped = proof.to_vec();
            swapped.swap(at, at - 1);
            all.push(swapped);
        }
    }
    all
}

#[test]
fn inclusion_proofs_are_those_of_the_definition_and_no_others_pass() {
    for count in 1..=40 {
        let tree = leaves(count);
        let root = naive_root(&tree.0);
        for index in 0..count {
            let proof = inclusion(&tree, size(index), size(count)).unwrap();
            assert_eq!(proof, naive_path(index, &tree.0));
            let check = |leaf, index, proof: &[Hash]| {
                verify_inclusion(leaf, index, size(count), proof, &root)
            };
            assert_eq!(check(tree.0[index], size(index), &proof), Ok(()));
            for wrong in variants(&proof) {
                assert!(check(tree.0[index], size(index), &wrong).is_err());
            }
            for other in (0..count).filter(|other| *other != index) {
                assert!(check(tree.0[index], size(other), &proof).is_err());
                assert!(check(tree.0[other], size(index), &proof).is_err());
            }
        }
    }
}

#[test]
fn consistency_proofs_are_those_of_the_definition_and_no_others_pass() {
    for count in 1..=40 {
        let tree = leaves(count);
        let root = naive_root(&tree.0);
        for old in 1..=count {
            let was = naive_root(&tree.0[..old]);
            let proof = consistency(&tree, size(old), size(count)).unwrap();
            assert_eq!(proof, naive_subproof(old, &tree.0, true));
            let check = |was: &Hash, is: &Hash, proof: &[Hash]| {
                verify_consistency((size(old), was), (size(count), is), proof)
            };
            assert_eq!(check(&was, &root, &proof), Ok(()));
            let other = Hash::leaf(b"other");
            assert!(check(&other, &root, &proof).is_err());
            assert!(check(&was, &other, &proof).is_err());
            for wrong in variants(&proof) {
                assert!(check(&was, &root, &wrong).is_err(), "{old} of {count}");
            }
        }
    }
}

#[test]
fn every_tree_begins_with_the_empty_one() {
    let root = naive_root(&leaves(5).0);
    let empty = Hash::empty_root();
    assert_eq!(verify_consistency((0, &empty), (5, &root), &[]), Ok(()));
    assert_eq!(consistency(&leaves(5), 0, 5).unwrap(), Vec::new());
    assert!(verify_consistency((0, &root), (5, &root), &[]).is_err());
    assert!(verify_consistency((0, &empty), (5, &root), &[root]).is_err());
}

#[test]
fn what_is_out_of_range_is_refused() {
    let tree = leaves(3);
    assert!(inclusion(&tree, 3, 3).is_err());
    assert!(inclusion(&tree, 0, 0).is_err());
    assert!(consistency(&tree, 3, 2).is_err());
    let root = naive_root(&tree.0);
    assert!(verify_inclusion(root, 3, 3, &[], &root).is_err());
    assert!(verify_inclusion(root, 0, 0, &[], &root).is_err());
    assert!(verify_consistency((4, &root), (3, &root), &[]).is_err());
    let far = verify_inclusion(root, 0, u64::MAX, &[], &root);
    assert!(matches!(far, Err(ProofError::Length { expected: 64, .. })));
    let far = verify_inclusion(root, u64::MAX - 1, u64::MAX, &[], &root);
    assert!(matches!(far, Err(ProofError::Length { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn larger_trees_agree_too(count in 1_usize..2_000, a: prop::sample::Index, b: prop::sample::Index) {
        let tree = leaves(count);
        let root = naive_root(&tree.0);
        let index = a.index(count);
        let proof = inclusion(&tree, size(index), size(count)).unwrap();
        prop_assert_eq!(&proof, &naive_path(index, &tree.0));
        prop_assert!(verify_inclusion(tree.0[index], size(index), size(count), &proof, &root).is_ok());

        let old = b.index(count) + 1;
        let was = naive_root(&tree.0[..old]);
        let proof = consistency(&tree, size(old), size(count)).unwrap();
        prop_assert_eq!(&proof, &naive_subproof(old, &tree.0, true));
        prop_assert!(verify_consistency((size(old), &was), (size(count), &root), &proof).is_ok());
    }
}
