//! Load: a closed loop for throughput, an open loop for latency, a flood for what is left of both, and
//! two sides in turns for a ratio.

mod closed;
mod flood;
mod open;
mod turns;

use std::sync::Arc;

use taskpass_core::Clock;
use tokio::runtime::Handle;

use crate::station::{Station, Work};

pub(crate) use closed::closed;
pub(crate) use flood::{Flooded, flood};
pub(crate) use open::Open;
pub(crate) use turns::in_turns;

/// Calls of one kind over some connections.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) stations: Arc<[Station]>,
    pub(crate) work: Work,
    pub(crate) in_flight: usize,
    pub(crate) clients: Handle,
    pub(crate) clock: Arc<dyn Clock>,
}
