//! `taskpass completions SHELL`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::context::Context;
use crate::errors::CliError;

/// Prints the script.
pub(crate) fn run(context: &Context, shell: Shell) -> Result<(), CliError> {
    context.output.raw(&script(shell))
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "taskpass", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).unwrap();
            assert!(
                ["enrol-token", "introspect", "verify-proof"]
                    .iter()
                    .all(|word| script.contains(word)),
                "{shell}"
            );
        }
    }
}
