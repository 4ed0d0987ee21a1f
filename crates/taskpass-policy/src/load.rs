//! From text to a compiled policy set.
//!
//! Refuses whatever could silently not apply: a file that is not read, a policy without a name, a
//! template, a policy that can never match, a policy whose text reads differently from what it
//! does. A set loads whole or not at all.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::error::Error;
use std::path::Path;

use cedar_policy::{Policy, PolicyId, Schema, ValidationMode, Validator};
use miette::Diagnostic;

use crate::engine::DEFAULT_DENY;
use crate::error::LoadError;
use crate::place::Place;
use crate::probe;
use crate::set::PolicySet;
use crate::sources::Sources;
use crate::vocabulary::Vocabulary;

/// The schema's name in a policy directory.
pub(crate) const SCHEMA_FILE: &str = "taskpass.cedarschema";
/// The longest `@id`.
const MAX_ID_LEN: usize = 63;
/// How far a policy may follow references: the agent's owner, a scope's target, and no further.
/// What is beyond is not loaded, and a policy that looks for it would fail at every request.
const MAX_REFERENCES: u32 = 2;

impl PolicySet {
    /// The set in the directory `path`: `taskpass.cedarschema` and every `*.cedar`.
    ///
    /// Hidden files, `*.md` and `*.cases.toml` are passed over; anything else there is an error.
    pub fn from_dir(path: &Path) -> Result<Self, LoadError> {
        Sources::read(path)?.compile()
    }

    /// The set of a schema and files, each a name and a text. The order of files does not matter.
    pub fn from_sources(schema: &str, files: &[(String, String)]) -> Result<Self, LoadError> {
        Sources::of(schema, files)?.compile()
    }
}

impl Sources {
    /// Compiles and checks them: all of it, or nothing.
    pub fn compile(&self) -> Result<PolicySet, LoadError> {
        let (schema, sorted) = (self.schema(), self.files());
        let compiled = compile_schema(schema)?;
        let mut collected = Collected::default();
        for (name, text) in sorted {
            collected.add_file(name, text)?;
        }
        if collected.policies.is_empty() {
            return Err(LoadError::Empty);
        }
        collected.validate(&compiled, sorted)?;
        let vocabulary = Vocabulary::new().map_err(mismatch)?;
        let set = PolicySet::checked(collected.policies, compiled, vocabulary, self.hash());
        probe::fits(&set).map_err(mismatch)?;
        Ok(set)
    }
}

fn mismatch(source: impl Into<Box<dyn Error + Send + Sync>>) -> LoadError {
    LoadError::SchemaMismatch {
        file: SCHEMA_FILE.to_owned(),
        source: source.into(),
    }
}

fn compile_schema(text: &str) -> Result<Schema, LoadError> {
    let refuse = |error: &dyn Diagnostic| LoadError::Schema {
        place: Place::of_error(SCHEMA_FILE, text, error),
        message: error.to_string(),
    };
    let (schema, mut warnings) =
        Schema::from_cedarschema_str(text).map_err(|error| refuse(&error))?;
    match warnings.next() {
        Some(warning) => Err(refuse(&warning)),
        None => Ok(schema),
    }
}

/// The policies read so far, under their own names.
#[derive(Default)]
struct Collected {
    policies: cedar_policy::PolicySet,
    places: BTreeMap<String, Place>,
}

impl Collected {
    fn add_file(&mut self, file: &str, text: &str) -> Result<(), LoadError> {
        let syntax = |error: &dyn Diagnostic| LoadError::Syntax {
            place: Place::of_error(file, text, error),
            message: error.to_string(),
        };
        let parsed: cedar_policy::PolicySet =
            text.parse().map_err(|errors: cedar_policy::ParseErrors| {
                match errors.iter().next() {
                    Some(first) => syntax(first),
                    None => syntax(&errors),
                }
            })?;
        if let Some(template) = parsed.templates().next() {
            let place = find(file, text, 0, &template.to_cedar()).0;
            return Err(LoadError::Template { place });
        }
        let mut searched = 0;
        for (index, policy) in parsed.policies().enumerate() {
            let own_text = policy.to_cedar().unwrap_or_default();
            let (place, end) = find(file, text, searched, &own_text);
            searched = end;
            self.add_policy(place, index + 1, policy)?;
        }
        Ok(())
    }

    fn add_policy(
        &mut self,
        place: Place,
        number: usize,
        policy: &Policy,
    ) -> Result<(), LoadError> {
        let Some(id) = policy.annotation("id").map(str::to_owned) else {
            return Err(LoadError::MissingId { place, number });
        };
        if !is_id(&id) {
            return Err(LoadError::BadId { place, id });
        }
        // Cedar numbers the policies it parses and reports those numbers; under its own name a
        // policy is found in records without a table.
        let named = policy.new_id(PolicyId::new(&id));
        match self.places.entry(id.clone()) {
            Entry::Occupied(first) => Err(LoadError::DuplicateId {
                place,
                id,
                first: first.get().clone(),
            }),
            Entry::Vacant(vacant) => {
                vacant.insert(place.clone());
                self.policies
                    .add(named)
                    .map_err(|error| LoadError::Invalid {
                        place,
                        id,
                        message: error.to_string(),
                    })
            }
        }
    }

    /// The first finding, by file and line. Warnings count too: they are about policies that can
    /// never apply and about text that deceives the eye.
    fn validate(&self, schema: &Schema, files: &BTreeMap<String, String>) -> Result<(), LoadError> {
        let mode = ValidationMode::Strict;
        let result = Validator::new(schema.clone()).validate_with_level(
            &self.policies,
            mode,
            MAX_REFERENCES,
        );
        let errors = result
            .validation_errors()
            .map(|error| self.finding(files, error.policy_id(), error));
        let warnings = result
            .validation_warnings()
            .map(|warning| self.finding(files, warning.policy_id(), warning));
        // What an error breaks is often found impossible as well, which says less.
        match errors.min().or_else(|| warnings.min()) {
            Some((place, id, message)) => Err(LoadError::Invalid { place, id, message }),
            None => Ok(()),
        }
    }

    fn finding(
        &self,
        files: &BTreeMap<String, String>,
        id: &PolicyId,
        finding: &dyn Diagnostic,
    ) -> (Place, String, String) {
        let id = id.to_string();
        let policy = self.places.get(&id);
        let file = policy.map_or("", |place| place.file.as_str());
        let text = files.get(file).map_or("", String::as_str);
        let mut place = Place::of_error(file, text, finding);
        if place.position.is_none() {
            place.position = policy.and_then(|place| place.position);
        }
        let message = finding.to_string();
        let own_words = message
            .strip_prefix(&format!("for policy `{id}`"))
            .and_then(|rest| rest.get(2..))
            .unwrap_or(&message);
        let mut own_words = own_words.to_owned();
        if own_words.contains("on entity type `Operator` not found") {
            own_words.push_str(" (a rule about agents begins with `principal is Agent`)");
        }
        (place, id, own_words)
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID_LEN).contains(&id.len())
        && id != DEFAULT_DENY
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Where `policy` is in `text` from `searched` on, and where it ends.
fn find(file: &str, text: &str, searched: usize, policy: &str) -> (Place, usize) {
    let found = text.get(searched..).and_then(|rest| rest.find(policy));
    let start = found.map_or(usize::MAX, |within| searched + within);
    let end = found.map_or(searched, |_| start + policy.len());
    (Place::of_offset(file, text, start), end)
}

#[cfg(test)]
mod tests;
