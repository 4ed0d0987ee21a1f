//! The policies of the month: the shipped ones, but for a narrower permit that is on trial at one API,
//! and a permit for each pair that hands work on.

use std::fmt::Write as _;
use std::path::Path;

use taskpass_policy::PolicySet;

use super::broken;
use super::world::World;
use crate::errors::CliError;

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../../../../../config/policies/", $name)))),+]
    };
}

/// Everything but `permit.cedar`, which is the month's own.
const SHIPPED: [(&str, &str); 6] = shipped![
    "taskpass.cedarschema",
    "operators.cedar",
    "registration.cedar",
    "risk.cedar",
    "stage.cedar",
    "state.cedar",
];
const PERMIT: &str = include_str!("permit.cedar");

/// Writes them into a new folder, and loads them from there: whoever opens a broker on that folder has
/// the same.
pub(super) fn write(folder: &Path, world: &World) -> Result<PolicySet, CliError> {
    std::fs::create_dir(folder).map_err(|error| CliError::file("create", folder, error))?;
    let pairs = pairs(world);
    let own = [("permit.cedar", PERMIT), ("pairs.cedar", pairs.as_str())];
    for (name, text) in SHIPPED.into_iter().chain(own) {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| CliError::file("write", &path, error))?;
    }
    PolicySet::from_dir(folder).map_err(broken("load the policies"))
}

fn pairs(world: &World) -> String {
    let mut text = "// Who may hand parts of its work on, and to whom.\n".to_owned();
    for (from, to) in world.pairs() {
        let _ = write!(
            text,
            "\n@id(\"{from}-to-{to}\")\n\
             permit (principal == Agent::\"{to}\", action == Action::\"delegate\", resource)\n\
             when {{ resource.agent == Agent::\"{from}\" }};\n"
        );
    }
    text
}
