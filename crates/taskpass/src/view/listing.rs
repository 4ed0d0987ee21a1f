//! A page of anything: `{"<plural>": […], "next_page_token": …}`, or a table.

use std::fmt::Write as _;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::output::table::Table;
use crate::output::{Ink, View};

/// One line of a listing.
pub(crate) trait Row: Serialize {
    /// What several are called, in JSON and when there is none.
    const PLURAL: &'static str;
    /// The heading of the table.
    const HEADING: &'static [&'static str];

    /// The cells beneath the heading.
    fn cells(&self, ink: &Ink) -> Vec<String>;
}

/// A page.
#[derive(Debug)]
pub(crate) struct Listing<T> {
    /// What is on it.
    pub(crate) items: Vec<T>,
    /// Where to go on; empty at the end.
    pub(crate) next_page_token: String,
}

impl<T: Row> Serialize for Listing<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(T::PLURAL, &self.items)?;
        map.serialize_entry("next_page_token", &self.next_page_token)?;
        map.end()
    }
}

impl<T: Row> View for Listing<T> {
    fn text(&self, ink: &Ink) -> String {
        let mut table = Table::new(T::HEADING);
        for item in &self.items {
            table.row(item.cells(ink));
        }
        let mut text = table.render(ink, &format!("no {}", T::PLURAL));
        if !self.next_page_token.is_empty() {
            let token = crate::output::text::harmless(&self.next_page_token);
            let _ = writeln!(text, "… more: --page-token {token}");
        }
        text
    }
}
