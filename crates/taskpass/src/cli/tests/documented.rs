//! What `docs/OPERATIONS.md` tells to type at night is a command, with those options.

use clap::CommandFactory as _;

use super::Cli;

const OPERATIONS: &str = include_str!("../../../../../docs/OPERATIONS.md");

/// The command lines of a text: in fences with their continued lines, and between backticks.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (place, part) in text.split("```").enumerate() {
        if place % 2 == 1 {
            let joined = part.replace("\\\n", " ");
            found.extend(joined.lines().map(str::to_owned));
        } else {
            found.extend(part.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found.retain(|line| line.starts_with("taskpass "));
    found
}

/// What is wrong with a line, if anything.
fn wrong(root: &clap::Command, line: &str) -> Option<String> {
    let line = line.split('#').next()?;
    let (mut command, mut options) = (root, Vec::new());
    for word in line.split_whitespace().skip(1) {
        if let Some(option) = word.strip_prefix("--") {
            options.push(option.trim_end_matches(['`', ',']));
        } else if let Some(sub) = command.find_subcommand(word) {
            command = sub;
        }
    }
    if command.get_name() == root.get_name() {
        return Some("no command".to_owned());
    }
    let known = |option: &&str| {
        let all = command.get_arguments().chain(root.get_arguments());
        all.filter_map(clap::Arg::get_long)
            .any(|long| long == *option)
    };
    let unknown: Vec<_> = options
        .into_iter()
        .filter(|option| !known(option))
        .collect();
    (!unknown.is_empty()).then(|| format!("no options {unknown:?}"))
}

#[test]
fn every_command_of_the_operations_is_one() {
    let mut root = Cli::command();
    root.build();
    let found = commands(OPERATIONS);
    assert!(found.len() > 25, "{found:?}");
    for line in &found {
        assert_eq!(wrong(&root, line), None, "{line}");
    }
    for line in [
        "taskpass undo",
        "taskpass backup --inn FILE",
        "taskpass keys list --reason r",
    ] {
        assert!(wrong(&root, line).is_some(), "{line}");
    }
}
