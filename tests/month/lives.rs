//! When each credential of the log was issued and when it ended, by what the entries say.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::raw::{Raw, millis, text};

/// A credential.
pub(crate) struct Life<'a> {
    pub(crate) entry: &'a Value,
    pub(crate) issued: u64,
    pub(crate) expires: u64,
    pub(crate) revoked: Option<u64>,
    pub(crate) task_ended: u64,
}

impl Life<'_> {
    /// When it ended, or will.
    pub(crate) fn ended(&self) -> u64 {
        self.revoked.unwrap_or(self.expires)
    }

    /// For how many seconds it was good, begun ones too.
    pub(crate) fn seconds(&self) -> u64 {
        up(self.ended().saturating_sub(self.issued))
    }
}

/// Whole seconds, begun ones too.
pub(crate) const fn up(millis: u64) -> u64 {
    millis.div_ceil(1000)
}

/// What a revocation names, and when each such revocation was.
type Revocations<'a> = HashMap<(&'a str, &'a str), Vec<u64>>;

/// The first revocation of any of these from `from` on.
fn first(revocations: &Revocations<'_>, named: &[(&str, &str)], from: u64) -> Option<u64> {
    let times = named
        .iter()
        .filter_map(|name| revocations.get(name))
        .flatten();
    times.copied().filter(|at| *at >= from).min()
}

/// Everything by whose end a task ends: itself, its agent and that one's owner, and the same of each
/// task above.
fn chain<'a>(raw: &'a Raw, entry: &'a Value) -> Vec<(&'static str, &'a str)> {
    let above = entry["ancestors"].as_array().map_or(&[][..], Vec::as_slice);
    let own = std::iter::once(entry);
    let mut named = vec![("all", "")];
    for one in own.chain(above) {
        named.push(("task", text(one, "task")));
        named.push(("agent", text(one, "agent")));
        named.extend(
            raw.owner_of(text(one, "agent"))
                .map(|owner| ("owner", owner)),
        );
    }
    named
}

/// Every credential of the whole log.
pub(crate) fn lives(raw: &Raw) -> Vec<Life<'_>> {
    let mut revocations: Revocations<'_> = HashMap::new();
    let mut starts: HashMap<&str, (u64, &Value)> = HashMap::new();
    let mut ends: HashMap<&str, u64> = HashMap::new();
    for (at, entry) in raw.all() {
        let revocation = &entry["revocation"];
        if revocation.is_object() && entry["outcome"] == json!("done") {
            let named = (text(revocation, "selector"), text(revocation, "value"));
            revocations.entry(named).or_default().push(at);
        }
        let task = text(entry, "task");
        match (text(entry, "kind"), text(entry, "outcome")) {
            ("task.start", "allow") => drop(starts.insert(task, (at, entry))),
            ("task.end", "done") => drop(ends.entry(task).or_insert(at)),
            _ => {}
        }
    }
    let mut lives = Vec::new();
    for (issued, entry) in raw.all() {
        let credential = &entry["credential"];
        if !credential.is_object() || entry["outcome"] != json!("allow") {
            continue;
        }
        let tied = chain(raw, entry);
        let mut named = tied.clone();
        named.push(("credential", text(credential, "id")));
        named.push(("target", text(entry, "target")));
        named.push(("key", text(credential, "key")));
        let expires = millis(&entry["granted"]["expires_at"]);
        let (began, start) = starts[text(entry, "task")];
        let deadline = millis(&start["granted"]["expires_at"]);
        let ended = ends.get(text(entry, "task")).copied();
        let ruled = first(&revocations, &tied, began);
        lives.push(Life {
            entry,
            issued,
            expires,
            revoked: first(&revocations, &named, issued).filter(|at| *at < expires),
            task_ended: ended.into_iter().chain(ruled).fold(deadline, u64::min),
        });
    }
    lives
}
