//! `taskpass`: the broker and everything to run and use it, in one binary.
//!
//! This file makes the clock and the random source, reads the command line, runs one command and
//! turns its outcome into an exit code. Nothing else here knows about any of the three.

mod cli;
mod commands;
mod config;
mod context;
mod env;
mod errors;
mod files;
mod host;
mod http;
mod logging;
mod output;
mod registry_file;
mod session;
mod values;
mod view;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use taskpass_core::rng::SystemRng;
use taskpass_core::time::SystemClock;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::errors::CliError;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = Context::new(
        cli.globals,
        Arc::new(SystemClock::new()),
        Arc::new(SystemRng::new()),
    );
    if let Command::ExecChild(args) = &cli.command {
        let (error, code) = commands::run::exec(args);
        context.output.fail(&error);
        return ExitCode::from(code);
    }
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::caused("INTERNAL", "could not start the runtime", error))
        .and_then(|runtime| runtime.block_on(commands::run(&context, cli.command)));
    match outcome {
        Ok(()) | Err(CliError::OutputClosed) => ExitCode::SUCCESS,
        Err(CliError::Ended { code }) => ExitCode::from(code),
        Err(error) => {
            context.output.fail(&error);
            ExitCode::FAILURE
        }
    }
}
