use super::*;
use crate::testing::set;

const WORLD: &str = r#"
at = "2026-01-05T09:00:00Z"
[[owner]]
name = "payments"
[[target]]
uri = "https://ledger.example"
risk = "high"
scopes = { look = "read", pay = "actuate" }
[[agent]]
name = "bot"
owner = "payments"
stage = "bounded"
scopes = ["https://ledger.example#look", "https://ledger.example#pay"]
"#;

fn parse(case: &str) -> Result<Cases, CaseError> {
    Cases::parse("ours.cases.toml", &format!("{WORLD}\n[[case]]\n{case}"))
}

fn outcome(case: &str) -> Outcome {
    let report = parse(case).unwrap().run(&PolicySet::shipped().unwrap());
    report.outcomes.into_iter().next().unwrap()
}

/// The cases that come with the shipped set hold, and each of its policies determines one.
#[test]
fn the_shipped_cases_hold_for_the_shipped_set() {
    let text = include_str!("../../../../config/policies/shipped.cases.toml");
    let report = Cases::parse("shipped.cases.toml", text)
        .unwrap()
        .run(&PolicySet::shipped().unwrap());
    for outcome in &report.outcomes {
        let Outcome {
            name,
            expected,
            found,
        } = outcome;
        assert!(
            outcome.passed(),
            "{name}: expected {expected}, found {found}"
        );
    }
    assert_eq!(report.unexercised, Vec::<String>::new());
    assert_eq!(report.failed(), 0);
}

/// They are not true of any set: what takes a rule away, fails a case.
#[test]
fn without_any_one_policy_a_shipped_case_fails() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies");
    let text = include_str!("../../../../config/policies/shipped.cases.toml");
    let cases = Cases::parse("shipped.cases.toml", text).unwrap();
    let sources = crate::Sources::read(&dir).unwrap();
    for id in PolicySet::shipped().unwrap().policy_ids() {
        let files: Vec<_> = sources
            .files()
            .iter()
            .map(|(name, text)| (name.clone(), without(text, &id)))
            .collect();
        let changed = PolicySet::from_sources(sources.schema(), &files).unwrap();
        assert_eq!(changed.policy_ids().len(), 10, "{id}");
        assert!(cases.run(&changed).failed() > 0, "{id}");
    }
}

/// `text` without the policy `id`: each begins with its `@id` and ends at a line's semicolon.
fn without(text: &str, id: &str) -> String {
    let Some((before, policy)) = text.split_once(&format!("\n@id(\"{id}\")")) else {
        return text.to_owned();
    };
    let (_, after) = policy.split_once(";\n").unwrap();
    format!("{before}{after}")
}

#[test]
fn a_case_holds_only_for_the_decision_and_for_its_reason() {
    let asked = "name = \"x\"\nagent = \"bot\"\nscopes = [\"https://ledger.example#pay\"]\n";
    for (expected, passes) in [
        ("decision = \"deny\"\npolicies = [\"stage-bounded\"]", true),
        (
            "decision = \"deny\"\npolicies = [\"stage-bounded\"]\nwould_allow = []",
            true,
        ),
        (
            "decision = \"deny\"\npolicies = [\"stage-bounded\"]\nwould_allow = [\"https://ledger.example#look\"]",
            false,
        ),
        (
            "decision = \"deny\"\npolicies = [\"stage-read-only\"]",
            false,
        ),
        (
            "decision = \"deny\"\npolicies = [\"stage-bounded\", \"agent-not-active\"]",
            false,
        ),
        (
            "decision = \"allow\"\npolicies = [\"stage-bounded\"]",
            false,
        ),
        (
            "decision = \"deny\"\npolicies = [\"stage-bounded\"]\nerrored = true",
            false,
        ),
        (
            "purpose = \"\"\ndecision = \"deny\"\npolicies = [\"stage-bounded\", \"high-risk-needs-purpose\"]",
            true,
        ),
    ] {
        let outcome = outcome(&format!("{asked}{expected}"));
        assert_eq!(outcome.passed(), passes, "{expected}\n{outcome:?}");
    }
}

#[test]
fn what_a_case_says_reaches_the_policies() {
    let one = |condition: &str| {
        set(&format!(
            "@id(\"p\") permit (principal, action, resource is Scope) when {{ {condition} }};"
        ))
    };
    for (condition, field) in [
        ("context.ttl_seconds == 60", "ttl = \"1m\""),
        ("context.depth == 2", "depth = 2"),
        ("context.purpose == \"why\"", "purpose = \"why\""),
        ("context.attestation == \"jwt\"", "attestation = \"jwt\""),
        ("context.time == 0", "at = \"1970-01-01T00:00:30Z\""),
    ] {
        for (with, allowed) in [(field, true), ("", false)] {
            let decision = if allowed { "allow" } else { "deny" };
            let policy = if allowed { "p" } else { "default-deny" };
            let case = format!(
                "name = \"x\"\nagent = \"bot\"\nscopes = [\"https://ledger.example#look\"]\n\
                 {with}\ndecision = \"{decision}\"\npolicies = [\"{policy}\"]"
            );
            let report = parse(&case).unwrap().run(&one(condition));
            assert_eq!(report.failed(), 0, "{condition} {with}: {report:?}");
            assert_eq!(report.unexercised.is_empty(), allowed);
        }
    }
}

#[test]
fn a_file_that_would_check_nothing_is_refused() {
    let good = "name = \"x\"\nagent = \"bot\"\nscopes = [\"https://ledger.example#look\"]\n\
                decision = \"allow\"\npolicies = [\"permit-registered-scopes\"]";
    assert!(outcome(good).passed());
    for (from, to, expected) in [
        (
            "agent = \"bot\"",
            "agent = \"bob\"",
            "case \"x\": there is no agent `bob`",
        ),
        ("#look", "#lok", "case \"x\": there is no scope"),
        ("#look", "", "case \"x\": `https://ledger.example`: "),
        (
            "scopes",
            "scope",
            "ours.cases.toml:18:1: unknown field `scope`",
        ),
        (
            "decision",
            "certificate = \"client\"\ndecision",
            "case \"x\": asks for either",
        ),
        ("\"allow\"", "\"yes\"", "case \"x\": `decision` is"),
        (
            "[\"permit-registered-scopes\"]",
            "[]",
            "case \"x\": `policies` names",
        ),
        (
            "decision",
            "would_allow = []\ndecision",
            "case \"x\": `errored` and",
        ),
        ("decision", "ttl = \"0s\"\ndecision", "case \"x\": `0s`: "),
        (
            "decision",
            "at = \"noon\"\ndecision",
            "case \"x\": `noon` is no instant",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        let error = parse(&good.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{to}: {error}");
    }
    assert!(matches!(
        Cases::parse("ours.cases.toml", WORLD),
        Err(CaseError::Empty)
    ));
    let twice = parse(&format!("{good}\n[[case]]\n{good}")).unwrap_err();
    assert_eq!(twice.to_string(), "case \"x\": is in the file twice");
}
