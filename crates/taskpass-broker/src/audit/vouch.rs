//! Whether what a report rests on is a state of this log, and of late.
//!
//! Size and root are compared with the log itself. That nothing was left out is not taken from the word
//! of whoever made the report: the first entry that the report does not have tells for how long it has
//! been out of date.

use taskpass_core::Timestamp;
use taskpass_core::promotion::READINESS_MAX_AGE;
use taskpass_log::{Reader, proof};

use super::{AuditLog, origin};
use crate::archive::aside;
use crate::error::Error;
use crate::registry::{Statement, Vouched, untimely};

/// What of an entry is read here.
#[derive(serde::Deserialize)]
struct Dated {
    at: String,
}

/// What the log says of a state that somebody names.
enum Found {
    /// It never had that root.
    Foreign,
    /// It had, and this is when the next entry was made; `None` if there is none yet.
    Ours(Option<Timestamp>),
}

impl AuditLog {
    /// Lets a statement about `who` count, if it says that the report passed and the report rests on the
    /// current log as it was within the last hour.
    pub async fn vouch(&self, who: &str, statement: Statement) -> Result<Vouched, Error> {
        let Statement { passed, facts } = statement;
        let refused = |why| Error::NotReady {
            who: who.to_owned(),
            why,
        };
        if !passed {
            return Err(refused("its readiness report did not pass"));
        }
        if facts.requirements.is_none_or(|asked| asked.asked == 0) {
            return Err(refused("its readiness report asked for nothing"));
        }
        let broker = self.broker();
        let now = broker.clock.now();
        if let Some(why) = untimely(&facts, now, broker.limits.skew) {
            return Err(refused(why));
        }
        let signed = self.checkpoint(None).await?;
        if origin(&signed)? != facts.log {
            return Err(refused(
                "its readiness report rests on another log than the current one of this broker; make it \
                 again",
            ));
        }
        let foreign = "its readiness report rests on a log that this broker never had";
        if facts.size == 0 || facts.size > signed.size {
            return Err(refused(foreign));
        }
        let (folder, size, covered) = (signed.log.folder(&self.root), facts.size, signed.size);
        let root = facts.root;
        let found = aside(move || {
            let reader = Reader::open(&folder);
            let view = reader.at(covered);
            let ours = proof::root(&view, size).map_err(Error::log)?;
            if ours.as_bytes() != root.as_bytes() {
                return Ok(Found::Foreign);
            }
            if size == covered {
                return Ok(Found::Ours(None));
            }
            let json = view.entry(size).map_err(Error::log)?;
            let next: Dated = serde_json::from_slice(&json).map_err(Error::log)?;
            // An entry of ours always has one; of one that has none nothing is known.
            let at = Timestamp::parse_rfc3339(&next.at).unwrap_or(Timestamp::ZERO);
            Ok(Found::Ours(Some(at)))
        })
        .await?;
        match found {
            Found::Foreign => Err(refused(foreign)),
            Found::Ours(Some(next)) if now.since(next) > READINESS_MAX_AGE => Err(refused(
                "its readiness report rests on a log that is more than an hour old; make it again",
            )),
            Found::Ours(_) => Ok(Vouched(facts)),
        }
    }
}
