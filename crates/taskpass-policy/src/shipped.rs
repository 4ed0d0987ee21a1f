//! The policies that come with the program.

use crate::error::LoadError;
use crate::set::PolicySet;

const SCHEMA: &str = include_str!("../../../config/policies/taskpass.cedarschema");

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../../config/policies/", $name)))),+]
    };
}

const FILES: [(&str, &str); 6] = files![
    "operators.cedar",
    "permit.cedar",
    "registration.cedar",
    "risk.cedar",
    "stage.cedar",
    "state.cedar",
];

impl PolicySet {
    /// The set in `config/policies`, compiled into the program.
    pub fn shipped() -> Result<Self, LoadError> {
        let files = FILES.map(|(name, text)| (name.to_owned(), text.to_owned()));
        Self::from_sources(SCHEMA, &files)
    }
}
