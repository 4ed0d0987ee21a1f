//! `taskpass watch revocations`: the feed, line by line, for people and scripts.
//!
//! A viewer over an authenticated connection; it keeps nothing and checks no digest (that is what
//! the verifier library's feed is for). It ends when the broker ends the stream.

use taskpass_api::v1;
use taskpass_api::v1::watch_revocations_response::Message;

use crate::cli::revoke::{WatchCommand, WatchRevocationsArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::session::Session;
use crate::view::revocation::{Event, Revocation};
use crate::view::wire;

/// Runs one of the watch commands.
pub(crate) async fn run(context: &Context, command: WatchCommand) -> Result<(), CliError> {
    match command {
        WatchCommand::Revocations(args) => revocations(context, args).await,
    }
}

async fn revocations(context: &Context, args: WatchRevocationsArgs) -> Result<(), CliError> {
    let session = Session::for_stream(&context.required_address()?, &context.identity()?)?;
    let request = v1::WatchRevocationsRequest {
        epoch: args.epoch,
        after_seq: args.after_seq,
    };
    let reply = session.revocations().watch_revocations(request).await;
    let mut stream = reply
        .map_err(|status| context.with_readiness(status.into()))?
        .into_inner();
    while let Some(reply) = stream.message().await? {
        for event in events(reply, args.heartbeats)? {
            context.output.show(&event)?;
        }
    }
    Err(CliError::new("STREAM_ENDED", "the broker ended the stream")
        .hint("it may be restarting; watch again"))
}

/// The lines that a message makes.
fn events(reply: v1::WatchRevocationsResponse, heartbeats: bool) -> Result<Vec<Event>, CliError> {
    let message = reply.message.ok_or_else(|| CliError::bad_reply("event"))?;
    let (first, rules) = match message {
        Message::Snapshot(snapshot) => {
            let first = Event::Snapshot {
                epoch: snapshot.epoch,
                seq: snapshot.seq,
                feed_jwk: snapshot.feed_jwk,
            };
            (Some(first), snapshot.revocations)
        }
        Message::Resumed(resumed) => {
            let first = Event::Resumed {
                epoch: resumed.epoch,
                seq: resumed.seq,
                feed_jwk: resumed.feed_jwk,
            };
            (Some(first), Vec::new())
        }
        Message::Frame(frame) => (None, frame.revocations),
        Message::Heartbeat(beat) => (heartbeats.then(|| heartbeat(&beat)), Vec::new()),
        Message::Resync(resync) => {
            let first = Event::Resync {
                reason: resync.reason,
            };
            (Some(first), Vec::new())
        }
    };
    let mut events: Vec<Event> = first.into_iter().collect();
    for rule in rules {
        events.push(Event::Revocation(Box::new(Revocation::from_proto(rule)?)));
    }
    Ok(events)
}

fn heartbeat(beat: &v1::watch_revocations_response::Heartbeat) -> Event {
    Event::Heartbeat {
        epoch: beat.epoch,
        seq: beat.seq,
        at: wire::instant(beat.at),
        digest: data_encoding::HEXLOWER.encode(&beat.digest),
        signature: data_encoding::BASE64URL_NOPAD.encode(&beat.signature),
    }
}

#[cfg(test)]
mod tests;
