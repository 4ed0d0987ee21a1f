//! HTTP/2 by hand: what no library of a client sends.

use taskpass_testkit::{Broker, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::raw::{modern, tls};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
/// The peer may not open so many streams at one time.
pub(crate) const REFUSED_STREAM: u32 = 7;
/// Settings: how many streams the peer may open at one time, and how much it may send of each unread.
pub(crate) const MAX_STREAMS: u16 = 3;
pub(crate) const WINDOW: u16 = 4;
const HEADERS: u8 = 1;
const CANCEL: u32 = 8;

/// A connection, and what is written by hand over it.
pub(crate) struct Frames {
    stream: TlsStream<TcpStream>,
    authority: String,
}

/// What the broker sent.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error of a frame that has one.
    pub(crate) fn code(&self) -> Option<u32> {
        let place = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        let bytes = self.payload.get(place..place + 4)?;
        bytes.try_into().ok().map(u32::from_be_bytes)
    }
}

impl Frames {
    /// A connection as `who`, with its preface sent.
    pub(crate) async fn open(broker: &Broker, who: &str) -> Self {
        let stream = tls(broker, &modern(broker, who)).await.expect("TLS");
        let mut frames = Self {
            stream,
            authority: broker.authority().to_owned(),
        };
        let begin = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        frames.send(&begin).await.expect("a preface");
        frames
    }

    /// The head of a request whose body is still to come.
    pub(crate) fn head(&self, stream: u32, method: &str) -> Vec<u8> {
        const END_HEADERS: u8 = 4;
        let path = format!("/{method}");
        let mut block = Vec::new();
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "https"),
            (":path", &path),
            (":authority", &self.authority),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ] {
            // A literal with a new name, not indexed (RFC 7541 §6.2.2).
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).expect("a short text"));
                block.extend(text.as_bytes());
            }
        }
        frame(HEADERS, END_HEADERS, stream, &block)
    }

    /// What takes a request back.
    pub(crate) fn reset(stream: u32) -> Vec<u8> {
        frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
    }

    /// What the broker's SETTINGS say of `setting`, which must be its first frame.
    pub(crate) async fn setting(&mut self, setting: u16) -> Option<u32> {
        let frame = self.next().await.expect("it is open");
        assert_eq!(frame.kind, SETTINGS, "{frame:?}");
        let mut said = frame.payload.chunks(6).filter_map(|one| {
            let (name, value) = (one.get(..2)?, one.get(2..)?);
            let name = u16::from_be_bytes(name.try_into().ok()?);
            (name == setting).then(|| value.try_into().ok().map(u32::from_be_bytes))?
        });
        said.next()
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next frame; nothing once the broker has closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        within(self.stream.read_exact(&mut head)).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).ok()?];
        within(self.stream.read_exact(&mut payload)).await.ok()?;
        Some(Frame {
            kind: head[3],
            stream: u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]),
            payload,
        })
    }

    /// Every frame until the broker closes.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        let mut all = Vec::new();
        while let Some(frame) = self.next().await {
            all.push(frame);
        }
        all
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}
