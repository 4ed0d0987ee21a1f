//! Statuses, packed: 1, 2, 4 or 8 bits each, the first in the lowest bits of the first byte (§4.1).

/// How many bits a status has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bits {
    /// Valid or invalid.
    One,
    /// Also suspended, and one more.
    Two,
    /// Sixteen statuses.
    Four,
    /// All 256.
    Eight,
}

impl Bits {
    /// All, the fewest first.
    pub const ALL: [Self; 4] = [Self::One, Self::Two, Self::Four, Self::Eight];

    /// The number.
    pub const fn get(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// From the number, if it is one of the four.
    pub fn new(bits: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|one| u64::from(one.get()) == bits)
    }

    /// The largest status.
    pub const fn max(self) -> u8 {
        u8::MAX >> (8 - self.get())
    }

    /// How many statuses a byte holds.
    const fn per_byte(self) -> u64 {
        match self {
            Self::One => 8,
            Self::Two => 4,
            Self::Four => 2,
            Self::Eight => 1,
        }
    }

    /// The byte of an index, and by how many bits its status is shifted there.
    fn place(self, index: u64) -> Option<(usize, u8)> {
        let byte = usize::try_from(index / self.per_byte()).ok()?;
        let shift = u8::try_from(index % self.per_byte()).ok()? * self.get();
        Some((byte, shift))
    }
}

/// A status could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackedError {
    /// There is no such place.
    #[error("the list has no place {0}")]
    NoPlace(u64),
    /// The status needs more bits than each has.
    #[error("a status of this list is at most {0}")]
    TooLarge(u8),
}

/// Statuses of one width.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    bits: Bits,
    bytes: Vec<u8>,
}

impl Packed {
    /// `bytes` bytes of statuses, all valid.
    pub fn all_valid(bits: Bits, bytes: usize) -> Self {
        Self {
            bits,
            bytes: vec![0; bytes],
        }
    }

    /// What the bytes say.
    pub const fn from_bytes(bits: Bits, bytes: Vec<u8>) -> Self {
        Self { bits, bytes }
    }

    /// The width.
    pub const fn bits(&self) -> Bits {
        self.bits
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many statuses there are.
    pub fn len(&self) -> u64 {
        u64::try_from(self.bytes.len())
            .unwrap_or(u64::MAX)
            .saturating_mul(self.bits.per_byte())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The status at `index`; `None` beyond the end.
    pub fn get(&self, index: u64) -> Option<u8> {
        let (byte, shift) = self.bits.place(index)?;
        Some((self.bytes.get(byte)? >> shift) & self.bits.max())
    }

    /// Writes the status at `index`.
    pub fn set(&mut self, index: u64, status: u8) -> Result<(), PackedError> {
        let max = self.bits.max();
        if status > max {
            return Err(PackedError::TooLarge(max));
        }
        let missing = PackedError::NoPlace(index);
        let (byte, shift) = self.bits.place(index).ok_or(missing)?;
        let byte = self.bytes.get_mut(byte).ok_or(missing)?;
        *byte = (*byte & !(max << shift)) | (status << shift);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The statuses of the draft's examples (§4.1): 16 of one bit, 12 of two.
    #[test]
    fn the_first_status_is_in_the_lowest_bits() {
        let one = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1];
        let two = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3];
        for (bits, statuses, bytes) in [
            (Bits::One, &one[..], &[0xb9, 0xa3][..]),
            (Bits::Two, &two[..], &[0xc9, 0x44, 0xf9][..]),
            (Bits::Four, &[1, 2, 0xf, 0], &[0x21, 0x0f]),
            (Bits::Eight, &[7, 255], &[7, 255]),
        ] {
            let mut packed = Packed::all_valid(bits, bytes.len());
            for (index, status) in (0..).zip(statuses) {
                packed.set(index, *status).unwrap();
            }
            assert_eq!(packed.bytes(), bytes, "{bits:?}");
            for (index, status) in (0..).zip(statuses) {
                assert_eq!(packed.get(index), Some(*status), "{bits:?} {index}");
            }
            assert_eq!(packed.len(), u64::try_from(statuses.len()).unwrap());
            assert_eq!(packed.get(packed.len()), None);
            assert_eq!(packed.get(u64::MAX), None);
        }
    }

    #[test]
    fn widths_are_four() {
        for bits in Bits::ALL {
            assert_eq!(Bits::new(bits.get().into()), Some(bits));
        }
        for other in [0, 3, 5, 16, u64::MAX] {
            assert_eq!(Bits::new(other), None);
        }
    }

    proptest! {
        #[test]
        fn one_status_is_written_and_no_other(
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            width in 0_usize..4, index: u64, near in 0_u64..400, status: u8,
        ) {
            let bits = Bits::ALL[width];
            let before = Packed::from_bytes(bits, bytes);
            for index in [index, near] {
                let mut after = before.clone();
                let written = after.set(index, status);
                match written {
                    Ok(()) => {
                        prop_assert_eq!(after.get(index), Some(status));
                        for other in (0..before.len()).filter(|other| *other != index) {
                            prop_assert_eq!(after.get(other), before.get(other));
                        }
                    }
                    Err(PackedError::NoPlace(_)) => prop_assert!(index >= before.len()),
                    Err(PackedError::TooLarge(max)) => prop_assert!(status > max),
                }
                if written.is_err() {
                    prop_assert_eq!(&after, &before);
                }
            }
        }
    }
}
