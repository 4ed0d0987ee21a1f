//! OCSF: which class and activity an entry is, who did it, to what, and how it went.
//!
//! | entries | class | activity |
//! |---|---|---|
//! | `credential.*`, `enrolment.token` | Entity Management (3004) | Create |
//! | `registry`, `approval`, `key`, `policy` | Entity Management | Update |
//! | `revocation`, `task.end`, `reap` | Entity Management | Delete |
//! | `task.start` | Authorize Session (3003) | Assign Privileges |
//! | `enrolment`, `identity.*` | Authentication (3002) | Other |
//! | `read` | API Activity (6003) | Read |
//! | all others, `use` and `drill` among them | API Activity | Other |
//!
//! What a class requires is always there, and nothing is there that it does not know: tests/interop/siem
//! puts each kind to the published schema.

use serde_json::{Value, json};

use super::Placed;
use crate::entry::{Entry, EntryError};

/// The version of the schema.
pub const OCSF_VERSION: &str = "1.3.0";

/// A class, and what happened in its terms.
#[derive(Clone, Copy)]
struct Class {
    uid: u32,
    activity: u32,
}

impl Class {
    /// The schema's name for the activity; of others the event says what it was.
    const fn activity_name(self) -> Option<&'static str> {
        match (self.uid, self.activity) {
            (3003, ASSIGN_PRIVILEGES) => Some("Assign Privileges"),
            (_, CREATE) => Some("Create"),
            (_, READ) => Some("Read"),
            (_, UPDATE) => Some("Update"),
            (_, DELETE) => Some("Delete"),
            _ => None,
        }
    }
}

const ASSIGN_PRIVILEGES: u32 = 1;
const CREATE: u32 = 1;
const READ: u32 = 2;
const UPDATE: u32 = 3;
const DELETE: u32 = 4;
const OTHER: u32 = 99;

/// The event, on one line.
pub fn ocsf(placed: Placed<'_>) -> Result<String, EntryError> {
    let entry = Entry::parse(placed.log, placed.index, placed.json.as_bytes())?;
    let class = class(&entry.kind);
    let refused = entry.outcome == "deny";
    let actor = entry.actor.as_deref().unwrap_or(BROKER);
    let mut event = json!({
        "class_uid": class.uid,
        "category_uid": class.uid / 1000,
        "activity_id": class.activity,
        "activity_name": class.activity_name().unwrap_or(&entry.kind),
        "type_uid": u64::from(class.uid) * 100 + u64::from(class.activity),
        "time": entry.at.millis(),
        "severity_id": severity(&entry.kind, refused),
        "status_id": if refused { 2 } else { 1 },
        "message": format!("{} {}", entry.kind, entry.outcome),
        "metadata": {
            "version": OCSF_VERSION,
            "uid": entry.id,
            "event_code": entry.kind,
            "product": {"name": "taskpass", "vendor_name": "taskpass"},
            "log_provider": placed.origin,
            "log_name": placed.log,
            "sequence": placed.index,
        },
        "actor": {"user": user(actor)},
        "raw_data": placed.json,
    });
    let who = user(entry.agent.as_deref().unwrap_or(actor));
    let more = match class.uid {
        3002 => json!({"user": who, "service": {"name": "taskpass", "uid": placed.origin}}),
        3003 => json!({"user": who, "privileges": privileges(&entry), "session": session(&entry)}),
        3004 => json!({"entity": entity(&entry)}),
        _ => json!({
            "api": {"operation": entry.subject.as_deref().unwrap_or(&entry.kind)},
            "src_endpoint": {"name": actor},
        }),
    };
    add(&mut event, more);
    if let (6003, Some(target)) = (class.uid, &entry.target) {
        add(&mut event, json!({"dst_endpoint": {"name": target}}));
    }
    // These two know an actor by this profile alone.
    if matches!(class.uid, 3003 | 3004) {
        more_metadata(&mut event, json!({"profiles": ["host"]}));
    }
    add(&mut event, occurrence(&entry));
    if let Some(reason) = &entry.reason {
        let key = if refused {
            "status_code"
        } else {
            "status_detail"
        };
        add(&mut event, json!({ key: reason }));
    }
    if let Some(task) = &entry.task {
        more_metadata(&mut event, json!({"correlation_uid": task}));
    }
    Ok(event.to_string())
}

fn class(kind: &str) -> Class {
    let (uid, activity) = match kind {
        "credential.token" | "credential.certificate" | "enrolment.token" => (3004, CREATE),
        "registry" | "approval" | "key" | "policy" => (3004, UPDATE),
        "revocation" | "task.end" | "reap" => (3004, DELETE),
        "task.start" => (3003, ASSIGN_PRIVILEGES),
        "enrolment" | "identity.renew" | "identity.theft" => (3002, OTHER),
        "read" => (6003, READ),
        _ => (6003, OTHER),
    };
    Class { uid, activity }
}

/// Informational, low for what was refused, high for a stolen identity.
fn severity(kind: &str, refused: bool) -> u32 {
    match (kind, refused) {
        ("identity.theft", _) => 4,
        (_, true) => 2,
        (_, false) => 1,
    }
}

/// What stands for the broker where it did something by itself.
const BROKER: &str = "broker";

/// A principal: the system's, or else no account of a person.
fn user(name: &str) -> Value {
    const SYSTEM: u32 = 3;
    if name == BROKER {
        return json!({"name": name, "type": "System", "type_id": SYSTEM});
    }
    let kind = name.split_once('/').map_or("agent", |(kind, _)| kind);
    json!({"name": name, "type": kind, "type_id": OTHER})
}

/// The scopes that a task may use; of one that was refused, those that it asked for.
fn privileges(entry: &Entry) -> Value {
    let terms = entry.granted.as_ref().or(entry.asked.as_ref());
    json!(terms.map_or(&[][..], |terms| &terms.scopes))
}

/// The task, as a session: of one that was refused there is none to name.
fn session(entry: &Entry) -> Value {
    let granted = entry.granted.as_ref();
    let expires_at = granted.and_then(|granted| granted.expires_at);
    let mut session = json!({"created_time": entry.at.millis()});
    if let Some(task) = &entry.task {
        add(&mut session, json!({"uid": task}));
    }
    if let Some(at) = expires_at {
        add(&mut session, json!({"expiration_time": at.millis()}));
    }
    session
}

/// What was made, changed or ended.
fn entity(entry: &Entry) -> Value {
    if let Some(revocation) = &entry.revocation {
        // Of everything there is no id.
        if revocation.value.is_empty() {
            return json!({"type": revocation.selector, "name": revocation.selector});
        }
        return json!({"type": revocation.selector, "uid": revocation.value});
    }
    if let Some(credential) = &entry.credential {
        return json!({"type": credential.kind, "uid": credential.id});
    }
    if let (Some(task), "task.end") = (&entry.task, entry.kind.as_str()) {
        return json!({"type": "task", "uid": task});
    }
    let name = entry.subject.as_deref().or(entry.target.as_deref());
    json!({"type": entry.kind, "name": name.unwrap_or(&entry.kind)})
}

/// How often it happened, and in which time, of entries that stand for more than one event.
fn occurrence(entry: &Entry) -> Value {
    if let Some(count) = entry.count {
        return json!({"count": count});
    }
    if let Some(coverage) = &entry.coverage {
        let (from, until) = (coverage.from.millis(), coverage.until.millis());
        return json!({"start_time": from, "end_time": until});
    }
    let items = entry.used.iter().flat_map(|used| &used.items);
    let count = items
        .clone()
        .fold(0_u64, |sum, item| sum.saturating_add(item.count));
    match items.map(|item| item.last_at.millis()).max() {
        Some(last) => json!({"count": count, "end_time": last}),
        None => json!({}),
    }
}

fn more_metadata(event: &mut Value, more: Value) {
    if let Some(metadata) = event.get_mut("metadata") {
        add(metadata, more);
    }
}

fn add(to: &mut Value, more: Value) {
    if let (Value::Object(to), Value::Object(more)) = (to, more) {
        to.extend(more);
    }
}
