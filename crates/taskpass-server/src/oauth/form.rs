//! The parameters of a request, each at most once (RFC 6749 §3.2).
//!
//! A parameter without a value counts as absent, one that nobody knows is ignored; one that stands
//! twice refuses the request, whether or not anybody knows it.

use std::collections::BTreeMap;

use super::refusal::{Code, Refusal};

/// The most parameters that are looked at.
const MAX_PARAMETERS: usize = 64;

/// Parameters by name.
#[derive(Debug)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads a body of `application/x-www-form-urlencoded`.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let mut read = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            if [&name, &value].iter().any(|text| text.contains('\u{fffd}')) {
                return Err(invalid("parameters are UTF-8".to_owned()));
            }
            if read.len() >= MAX_PARAMETERS {
                return Err(invalid(format!("at most {MAX_PARAMETERS} parameters")));
            }
            let is_target = matches!(&*name, "resource" | "audience");
            if read.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(if is_target {
                    let message = format!("a token is for one API: name one `{name}`");
                    Refusal::new(Code::InvalidTarget, message)
                } else {
                    let name: String = name.chars().take(40).collect();
                    invalid(format!("`{name}` stands twice; give each parameter once"))
                });
            }
        }
        read.retain(|_, value| !value.is_empty());
        Ok(Self(read))
    }

    /// A parameter's value, if it has one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that must be there.
    pub(super) fn require(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name)
            .ok_or_else(|| invalid(format!("`{name}` is missing")))
    }
}

fn invalid(message: String) -> Refusal {
    Refusal::new(Code::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_once_each() {
        let form =
            Form::read(b"grant_type=client_credentials&scope=a+b%20c&empty=&x=%C3%A4").unwrap();
        assert_eq!(form.get("scope"), Some("a b c"));
        assert_eq!(form.get("x"), Some("\u{e4}"));
        assert_eq!((form.get("empty"), form.get("none")), (None, None));
        assert!(form.require("empty").is_err());
        assert!(Form::read(b"").unwrap().get("a").is_none());
        let many: Vec<_> = (0..65).map(|n| format!("p{n}=1")).collect();
        let many = many.join("&");
        for (bad, code) in [
            ("a=1&a=1", "invalid_request"),
            ("a=1&a=", "invalid_request"),
            ("a=&a=", "invalid_request"),
            ("a=1&%61=2", "invalid_request"),
            ("resource=https://a&resource=https://b", "invalid_target"),
            ("audience=x&audience=x", "invalid_target"),
            ("a=%ff", "invalid_request"),
            (many.as_str(), "invalid_request"),
        ] {
            assert_eq!(
                Form::read(bad.as_bytes()).unwrap_err().code(),
                code,
                "{bad}"
            );
        }
    }
}
