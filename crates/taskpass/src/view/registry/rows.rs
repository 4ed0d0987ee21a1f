//! Entries as the lines of a table.

use super::{Agent, Operator, Owner, Target, Verifier, lifetime};
use crate::output::Ink;
use crate::output::text::{brief, list};
use crate::view::listing::Row;
use crate::view::wire;

impl Row for Owner {
    const PLURAL: &'static str = "owners";
    const HEADING: &'static [&'static str] = &["NAME", "CONTACT", "STATE"];

    fn cells(&self, _: &Ink) -> Vec<String> {
        vec![
            self.name.clone(),
            self.contact.clone(),
            wire::shown(self.state),
        ]
    }
}

impl Row for Agent {
    const PLURAL: &'static str = "agents";
    const HEADING: &'static [&'static str] = &[
        "NAME", "OWNER", "STAGE", "STATE", "SCOPES", "ENDS", "PURPOSE",
    ];

    fn cells(&self, ink: &Ink) -> Vec<String> {
        vec![
            self.name.clone(),
            self.owner.clone(),
            wire::shown(self.stage),
            wire::shown(self.state),
            self.scopes.len().to_string(),
            brief(self.valid_until, ink),
            self.purpose.clone(),
        ]
    }
}

impl Row for Target {
    const PLURAL: &'static str = "targets";
    const HEADING: &'static [&'static str] =
        &["URI", "RISK", "STATE", "TOKENS", "MAX TTL", "SCOPES"];

    fn cells(&self, _: &Ink) -> Vec<String> {
        let scopes: Vec<&str> = self.scopes.iter().map(|s| s.name.as_str()).collect();
        vec![
            self.uri.clone(),
            wire::shown(self.risk),
            wire::shown(self.state),
            wire::shown(self.token_alg),
            lifetime(self.max_ttl),
            list(&scopes),
        ]
    }
}

impl Row for Operator {
    const PLURAL: &'static str = "operators";
    const HEADING: &'static [&'static str] = &["NAME", "ROLES", "STATE"];

    fn cells(&self, _: &Ink) -> Vec<String> {
        vec![
            self.name.clone(),
            list(&self.roles),
            wire::shown(self.state),
        ]
    }
}

impl Row for Verifier {
    const PLURAL: &'static str = "verifiers";
    const HEADING: &'static [&'static str] = &["NAME", "STATE", "TARGETS"];

    fn cells(&self, _: &Ink) -> Vec<String> {
        vec![
            self.name.clone(),
            wire::shown(self.state),
            list(&self.targets),
        ]
    }
}
