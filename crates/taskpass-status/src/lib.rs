//! Token Status Lists (draft-ietf-oauth-status-list-20): one small signed document that says of
//! each of many tokens whether it was revoked.
//!
//! Everything here is pure: bytes in, values or typed refusals out. No key is made or kept, no
//! clock read, nothing fetched. The broker writes lists with it, and whoever checks tokens reads
//! them with [`StatusList::verify`].
//!
//! | module | what is in it |
//! |---|---|
//! | [`packed`] | the statuses: 1, 2, 4 or 8 bits each |
//! | [`lst`] | their compressed form |
//! | [`token`] | the signed document, written |
//! | [`list`] | the signed document, checked and asked |
//! | [`permutation`] | in which order places are given out |
//!
//! Not here: who stands where and who was revoked (the broker), fetching and caching (the caller;
//! a list says with `ttl` after how many seconds to fetch it again, and with `exp` when it is no
//! longer worth anything).

pub mod list;
pub mod lst;
pub mod packed;
pub mod permutation;
pub mod token;

pub use list::{Expect, OutOfRange, Status, StatusList, StatusListError};
pub use lst::{LstError, MAX_PACKED_LEN};
pub use packed::{Bits, Packed, PackedError};
pub use permutation::Permutation;
pub use token::{ListClaims, STATUS_LIST_TYPE, aggregation_json, signing_input};
