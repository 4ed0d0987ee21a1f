//! Signing keys.

use serde::Serialize;
use taskpass_api::v1;
use taskpass_core::Timestamp;

use super::listing::Row;
use super::wire;
use crate::output::table::{Fields, Table};
use crate::output::text::{brief, instant};
use crate::output::{Ink, View};

/// A key; never its private half.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the proto's")]
pub(crate) struct Key {
    key_id: String,
    purpose: String,
    state: Option<&'static str>,
    created_at: Option<Timestamp>,
    activated_at: Option<Timestamp>,
    retired_at: Option<Timestamp>,
    not_after: Option<Timestamp>,
    public_jwk: String,
    certificate_pem: String,
    has_private: bool,
    takes_over_at: Option<Timestamp>,
}

impl From<v1::Key> for Key {
    fn from(key: v1::Key) -> Self {
        Self {
            state: wire::key_state(key.state),
            key_id: key.key_id,
            purpose: key.purpose,
            created_at: wire::instant(key.created_at),
            activated_at: wire::instant(key.activated_at),
            retired_at: wire::instant(key.retired_at),
            not_after: wire::instant(key.not_after),
            public_jwk: key.public_jwk,
            certificate_pem: key.certificate_pem,
            has_private: key.has_private,
            takes_over_at: wire::instant(key.takes_over_at),
        }
    }
}

impl Row for Key {
    const PLURAL: &'static str = "keys";
    const HEADING: &'static [&'static str] = &["KEY", "PURPOSE", "STATE", "MADE", "NEXT", "ENDS"];

    fn cells(&self, ink: &Ink) -> Vec<String> {
        vec![
            self.key_id.clone(),
            self.purpose.clone(),
            wire::shown(self.state),
            brief(self.created_at, ink),
            brief(self.takes_over_at, ink),
            brief(self.not_after, ink),
        ]
    }
}

/// All keys; they are few, so there are no pages.
#[derive(Debug, Serialize)]
pub(crate) struct Keys {
    /// The keys.
    pub(crate) keys: Vec<Key>,
}

impl View for Keys {
    fn text(&self, ink: &Ink) -> String {
        let mut table = Table::new(Key::HEADING);
        for key in &self.keys {
            table.row(key.cells(ink));
        }
        table.render(ink, "no keys")
    }
}

/// A rotation that happened, or is going to.
#[derive(Debug, Serialize)]
pub(crate) struct Rotated {
    /// The key that takes over.
    pub(crate) next: Option<Key>,
    /// When.
    pub(crate) takes_over_at: Option<Timestamp>,
}

impl View for Rotated {
    fn text(&self, ink: &Ink) -> String {
        fields(self.next.as_ref())
            .with("takes over", instant(self.takes_over_at, ink))
            .render(ink)
    }
}

/// A key that is distrusted.
#[derive(Debug, Serialize)]
pub(crate) struct Tainted {
    /// The place of the rule; 0 if there is none.
    pub(crate) seq: u64,
    /// An upper bound on what it ended.
    pub(crate) credentials: u64,
    /// The key that signs from now on, if the tainted one did.
    pub(crate) next: Option<Key>,
}

impl View for Tainted {
    fn text(&self, ink: &Ink) -> String {
        fields(self.next.as_ref())
            .with("ended", format!("at most {} credentials", self.credentials))
            .with("seq", self.seq.to_string())
            .render(ink)
    }
}

/// A request for a certificate: for people exactly the PEM, so that it can be redirected to a file.
#[derive(Debug, Serialize)]
pub(crate) struct Request {
    /// The key.
    pub(crate) key_id: String,
    /// PKCS#10.
    pub(crate) csr_pem: String,
}

impl View for Request {
    fn text(&self, _: &Ink) -> String {
        self.csr_pem.clone()
    }
}

/// A certificate that was taken.
#[derive(Debug, Serialize)]
pub(crate) struct Imported {
    /// Whose.
    pub(crate) authority: Option<Key>,
    /// The root that is trusted from now on.
    pub(crate) root: Option<Key>,
    /// When the authority takes over.
    pub(crate) takes_over_at: Option<Timestamp>,
}

impl View for Imported {
    fn text(&self, ink: &Ink) -> String {
        let mut fields = fields(self.authority.as_ref());
        if let Some(root) = &self.root {
            fields = fields.with("trusted root", root.key_id.clone());
        }
        let waits = |key: &Key| key.state == Some("prepared");
        if self.takes_over_at.is_some() {
            fields = fields.with("takes over", instant(self.takes_over_at, ink));
        } else if self.authority.as_ref().is_some_and(waits) {
            fields = fields.with("takes over", "in its turn");
        }
        fields.render(ink)
    }
}

/// A root without its private half.
#[derive(Debug, Serialize)]
pub(crate) struct Forgotten {
    /// The root.
    pub(crate) root: Option<Key>,
}

impl View for Forgotten {
    fn text(&self, ink: &Ink) -> String {
        fields(self.root.as_ref())
            .with("private half", "destroyed")
            .render(ink)
    }
}

fn fields(key: Option<&Key>) -> Fields {
    let fields = Fields::default();
    match key {
        Some(key) => fields
            .with("key", key.key_id.clone())
            .with("purpose", key.purpose.clone())
            .with("state", wire::shown(key.state)),
        None => fields,
    }
}
