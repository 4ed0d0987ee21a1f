//! The compact form of a Merkle tree: enough to go on with it and to know its root.
//!
//! A tree of any size is a row of perfect trees, each smaller than the one to its left; their roots
//! are all that a further leaf can change. The form holds at most 64 hashes, whatever the size.

use crate::hash::Hash;

/// The right edge of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// One for each bit that is set in the size, largest tree first.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    pub const fn new() -> Self {
        Self {
            size: 0,
            peaks: Vec::new(),
        }
    }

    /// From its parts; `None` if the number of peaks is not that of the size.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        let count = usize::try_from(size.count_ones()).ok()?;
        (peaks.len() == count).then_some(Self { size, peaks })
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = Hash::node(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// How many leaves there are.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect trees, largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        join(&self.peaks)
    }
}

impl Extend<Hash> for Frontier {
    fn extend<T: IntoIterator<Item = Hash>>(&mut self, leaves: T) {
        for leaf in leaves {
            self.push(leaf);
        }
    }
}

/// The root over a row of perfect trees, largest first.
pub(crate) fn join(peaks: &[Hash]) -> Hash {
    let mut peaks = peaks.iter().rev();
    let Some(last) = peaks.next() else {
        return Hash::empty_root();
    };
    peaks.fold(*last, |right, left| Hash::node(left, &right))
}

/// The root over a run of nodes of one level.
pub(crate) fn root_over(nodes: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    frontier.extend(nodes.iter().copied());
    frontier.root()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;
    use crate::testing::naive_root;

    /// The entries and roots that implementations of certificate transparency test against.
    const VECTORS: [(&str, &str); 8] = [
        (
            "",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        ),
        (
            "00",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        ),
        (
            "10",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        ),
        (
            "2021",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
        (
            "3031",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        ),
        (
            "40414243",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        ),
        (
            "5051525354555657",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        ),
        (
            "606162636465666768696a6b6c6d6e6f",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ];

    #[test]
    fn the_known_trees_have_the_known_roots() {
        let mut frontier = Frontier::new();
        let mut leaves = Vec::new();
        for (entry, root) in VECTORS {
            let leaf = Hash::leaf(&HEXLOWER.decode(entry.as_bytes()).unwrap());
            frontier.push(leaf);
            leaves.push(leaf);
            assert_eq!(HEXLOWER.encode(frontier.root().as_bytes()), root);
            assert_eq!(frontier.root(), naive_root(&leaves));
        }
    }

    #[test]
    fn every_size_agrees_with_the_definition() {
        let mut frontier = Frontier::new();
        let mut leaves = Vec::new();
        assert_eq!(frontier.root(), naive_root(&leaves));
        for index in 0_u16..600 {
            let leaf = Hash::leaf(&index.to_be_bytes());
            frontier.push(leaf);
            leaves.push(leaf);
            assert_eq!(frontier.root(), naive_root(&leaves), "size {}", index + 1);
            let again = Frontier::from_peaks(frontier.size(), frontier.peaks().to_vec());
            assert_eq!(again, Some(frontier.clone()));
        }
    }

    #[test]
    fn a_wrong_number_of_peaks_is_refused() {
        let leaf = Hash::leaf(b"a");
        assert_eq!(Frontier::from_peaks(3, vec![leaf]), None);
        assert_eq!(Frontier::from_peaks(0, vec![leaf]), None);
        assert_eq!(Frontier::from_peaks(4, vec![leaf, leaf]), None);
    }
}
