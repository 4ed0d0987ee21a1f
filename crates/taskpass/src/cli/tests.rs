//! The command line itself: its shape, its help, its exit codes.

mod documented;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use super::Cli;

fn kind(line: &str) -> Result<(), ErrorKind> {
    Cli::try_parse_from(line.split(' '))
        .map(|_| ())
        .map_err(|error| error.kind())
}

#[test]
fn clap_finds_nothing_wrong() {
    Cli::command().debug_assert();
}

/// Every command of the tree, with the words that lead to it.
fn leaves(command: &clap::Command, path: &str, out: &mut Vec<(String, clap::Command)>) {
    for sub in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
    {
        let path = format!("{path} {}", sub.get_name());
        if sub.has_subcommands() {
            leaves(sub, &path, out);
        } else {
            out.push((path, sub.clone()));
        }
    }
}

#[test]
fn every_command_says_what_it_does() {
    let mut root = Cli::command();
    root.build();
    let mut all = Vec::new();
    leaves(&root, "taskpass", &mut all);
    for (path, command) in &all {
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(
            !about.is_empty() && !about.ends_with('.'),
            "{path}: {about:?}"
        );
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            assert!(arg.get_help().is_some(), "{path} {}", arg.get_id());
        }
    }
    let names: Vec<&str> = all.iter().map(|(path, _)| path.as_str()).collect();
    for expected in [
        "taskpass demo",
        "taskpass dev",
        "taskpass init",
        "taskpass serve",
        "taskpass check-config",
        "taskpass bench",
        "taskpass owner register",
        "taskpass agent promote",
        "taskpass agent extend",
        "taskpass owner offboard",
        "taskpass apply",
        "taskpass registry export",
        "taskpass registry version",
        "taskpass agent enrol-token",
        "taskpass operator enrol-token",
        "taskpass verifier retire",
        "taskpass target resume",
        "taskpass enrol",
        "taskpass task start",
        "taskpass task tree",
        "taskpass run",
        "taskpass issue token",
        "taskpass issue cert",
        "taskpass revoke",
        "taskpass revocations",
        "taskpass drill revoke",
        "taskpass drill setup",
        "taskpass introspect",
        "taskpass verify",
        "taskpass watch revocations",
        "taskpass keys list",
        "taskpass policy validate",
        "taskpass policy test",
        "taskpass policy explain",
        "taskpass policy approve",
        "taskpass policy who-can",
        "taskpass policy what-can",
        "taskpass audit tail",
        "taskpass audit query",
        "taskpass audit checkpoint",
        "taskpass audit export",
        "taskpass audit verify",
        "taskpass audit proof",
        "taskpass audit verify-proof",
        "taskpass report inventory",
        "taskpass report least-privilege",
        "taskpass report exposure",
        "taskpass report evidence",
        "taskpass report readiness",
        "taskpass approval list",
        "taskpass approval approve",
        "taskpass approval reject",
    ] {
        assert!(names.contains(&expected), "{expected} is not in {names:#?}");
    }
}

#[test]
fn help_names_the_environment() {
    let mut root = Cli::command();
    root.build();
    for path in [
        &["issue", "token"][..],
        &["verify"],
        &["agent", "list"],
        &[],
    ] {
        let mut command = &mut root;
        for name in path {
            command = command.find_subcommand_mut(name).unwrap();
        }
        let help = command.render_long_help().to_string();
        for name in [
            "TASKPASS_ADDR",
            "TASKPASS_IDENTITY",
            "TASKPASS_HTTP",
            "TASKPASS_HTTP_CA",
            "TASKPASS_OPS",
        ] {
            assert!(help.contains(name), "{path:?} does not name {name}");
        }
    }
}

#[test]
fn what_is_malformed_and_what_is_for_us_to_judge() {
    for (line, expected) in [
        (
            "taskpass issue token --task T --target x --scope y --ttl -5m",
            Ok(()),
        ),
        (
            "taskpass issue token --task T --target x --scope y --ttl=-5m",
            Ok(()),
        ),
        (
            "taskpass issue token --task T --target x --scope y --ttl 0s",
            Ok(()),
        ),
        (
            "taskpass task start --purpose p --scope nonsense --ttl soon",
            Ok(()),
        ),
        (
            "taskpass agent register NOT/A/NAME --owner o --purpose p --stage x",
            Ok(()),
        ),
        ("taskpass -o json agent list", Ok(())),
        ("taskpass agent list -o json", Ok(())),
        ("taskpass watch revocations --after-seq 5 --epoch 1", Ok(())),
        ("taskpass --version", Err(ErrorKind::DisplayVersion)),
        ("taskpass --help", Err(ErrorKind::DisplayHelp)),
        ("taskpass agent list -o yaml", Err(ErrorKind::InvalidValue)),
        ("taskpass nonsense", Err(ErrorKind::InvalidSubcommand)),
        (
            "taskpass issue token --task T",
            Err(ErrorKind::MissingRequiredArgument),
        ),
        (
            "taskpass introspect",
            Err(ErrorKind::MissingRequiredArgument),
        ),
        (
            "taskpass introspect --token-file a --cert-file b",
            Err(ErrorKind::ArgumentConflict),
        ),
        (
            "taskpass agent update a --reason r",
            Err(ErrorKind::MissingRequiredArgument),
        ),
        (
            "taskpass agent update a --max-ttl 5m --no-max-ttl",
            Err(ErrorKind::ArgumentConflict),
        ),
        (
            "taskpass resume --reason r",
            Err(ErrorKind::MissingRequiredArgument),
        ),
        (
            "taskpass revoke --all",
            Err(ErrorKind::MissingRequiredArgument),
        ),
        (
            "taskpass watch revocations --after-seq 5",
            Err(ErrorKind::MissingRequiredArgument),
        ),
        ("taskpass audit verify audit", Ok(())),
        (
            "taskpass audit verify audit --since c --key k --key l",
            Ok(()),
        ),
        ("taskpass audit export --out audit", Ok(())),
        (
            "taskpass audit export --format jsonl --out f --log 2026-11",
            Ok(()),
        ),
        ("taskpass audit tail --from 5 --log nonsense", Ok(())),
        ("taskpass audit verify-proof f", Ok(())),
        (
            "taskpass audit export --format csv --out f",
            Err(ErrorKind::InvalidValue),
        ),
        (
            "taskpass audit export",
            Err(ErrorKind::MissingRequiredArgument),
        ),
        (
            "taskpass audit verify",
            Err(ErrorKind::MissingRequiredArgument),
        ),
        (
            "taskpass audit query --all --limit 5",
            Err(ErrorKind::ArgumentConflict),
        ),
        (
            "taskpass audit tail --from -1",
            Err(ErrorKind::UnknownArgument),
        ),
        (
            "taskpass run --purpose p",
            Err(ErrorKind::MissingRequiredArgument),
        ),
    ] {
        assert_eq!(kind(line), expected, "{line}");
    }
}

#[test]
fn no_option_takes_a_secret() {
    let mut root = Cli::command();
    root.build();
    let mut all = Vec::new();
    leaves(&root, "taskpass", &mut all);
    for (path, command) in &all {
        for arg in command.get_arguments() {
            let long = arg.get_long().unwrap_or_default();
            assert!(
                !matches!(long, "token" | "password" | "secret" | "enrol-token"),
                "{path} --{long}"
            );
        }
    }
}

#[test]
fn a_key_s_id_may_begin_with_a_hyphen() {
    for line in [
        "taskpass keys rotate -Aki2M-Uq71 --now",
        "taskpass keys rotate --now -Aki2M-Uq71",
        "taskpass keys taint -Aki2M-Uq71 --reason r",
        "taskpass revoke --key -Aki2M-Uq71 --reason r",
        "taskpass agent update a --remove-client-key -Aki2M-Uq71 --remove-client-key -b",
    ] {
        assert_eq!(kind(line), Ok(()), "{line}");
    }
}
