//! The table of revocations: for each selector, what ends, what lives on, and what is refused
//! afterwards. Each cell is seen twice and must look alike: by asking the broker, and by a downstream
//! verifier that knows nothing but the published keys and the feed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "selectors/feed.rs"]
mod feed;
#[path = "selectors/narrow.rs"]
mod narrow;
#[path = "selectors/wide.rs"]
mod wide;
#[path = "selectors/world.rs"]
mod world;
