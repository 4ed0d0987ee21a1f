//! A channel, and what it presents with each call beside what its connection proves.
//!
//! A workload that has a token of its platform (a Kubernetes service account's, a CI job's) shows that
//! instead of an identity. The platform replaces the file before the token expires, so it is read again
//! for each call; what it holds is never kept, logged or part of an error.

use std::fmt;
use std::future::Future;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{self, HeaderValue, header};
use tonic::codegen::{Service, StdError};
use tonic::transport::Channel;
use zeroize::Zeroizing;

/// The longest token that the broker looks at.
const MAX_TOKEN_LEN: u64 = 16 * 1024;

/// A channel for clients. Cloning it shares the connection.
#[derive(Clone)]
pub struct Connection {
    channel: Channel,
    token_file: Option<PathBuf>,
}

impl Connection {
    /// Presents the token in `file` with each call over `channel`.
    pub fn presenting(channel: Channel, file: &Path) -> Self {
        Self {
            channel,
            token_file: Some(file.to_owned()),
        }
    }
}

impl From<Channel> for Connection {
    /// Presents nothing more.
    fn from(channel: Channel) -> Self {
        Self {
            channel,
            token_file: None,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("token_file", &self.token_file)
            .finish_non_exhaustive()
    }
}

impl Service<http::Request<Body>> for Connection {
    type Response = http::Response<Body>;
    type Error = StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, StdError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        Service::poll_ready(&mut self.channel, cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if let Some(file) = &self.token_file {
            match authorization(file) {
                Ok(value) => {
                    request.headers_mut().insert(header::AUTHORIZATION, value);
                }
                Err(status) => return Box::pin(std::future::ready(Err(status.into()))),
            }
        }
        let answer = Service::call(&mut self.channel, request);
        Box::pin(async move { answer.await.map_err(Into::into) })
    }
}

/// `Bearer` and what the file holds now.
fn authorization(file: &Path) -> Result<HeaderValue, Status> {
    let wrong = |what: &str| {
        let message = format!("the token file {} {what}", file.display());
        Status::unauthenticated(message)
    };
    let mut text = Zeroizing::new(String::from("Bearer "));
    std::fs::File::open(file)
        .and_then(|file| file.take(MAX_TOKEN_LEN + 2).read_to_string(&mut text))
        .map_err(|error| wrong(&format!("could not be read: {}", error.kind())))?;
    let token = text.trim_end();
    let bare = token.strip_prefix("Bearer ").unwrap_or_default();
    let is_token = bare
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if bare.is_empty() || !is_token {
        return Err(wrong("does not hold one token"));
    }
    let mut value = HeaderValue::from_str(token).map_err(|_| wrong("does not hold one token"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_anew_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        assert!(authorization(&file).is_err());
        for (held, expected) in [
            ("aaa.bbb.ccc", Some("Bearer aaa.bbb.ccc")),
            ("ddd.eee.fff\n", Some("Bearer ddd.eee.fff")),
            ("", None),
            ("\n", None),
            ("two tokens", None),
            ("canary\u{e4}", None),
            ("canary\u{0}", None),
        ] {
            std::fs::write(&file, held).unwrap();
            let read = authorization(&file);
            let text = read.as_ref().ok().map(|value| value.to_str().unwrap());
            assert_eq!(text, expected);
            assert!(!format!("{read:?}").contains("aaa"), "{read:?}");
            assert!(!format!("{read:?}").contains("canary"), "{read:?}");
        }
    }
}
