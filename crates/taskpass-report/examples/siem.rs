//! Entries of an audit log on standard input, one on a line, become events on standard output: for whoever
//! holds the export to a schema (tests/interop/siem).
//!
//! `siem ocsf|cloudevents < entries.jsonl`

use std::error::Error;
use std::io::{BufRead as _, Write as _};

use taskpass_report::siem::{Placed, cloudevents, ocsf};

fn main() -> Result<(), Box<dyn Error>> {
    let event = match std::env::args().nth(1).as_deref() {
        Some("ocsf") => ocsf,
        Some("cloudevents") => cloudevents,
        _ => return Err("siem ocsf|cloudevents < entries.jsonl".into()),
    };
    let mut out = std::io::stdout().lock();
    for (index, json) in (0..).zip(std::io::stdin().lock().lines()) {
        let placed = Placed {
            origin: "broker.example/log/2026-11",
            log: "2026-11",
            index,
            json: &json?,
        };
        writeln!(out, "{}", event(placed)?)?;
    }
    Ok(())
}
