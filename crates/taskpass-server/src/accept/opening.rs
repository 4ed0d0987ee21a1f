//! The first bytes of a connection, within a time limit.
//!
//! A peer's first bytes tell which version of HTTP it speaks, and the libraries beneath wait for them
//! without a bound. So until they complete HTTP/2's preface or differ from it, reading fails when the
//! time is over. From then on the version's own limits hold: the header timeout of HTTP/1, the
//! keepalive of HTTP/2.

use std::future::Future as _;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose first bytes must come in time.
pub(super) struct Opening<IO> {
    io: IO,
    /// What of the preface has not come yet.
    missing: &'static [u8],
    /// Until the version is known.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<IO> Opening<IO> {
    pub(super) fn new(io: IO, limit: Duration) -> Self {
        Self {
            io,
            missing: PREFACE,
            deadline: Some(Box::pin(sleep(limit))),
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        if self.deadline.is_none() {
            return;
        }
        let common = self.missing.len().min(bytes.len());
        match (
            bytes.split_at_checked(common),
            self.missing.split_at_checked(common),
        ) {
            (Some((came, _)), Some((expected, rest))) if came == expected && !rest.is_empty() => {
                self.missing = rest;
            }
            _ => self.deadline = None,
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Opening<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buf) {
            Poll::Pending => match &mut self.deadline {
                Some(deadline) => deadline
                    .as_mut()
                    .poll(cx)
                    .map(|()| Err(Error::from(ErrorKind::TimedOut))),
                None => Poll::Pending,
            },
            Poll::Ready(Ok(())) => {
                self.note(buf.filled().get(before..).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Opening<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const LIMIT: Duration = Duration::from_secs(5);

    /// What reading on ends with, when `said` is all that ever comes.
    async fn read(said: &[u8]) -> Option<ErrorKind> {
        let (mut peer, io) = tokio::io::duplex(64);
        let mut opening = Opening::new(io, LIMIT);
        let mut read = vec![0; said.len()];
        for (byte, slot) in said.iter().zip(&mut read) {
            peer.write_all(std::slice::from_ref(byte)).await.unwrap();
            opening
                .read_exact(std::slice::from_mut(slot))
                .await
                .unwrap();
        }
        assert_eq!(read, said);
        let more = tokio::time::timeout(LIMIT * 2, opening.read_u8()).await;
        more.ok().map(|outcome| outcome.unwrap_err().kind())
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_undecided_opening_is_bounded() {
        for (said, bounded) in [
            (&b""[..], true),
            (b"P", true),
            (&PREFACE[..23], true),
            (PREFACE, false),
            (b"G", false),
            (b"POST", false),
            (b"PRI * HTTP/1", false),
        ] {
            let expected = bounded.then_some(ErrorKind::TimedOut);
            assert_eq!(read(said).await, expected, "{}", said.escape_ascii());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_preface_with_more_behind_it_is_whole() {
        let (mut peer, io) = tokio::io::duplex(64);
        let mut opening = Opening::new(io, LIMIT);
        peer.write_all(&[PREFACE, b"frames"].concat())
            .await
            .unwrap();
        let mut read = [0; 30];
        opening.read_exact(&mut read).await.unwrap();
        let more = tokio::time::timeout(LIMIT * 2, opening.read_u8()).await;
        assert!(more.is_err());
    }
}
