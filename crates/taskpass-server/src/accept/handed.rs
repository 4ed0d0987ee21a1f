//! A TCP connection that can change the runtime that wakes it, also beneath TLS.
//!
//! Who is at the other end is known only after the handshake, and where its requests belong only then.
//! Its bytes must be announced by the runtime that reads them: another one may be too busy to look.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

/// The connection; nothing once handing it over has failed.
#[derive(Debug)]
pub(super) struct Handed(Option<TcpStream>);

impl Handed {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self(Some(stream))
    }

    /// From here on `runtime` wakes it. What has come and was not read is announced there again.
    pub(super) fn over_to(&mut self, runtime: &Handle) -> Result<()> {
        let stream = self.0.take().ok_or_else(gone)?.into_std()?;
        let _entered = runtime.enter();
        self.0 = Some(TcpStream::from_std(stream)?);
        Ok(())
    }

    fn stream(self: Pin<&mut Self>) -> Result<Pin<&mut TcpStream>> {
        let stream = self.get_mut().0.as_mut();
        stream.map(Pin::new).ok_or_else(gone)
    }
}

fn gone() -> Error {
    Error::from(ErrorKind::NotConnected)
}

impl AsyncRead for Handed {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        self.stream()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Handed {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        self.stream()?.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.stream()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn what_has_come_and_what_comes_is_read_elsewhere() {
        let elsewhere = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut handed = Handed::new(listener.accept().await.unwrap().0);
        peer.write_all(b"ab").await.unwrap();
        assert_eq!(handed.read_u8().await.unwrap(), b'a');
        handed.over_to(elsewhere.handle()).unwrap();
        let read = elsewhere.spawn(async move {
            let mut rest = [0; 3];
            handed.read_exact(&mut rest).await.unwrap();
            handed.write_all(b"done").await.unwrap();
            rest
        });
        peer.write_all(b"cd").await.unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.unwrap();
        assert_eq!((read.await.unwrap(), answer.as_str()), (*b"bcd", "done"));
        elsewhere.shutdown_background();
    }
}
