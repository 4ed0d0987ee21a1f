//! `taskpass audit query`.

use taskpass_api::v1;
use taskpass_core::Timestamp;

use super::filter;
use crate::cli::PageArgs;
use crate::cli::audit::QueryArgs;
use crate::commands::pages;
use crate::context::Context;
use crate::errors::CliError;
use crate::view::audit::{Logged, page_json, page_text};

/// Finds entries.
pub(super) async fn run(context: &Context, args: QueryArgs) -> Result<(), CliError> {
    let (request, pages) = request(args, context.clock.now())?;
    let session = context.session().await?;
    let page = pages::read(&pages, async |page| {
        let request = v1::QueryRequest {
            page_size: page.page_size,
            page_token: page.page_token,
            ..request.clone()
        };
        let reply = session.audit().query(request).await?.into_inner();
        let entries = reply.entries.into_iter().map(Logged::from_proto);
        Ok((entries.collect::<Result<_, _>>()?, reply.next_page_token))
    })
    .await?;
    context
        .output
        .show_line(|| page_json(&page), |ink| page_text(&page, ink))
}

/// What to ask for, and how much of it.
fn request(args: QueryArgs, now: Timestamp) -> Result<(v1::QueryRequest, PageArgs), CliError> {
    let filter = v1::EntryFilter {
        from: filter::instant(args.from.as_deref(), now)?,
        until: filter::instant(args.until.as_deref(), now)?,
        ..filter::of(args.filter)?
    };
    let request = v1::QueryRequest {
        filter: Some(filter),
        log: filter::log(args.log.as_deref())?,
        ..v1::QueryRequest::default()
    };
    let pages = PageArgs {
        limit: if args.all { u32::MAX } else { args.limit },
        page_token: args.page_token,
    };
    Ok((request, pages))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::audit::AuditCommand;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn asked(line: &[&str]) -> Result<(v1::QueryRequest, PageArgs), CliError> {
        let line = [&["taskpass", "audit", "query"], line].concat();
        match Cli::try_parse_from(line).unwrap().command {
            Command::Audit(AuditCommand::Query(args)) => {
                request(args, Timestamp::from_secs(1_700_000_000))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_option_is_a_field() {
        let (request, pages) = asked(&[
            "--agent",
            "a",
            "--owner",
            "o",
            "--task",
            "T",
            "--target",
            "https://t",
            "--credential",
            "C",
            "--kind",
            "revocation",
            "--outcome",
            "done",
            "--from",
            "2h",
            "--until",
            "2023-11-14",
            "--log",
            "2023-11",
            "--all",
        ])
        .unwrap();
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let expected = v1::EntryFilter {
            agent: "a".into(),
            owner: "o".into(),
            task_id: "T".into(),
            target: "https://t".into(),
            credential_id: "C".into(),
            kind: "revocation".into(),
            outcome: "done".into(),
            from: at(1_699_992_800),
            until: at(1_699_920_000),
        };
        assert_eq!(request.filter, Some(expected));
        assert_eq!((request.log.as_str(), pages.limit), ("2023-11", u32::MAX));
    }

    #[test]
    fn what_is_absent_matches_all() {
        let (request, pages) = asked(&["--limit", "7", "--page-token", "x"]).unwrap();
        assert_eq!(request.filter, Some(v1::EntryFilter::default()));
        assert_eq!((pages.limit, pages.page_token.as_str()), (7, "x"));
        for same in ["2h ago", "2h", "120m", "2023-11-14T20:13:20Z"] {
            let (request, _) = asked(&["--since", same]).unwrap();
            assert_eq!(request.filter.unwrap().from.unwrap().seconds, 1_699_992_800);
        }
    }

    #[test]
    fn values_are_judged_here() {
        for (rest, reason) in [
            (["--from", "yesterday"], "INVALID_PERIOD"),
            (["--until", "2023-13-01"], "INVALID_PERIOD"),
            (["--log", "2023-13"], "INVALID_FIELD"),
            (["--log", "november"], "INVALID_FIELD"),
            (["--target", "ledger"], "INVALID_TARGET"),
        ] {
            assert_eq!(asked(&rest).unwrap_err().reason(), reason, "{rest:?}");
        }
    }
}
