//! CloudEvents 1.0, in JSON: the entry is the data of the event.

use serde_json::Value;

use super::Placed;
use crate::entry::{Entry, EntryError};

/// What types begin with; the number is that of the entry's form.
const TYPE: &str = "taskpass.audit.v1";

/// The event, on one line.
///
/// `source` and `id` together name an entry for ever: the origin of its log, and its id. `subject` is
/// what it is about most closely: the credential, the task, or what was changed.
pub fn cloudevents(placed: Placed<'_>) -> Result<String, EntryError> {
    let entry = Entry::parse(placed.log, placed.index, placed.json.as_bytes())?;
    let text = |text: &str| Value::from(text).to_string();
    let kind = format!("{TYPE}.{}.{}", entry.kind, entry.outcome);
    let credential = entry.credential.map(|credential| credential.id);
    let subject = credential.or(entry.task).or(entry.subject);
    let subject = subject.map(|subject| format!("\"subject\":{},", text(&subject)));
    Ok(format!(
        "{{\"specversion\":\"1.0\",\"id\":{},\"source\":{},\"type\":{},\"time\":\"{}\",{}\
         \"datacontenttype\":\"application/json\",\"sequence\":\"{:020}\",\"data\":{}}}",
        text(&entry.id),
        text(&format!("//{}", placed.origin)),
        text(&kind),
        entry.at,
        subject.unwrap_or_default(),
        placed.index,
        placed.json
    ))
}
