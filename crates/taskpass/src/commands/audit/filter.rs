//! Which entries are asked for. Names and words go to the broker as they are: it knows which exist.

use taskpass_api::v1;
use taskpass_core::Timestamp;

use crate::cli::audit::FilterArgs;
use crate::errors::CliError;
use crate::values;

/// The filter for the wire, without a period.
pub(super) fn of(args: FilterArgs) -> Result<v1::EntryFilter, CliError> {
    Ok(v1::EntryFilter {
        target: args
            .target
            .as_deref()
            .map(values::target)
            .transpose()?
            .unwrap_or_default(),
        agent: args.agent.unwrap_or_default(),
        owner: args.owner.unwrap_or_default(),
        task_id: args.task.unwrap_or_default(),
        credential_id: args.credential.unwrap_or_default(),
        kind: args.kind.unwrap_or_default(),
        outcome: args.outcome.unwrap_or_default(),
        from: None,
        until: None,
    })
}

/// An instant that may be absent.
pub(super) fn instant(
    text: Option<&str>,
    now: Timestamp,
) -> Result<Option<prost_types::Timestamp>, CliError> {
    text.map(|text| values::instant_before(text, now))
        .transpose()
}

/// A log's name that may be absent: then it is empty.
pub(super) fn log(text: Option<&str>) -> Result<String, CliError> {
    let log = text.map(values::log).transpose()?;
    Ok(log.map(|log| log.to_string()).unwrap_or_default())
}
