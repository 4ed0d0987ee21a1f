//! Rotation because somebody asked for it.

use taskpass_core::Timestamp;
use taskpass_core::key::{KeyId, KeyPurpose, KeyRecord, KeyState};
use taskpass_issuer::{KeyView, rotation};

use crate::broker::Broker;
use crate::error::Error;
use crate::standing::Standing;

/// A rotation that happened, or is going to.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// The key that takes over.
    pub next: KeyView,
    /// When it does, or did.
    pub takes_over_at: Timestamp,
}

impl Broker {
    /// Lets the next key of a slot take over: at once if every verifier can know it, as soon as that is
    /// so otherwise; with `at_once` in any case. `key` is a purpose, the id of the key to replace, or
    /// the id of the prepared one that is to take over.
    pub async fn rotate_key(
        &self,
        caller: &Standing,
        key: &str,
        at_once: bool,
    ) -> Result<Rotated, Error> {
        let why = if at_once {
            "rotated on demand, at once"
        } else {
            "rotated on demand"
        };
        let rotated = self
            .change_keys(caller, why, |records, now| {
                self.plan_rotation(records, key, at_once, now)
            })
            .await?;
        // What follows is due: a fresh key in the place of the one that took over.
        if let Err(error) = self.rotate_due().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "no next key could be prepared"
            );
        }
        Ok(rotated)
    }

    fn plan_rotation(
        &self,
        records: &[KeyRecord],
        key: &str,
        at_once: bool,
        now: Timestamp,
    ) -> Result<(Vec<KeyRecord>, Rotated), Error> {
        let (purpose, chosen) = slot(records, key)?;
        if let Some(until) = rotation::room_from(records, purpose, now) {
            let message = format!(
                "the {purpose} key before the active one is published until {until}; rotate after \
                 that, or taint the active one if it is not to be trusted"
            );
            return Err(Error::KeyNotReady { message });
        }
        let next = match chosen.or_else(|| rotation::next_in_turn(records, purpose)) {
            Some(next) => next.clone(),
            None => self.fresh(records, purpose, now)?,
        };
        if !rotation::is_of_use(&next, now) {
            let message = format!(
                "the certificate of the {purpose} key {} ends before what it would certify; bring a \
                 newer one with `taskpass keys import`",
                next.id
            );
            return Err(Error::KeyNotReady { message });
        }
        let known = rotation::known_at(&next);
        let (changed, takes_over_at) = if at_once || now >= known {
            (rotation::take_over(records, &next, now), now)
        } else {
            let next = KeyRecord {
                activate_at: Some(known),
                ..next.clone()
            };
            (vec![next], known)
        };
        let next = changed
            .first()
            .map_or_else(|| KeyView::of(&next), KeyView::of);
        let rotated = Rotated {
            next,
            takes_over_at,
        };
        Ok((changed, rotated))
    }

    /// A key to follow, if the broker can make one.
    pub(crate) fn fresh(
        &self,
        records: &[KeyRecord],
        purpose: KeyPurpose,
        now: Timestamp,
    ) -> Result<KeyRecord, Error> {
        if !rotation::can_make(records, purpose) {
            return Err(Error::KeyNotReady {
                message: no_successor(purpose),
            });
        }
        let next = self.issuer.load().make_next(purpose, now, &self.kek);
        next.map_err(Error::internal)
    }
}

/// What to do when a key cannot be followed.
pub(crate) fn no_successor(purpose: KeyPurpose) -> String {
    let which = purpose.as_str().trim_end_matches("-issuing");
    format!(
        "no {purpose} key is prepared, and the root that would certify one is not here: make a \
         request with `taskpass keys export-csr {which}`, have it signed, and bring the certificate \
         with `taskpass keys import`"
    )
}

/// What can be named.
const ROTATING: &str = "token-es256, token-eddsa, control-issuing, task-issuing and feed rotate";

/// The slot that is meant, and the prepared key if one was named.
fn slot<'a>(
    records: &'a [KeyRecord],
    key: &str,
) -> Result<(KeyPurpose, Option<&'a KeyRecord>), Error> {
    let (purpose, chosen) = if let Ok(purpose) = key.parse::<KeyPurpose>() {
        (purpose, None)
    } else {
        let Some(id) = KeyId::parse(key) else {
            let expected = format!("a purpose such as token-es256, or a key's id; {ROTATING}");
            return Err(Error::field("key", expected));
        };
        let found = records.iter().find(|record| record.id == id);
        let found = found.ok_or_else(|| Error::KeyNotFound {
            key: key.chars().take(64).collect(),
        })?;
        match found.state {
            KeyState::Active => (found.purpose, None),
            KeyState::Prepared => (found.purpose, Some(found)),
            KeyState::Waiting | KeyState::Retired | KeyState::Tainted => {
                let message = format!(
                    "the {} key {} is {}; name the active key, a prepared one, or the purpose",
                    found.purpose, found.id, found.state
                );
                return Err(Error::KeyNotReady { message });
            }
        }
    };
    if rotation::period(purpose).is_none() {
        let expected = format!("a key that rotates, which {purpose} does not; {ROTATING}");
        return Err(Error::field("key", expected));
    }
    Ok((purpose, chosen))
}
