//! What `ReportUse` is told: from proto to the domain, by who says it.
//!
//! What is wrong with a batch refuses it; what is wrong with an item refuses the item, because its texts
//! come from whoever called an API, and must not cost a verifier its whole window.

use futures_util::{Stream, StreamExt as _};
use taskpass_api::v1;
use taskpass_broker::{Error, MAX_USE_BATCH, Reported, ReportedUse, UseBatch, UseReport};
use taskpass_core::audit::{UseItem, UseOutcome};
use taskpass_core::caller::Caller;
use taskpass_core::coverage::{BatchId, Window};
use tonic::Status;

use super::parse;
use crate::status;

/// The most batches in one stream.
pub(super) const MAX_BATCHES: usize = 32;

/// The batches of a stream, all of them: its bytes are there already, and are bounded. What is too much is
/// refused where it begins: a message of no bytes is a batch in memory all the same.
pub(super) async fn batches(
    mut stream: impl Stream<Item = Result<v1::ReportUseRequest, Status>> + Unpin,
) -> Result<Vec<v1::ReportUseRequest>, Status> {
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let found = batches.len().saturating_add(1);
        bounded(found, MAX_BATCHES)?;
        bounded(batch.items.len(), MAX_USE_BATCH)?;
        batches.push(batch);
    }
    if batches.is_empty() {
        let (found, max) = (0, MAX_BATCHES);
        return Err(status::of(Error::TooManyItems { found, max }));
    }
    Ok(batches)
}

fn bounded(found: usize, max: usize) -> Result<(), Status> {
    if found <= max {
        return Ok(());
    }
    Err(status::of(Error::TooManyItems { found, max }))
}

/// A batch, as `caller` may make one.
pub(super) fn report(caller: &Caller, request: v1::ReportUseRequest) -> Result<UseReport, Error> {
    let batch = match caller {
        Caller::Agent(_) => {
            says_nothing_of_a_target(&request)?;
            None
        }
        Caller::Verifier(..) | Caller::Operator(..) => Some(batch(&request)?),
    };
    let found = request.items.len();
    let items: Vec<_> = request.items.into_iter().filter_map(item).collect();
    let unreadable = u64::try_from(found.saturating_sub(items.len())).unwrap_or(u64::MAX);
    Ok(UseReport {
        batch,
        items,
        unreadable,
    })
}

fn batch(request: &v1::ReportUseRequest) -> Result<UseBatch, Error> {
    let id = BatchId::from_slice(&request.batch_id)
        .ok_or_else(|| Error::field("batch_id", "16 random bytes, the same when sent again"))?;
    Ok(UseBatch {
        id,
        target: parse::target(&request.target)?,
        window: Window {
            from: parse::timestamp(request.covered_from, "covered_from")?,
            until: parse::timestamp(request.covered_until, "covered_until")?,
        },
        lost: u32::try_from(request.lost)
            .map_err(|_| Error::field("lost", "at most 4294967295"))?,
        last: request.last,
    })
}

fn says_nothing_of_a_target(request: &v1::ReportUseRequest) -> Result<(), Error> {
    let said = [
        ("batch_id", !request.batch_id.is_empty()),
        ("target", !request.target.is_empty()),
        ("covered_from", request.covered_from.is_some()),
        ("covered_until", request.covered_until.is_some()),
        ("lost", request.lost != 0),
        ("last", request.last),
    ];
    match said.into_iter().find(|(_, said)| *said) {
        Some((field, _)) => Err(Error::field(field, "absent: only a verifier says it")),
        None => Ok(()),
    }
}

/// An item, if it is one.
fn item(item: v1::UseItem) -> Option<ReportedUse> {
    let said = |text: String| (!text.is_empty()).then_some(text);
    let outcome = match v1::UseOutcome::try_from(item.outcome).ok()? {
        v1::UseOutcome::Unspecified => return None,
        v1::UseOutcome::Allowed => UseOutcome::Allowed,
        v1::UseOutcome::Refused => UseOutcome::Refused,
    };
    let scope = match said(item.scope) {
        Some(scope) => Some(scope.parse().ok()?),
        None => None,
    };
    let first_at = parse::timestamp(item.first_at, "first_at").ok()?;
    let last_at = parse::timestamp(item.last_at, "last_at").ok()?;
    Some(ReportedUse {
        credential: item.credential_id.parse().ok()?,
        item: UseItem::new(
            scope,
            said(item.action),
            said(item.resource),
            outcome,
            item.count,
            (first_at, last_at),
        )?,
    })
}

/// Adds what became of one batch.
pub(super) fn add(sum: &mut v1::ReportUseResponse, one: Reported) {
    sum.accepted = sum.accepted.saturating_add(one.accepted);
    sum.unknown = sum.unknown.saturating_add(one.unknown);
    sum.refused = sum.refused.saturating_add(one.refused);
    sum.repeated = sum.repeated.saturating_add(one.repeated.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut v1::UseItem);
    type Change = fn(&mut v1::ReportUseRequest);

    const ID: &str = "01M82F31K1Y5Y6C9K8Y6HCP3SB";

    fn at(seconds: i64) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos: 0 }
    }

    fn good() -> v1::UseItem {
        v1::UseItem {
            credential_id: ID.to_owned(),
            scope: "read".to_owned(),
            action: "GET".to_owned(),
            resource: "/invoices".to_owned(),
            outcome: v1::UseOutcome::Allowed.into(),
            count: 3,
            first_at: Some(at(1)),
            last_at: Some(at(2)),
        }
    }

    fn of_verifier() -> v1::ReportUseRequest {
        v1::ReportUseRequest {
            batch_id: vec![7; 16].into(),
            target: "https://ledger.example".to_owned(),
            covered_from: Some(at(1)),
            covered_until: Some(at(2)),
            items: vec![good()],
            lost: 4,
            last: true,
        }
    }

    fn verifier() -> Caller {
        Caller::Verifier("v".parse().unwrap(), [].into())
    }

    fn agent() -> Caller {
        Caller::Agent("a".parse().unwrap())
    }

    #[tokio::test]
    async fn what_is_too_much_is_refused_where_it_begins() {
        let of = |items| v1::ReportUseRequest {
            items: vec![good(); items],
            ..Default::default()
        };
        for (sizes, expected) in [
            (vec![], Err(0)),
            (vec![256], Ok(1)),
            (vec![0; 32], Ok(32)),
            (vec![0; 1_000], Err(33)),
            (vec![0, 257, 0, 0], Err(2)),
        ] {
            let mut read = 0;
            let stream = futures_util::stream::iter(&sizes).map(|items| {
                read += 1;
                Ok(of(*items))
            });
            let answer = batches(stream).await;
            match expected {
                Ok(count) => assert_eq!(answer.unwrap().len(), count),
                Err(count) => {
                    let status = answer.unwrap_err();
                    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
                    assert_eq!(read, count, "of {}", sizes.len());
                }
            }
        }
    }

    #[test]
    fn what_is_no_item_is_counted_and_the_others_are_kept() {
        let spoilt: [Spoil; 11] = [
            |item| item.credential_id = "me".to_owned(),
            |item| item.scope = "Read!".to_owned(),
            |item| item.scope = "https://ledger.example#read".to_owned(),
            |item| item.action = "a\u{7}".to_owned(),
            |item| item.resource = "x".repeat(257),
            |item| item.outcome = 0,
            |item| item.outcome = 9,
            |item| item.count = 0,
            |item| item.first_at = None,
            |item| item.last_at = Some(at(-1)),
            |item| item.first_at = Some(at(3)),
        ];
        let mut items = vec![good()];
        for spoil in spoilt {
            let mut item = good();
            spoil(&mut item);
            items.push(item);
        }
        let mut bare = good();
        for text in [&mut bare.scope, &mut bare.action, &mut bare.resource] {
            text.clear();
        }
        items.push(bare);
        let request = v1::ReportUseRequest {
            items,
            ..of_verifier()
        };
        let report = report(&verifier(), request).unwrap();
        assert_eq!((report.items.len(), report.unreadable), (2, 11));
        assert!(report.items.iter().all(|one| one.item.count() == 3));
        assert_eq!(report.items[1].item.scope(), None);
    }

    #[test]
    fn a_verifier_says_of_which_time_and_an_agent_does_not() {
        let batch = report(&verifier(), of_verifier()).unwrap().batch.unwrap();
        assert_eq!((batch.lost, batch.last), (4, true));
        let none = v1::ReportUseRequest {
            items: vec![good()],
            ..Default::default()
        };
        assert_eq!(report(&agent(), none).unwrap().batch, None);
        let wrong: [(Change, &str); 7] = [
            (|it| it.lost = 1 << 32, "INVALID_FIELD"),
            (|it| it.batch_id = vec![7; 15].into(), "INVALID_FIELD"),
            (|it| it.batch_id = vec![0; 16].into(), "INVALID_FIELD"),
            (|it| it.target = String::new(), "UNKNOWN_TARGET"),
            (|it| it.target = "ledger".to_owned(), "UNKNOWN_TARGET"),
            (|it| it.covered_from = None, "INVALID_FIELD"),
            (|it| it.covered_until = Some(at(-7)), "INVALID_FIELD"),
        ];
        for (change, reason) in wrong {
            let mut request = of_verifier();
            change(&mut request);
            let error = report(&verifier(), request).unwrap_err();
            assert_eq!(error.reason(), reason, "{error}");
        }
        let only_of_verifiers: [Change; 6] = [
            |it| it.batch_id = vec![7; 16].into(),
            |it| it.target = "https://ledger.example".to_owned(),
            |it| it.covered_from = Some(at(1)),
            |it| it.covered_until = Some(at(1)),
            |it| it.lost = 1,
            |it| it.last = true,
        ];
        for change in only_of_verifiers {
            let mut request = v1::ReportUseRequest {
                items: vec![good()],
                ..Default::default()
            };
            change(&mut request);
            assert!(report(&agent(), request).is_err());
        }
    }
}
