//! The registry as such a file. What is read back from it and applied changes nothing.

use std::fmt::Write as _;

use taskpass_api::v1;
use taskpass_core::Timestamp;

use super::limits;
use crate::view::wire;

/// What is written: everything that is not retired, as of one version.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// The version of the registry.
    pub(crate) version: u64,
    /// Its owners.
    pub(crate) owners: Vec<v1::Owner>,
    /// Its targets.
    pub(crate) targets: Vec<v1::Target>,
    /// Its agents.
    pub(crate) agents: Vec<v1::Agent>,
}

/// The text of the file.
pub(crate) fn write(registry: &Snapshot) -> String {
    let Snapshot {
        version,
        owners,
        targets,
        agents,
    } = registry;
    let mut text = format!(
        "# The registry at version {version}: what is not retired, without operators and verifiers.\n\
         # Change it, review it, then: taskpass apply FILE --expect-version {version} --dry-run\n"
    );
    for owner in owners.iter().filter(|owner| is_kept(owner.state)) {
        write_owner(&mut text, owner);
    }
    for target in targets.iter().filter(|target| is_kept(target.state)) {
        write_target(&mut text, target);
    }
    for agent in agents.iter().filter(|agent| is_kept(agent.state)) {
        write_agent(&mut text, agent);
    }
    text
}

/// A file of these agents alone, beneath lines of comment.
pub(crate) fn write_agents(heading: &str, agents: &[v1::Agent]) -> String {
    let mut text = heading.to_owned();
    for agent in agents.iter().filter(|agent| is_kept(agent.state)) {
        write_agent(&mut text, agent);
    }
    text
}

fn is_kept(state: i32) -> bool {
    state != i32::from(v1::State::Retired)
}

fn begin(text: &mut String, kind: &str, state: i32) {
    text.push('\n');
    if state == i32::from(v1::State::Suspended) {
        text.push_str("# Suspended: a file neither says nor changes that.\n");
    }
    let _ = writeln!(text, "[[{kind}]]");
}

fn write_owner(text: &mut String, owner: &v1::Owner) {
    let v1::Owner {
        name,
        contact,
        state,
        limits,
    } = owner;
    begin(text, "owner", *state);
    field(text, "name", &quoted(name));
    field(text, "contact", &quoted(contact));
    maybe(text, "limits", limits::written(*limits));
}

fn write_target(text: &mut String, target: &v1::Target) {
    let v1::Target {
        uri,
        scopes,
        risk,
        token_alg,
        max_ttl,
        state,
        token_profile,
        limits,
        observe,
    } = target;
    begin(text, "target", *state);
    field(text, "uri", &quoted(uri));
    field(text, "risk", &word(wire::risk(*risk)));
    let scopes: Vec<String> = scopes
        .iter()
        .map(|scope| {
            let access = word(wire::access(scope.access));
            format!("{} = {access}", quoted(&scope.name))
        })
        .collect();
    if !scopes.is_empty() {
        field(text, "scopes", &format!("{{ {} }}", scopes.join(", ")));
    }
    field(text, "token_alg", &word(wire::token_alg(*token_alg)));
    let profile = word(wire::token_profile(*token_profile));
    field(text, "token_profile", &profile);
    maybe(text, "max_ttl", max_ttl.as_ref().map(lifetime));
    maybe(text, "limits", limits::written(*limits));
    let observe = observe.as_ref().map(|observe| {
        let until = instant(observe.observe_until);
        let reason = quoted(&observe.reason);
        format!("{{ until = {until}, reason = {reason} }}")
    });
    maybe(text, "observe", observe);
}

fn write_agent(text: &mut String, agent: &v1::Agent) {
    let v1::Agent {
        name,
        owner,
        purpose,
        stage,
        scopes,
        valid_until,
        max_ttl,
        labels,
        state,
        created_at: _,
        client_keys,
        limits,
    } = agent;
    begin(text, "agent", *state);
    field(text, "name", &quoted(name));
    field(text, "owner", &quoted(owner));
    field(text, "purpose", &quoted(purpose));
    field(text, "stage", &word(wire::stage(*stage)));
    text.push_str("scopes = [");
    for scope in scopes {
        let _ = write!(text, "\n  {},", quoted(scope));
    }
    text.push_str(if scopes.is_empty() { "]\n" } else { "\n]\n" });
    field(text, "valid_until", &instant(*valid_until));
    maybe(text, "max_ttl", max_ttl.as_ref().map(lifetime));
    let mut labels: Vec<_> = labels.iter().collect();
    labels.sort();
    let labels: Vec<String> = labels
        .into_iter()
        .map(|(key, value)| format!("{} = {}", quoted(key), quoted(value)))
        .collect();
    if !labels.is_empty() {
        field(text, "labels", &format!("{{ {} }}", labels.join(", ")));
    }
    if !client_keys.is_empty() {
        text.push_str("client_keys = [");
        for key in client_keys {
            let (jwk, until) = (quoted(&key.jwk), instant(key.until));
            let _ = write!(text, "\n  {{ jwk = {jwk}, until = {until} }},");
        }
        text.push_str("\n]\n");
    }
    maybe(text, "limits", limits::written(*limits));
}

fn field(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name} = {value}");
}

fn maybe(text: &mut String, name: &str, value: Option<String>) {
    if let Some(value) = value {
        field(text, name, &value);
    }
}

/// A string as TOML writes it, whatever is in it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A word of a newer broker cannot be written; an empty one is refused when it is read.
fn word(word: Option<&'static str>) -> String {
    quoted(word.unwrap_or_default())
}

fn instant(at: Option<prost_types::Timestamp>) -> String {
    quoted(&wire::instant(at).unwrap_or(Timestamp::ZERO).to_string())
}

fn lifetime(ttl: &prost_types::Duration) -> String {
    let seconds = u64::try_from(ttl.seconds).unwrap_or(0);
    let nanos = u32::try_from(ttl.nanos).unwrap_or(0);
    let duration = std::time::Duration::new(seconds, nanos);
    quoted(&humantime::format_duration(duration).to_string())
}
