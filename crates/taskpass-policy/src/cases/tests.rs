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
        assert_eq!(changed.policy_ids().len(), 13, "{id}");
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
        (
            "agent = \"bot\"",
            "",
            "case \"x\": is about either an `agent` or an `operator`",
        ),
        (
            "agent = \"bot\"",
            "agent = \"bot\"\noperator = \"ann\"",
            "case \"x\": is about either",
        ),
        (
            "agent = \"bot\"",
            "agent = \"bot\"\nroles = [\"admin\"]",
            "case \"x\": `roles`, `action`",
        ),
        (
            "agent = \"bot\"",
            "operator = \"ann\"",
            "case \"x\": of an operator a case says",
        ),
        (
            "\"allow\"\npolicies",
            "\"deny\"\nwould_deny = true\npolicies",
            "case \"x\": `would_deny` is about",
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

/// A narrower set is tried out: what it would deny is allowed while the target is observed, and said so.
#[test]
fn a_case_can_be_about_an_observed_target() {
    let world = |until: &str| {
        WORLD.replace(
            "risk = \"high\"",
            &format!("risk = \"high\"\nobserve_until = \"{until}\""),
        )
    };
    let narrow =
        set("@id(\"nothing\") permit (principal is Agent, action == Action::\"write\", resource);");
    let case = |decision: &str| {
        format!(
            "name = \"x\"\nagent = \"bot\"\nscopes = [\"https://ledger.example#look\"]\n{decision}\n\
             policies = [\"default-deny\"]"
        )
    };
    for (until, decision, holds) in [
        (
            "2026-01-05T09:00:01Z",
            "decision = \"allow\"\nwould_deny = true",
            true,
        ),
        ("2026-01-05T09:00:01Z", "decision = \"allow\"", false),
        ("2026-01-05T09:00:01Z", "decision = \"deny\"", false),
        ("2026-01-05T09:00:00Z", "decision = \"deny\"", true),
    ] {
        let text = format!("{}\n[[case]]\n{}", world(until), case(decision));
        let report = Cases::parse("ours.cases.toml", &text).unwrap().run(&narrow);
        assert_eq!(
            report.failed() == 0,
            holds,
            "{until} {decision}: {report:?}"
        );
    }
}

#[test]
fn what_an_operator_does_reaches_the_policies() {
    let base = "name = \"x\"\noperator = \"ann\"\nroles = [\"admin\"]\n";
    for (policy, case, allowed) in [
        (
            "principal == Operator::\"ann\", action, resource",
            "action = \"read_keys\"",
            true,
        ),
        (
            "principal == Operator::\"bob\", action, resource",
            "action = \"read_keys\"",
            false,
        ),
        (
            "principal, action, resource is Agent in Owner::\"payments\"",
            "action = \"retire\"\non = \"agent bot\"",
            true,
        ),
        (
            "principal, action == Action::\"revoke\", resource == Target::\"https://ledger.example\"",
            "action = \"revoke\"\non = \"target https://ledger.example\"",
            true,
        ),
        (
            "principal, action == Action::\"revoke\", resource is Broker",
            "action = \"revoke\"\non = \"owner payments\"",
            false,
        ),
        (
            "principal, action == Action::\"revoke\", resource is Broker",
            "action = \"revoke\"\non = \"broker\"",
            true,
        ),
        (
            "principal, action == Action::\"taint_key\", resource == Key::\"k\"",
            "action = \"taint_key\"\non = \"key k\"",
            true,
        ),
    ] {
        let set = set(&format!("@id(\"p\") permit ({policy});"));
        let (decision, by) = if allowed {
            ("allow", "p")
        } else {
            ("deny", "default-deny")
        };
        let text = format!("{base}{case}\ndecision = \"{decision}\"\npolicies = [\"{by}\"]");
        assert_eq!(
            parse(&text).unwrap().run(&set).failed(),
            0,
            "{policy} {case}"
        );
    }
    let conditions = [
        (
            "resource is Task",
            "resource.agent.owner == Owner::\"payments\"",
            "action = \"revoke\"\non = \"task of agent bot\"",
        ),
        (
            "resource is Credential",
            "resource.agent.stage == Stage::\"bounded\"",
            "action = \"revoke\"\non = \"credential of agent bot\"",
        ),
        (
            "resource is Operator",
            "resource.roles.contains(Role::\"auditor\")",
            "action = \"update\"\non = \"operator bob\"\non_roles = [\"auditor\"]",
        ),
        (
            "resource is Verifier",
            "resource.targets.contains(Target::\"https://ledger.example\")",
            "action = \"update\"\non = \"verifier v\"",
        ),
        (
            "resource is Broker",
            "context.reason like \"CHG-*\"",
            "action = \"rotate_key\"\nreason = \"CHG-1\"",
        ),
    ];
    for (head, condition, case) in conditions {
        let set = set(&format!(
            "@id(\"p\") permit (principal is Operator, action, {head}) when {{ {condition} }};"
        ));
        let text = format!("{base}{case}\ndecision = \"allow\"\npolicies = [\"p\"]");
        let report = parse(&text).unwrap().run(&set);
        assert_eq!(report.failed(), 0, "{condition}: {report:?}");
    }
}

#[test]
fn a_case_about_an_operator_that_says_nothing_is_refused() {
    let base = "name = \"x\"\noperator = \"ann\"\nroles = [\"admin\"]\n";
    for (case, expected) in [
        ("", "`action` says what"),
        ("action = \"reveal\"", "`reveal`: "),
        (
            "action = \"revoke\"\non = \"agent nobody\"",
            "there is no agent nobody",
        ),
        ("action = \"revoke\"\non = \"everything\"", "`on` is broker"),
        (
            "action = \"revoke\"\non_roles = [\"admin\"]\non = \"broker\"",
            "`on_roles` is about",
        ),
        (
            "action = \"revoke\"\nttl = \"5m\"",
            "of an operator a case says",
        ),
    ] {
        let text = format!("{base}{case}\ndecision = \"allow\"\npolicies = [\"p\"]");
        let error = parse(&text).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("case \"x\": {expected}")),
            "{error}"
        );
    }
}
