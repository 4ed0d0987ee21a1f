//! A drill: what was measured, and whether everybody refused.

use serde::Serialize;
use taskpass_api::v1;
use taskpass_core::Timestamp;

use super::wire;
use crate::output::table::{Fields, Table};
use crate::output::text::{NOTHING, instant};
use crate::output::{Ink, View};

/// A drill that was held. Times are microseconds from the arrival of the revocation.
#[derive(Debug, Serialize)]
pub(crate) struct Drilled {
    agent: String,
    target: String,
    seq: u64,
    entry_id: String,
    at: Option<Timestamp>,
    connected: u64,
    confirmed: u64,
    silent: u64,
    commit_us: u64,
    introspect_us: Option<u64>,
    first_us: Option<u64>,
    p50_us: Option<u64>,
    last_us: Option<u64>,
    timed_out: bool,
    all_refused: bool,
    verifiers: Vec<Verifier>,
}

/// One stream of a verifier.
#[derive(Debug, Serialize)]
struct Verifier {
    verifier: String,
    refused_us: Option<u64>,
}

impl Drilled {
    /// Of the broker's answer, with the canary and where it was issued for.
    pub(crate) fn new(reply: v1::DrillResponse, agent: String, target: String) -> Self {
        Self {
            agent,
            target,
            seq: reply.seq,
            entry_id: reply.entry_id,
            at: wire::instant(reply.at),
            connected: reply.connected,
            confirmed: reply.confirmed,
            silent: reply.silent,
            commit_us: reply.commit_us,
            introspect_us: reply.introspect_us,
            first_us: reply.first_us,
            p50_us: reply.p50_us,
            last_us: reply.last_us,
            timed_out: reply.timed_out,
            all_refused: reply.silent == 0 && reply.introspect_us.is_some(),
            verifiers: reply
                .verifiers
                .into_iter()
                .map(|one| Verifier {
                    verifier: one.verifier,
                    refused_us: one.refused_us,
                })
                .collect(),
        }
    }

    /// What went wrong, if somebody did not refuse in time.
    pub(crate) fn failure(&self) -> Option<String> {
        if self.introspect_us.is_none() {
            return Some("the broker itself did not refuse in time".to_owned());
        }
        (self.silent > 0).then(|| {
            let (silent, connected) = (self.silent, self.connected);
            format!("{silent} of {connected} connected verifiers did not confirm in time that they refuse")
        })
    }
}

/// `1.204 ms`, or a dash.
fn millis(micros: Option<u64>) -> String {
    micros.map_or_else(
        || NOTHING.to_owned(),
        |micros| format!("{}.{:03} ms", micros / 1_000, micros % 1_000),
    )
}

impl View for Drilled {
    fn text(&self, ink: &Ink) -> String {
        let counted = format!(
            "{} connected, {} confirmed, {} silent",
            self.connected, self.confirmed, self.silent
        );
        let nobody = "no verifier of the target is on the feed: only the broker was measured";
        let mut text = Fields::default()
            .with("canary", &self.agent)
            .with("target", &self.target)
            .with("revoked", instant(self.at, ink))
            .with("on disk after", millis(Some(self.commit_us)))
            .with("broker refuses after", millis(self.introspect_us))
            .with("verifiers", counted)
            .with("first refuses after", millis(self.first_us))
            .with("half of them after", millis(self.p50_us))
            .with("the last after", millis(self.last_us))
            .maybe("note", (self.connected == 0).then(|| nobody.to_owned()))
            .with("entry", &self.entry_id)
            .render(ink);
        if !self.verifiers.is_empty() {
            let mut table = Table::new(&["VERIFIER", "REFUSES AFTER"]);
            for one in &self.verifiers {
                let after = match one.refused_us {
                    Some(micros) => millis(Some(micros)),
                    None => "silent".to_owned(),
                };
                table.row([one.verifier.clone(), after]);
            }
            text.push('\n');
            text.push_str(&table.render(ink, ""));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn drilled(silent: u64, introspect_us: Option<u64>) -> Drilled {
        let reply = v1::DrillResponse {
            seq: 4,
            entry_id: "E".into(),
            connected: 2,
            confirmed: 2 - silent,
            silent,
            commit_us: 1_204,
            introspect_us,
            first_us: Some(2_005),
            p50_us: Some(2_005),
            last_us: Some(2_005),
            timed_out: silent > 0,
            verifiers: vec![
                v1::DrilledVerifier {
                    verifier: "ledger".into(),
                    refused_us: Some(2_005),
                },
                v1::DrilledVerifier {
                    verifier: "mail".into(),
                    refused_us: None,
                },
            ],
            ..v1::DrillResponse::default()
        };
        Drilled::new(reply, "canary".into(), "https://a".into())
    }

    #[test]
    fn every_field_is_there() {
        let value = serde_json::to_value(drilled(1, None)).unwrap();
        assert_eq!(
            value,
            json!({
                "agent": "canary", "target": "https://a", "seq": 4, "entry_id": "E", "at": null,
                "connected": 2, "confirmed": 1, "silent": 1, "commit_us": 1204,
                "introspect_us": null, "first_us": 2005, "p50_us": 2005, "last_us": 2005,
                "timed_out": true, "all_refused": false,
                "verifiers": [{"verifier": "ledger", "refused_us": 2005},
                              {"verifier": "mail", "refused_us": null}],
            })
        );
    }

    #[test]
    fn what_went_wrong_is_said() {
        let said = drilled(1, Some(9)).failure().unwrap();
        assert_eq!(
            said,
            "1 of 2 connected verifiers did not confirm in time that they refuse"
        );
        assert!(
            drilled(0, None)
                .failure()
                .unwrap()
                .contains("broker itself")
        );
        assert_eq!(drilled(0, Some(9)).failure(), None);
        let text = drilled(1, Some(9)).text(&Ink::plain());
        for part in [
            "1.204 ms",
            "0.009 ms",
            "mail      silent",
            "2 connected, 1 confirmed",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
