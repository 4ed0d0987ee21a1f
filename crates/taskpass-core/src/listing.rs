//! The published lists that a credential stands on: status lists for tokens, CRLs for certificates.
//!
//! There are lists for each hour in which credentials end, so that a whole list is over with its
//! hour. An hour has as many as it needs; a credential is given its place when it is issued and
//! says it itself, in the `status` claim or in its distribution point.

use std::fmt;
use std::str::FromStr;

use crate::time::Timestamp;

/// How many places a list has, as a power of two.
pub const LIST_BITS: u32 = 17;
/// How many places a list has.
pub const LIST_LEN: u32 = 1 << LIST_BITS;

/// The hour since the epoch in which a credential ends: which lists it can stand on.
pub const fn list_hour(expires_at: Timestamp) -> u64 {
    expires_at.secs() / 3600
}

/// Where in its hour a credential stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListPlace {
    list: u32,
    index: u32,
}

impl ListPlace {
    /// The place `index` of the hour's list `list`; `None` beyond a list's end.
    pub const fn new(list: u32, index: u32) -> Option<Self> {
        if index < LIST_LEN {
            Some(Self { list, index })
        } else {
            None
        }
    }

    /// Which list of the hour.
    pub const fn list(self) -> u32 {
        self.list
    }

    /// Which place on it.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Both as one number, as it is recorded.
    pub fn to_number(self) -> u64 {
        (u64::from(self.list) << LIST_BITS) | u64::from(self.index)
    }

    /// The place of a number.
    pub fn from_number(number: u64) -> Option<Self> {
        let list = u32::try_from(number >> LIST_BITS).ok()?;
        let index = u32::try_from(number & u64::from(LIST_LEN - 1)).ok()?;
        Self::new(list, index)
    }
}

/// Names one list: the hour, and which of its lists. Written `472222-0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListId {
    /// The hour since the epoch.
    pub hour: u64,
    /// Which of its lists, from 0.
    pub list: u32,
}

/// A text is no [`ListId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a list is named by its hour since the epoch and its number, such as 472222-0")]
pub struct ParseListIdError;

impl fmt::Display for ListId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.hour, self.list)
    }
}

impl FromStr for ListId {
    type Err = ParseListIdError;

    fn from_str(text: &str) -> Result<Self, ParseListIdError> {
        let read = || {
            let (hour, list) = text.split_once('-')?;
            let id = Self {
                hour: hour.parse().ok()?,
                list: list.parse().ok()?,
            };
            // One name a list: no sign, no zeros in front.
            (id.to_string() == text).then_some(id)
        };
        read().ok_or(ParseListIdError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbers() {
        for (list, index) in [(0, 0), (0, LIST_LEN - 1), (1, 0), (u32::MAX, 5)] {
            let place = ListPlace::new(list, index).unwrap();
            assert_eq!(ListPlace::from_number(place.to_number()), Some(place));
        }
        assert_eq!(ListPlace::new(0, LIST_LEN), None);
        assert_eq!(ListPlace::from_number(u64::MAX), None);
        assert_eq!(ListPlace::new(1, 0).unwrap().to_number(), 131_072);
    }

    #[test]
    fn a_list_has_one_name() {
        let id = ListId {
            hour: 472_222,
            list: 3,
        };
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            "",
            "1",
            "-",
            "1-",
            "-1",
            "+1-0",
            "01-0",
            "1-00",
            "1-0-0",
            "1 -0",
            "1-4294967296",
        ] {
            assert_eq!(bad.parse::<ListId>(), Err(ParseListIdError), "{bad}");
        }
        assert_eq!(list_hour(Timestamp::from_secs(7199)), 1);
        assert_eq!(list_hour(Timestamp::from_secs(7200)), 2);
    }
}
