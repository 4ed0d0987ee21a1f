//! Signing keys.

use serde::Serialize;
use taskpass_api::v1;
use taskpass_core::Timestamp;

use super::listing::Row;
use super::wire;
use crate::output::table::Table;
use crate::output::text::brief;
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
        }
    }
}

impl Row for Key {
    const PLURAL: &'static str = "keys";
    const HEADING: &'static [&'static str] = &["KEY", "PURPOSE", "STATE", "MADE", "ENDS"];

    fn cells(&self, ink: &Ink) -> Vec<String> {
        vec![
            self.key_id.clone(),
            self.purpose.clone(),
            wire::shown(self.state),
            brief(self.created_at, ink),
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
