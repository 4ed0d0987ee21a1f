//! CRL numbers: they only grow (RFC 5280 §5.2.3), also over a restart with a clock that was set
//! back, and for several brokers on one store as far as their clocks agree.
//!
//! A number is the time in milliseconds, or one more than the last if that is not later. Up to
//! which number any may have been given is recorded ahead, a minute at a time; a new run begins
//! there.

use taskpass_store::{Change, Commit, CommitError, Guard, MetaKey, Refusal};
use tokio::sync::Mutex;

use crate::broker::Broker;
use crate::error::Error;

/// How far ahead numbers are recorded, in milliseconds.
const AHEAD: u64 = 60_000;
const ATTEMPTS: usize = 16;

#[derive(Debug, Default)]
struct Given {
    last: u64,
    /// Numbers below this one are ours to give.
    recorded: u64,
    /// What the store holds, as far as we know.
    stored: Option<Vec<u8>>,
    loaded: bool,
}

impl Given {
    fn load(&mut self, stored: Option<Vec<u8>>) {
        let ceiling = stored
            .as_deref()
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_be_bytes);
        self.last = self.last.max(ceiling);
        // Somebody else's numbers end there: ours begin after it, once that is recorded.
        self.recorded = 0;
        self.stored = stored;
        self.loaded = true;
    }
}

/// The numbers that this broker gives.
#[derive(Debug, Default)]
pub(crate) struct CrlNumbers(Mutex<Given>);

impl Broker {
    /// A number larger than all that were given before.
    pub(crate) async fn next_crl_number(&self) -> Result<u64, Error> {
        let mut given = self.crl_numbers.0.lock().await;
        for _ in 0..ATTEMPTS {
            if !given.loaded {
                let stored = self.store.meta(MetaKey::CrlNumber).await?;
                given.load(stored);
            }
            let number = self.clock.now().millis().max(given.last.saturating_add(1));
            if number < given.recorded {
                given.last = number;
                return Ok(number);
            }
            let ceiling = number.saturating_add(AHEAD);
            let value = ceiling.to_be_bytes().to_vec();
            let commit = Commit::new(self.background_now())
                .guard(Guard::MetaIs {
                    key: MetaKey::CrlNumber,
                    value: given.stored.clone(),
                })
                .change(Change::PutMeta {
                    key: MetaKey::CrlNumber,
                    value: value.clone(),
                });
            match self.store.commit(commit).await {
                Ok(_) => {
                    given.recorded = ceiling;
                    given.stored = Some(value);
                }
                Err(CommitError::Refused(Refusal::MetaChanged { .. })) => given.loaded = false,
                Err(error) => return Err(Error::from_commit(error)),
            }
        }
        Err(Error::QueueFull)
    }
}
