//! Readiness: what each requirement measures of each agent, and whether that is enough.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::raw::{Raw, millis, text};

const DAY: u64 = 86_400_000;

/// What is asked where no file says otherwise.
struct Asked {
    bound: u64,
}

fn asked(stage: &str) -> Asked {
    let bound = match stage {
        "read-only" => 0,
        "bounded" => 50,
        "autonomous" => 90,
        other => panic!("{other} is no stage"),
    };
    Asked { bound }
}

fn judged(good: bool) -> &'static str {
    if good { "pass" } else { "fail" }
}

/// So many in a hundred, cut off.
fn percent(part: u64, whole: u64) -> Option<u64> {
    (part * 100).checked_div(whole)
}

/// What an agent did in the period.
struct Work<'a> {
    tokens: Vec<&'a Value>,
    certificates: Vec<&'a Value>,
    requests: u64,
    denials: u64,
    would_deny: u64,
    methods: BTreeSet<&'a str>,
}

fn work<'a>(raw: &'a Raw, name: &str) -> Work<'a> {
    let own: Vec<&Value> = raw
        .naming_in_period(name)
        .map(|(_, e)| e)
        .filter(|e| e["agent"] == json!(name))
        .collect();
    let allowed = |kind: &str| -> Vec<&'a Value> {
        let own = own
            .iter()
            .filter(|e| text(e, "kind") == kind && text(e, "outcome") == "allow");
        own.copied().collect()
    };
    let denied = own.iter().filter(|e| text(e, "outcome") == "deny");
    let denials = denied
        .map(|e| {
            e["count"]
                .as_u64()
                .filter(|_| text(e, "kind") == "denials")
                .unwrap_or(1)
        })
        .sum();
    let (tokens, certificates) = (
        allowed("credential.token"),
        allowed("credential.certificate"),
    );
    let would = own
        .iter()
        .filter(|e| text(e, "outcome") == "allow" && e["decision"]["would_deny"] == json!(true));
    let itself = json!(format!("agent/{name}"));
    let called = raw
        .naming_in_period(name)
        .filter(|(_, e)| e["actor"] == itself);
    Work {
        requests: denials
            + (allowed("task.start").len() + tokens.len() + certificates.len()) as u64,
        denials,
        would_deny: would.count() as u64,
        methods: called
            .filter_map(|(_, e)| e["attestation"]["method"].as_str())
            .collect(),
        tokens,
        certificates,
    }
}

/// The longest life among these, in seconds.
fn longest(credentials: &[&Value]) -> Option<u64> {
    let life = |entry: &&Value| {
        millis(&entry["granted"]["expires_at"]) / 1000 - millis(&entry["at"]) / 1000
    };
    credentials.iter().map(life).max()
}

/// Each requirement of one agent: which, what was measured, how that went. `least` has the scopes that
/// are permitted, counted before.
fn checks(
    raw: &Raw,
    name: &str,
    least: &[&Value],
    covered: &BTreeSet<&str>,
    shared: bool,
) -> Vec<(&'static str, Value, &'static str)> {
    let agent = &raw.agents[name];
    let work = work(raw, name);
    let owner = text(agent, "owner");
    let active =
        raw.owners.contains_key(owner) && raw.state(&format!("owner {owner}")) == Some("active");
    let proved = work
        .methods
        .iter()
        .any(|method| *method != "enrolment_token");
    let bad = u64::from(shared);
    let permitted: Vec<_> = least
        .iter()
        .filter(|row| row["permitted"] == json!(true))
        .collect();
    let was_used = |row: &&&&Value| {
        ["used", "used_below"]
            .iter()
            .any(|field| row[field].as_u64() > Some(0))
    };
    let used = permitted.iter().filter(was_used).count() as u64;
    // Not seen in use is not used only where everything was seen, of the whole period.
    let unknown = permitted
        .iter()
        .filter(|row| !was_used(row))
        .filter(|row| {
            let target = text(row, "scope").split_once('#').unwrap().0;
            row["used"].is_null() || row["used_below"].is_null() || !covered.contains(target)
        })
        .count() as u64;
    let whole = permitted.len() as u64;
    let (at_least, at_most) = (percent(used, whole), percent(used + unknown, whole));
    let least_privilege = match (at_least, at_most) {
        (Some(share), _) if share >= 50 => (json!(share), "pass"),
        (Some(share), Some(most)) if most < 50 => (json!(share), "fail"),
        _ => (Value::Null, "unknown"),
    };
    let (token, certificate) = (longest(&work.tokens), longest(&work.certificates));
    let ttl = token
        .map(|life| life * 100 / 900)
        .max(certificate.map(|life| life * 100 / 3600));
    let short = token.is_none_or(|life| life <= 900) && certificate.is_none_or(|life| life <= 3600);
    let bound = work
        .tokens
        .iter()
        .filter(|e| e["credential"]["bound_to"].is_string())
        .count() as u64;
    let bound = percent(bound, work.tokens.len() as u64);
    let bound_asked = asked(text(agent, "stage")).bound;
    let worked = work.requests > 0;
    let known = |known: bool, good: bool| if known { judged(good) } else { "unknown" };
    let left = millis(&agent["valid_until"]).saturating_sub(raw.until);
    vec![
        ("owner_active", json!(u64::from(active)), judged(active)),
        (
            "attestation",
            json!((proved || bad > 0).then_some(bad)),
            known(proved || bad > 0, bad == 0),
        ),
        ("least_privilege", least_privilege.0, least_privilege.1),
        ("ttl", json!(ttl), known(ttl.is_some(), short)),
        (
            "bound_tokens",
            json!(bound),
            known(bound.is_some(), bound >= Some(bound_asked)),
        ),
        (
            "denials",
            json!(percent(work.denials, work.requests)),
            known(worked, work.denials * 100 <= work.requests * 10),
        ),
        (
            "would_deny",
            json!(worked.then_some(work.would_deny)),
            known(worked, work.would_deny == 0),
        ),
        ("drill", Value::Null, "unknown"),
        ("log_verified", json!(raw.entries.len()), "pass"),
        (
            "review_date",
            json!(left / DAY),
            judged(left > 0 && left <= 180 * DAY),
        ),
    ]
}

/// The whole report; `least` is the one on least privilege, of which every row was counted.
pub(crate) fn check(raw: &Raw, shared: &BTreeSet<&str>, least: &Value, report: &Value) {
    let rows = report["rows"].as_array().unwrap();
    let names: BTreeSet<&str> = rows.iter().map(|row| text(row, "agent")).collect();
    assert_eq!(names, raw.agents.keys().map(String::as_str).collect());
    assert_eq!(rows.len(), names.len());
    let scopes = least["rows"].as_array().unwrap();
    let targets = least["coverage"]["targets"].as_array().unwrap();
    let covered: BTreeSet<&str> = targets
        .iter()
        .filter(|target| target["whole_period"] == json!(true))
        .map(|target| text(target, "target"))
        .collect();
    let mut ready = 0;
    for row in rows {
        let name = text(row, "agent");
        let agent = &raw.agents[name];
        let own: Vec<&Value> = scopes
            .iter()
            .filter(|row| text(row, "agent") == name)
            .collect();
        let expected = checks(raw, name, &own, &covered, shared.contains(name));
        let found: Vec<(&str, Value, &str)> = row["checks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|check| {
                (
                    text(check, "requirement"),
                    check["measured"].clone(),
                    text(check, "outcome"),
                )
            })
            .collect();
        assert_eq!(found, expected, "{name}");
        let missing = expected.iter().filter(|check| check.2 != "pass").count();
        ready += u64::from(missing == 0);
        assert_eq!(row["missing"], json!(missing));
        assert_eq!(row["ready"], json!(missing == 0));
        for field in ["owner", "stage"] {
            assert_eq!(row[field], agent[field]);
        }
        assert_eq!(row["for_stage"], agent["stage"]);
        let rose = raw
            .entries
            .iter()
            .rev()
            .find(|entry| entry["promotion"].is_object() && entry["agent"] == json!(name));
        // Nobody rises twice here, and nobody who rose is lowered.
        let by = rose.map_or(json!("registration"), |entry| {
            entry["promotion"]["by"].clone()
        });
        assert_eq!(row["ground"]["by"], by, "{name}");
        let at = rose.map_or(Value::Null, |entry| entry["at"].clone());
        assert_eq!(row["ground"]["at"], at);
        assert_eq!(row["state"].as_str(), raw.state(&format!("agent {name}")));
    }
    assert_eq!(report["agents"], json!(rows.len()));
    assert_eq!(report["ready"], json!(ready));
}
