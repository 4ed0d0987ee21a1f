//! Status lists over HTTP.

use super::{HttpClient, HttpError};
use crate::status::{FetchLists, Fetching};

const MEDIA_TYPE: &str = "application/statuslist+jwt";

/// Lists at the URIs that tokens name, for [`StatusLists`](crate::status::StatusLists).
#[derive(Debug, Clone)]
pub struct HttpLists {
    client: HttpClient,
}

impl HttpLists {
    /// Fetches with `client`.
    pub const fn new(client: HttpClient) -> Self {
        Self { client }
    }
}

impl FetchLists for HttpLists {
    fn fetch<'a>(&'a self, uri: &'a str) -> Fetching<'a> {
        Box::pin(async move {
            let body = self.client.get_as(uri, Some(MEDIA_TYPE)).await?;
            let text = String::from_utf8(body.to_vec()).map_err(|_| HttpError::Type {
                url: uri.to_owned(),
                expected: MEDIA_TYPE,
            })?;
            Ok(text)
        })
    }
}
