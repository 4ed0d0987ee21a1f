//! Something that is wrong in a file.

use super::Places;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where, as the broker calls it: `entries[3].scopes[1]`.
    pub(crate) path: String,
    /// What, beginning with the entry and the field.
    pub(crate) text: String,
}

impl Fault {
    /// `12:8  agent invoice-bot: owner: …`
    pub(crate) fn line(&self, places: &Places) -> (String, String) {
        let place = match places.find(&self.path) {
            Some((line, column)) => format!("{line}:{column}"),
            None => self.path.clone(),
        };
        (place, self.text.clone())
    }
}
