use std::fs;

use super::*;
use crate::testing::SCHEMA;

fn file(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

fn refused(text: &str) -> LoadError {
    PolicySet::from_sources(SCHEMA, &[file("a.cedar", text)]).unwrap_err()
}

fn shipped_dir() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies")
}

#[test]
fn the_shipped_set_is_the_directory() {
    let compiled_in = PolicySet::shipped().unwrap();
    let read = PolicySet::from_dir(&shipped_dir()).unwrap();
    assert_eq!(compiled_in.hash(), read.hash());
    assert_eq!(
        compiled_in.policy_ids(),
        [
            "admins-administer",
            "agent-not-active",
            "high-risk-needs-purpose",
            "operators-inspect",
            "owner-not-active",
            "permit-own-subtask",
            "permit-registered-scopes",
            "permit-task-certificate",
            "permit-task-svid",
            "responders-respond",
            "scope-not-registered",
            "stage-bounded",
            "stage-read-only",
            "target-not-active",
        ]
    );
}

fn assert_refused(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let message = refused(text).to_string();
        assert!(message.starts_with(expected), "{text}\n{message}");
    }
}

#[test]
fn syntax_is_refused_where_it_is_wrong() {
    assert_refused(&[
        (
            "// a comment\n@id(\"x\")\npermit (principal, action resource);",
            "a.cedar:3:27: unexpected token `resource`",
        ),
        (
            "@id(\"x\")\npermit (principal, action, resource)",
            "a.cedar:2:37: unexpected end of input",
        ),
        (
            "@id(\"x\") permt (principal, action, resource);",
            "a.cedar:1:10: invalid policy effect: permt",
        ),
        (
            "@id(\"x\") permit (principal, action, resource) when { \"\u{e4}\" @ 1 };",
            "a.cedar:1:58: unexpected token `@`",
        ),
        (
            "@id(\"x\") @id(\"y\") permit (principal, action, resource);",
            "a.cedar:1:10: duplicate annotation: @id",
        ),
    ]);
}

#[test]
fn every_policy_has_a_name_of_its_own_and_an_effect() {
    assert_refused(&[
        (
            "permit (principal, action, resource);",
            "a.cedar:1:1: policy 1 of the file has no @id annotation",
        ),
        (
            "@id(\"good\") permit (principal, action, resource);\n\n  // two\n  \
             forbid (principal, action, resource);",
            "a.cedar:4:3: policy 2 of the file has no @id annotation",
        ),
        (
            "@id(\"x\") permit (principal, action, resource);\n\
             @id(\"x\") permit (principal, action, resource);",
            "a.cedar:2:1: policy `x` is in a.cedar:1:1 already",
        ),
        (
            "@id permit (principal, action, resource);",
            "a.cedar:1:1: `` cannot name a policy",
        ),
        (
            "@id(\"a b\") permit (principal, action, resource);",
            "a.cedar:1:1: `a b` cannot name a policy",
        ),
        (
            "@id(\"default-deny\") permit (principal, action, resource);",
            "a.cedar:1:1: `default-deny` cannot name a policy",
        ),
        (
            "@id(\"x\")\nforbid (principal == ?principal, action, resource);",
            "a.cedar:1:1: a template has no effect here",
        ),
    ]);
}

#[test]
fn what_does_not_fit_the_schema_or_deceives_is_refused() {
    assert_refused(&[
        (
            "@id(\"x\")\nforbid (principal, action, resource is Robot);",
            "a.cedar:2:40: policy `x`: unrecognized entity type `Robot`",
        ),
        (
            "@id(\"x\") forbid (principal, action == Action::\"reed\", resource);",
            "a.cedar:1:39: policy `x`: unrecognized action",
        ),
        (
            "@id(\"x\") forbid (principal is Agent, action, resource)\n  when { principal.stag == Stage::\"bounded\" };",
            "a.cedar:2:10: policy `x`: attribute `stag` on entity type `Agent` not found",
        ),
        (
            "@id(\"x\") forbid (principal is Agent, action, resource)\n  when { principal.stage == Stage::\"boundd\" };",
            "a.cedar:2:29: policy `x`: entity `Stage::\"boundd\"`",
        ),
        (
            "@id(\"x\") forbid (principal is Agent, action, resource) when { principal.stage == \"bounded\" };",
            "a.cedar:1:63: policy `x`: the types String and Stage are not compatible",
        ),
        (
            "@id(\"x\") forbid (principal, action, resource) when { context.risk == Risk::\"high\" };",
            "a.cedar:1:54: policy `x`: attribute `risk` in context",
        ),
        (
            "@id(\"x\") forbid (principal is Agent, action, resource) when { principal.getTag(\"env\") == \"prod\" };",
            "a.cedar:1:63: policy `x`: unable to guarantee safety of access to tag",
        ),
        // A rule about agents that does not say so.
        (
            "@id(\"x\") forbid (principal, action, resource) unless { principal.active };",
            "a.cedar:1:56: policy `x`: attribute `active` on entity type `Operator` not found",
        ),
        // Could never apply.
        (
            "@id(\"x\") forbid (principal is Agent, action, resource) when { principal.active && !principal.active && false };",
            "a.cedar:1:1: policy `x`: policy is impossible",
        ),
        (
            "@id(\"x\") forbid (principal, action == Action::\"delegate\", resource is Scope);",
            "a.cedar:1:1: policy `x`: policy is impossible",
        ),
        // Text that is displayed in another order than it is read.
        (
            "@id(\"x\") forbid (principal, action, resource is Scope) when { context.purpose == \"a\u{202e}b\" };",
            "a.cedar:1:82: policy `x`: string `\"a\u{202e}b\"` contains BIDI",
        ),
        // Beyond what is loaded.
        (
            "@id(\"x\") forbid (principal, action == Action::\"delegate\", resource) unless { resource.agent.owner.active };",
            "a.cedar:1:78: policy `x`: this policy requires level 3",
        ),
    ]);
}

#[test]
fn the_same_name_in_two_files() {
    let text = "@id(\"x\") permit (principal, action, resource);";
    let files = [file("b.cedar", text), file("a.cedar", text)];
    let error = PolicySet::from_sources(SCHEMA, &files).unwrap_err();
    assert_eq!(
        error.to_string(),
        "b.cedar:1:1: policy `x` is in a.cedar:1:1 already"
    );
    let files = [file("a.cedar", text), file("a.cedar", "")];
    let error = PolicySet::from_sources(SCHEMA, &files).unwrap_err();
    assert!(matches!(error, LoadError::DuplicateFile { .. }));
    assert!(matches!(refused("// nothing"), LoadError::Empty));
}

#[test]
fn schemas() {
    let policy = [file(
        "a.cedar",
        "@id(\"x\") permit (principal, action, resource);",
    )];
    let error = |schema: &str| {
        let error = PolicySet::from_sources(schema, &policy).unwrap_err();
        let first: &dyn Error = &error;
        let chain = std::iter::successors(Some(first), |&error| error.source());
        chain
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ")
    };
    let at = "taskpass.cedarschema:";
    let unfit = " does not describe what this version asks of policies: ";
    for (from, to, expected, detail) in [
        (
            "entity Stage enum",
            "entity Stage enumm",
            "8:14: ",
            "unexpected token `enumm`",
        ),
        ("active: Bool,", "active: Boool,", "15:11: ", "Boool"),
        // Parses, and then no request would fit.
        (
            "\"bounded\", \"autonomous\"",
            "\"bounded\"",
            unfit,
            "autonomous",
        ),
        ("name: String,", "name: Long,", unfit, "`name`"),
        ("} tags String;", "};", unfit, "`env`"),
        ("read, write, actuate", "read, write", unfit, "actuate"),
        ("action delegate", "action hand_over", unfit, "delegate"),
        (
            "depth: Long,",
            "depth: Long, height: Long,",
            unfit,
            "context",
        ),
    ] {
        assert!(SCHEMA.contains(from), "{from}");
        let message = error(&SCHEMA.replacen(from, to, 1));
        let rest = message.strip_prefix(at).unwrap_or_default();
        assert!(rest.starts_with(expected), "{from} -> {to}: {message}");
        assert!(rest.contains(detail), "{from} -> {to}: {message}");
    }
}

#[test]
fn every_byte_and_no_order_is_in_the_hash() {
    let a = "@id(\"a\") permit (principal, action, resource);";
    let b = "@id(\"b\") forbid (principal, action, resource);";
    let hash = |schema: &str, files: &[(String, String)]| {
        PolicySet::from_sources(schema, files).unwrap().hash()
    };
    let base = hash(SCHEMA, &[file("a.cedar", a), file("b.cedar", b)]);
    assert_eq!(
        base,
        hash(SCHEMA, &[file("b.cedar", b), file("a.cedar", a)])
    );
    let with_space = format!("{a} ");
    let schema_with_space = format!("{SCHEMA} ");
    let joined = format!("{a}{b}");
    for other in [
        hash(SCHEMA, &[file("a.cedar", &with_space), file("b.cedar", b)]),
        hash(SCHEMA, &[file("a.cedar", b), file("b.cedar", a)]),
        hash(SCHEMA, &[file("c.cedar", a), file("b.cedar", b)]),
        hash(SCHEMA, &[file("a.cedar", a)]),
        hash(SCHEMA, &[file("a.cedar", &joined)]),
        hash(
            SCHEMA,
            &[file("a.cedar", a), file("b.cedar", b), file("c.cedar", "")],
        ),
        hash(
            &schema_with_space,
            &[file("a.cedar", a), file("b.cedar", b)],
        ),
    ] {
        assert_ne!(base, other);
    }
}

#[test]
fn directories() {
    let policy = "@id(\"x\") permit (principal, action, resource);";
    let make = |extra: &[(&str, &str)]| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(SCHEMA_FILE), SCHEMA).unwrap();
        fs::write(dir.path().join("x.cedar"), policy).unwrap();
        for (name, text) in extra {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    };
    let plain = PolicySet::from_dir(make(&[]).path()).unwrap().hash();
    let passed_over = make(&[(".x.swp", "junk"), ("README.md", "about")]);
    assert_eq!(
        PolicySet::from_dir(passed_over.path()).unwrap().hash(),
        plain
    );

    for stray in [
        "deny.cedr",
        "deny.cedar~",
        "deny.CEDAR",
        "other.cedarschema",
        "deny",
    ] {
        let dir = make(&[(stray, "@id(\"y\") forbid (principal, action, resource);")]);
        let error = PolicySet::from_dir(dir.path()).unwrap_err();
        assert!(
            matches!(&error, LoadError::UnexpectedFile { path } if path.ends_with(stray)),
            "{error}"
        );
    }
    let dir = make(&[]);
    fs::remove_file(dir.path().join(SCHEMA_FILE)).unwrap();
    let no_schema = PolicySet::from_dir(dir.path()).unwrap_err();
    assert!(matches!(&no_schema, LoadError::Read { path, .. } if path.ends_with(SCHEMA_FILE)));
    let no_directory = PolicySet::from_dir(&dir.path().join("none")).unwrap_err();
    assert!(matches!(no_directory, LoadError::Read { .. }));
}
