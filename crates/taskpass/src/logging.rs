//! Diagnostics of the client commands, on standard error.
//!
//! The commands that run a broker set up their own, from their configuration.

use tracing_subscriber::filter::LevelFilter;

/// Says warnings; more with each `-v`. Has no effect if diagnostics were set up before.
pub(crate) fn init(verbosity: u8) {
    let level = match verbosity {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::TRACE,
    };
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(level)
        .without_time()
        .try_init();
}
