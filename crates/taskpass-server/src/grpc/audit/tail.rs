//! The stream of entries as they are logged.

use taskpass_api::v1;
use taskpass_broker::{LoggedEntry, Tail};

use super::BYTES;
use super::reader::Reader;
use crate::status;

/// Entries in one message.
const ENTRIES: usize = 256;

/// Sends until the reader leaves, may not read on, or the broker stops.
pub(super) async fn run(mut reader: Reader<v1::TailResponse>, mut tail: Tail) {
    loop {
        let entries = match reader.meanwhile(tail.next()).await {
            Ok(Ok(entries)) => entries,
            Ok(Err(error)) => return reader.end(status::of(error)).await,
            Err(_gone) => return,
        };
        for entries in messages(entries) {
            let entries = entries.into_iter().map(super::to_entry).collect();
            if reader.send(v1::TailResponse { entries }).await.is_err() {
                return;
            }
        }
    }
}

/// Divides entries among messages of a bounded size.
fn messages(entries: Vec<LoggedEntry>) -> Vec<Vec<LoggedEntry>> {
    let mut messages = Vec::new();
    let (mut message, mut bytes) = (Vec::new(), 0_usize);
    for entry in entries {
        let full = message.len() >= ENTRIES || bytes.saturating_add(entry.json.len()) > BYTES;
        if full && !message.is_empty() {
            messages.push(std::mem::take(&mut message));
            bytes = 0;
        }
        bytes = bytes.saturating_add(entry.json.len());
        message.push(entry);
    }
    if !message.is_empty() {
        messages.push(message);
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(lengths: &[usize]) -> Vec<usize> {
        let log = "2026-11".parse().unwrap();
        let entries = lengths
            .iter()
            .zip(0..)
            .map(|(length, index)| LoggedEntry {
                log,
                index,
                json: vec![b' '; *length],
            })
            .collect();
        let messages = messages(entries);
        let indexes: Vec<_> = messages.iter().flatten().map(|entry| entry.index).collect();
        let all: Vec<_> = (0..lengths.len() as u64).collect();
        assert_eq!(indexes, all, "all of them, in their order");
        messages.iter().map(Vec::len).collect()
    }

    #[test]
    fn messages_are_bounded_in_entries_and_bytes() {
        assert!(sizes(&[]).is_empty());
        assert_eq!(sizes(&[700; 256]), [256]);
        assert_eq!(sizes(&[700; 257]), [256, 1]);
        assert_eq!(sizes(&[65_535; 40]), [16, 16, 8]);
        assert_eq!(sizes(&[BYTES, 1, BYTES - 1, 1]), [1, 2, 1]);
        assert_eq!(sizes(&[BYTES + 1, BYTES + 1]), [1, 1]);
    }
}
