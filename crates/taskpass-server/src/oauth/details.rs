//! `authorization_details` (RFC 9396): exactly one object, of the type `urn:taskpass:task`.
//!
//! Members that are not known refuse the request: whoever names a limit must not be misunderstood.

use std::time::Duration;

use serde::Deserialize;
use taskpass_core::TaskId;
use taskpass_core::ttl::{MAX_TASK_TTL, Ttl};
use taskpass_token::claims::TASK_DETAILS_TYPE;
use taskpass_token::strict::{Object, present};

use super::form::Form;
use super::refusal::{Code, Refusal};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Details {
    r#type: String,
    #[serde(default, deserialize_with = "present")]
    purpose: Option<String>,
    #[serde(default, deserialize_with = "present")]
    ttl: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    task_id: Option<String>,
}

/// A task that is to be started.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NewTask {
    pub(super) purpose: String,
    pub(super) ttl: Option<Ttl>,
}

fn wrong(message: &str) -> Refusal {
    Refusal::new(Code::InvalidAuthorizationDetails, message)
}

fn read(text: &str, example: &str) -> Result<Details, Refusal> {
    let expected = || {
        wrong(&format!(
            "authorization_details is a JSON array like {example}"
        ))
    };
    let details: Vec<Object<Details>> = serde_json::from_str(text).map_err(|_| expected())?;
    match <[_; 1]>::try_from(details) {
        Ok([Object(details)]) if details.r#type == TASK_DETAILS_TYPE => Ok(details),
        Ok(_) | Err(_) => Err(expected()),
    }
}

/// The task that a client asks to start.
pub(super) fn new_task(form: &Form) -> Result<NewTask, Refusal> {
    const EXAMPLE: &str =
        "[{'type':'urn:taskpass:task','purpose':'reconcile march','ttl':600}], ttl in seconds";
    let missing = || {
        wrong(&format!(
            "say what the task is for: authorization_details={EXAMPLE}"
        ))
    };
    let details = read(
        form.get("authorization_details").ok_or_else(missing)?,
        EXAMPLE,
    )?;
    if details.task_id.is_some() {
        return Err(wrong(
            "client_credentials starts a task; for another token of a task exchange one of its tokens",
        ));
    }
    let ttl = details
        .ttl
        .map(|seconds| Ttl::new(Duration::from_secs(seconds), MAX_TASK_TTL))
        .transpose()
        .map_err(|error| wrong(&error.to_string()))?;
    Ok(NewTask {
        purpose: details.purpose.ok_or_else(missing)?,
        ttl,
    })
}

/// Whether what an exchange says of its task, if anything, is true of `task`.
pub(super) fn same_task(form: &Form, task: TaskId) -> Result<(), Refusal> {
    let Some(text) = form.get("authorization_details") else {
        return Ok(());
    };
    let details = read(text, "[{'type':'urn:taskpass:task','task_id':'...'}]")?;
    if details.purpose.is_some() || details.ttl.is_some() {
        return Err(wrong(
            "an exchange stays in its task, whose purpose and ttl are fixed: leave them out",
        ));
    }
    match details.task_id.as_deref().map(str::parse::<TaskId>) {
        None => Ok(()),
        Some(Ok(named)) if named == task => Ok(()),
        Some(_) => Err(wrong("task_id is not the task of the subject_token")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(details: &str) -> Form {
        let encoded: String = form_urlencoded::byte_serialize(details.as_bytes()).collect();
        Form::read(format!("authorization_details={encoded}").as_bytes()).unwrap()
    }

    #[test]
    fn one_task_and_nothing_unknown() {
        let task = new_task(&form(
            r#"[{"type":"urn:taskpass:task","purpose":"p","ttl":60}]"#,
        ));
        let task = task.unwrap();
        assert_eq!(
            (task.purpose.as_str(), task.ttl),
            ("p", Some(Ttl::from_mins(1)))
        );
        for bad in [
            "",
            "{}",
            "[]",
            "[[]]",
            r#"{"type":"urn:taskpass:task","purpose":"p"}"#,
            r#"[{"type":"urn:taskpass:task"}]"#,
            r#"[{"type":"urn:other","purpose":"p"}]"#,
            r#"[{"type":"urn:taskpass:task","purpose":null}]"#,
            r#"[{"type":"urn:taskpass:task","purpose":"p","purpose":"q"}]"#,
            r#"[{"type":"urn:taskpass:task","purpose":"p","ttl":0}]"#,
            r#"[{"type":"urn:taskpass:task","purpose":"p","ttl":-1}]"#,
            r#"[{"type":"urn:taskpass:task","purpose":"p","ttl":"60"}]"#,
            r#"[{"type":"urn:taskpass:task","purpose":"p","ttl":86401}]"#,
            r#"[{"type":"urn:taskpass:task","purpose":"p","actions":["x"]}]"#,
            r#"[{"type":"urn:taskpass:task","purpose":"p","task_id":"x"}]"#,
            r#"[{"type":"urn:taskpass:task","purpose":"p"},{"type":"urn:taskpass:task","purpose":"p"}]"#,
        ] {
            let refusal = new_task(&form(bad)).unwrap_err();
            assert_eq!(refusal.code(), "invalid_authorization_details", "{bad}");
        }
    }

    #[test]
    fn an_exchange_names_its_own_task_or_none() {
        let task = TaskId::first_at(taskpass_core::Timestamp::from_secs(7));
        let says = |more: &str| {
            let details = format!(r#"[{{"type":"urn:taskpass:task"{more}}}]"#);
            same_task(&form(&details), task).is_ok()
        };
        assert!(same_task(&Form::read(b"").unwrap(), task).is_ok());
        assert!(says(""));
        assert!(says(&format!(r#","task_id":"{task}""#)));
        let other = TaskId::first_at(taskpass_core::Timestamp::from_secs(8));
        for more in [
            format!(r#","task_id":"{other}""#),
            r#","task_id":"""#.to_owned(),
            r#","purpose":"another""#.to_owned(),
            r#","ttl":60"#.to_owned(),
        ] {
            assert!(!says(&more), "{more}");
        }
    }
}
