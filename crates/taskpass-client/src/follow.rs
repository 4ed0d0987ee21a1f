//! Channels that take up a renewed identity by themselves.
//!
//! The folder is looked at every few seconds. When its files have changed and are a whole identity, new
//! calls go over a new connection that presents it; calls and streams that were begun go on where they
//! are. Files that cannot be used are left alone until they change: the identity before is presented as
//! long as it lives.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::{MissedTickBehavior, interval};
use tonic::transport::channel::Change;
use tonic::transport::{Channel, Endpoint};

use crate::connect::{ConnectError, for_calls, for_feed};
use crate::identity::{Identity, IdentityError, folder};

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// No channel.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// No identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No use for it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// A channel for calls, as [`connect`](crate::connect()) makes one, that presents the identity in
/// `folder`, whichever it is. It connects when it is first used. Needs a tokio runtime.
pub fn follow(addr: &str, folder: &Path) -> Result<Channel, FollowError> {
    start(addr, folder, Kind::Calls)
}

/// As [`follow`], for the revocation feed: streams on it are cut by no timeout.
pub fn follow_feed(addr: &str, folder: &Path) -> Result<Channel, FollowError> {
    start(addr, folder, Kind::Feed)
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Calls,
    Feed,
}

fn start(addr: &str, folder: &Path, kind: Kind) -> Result<Channel, FollowError> {
    let (channel, changes) = Channel::balance_channel(4);
    let (follower, first) = Follower::begin(addr, folder, kind)?;
    // There is room for it: nothing was sent yet.
    let _ = changes.try_send(Change::Insert(follower.generation, first));
    tokio::spawn(follower.run(changes));
    Ok(channel)
}

/// What was read of the folder, and for whom.
struct Follower {
    addr: String,
    folder: PathBuf,
    kind: Kind,
    seen: Vec<folder::Stamp>,
    generation: u64,
}

impl Follower {
    fn begin(addr: &str, folder: &Path, kind: Kind) -> Result<(Self, Endpoint), FollowError> {
        let mut follower = Self {
            addr: addr.to_owned(),
            folder: folder.to_owned(),
            kind,
            // Before reading: what changes meanwhile is read again.
            seen: folder::stamps(folder),
            generation: 0,
        };
        let endpoint = follower.read()?;
        follower.generation = 1;
        Ok((follower, endpoint))
    }

    fn read(&self) -> Result<Endpoint, FollowError> {
        let identity = Identity::load(&self.folder)?;
        Ok(match self.kind {
            Kind::Calls => for_calls(&self.addr, Some(&identity), identity.ca_pem())?,
            Kind::Feed => for_feed(&self.addr, &identity)?,
        })
    }

    /// Where to connect from now on, if that has changed.
    fn look(&mut self) -> Option<Endpoint> {
        let now = folder::stamps(&self.folder);
        if now == self.seen {
            return None;
        }
        self.seen = now;
        let endpoint = self.read().ok()?;
        self.generation += 1;
        Some(endpoint)
    }

    async fn run(mut self, changes: Sender<Change<u64, Endpoint>>) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = changes.closed() => return,
                _ = ticks.tick() => {}
            }
            if self.step(&changes).await.is_err() {
                return;
            }
        }
    }

    /// Looks once; an error when the channel is gone.
    async fn step(&mut self, changes: &Sender<Change<u64, Endpoint>>) -> Result<(), ()> {
        let before = self.generation;
        let Some(endpoint) = self.look() else {
            return Ok(());
        };
        let insert = Change::Insert(self.generation, endpoint);
        changes.send(insert).await.map_err(drop)?;
        changes.send(Change::Remove(before)).await.map_err(drop)
    }
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    use super::*;
    use crate::agent::Agent;
    use crate::testing::{Broker, LEDGER, READ};

    #[tokio::test]
    async fn a_renewed_identity_is_presented_by_the_calls_that_follow() {
        let broker = Broker::start().await;
        let home = tempfile::tempdir().unwrap();
        let first = broker.identity();
        first.save(home.path()).unwrap();
        let (channel, changes) = Channel::balance_channel(4);
        let (mut follower, endpoint) =
            Follower::begin(&broker.addr, home.path(), Kind::Calls).unwrap();
        changes.try_send(Change::Insert(1, endpoint)).unwrap();
        let agent = Agent::over(channel);
        let start = async |purpose: &str| {
            let scope = format!("{LEDGER}#{READ}");
            agent.start_task(purpose, [scope], None).await.unwrap();
            broker.newest_peer()
        };
        let leaf = |identity: &Identity| {
            let pem = identity.cert_pem().as_bytes();
            CertificateDer::from_pem_slice(pem).unwrap().to_vec()
        };
        assert_eq!(start("one").await, leaf(&first));

        // Nothing has changed.
        follower.step(&changes).await.unwrap();
        assert_eq!(follower.generation, 1);
        // Half an identity changes nothing.
        std::fs::write(home.path().join("cert.pem"), "x").unwrap();
        follower.step(&changes).await.unwrap();
        assert_eq!(follower.generation, 1);
        assert_eq!(start("two").await, leaf(&first));

        let second = broker.identity();
        second.save(home.path()).unwrap();
        follower.step(&changes).await.unwrap();
        assert_eq!(follower.generation, 2);
        // The change reaches the channel with one of the next calls.
        let mut seen = start("three").await;
        for _ in 0..50 {
            if seen == leaf(&second) {
                break;
            }
            tokio::task::yield_now().await;
            seen = start("again").await;
        }
        assert_eq!(seen, leaf(&second));
        assert_eq!(start("four").await, leaf(&second));
    }

    #[tokio::test]
    async fn without_an_identity_there_is_no_channel() {
        let home = tempfile::tempdir().unwrap();
        assert!(matches!(
            follow("broker.example:7443", home.path()),
            Err(FollowError::Identity(IdentityError::Missing { .. }))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn the_follower_ends_with_its_channel() {
        let broker_identity = Broker::start().await.identity();
        let home = tempfile::tempdir().unwrap();
        broker_identity.save(home.path()).unwrap();
        let (changes, receiver) = tokio::sync::mpsc::channel(4);
        let (follower, _) = Follower::begin("127.0.0.1:1", home.path(), Kind::Feed).unwrap();
        drop(receiver);
        follower.run(changes).await;
    }
}
