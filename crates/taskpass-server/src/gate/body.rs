//! The message of a request, whole: soon, small enough, and within the room of all that are coming.
//!
//! Requests whose messages are on their way hold no place yet, so that those that never come keep nobody
//! out. What has come of them is memory all the same. Of callers that proved who they are a little of each is
//! free, as most are no larger; what is beyond it, and all of others', comes out of a room that they share.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use taskpass_broker::Error;
use tokio::sync::Semaphore;

/// How long a message may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What of each message takes none of the room, of callers that proved who they are.
const FREE: usize = 4 * 1024;
/// A permit of the room, in bytes.
const UNIT: usize = 1024;
/// Of callers that proved who they are: 64 MiB.
const ROOM: usize = 64 * 1024;
/// Of all others: 4 MiB.
const STRANGERS_ROOM: usize = 4 * 1024;

/// What messages may take that are on their way.
pub(crate) struct Room {
    permits: Semaphore,
    /// What of each takes none.
    free: usize,
}

impl Room {
    /// Of callers that proved who they are.
    pub(crate) fn of_callers() -> Self {
        Self::new(ROOM, FREE)
    }

    /// Of all others, of whom there can be any number.
    pub(crate) fn of_strangers() -> Self {
        Self::new(STRANGERS_ROOM, 0)
    }

    fn new(permits: usize, free: usize) -> Self {
        let permits = Semaphore::new(permits);
        Self { permits, free }
    }
}

/// The body, of at most `limit` bytes.
pub(super) async fn whole<B>(body: B, limit: usize, room: &Room) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let received = tokio::time::timeout(TIMEOUT, receive(body, limit, room)).await;
    received.unwrap_or_else(|_| Err(broken_off()))
}

/// Waits for a body and keeps nothing of it. An answer that comes before it would make the library reset
/// the stream, and what comes then counts as an error of the connection's.
pub(super) async fn passed_over<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let passing = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(TIMEOUT, passing).await;
}

fn broken_off() -> Error {
    Error::field("message", "a whole message, soon")
}

async fn receive<B>(mut body: B, limit: usize, room: &Room) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (mut first, mut more) = (Bytes::new(), BytesMut::new());
    let mut held = None;
    let mut paid = room.free;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| broken_off())?.into_data() else {
            continue;
        };
        let total = first.len() + more.len() + data.len();
        if total > limit {
            return Err(Error::MessageTooLarge { limit });
        }
        if total > paid {
            let units = (total - paid).div_ceil(UNIT);
            let wanted = u32::try_from(units).unwrap_or(u32::MAX);
            let permit = room.permits.try_acquire_many(wanted);
            let permit = permit.map_err(|_| Error::QueueFull)?;
            match &mut held {
                None => held = Some(permit),
                Some(held) => held.merge(permit),
            }
            paid += units * UNIT;
        }
        if first.is_empty() {
            first = data;
        } else {
            more.extend_from_slice(&data);
        }
    }
    if more.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + more.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&more);
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use std::convert::Infallible;
    use std::io;

    type Frames = Vec<Result<Frame<Bytes>, io::Error>>;

    fn frames(sizes: &[usize]) -> Frames {
        let data = |size: &usize| Ok(Frame::data(Bytes::from(vec![b'x'; *size])));
        sizes.iter().map(data).collect()
    }

    async fn received(frames: Frames, room: Room) -> Result<usize, &'static str> {
        let body = StreamBody::new(stream::iter(frames));
        let whole = whole(body, 64 * 1024, &room).await;
        whole
            .map(|bytes| bytes.len())
            .map_err(|error| error.reason())
    }

    #[tokio::test]
    async fn a_message_is_whole_or_refused() {
        for (sizes, room, expected) in [
            (&[][..], 0, Ok(0)),
            (&[100], 0, Ok(100)),
            (&[2_000, 2_096], 0, Ok(FREE)),
            (&[2_000, 2_097], 0, Err("QUEUE_FULL")),
            (&[2_000, 2_097], 1, Ok(FREE + 1)),
            (&[64 * 1024], 59, Err("QUEUE_FULL")),
            (&[64 * 1024], 60, Ok(64 * 1024)),
            (&[1_000; 64], 59, Ok(64_000)),
            (&[64 * 1024, 1], 1_000, Err("MESSAGE_TOO_LARGE")),
        ] {
            let received = received(frames(sizes), Room::new(room, FREE)).await;
            assert_eq!(received, expected, "{sizes:?}");
        }
        let mut broken = frames(&[10]);
        broken.push(Err(io::ErrorKind::ConnectionReset.into()));
        let received = received(broken, Room::new(1, FREE)).await;
        assert_eq!(received, Err("INVALID_FIELD"));
    }

    #[tokio::test]
    async fn nothing_is_free_for_strangers() {
        assert_eq!(Room::of_strangers().free, 0);
        for (sizes, room, expected) in [
            (&[][..], 0, Ok(0)),
            (&[1], 0, Err("QUEUE_FULL")),
            (&[1], 1, Ok(1)),
            (&[1_000, 24], 1, Ok(1_024)),
            (&[1_000, 25], 1, Err("QUEUE_FULL")),
        ] {
            let received = received(frames(sizes), Room::new(room, 0)).await;
            assert_eq!(received, expected, "{sizes:?}");
        }
    }

    /// What never comes ends, and gives back what it held.
    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_gives_its_room_back() {
        let room = Room::new(100, FREE);
        let begun = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from(vec![
            0;
            50_000
        ])))]);
        let body = StreamBody::new(begun.chain(stream::pending()));
        let waiting = whole(body, 64 * 1024, &room);
        let mut waiting = std::pin::pin!(waiting);
        assert!(
            tokio::time::timeout(TIMEOUT / 2, waiting.as_mut())
                .await
                .is_err()
        );
        assert!(room.permits.available_permits() < 60);
        assert_eq!(waiting.await.unwrap_err().reason(), "INVALID_FIELD");
        assert_eq!(room.permits.available_permits(), 100);
    }
}
