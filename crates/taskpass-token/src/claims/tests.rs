//! Claims written, read back, and refused.

use super::*;
use proptest::prelude::*;
use taskpass_core::time::Timestamp;

/// Claims that hold at second 1000 and end at 1300.
pub(crate) fn claims() -> Claims {
    let mut id = *CredentialId::first_at(Timestamp::from_millis(1_300_250)).as_bytes();
    id[15] = 7;
    let task = |last: u8| {
        let mut bytes = *TaskId::first_at(Timestamp::from_secs(2000)).as_bytes();
        bytes[15] = last;
        TaskId::from_bytes(bytes).unwrap()
    };
    Claims {
        issuer: "https://broker.example".into(),
        subject: "spiffe://example.org/agent/invoice-bot".parse().unwrap(),
        audience: "https://ledger.example".parse().unwrap(),
        client_id: "invoice-bot".parse().unwrap(),
        expires_at: 1300,
        issued_at: 1000,
        not_before: 1000,
        id: CredentialId::from_bytes(id).unwrap(),
        scopes: vec![
            "invoices:read".parse().unwrap(),
            "invoices:write".parse().unwrap(),
        ],
        task: TaskClaims {
            task: task(1),
            purpose: "close the \"March\" books\n".into(),
            ancestors: vec![Ancestor {
                task: task(2),
                agent: "planner".parse().unwrap(),
            }],
            stage: Stage::Bounded,
            decision: DecisionId::first_at(Timestamp::from_secs(999)),
        },
        bound_to: Some(Sha256::of(b"certificate")),
    }
}

#[test]
fn the_form_is_fixed() {
    let claims = claims();
    let expected = format!(
        concat!(
            r#"{{"iss":"https://broker.example","sub":"spiffe://example.org/agent/invoice-bot","#,
            r#""aud":"https://ledger.example","client_id":"invoice-bot","exp":1300,"iat":1000,"#,
            r#""nbf":1000,"jti":"{}","scope":"invoices:read invoices:write","#,
            r#""authorization_details":[{{"type":"urn:taskpass:task","task_id":"{}","#,
            r#""purpose":"close the \"March\" books\n","ancestors":[{{"task_id":"{}","#,
            r#""agent":"planner"}}],"stage":"bounded","decision_id":"{}"}}],"#,
            r#""act":{{"sub":"spiffe://example.org/agent/invoice-bot","#,
            r#""act":{{"sub":"spiffe://example.org/agent/planner"}}}},"#,
            r#""cnf":{{"x5t#S256":"{}"}}}}"#
        ),
        claims.id,
        claims.task.task,
        claims.task.ancestors[0].task,
        claims.task.decision,
        Sha256::of(b"certificate").base64url(),
    );
    assert_eq!(claims.to_json(), expected);
    let unbound = Claims {
        bound_to: None,
        ..claims
    };
    assert!(!unbound.to_json().contains("cnf"));
}

/// Who acts is outermost, who began innermost; an agent's own subtasks hand on nothing.
#[test]
fn act_says_who_acts_and_who_handed_the_work_on() {
    let act = |agents: &[&str]| {
        let mut claims = claims();
        let place = claims.task.ancestors.remove(0);
        claims.task.ancestors = agents
            .iter()
            .map(|agent| Ancestor {
                task: place.task,
                agent: agent.parse().unwrap(),
            })
            .collect();
        let json = claims.to_json();
        assert_eq!(Claims::from_json(json.as_bytes()).unwrap(), claims);
        let mut claim = &serde_json::from_str::<serde_json::Value>(&json).unwrap()["act"];
        let mut said = Vec::new();
        while let Some(actor) = claim.as_object() {
            said.push(
                actor["sub"]
                    .as_str()
                    .unwrap()
                    .rsplit('/')
                    .next()
                    .unwrap()
                    .to_owned(),
            );
            assert_eq!(actor.len(), 1 + usize::from(actor.contains_key("act")));
            claim = actor.get("act").unwrap_or(&serde_json::Value::Null);
        }
        said
    };
    let none: [&str; 0] = [];
    assert_eq!(act(&[]), none);
    assert_eq!(act(&["invoice-bot", "invoice-bot"]), none);
    assert_eq!(act(&["planner"]), ["invoice-bot", "planner"]);
    assert_eq!(
        act(&["invoice-bot", "planner", "planner"]),
        ["invoice-bot", "planner"]
    );
    assert_eq!(
        act(&["planner", "invoice-bot", "boss"]),
        ["invoice-bot", "planner", "invoice-bot", "boss"]
    );
}

#[test]
fn act_agrees_with_the_rest_or_the_token_is_refused() {
    let json = claims().to_json();
    let bot = r#""sub":"spiffe://example.org/agent/invoice-bot""#;
    let planner = r#""sub":"spiffe://example.org/agent/planner""#;
    let claim = format!(r#""act":{{{bot},"act":{{{planner}}}}}"#);
    assert!(json.contains(&claim));
    let with = |act: &str| {
        let json = json.replace(&claim, act);
        Claims::from_json(json.as_bytes())
    };
    assert!(with(&claim).is_ok());
    // What else is said of an actor is not ours to judge.
    let more = format!(r#""act":{{"iss":"x",{bot},"act":{{{planner}}}}}"#);
    assert!(with(&more).is_ok());
    let deep = (0..200).fold(String::from("{}"), |within, _| {
        format!(r#"{{{planner},"act":{within}}}"#)
    });
    for bad in [
        // The one who handed it on does not act.
        format!(r#""act":{{{planner}}}"#),
        format!(r#""act":{{{bot}}}"#),
        format!(r#""act":{{{planner},"act":{{{bot}}}}}"#),
        format!(r#""act":{{{bot},"act":{{{planner},"act":{{{planner}}}}}}}"#),
        format!(r#""act":{{{bot},"act":{{"sub":"planner"}}}}"#),
        format!(r#""act":{{{bot},"act":null}}"#),
        format!(r#""act":{{{bot},"act":[]}}"#),
        format!(r#""act":{{"act":{{{planner}}}}}"#),
        format!(r#""act":{deep}"#),
        r#""act":null"#.to_owned(),
        r#""act":"spiffe://example.org/agent/invoice-bot""#.to_owned(),
        // Another claim, and none of this name.
        r#""sid":1"#.to_owned(),
        format!("{claim},{claim}"),
    ] {
        assert!(with(&bad).is_err(), "{bad}");
    }
    // Where nobody handed anything on, nobody else acts.
    let mut own = claims();
    own.task.ancestors.clear();
    let own = own.to_json();
    assert!(Claims::from_json(own.as_bytes()).is_ok());
    let acting = own.replacen('{', &format!(r#"{{"act":{{{bot}}},"#), 1);
    assert!(Claims::from_json(acting.as_bytes()).is_err());
}

#[test]
fn a_place_on_a_status_list_is_written_and_read() {
    let claims = claims();
    let status = StatusRef {
        index: 131_071,
        uri: "https://broker.example/status/472222-0".into(),
    };
    let json = claims.to_json_listed(Some(&status));
    let claim = concat!(
        r#","status":{"status_list":{"idx":131071,"#,
        r#""uri":"https://broker.example/status/472222-0"}}}"#
    );
    assert_eq!(
        json,
        format!(
            "{}{claim}",
            claims.to_json().trim_end_matches('}').to_owned() + "}"
        )
    );
    let read = Claims::from_json_listed(json.as_bytes()).unwrap();
    assert_eq!(read, (claims.clone(), Some(status)));
    assert_eq!(Claims::from_json(json.as_bytes()).unwrap(), claims);
    let with = |status: &str| {
        let json = json.replace(claim, &format!(r#","status":{status}}}"#));
        Claims::from_json_listed(json.as_bytes()).map(|(_, status)| status)
    };
    for other in ["{}", r#"{"identifier_list":{"id":"x"}}"#] {
        assert_eq!(with(other).unwrap(), None);
    }
    for bad in [
        "null",
        "[]",
        "7",
        r#"{"status_list":null}"#,
        r#"{"status_list":[7,"u"]}"#,
        r#"{"status_list":{"idx":7}}"#,
        r#"{"status_list":{"uri":"u"}}"#,
        r#"{"status_list":{"idx":-1,"uri":"u"}}"#,
        r#"{"status_list":{"idx":"7","uri":"u"}}"#,
        r#"{"status_list":{"idx":7,"idx":8,"uri":"u"}}"#,
        r#"{"status_list":{"idx":7,"uri":"u"},"status_list":{"idx":7,"uri":"u"}}"#,
    ] {
        assert!(with(bad).is_err(), "{bad}");
    }
}

#[test]
fn strangers_are_ignored_and_a_lone_audience_may_stand_in_an_array() {
    let claims = claims();
    let json = claims.to_json();
    let more = json.replacen('{', r#"{"sid":{"sub":"x"},"#, 1);
    assert_eq!(Claims::from_json(more.as_bytes()).unwrap(), claims);
    let array = json.replace(
        r#""https://ledger.example""#,
        r#"["https://ledger.example"]"#,
    );
    assert_eq!(Claims::from_json(array.as_bytes()).unwrap(), claims);
}

#[test]
fn a_wrong_shape_is_an_error_and_never_absent() {
    let json = claims().to_json();
    for (from, to) in [
        (r#""exp":1300"#, r#""exp":"1300""#),
        (r#""exp":1300"#, r#""exp":1300.0"#),
        (r#""exp":1300"#, r#""exp":13e2"#),
        (r#""exp":1300"#, r#""exp":-1"#),
        (r#""exp":1300"#, r#""exp":18446744073709551616"#),
        (r#""exp":1300"#, r#""exp":null"#),
        (r#""exp":1300,"#, ""),
        (r#""exp":1300"#, r#""exp":1300,"exp":9999"#),
        (r#""nbf":1000"#, r#""nbf":null"#),
        (r#""nbf":1000,"#, ""),
        (r#""iat":1000"#, r#""iat":true"#),
        (r#""https://ledger.example""#, "[]"),
        (r#""https://ledger.example""#, "null"),
        (r#""https://ledger.example""#, "7"),
        (r#""https://ledger.example""#, "{}"),
        (
            r#""https://ledger.example""#,
            r#"[["https://ledger.example"]]"#,
        ),
        (
            r#""https://ledger.example""#,
            r#"["https://ledger.example","https://other.example"]"#,
        ),
        (r#""cnf":{"#, r#""cnf":null,"x":{"#),
        (r#""cnf":{"#, r#""cnf":{"jkt":"x","#),
        (r#""ancestors":[{"#, r#""ancestors":["x",{"#),
        (
            r#""agent":"planner""#,
            r#""agent":"planner","agent":"other""#,
        ),
        (
            r#""stage":"bounded""#,
            r#""stage":"bounded","stage":"autonomous""#,
        ),
        (r#""iss":"#, r#""iss":"https://evil.example","iss":"#),
    ] {
        let changed = json.replacen(from, to, 1);
        assert_ne!(changed, json, "{from}");
        assert!(
            matches!(
                Claims::from_json(changed.as_bytes()),
                Err(ClaimsError::Json(_))
            ),
            "{changed}"
        );
    }
    for whole in ["", "null", "[]", "{}", "{} {}"] {
        assert!(Claims::from_json(whole.as_bytes()).is_err(), "{whole}");
    }
}

#[test]
fn a_wrong_value_is_named() {
    let json = claims().to_json();
    let id = claims().id.to_string();
    for (from, to, claim) in [
        ("spiffe://", "https://", "sub"),
        ("\"https://ledger.example\"", "\"\"", "aud"),
        (
            "\"client_id\":\"invoice-bot\"",
            "\"client_id\":\"A\"",
            "client_id",
        ),
        (&*id, &*id.to_lowercase(), "jti"),
        ("invoices:read invoices", "invoices:read  invoices", "scope"),
        ("invoices:read invoices:write", "", "scope"),
        ("urn:taskpass:task", "urn:other", "authorization_details"),
        (r#""agent":"planner""#, r#""agent":"Planner""#, "ancestors"),
        ("bounded", "unbounded", "stage"),
        (r#"x5t#S256":""#, r#"x5t#S256":"A"#, "cnf"),
    ] {
        let changed = json.replacen(from, to, 1);
        assert_ne!(changed, json, "{from}");
        assert!(
            matches!(Claims::from_json(changed.as_bytes()), Err(ClaimsError::Value(c)) if c == claim),
            "{changed}"
        );
    }
    let start = json.find(r#""authorization_details":["#).unwrap() + 25;
    let end = json.find(r#"],"act""#).unwrap();
    let entry = json.get(start..end).unwrap();
    for entries in [String::new(), format!("{entry},{entry}")] {
        let changed = json.replacen(entry, &entries, 1);
        assert!(
            matches!(
                Claims::from_json(changed.as_bytes()),
                Err(ClaimsError::Value("authorization_details"))
            ),
            "{changed}"
        );
    }
}

proptest! {
    #[test]
    fn reads_back(purpose in ".{0,256}", exp: u64, iat: u64, nbf: u64, issuer in ".{0,40}") {
        let value = Claims {
            expires_at: exp,
            issued_at: iat,
            not_before: nbf,
            issuer,
            task: TaskClaims { purpose, ..claims().task },
            ..claims()
        };
        prop_assert_eq!(Claims::from_json(value.to_json().as_bytes()).unwrap(), value);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Claims::from_json(&bytes);
    }
}
