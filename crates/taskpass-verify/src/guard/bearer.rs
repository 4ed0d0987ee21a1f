//! The token of a request (RFC 6750 §2.1): one `Authorization` field of the scheme `Bearer`.
//!
//! The other two places of RFC 6750, form and query, are not read: what stands in a URL stands in
//! every log. A request that uses the query as well as the field is malformed, as §2 has it.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};

use super::Denied;

/// The token, as it came.
pub(super) fn find<'a>(headers: &'a HeaderMap, uri: &Uri) -> Result<&'a str, Denied> {
    let token = find_in(headers)?;
    if uri.query().is_some_and(names_a_token) {
        return Err(Denied::Malformed("a token in two places"));
    }
    Ok(token)
}

/// The token in the header.
pub(crate) fn find_in(headers: &HeaderMap) -> Result<&str, Denied> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let Some(field) = fields.next() else {
        return Err(Denied::NoToken);
    };
    if fields.next().is_some() {
        return Err(Denied::Malformed("two authorization fields"));
    }
    let field = field
        .to_str()
        .map_err(|_| Denied::Malformed("an authorization field that is no text"))?;
    let (scheme, rest) = field.split_once(' ').unwrap_or((field, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        // Somebody else's scheme: of ours, nothing was presented.
        return Err(Denied::NoToken);
    }
    let token = rest.trim_matches(' ');
    if token.is_empty() || !token.bytes().all(is_b64token) {
        return Err(Denied::Malformed("no token behind `Bearer`"));
    }
    Ok(token)
}

/// The characters of RFC 6750's `b64token`.
fn is_b64token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

fn names_a_token(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| pair.split('=').next() == Some("access_token"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn word(fields: &[&[u8]], uri: &str) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(field).unwrap());
        }
        match find(&headers, &uri.parse().unwrap()) {
            Ok(token) => token.to_owned(),
            Err(Denied::NoToken) => "none".into(),
            Err(Denied::Malformed(_)) => "malformed".into(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn one_field_one_token() {
        for (fields, uri, expected) in [
            (&[][..], "/", "none"),
            (&[&b"Bearer a.b.c"[..]], "/", "a.b.c"),
            (&[b"bearer a.b.c"], "/", "a.b.c"),
            (&[b"BEARER   a.b.c"], "/", "a.b.c"),
            (&[b"Bearer a-._~+/="], "/x?y=1", "a-._~+/="),
            (&[b"Bearer"], "/", "malformed"),
            (&[b"Bearer "], "/", "malformed"),
            (&[b"Bearer a b"], "/", "malformed"),
            (&[b"Bearer a,b"], "/", "malformed"),
            (&[b"Bearer \"a\""], "/", "malformed"),
            (&[b"Bearer\ta"], "/", "none"),
            (&[b"Bearera.b.c"], "/", "none"),
            (&[b"Basic YTpi"], "/", "none"),
            (&[b"DPoP a.b.c"], "/", "none"),
            (&[b""], "/", "none"),
            (&[b"Bearer \xff"], "/", "malformed"),
            (&[b"Bearer a", b"Bearer a"], "/", "malformed"),
            (&[b"Basic a", b"Bearer a"], "/", "malformed"),
            (&[b"Bearer a"], "/?access_token=a", "malformed"),
            (&[b"Bearer a"], "/?x=1&access_token", "malformed"),
            (&[b"Bearer a"], "/?no_access_token=a", "a"),
            // Only in the query: nothing that we read was presented.
            (&[], "/?access_token=a", "none"),
        ] {
            assert_eq!(word(fields, uri), expected, "{fields:?} {uri}");
        }
    }

    proptest! {
        #[test]
        fn any_field_is_read_or_refused(bytes: Vec<u8>) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
                let _ = find(&headers, &Uri::from_static("/"));
            }
        }
    }
}
