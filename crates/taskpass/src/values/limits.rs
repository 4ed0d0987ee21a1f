//! Limits, written NAME=N.

use taskpass_api::v1;
use taskpass_core::registry::{LimitName, Limits};

use crate::errors::CliError;

/// What leaves a limit to the configuration again.
const DEFAULT: &str = "default";

/// `present`, with what `texts` say set or left to the configuration again. Absent if nothing is set.
pub(crate) fn limits(
    texts: &[String],
    present: Option<v1::Limits>,
) -> Result<Option<v1::Limits>, CliError> {
    let mut said = Vec::new();
    let mut limits = present.unwrap_or_default();
    for text in texts {
        let (name, value) = limit(text)?;
        if said.contains(&name) {
            return Err(refused(text, "it is given twice"));
        }
        said.push(name);
        *match name {
            LimitName::LiveCredentials => &mut limits.live_credentials,
            LimitName::LiveTasks => &mut limits.live_tasks,
            LimitName::IssuesPerSecond => &mut limits.issues_per_second,
            LimitName::Depth => &mut limits.depth,
            LimitName::FanOut => &mut limits.fan_out,
        } = value;
    }
    Ok((limits != v1::Limits::default()).then_some(limits))
}

fn limit(text: &str) -> Result<(LimitName, Option<u32>), CliError> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(refused(
            text,
            "write it NAME=N, such as `live_credentials=100`",
        ));
    };
    let name: LimitName = name
        .parse()
        .map_err(|error: taskpass_core::access::UnknownWord| refused(text, &error.to_string()))?;
    if value == DEFAULT {
        return Ok((name, None));
    }
    let value = value
        .parse()
        .map_err(|_| refused(text, "the value is a whole number, or `default`"))?;
    Limits::NONE
        .clone()
        .set(name, Some(value))
        .map_err(|error| refused(text, &error.to_string()))?;
    Ok((name, Some(value)))
}

fn refused(text: &str, why: &str) -> CliError {
    CliError::new("INVALID_FIELD", format!("limit `{text}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(texts: &[&str], present: Option<v1::Limits>) -> Result<Option<v1::Limits>, CliError> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        limits(&texts, present)
    }

    #[test]
    fn what_is_not_named_stays() {
        assert_eq!(said(&[], None).unwrap(), None);
        let both = said(&["live_credentials=100", "depth=0"], None).unwrap();
        let expected = v1::Limits {
            live_credentials: Some(100),
            depth: Some(0),
            ..v1::Limits::default()
        };
        assert_eq!(both, Some(expected));
        let one = said(&["depth=default"], both).unwrap().unwrap();
        assert_eq!((one.live_credentials, one.depth), (Some(100), None));
        assert_eq!(
            said(&["live_credentials=default"], Some(one)).unwrap(),
            None
        );
        assert_eq!(said(&[], both).unwrap(), both);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in [
            "live_credentials",
            "live_credentials=",
            "live_credentials=-1",
            "live_credentials=1.5",
            "live_credentials=10000001",
            "live=1",
            "=1",
            "depth=4",
            "fan_out= 1",
        ] {
            let error = said(&[text], None).unwrap_err();
            assert_eq!(error.reason(), "INVALID_FIELD", "{text}");
        }
        let twice = said(&["depth=1", "depth=default"], None).unwrap_err();
        assert_eq!(twice.reason(), "INVALID_FIELD");
    }
}
