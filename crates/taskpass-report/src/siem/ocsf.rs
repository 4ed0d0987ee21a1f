//! OCSF: which class and activity an entry is, who did it, to what, and how it went.
//!
//! | entries | class | activity |
//! |---|---|---|
//! | `credential.*`, `enrolment.token` | Entity Management (3004) | Create |
//! | `registry`, `key`, `policy` | Entity Management | Update |
//! | `revocation`, `task.end`, `reap` | Entity Management | Delete |
//! | `task.start`, `task.tie` | Authorize Session (3003) | Assign Privileges |
//! | `enrolment`, `identity.*` | Authentication (3002) | Other |
//! | `read` | API Activity (6003) | Read |
//! | all others | API Activity | Other |

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
    let actor = entry.actor.as_deref().unwrap_or("broker");
    let mut event = json!({
        "class_uid": class.uid,
        "category_uid": class.uid / 1000,
        "activity_id": class.activity,
        "activity_name": entry.kind,
        "type_uid": u64::from(class.uid) * 100 + u64::from(class.activity),
        "time": entry.at.millis(),
        "severity_id": severity(&entry.kind, refused),
        "status_id": if refused { 2 } else { 1 },
        "message": format!("{} {}", entry.kind, entry.outcome),
        "metadata": {
            "version": OCSF_VERSION,
            "uid": entry.id,
            "product": {"name": "taskpass", "vendor_name": "taskpass"},
            "log_provider": placed.origin,
            "log_name": placed.log,
            "sequence": placed.index,
        },
        "actor": {"user": user(actor)},
        "raw_data": placed.json,
    });
    let more = match class.uid {
        3002 | 3003 => json!({"user": user(entry.agent.as_deref().unwrap_or(actor))}),
        3004 => json!({"entity": entity(&entry)}),
        _ => json!({
            "api": {"operation": entry.subject.as_deref().unwrap_or(&entry.kind)},
            "src_endpoint": {"name": actor},
        }),
    };
    add(&mut event, more);
    if let Some(reason) = &entry.reason {
        let key = if refused {
            "status_code"
        } else {
            "status_detail"
        };
        add(&mut event, json!({ key: reason }));
    }
    if let Some(task) = &entry.task
        && let Some(metadata) = event.get_mut("metadata")
    {
        add(metadata, json!({"correlation_uid": task}));
    }
    Ok(event.to_string())
}

fn class(kind: &str) -> Class {
    let (uid, activity) = match kind {
        "credential.token" | "credential.certificate" | "enrolment.token" => (3004, CREATE),
        "registry" | "key" | "policy" => (3004, UPDATE),
        "revocation" | "task.end" | "reap" => (3004, DELETE),
        // Its first activity is called so.
        "task.start" | "task.tie" => (3003, 1),
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

/// A principal: neither a person's account nor the system's.
fn user(name: &str) -> Value {
    let kind = name.split_once('/').map_or("agent", |(kind, _)| kind);
    json!({"name": name, "type": kind, "type_id": OTHER})
}

/// What was made, changed or ended.
fn entity(entry: &Entry) -> Value {
    if let Some(revocation) = &entry.revocation {
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

fn add(to: &mut Value, more: Value) {
    if let (Value::Object(to), Value::Object(more)) = (to, more) {
        to.extend(more);
    }
}
