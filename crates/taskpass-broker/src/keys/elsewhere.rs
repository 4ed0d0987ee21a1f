//! Authorities that are certified elsewhere: requests go out, certificates come in, and the root's
//! private half can be forgotten.

use taskpass_core::Timestamp;
use taskpass_core::key::{KeyPurpose, KeyRecord, KeyState};
use taskpass_issuer::import::{self, Imported};
use taskpass_issuer::{Hierarchy, KeyView, NEW_ROOT_LEAD, RequestError, request, rotation};

use super::rotate::no_successor;
use crate::broker::Broker;
use crate::error::Error;
use crate::revoke::check_reason;
use crate::standing::Standing;

/// A request for a certificate.
#[derive(Debug, Clone)]
pub struct SigningRequest {
    /// The key that it is for.
    pub key: KeyView,
    /// PKCS#10, PEM.
    pub pem: String,
}

/// What a certificate that came from elsewhere changed.
#[derive(Debug, Clone)]
pub struct Brought {
    /// The authority whose certificate it was.
    pub authority: KeyView,
    /// The root that is trusted from now on.
    pub root: Option<KeyView>,
    /// When the authority takes over; `None` if it waits for its turn, or is a root.
    pub takes_over_at: Option<Timestamp>,
}

impl Broker {
    /// A request for the certificate of an authority. An issuing authority's key is made first, unless
    /// one waits already.
    pub async fn export_csr(
        &self,
        caller: &Standing,
        purpose: KeyPurpose,
    ) -> Result<SigningRequest, Error> {
        let (_, root) = request::place(purpose).ok_or_else(|| not_an_authority(purpose))?;
        let why = "made for a certificate from elsewhere";
        let record = self
            .change_keys(caller, why, |records, now| {
                let wanted = if root {
                    KeyState::Active
                } else {
                    KeyState::Waiting
                };
                let found = records
                    .iter()
                    .find(|record| record.purpose == purpose && record.state == wanted);
                if let Some(found) = found {
                    return Ok((Vec::new(), found.clone()));
                }
                let made = self.issuer.load().make_waiting(purpose, now, &self.kek);
                let made = made.map_err(Error::internal)?;
                Ok((vec![made.clone()], made))
            })
            .await?;
        self.record_read(caller, format!("a request for {purpose} {}", record.id))
            .await?;
        match self.issuer.load().request(&record, &self.kek) {
            Ok(pem) => Ok(SigningRequest {
                key: KeyView::of(&record),
                pem,
            }),
            Err(error @ RequestError::Elsewhere(_)) => Err(Error::KeyNotReady {
                message: error.to_string(),
            }),
            Err(error) => Err(Error::internal(error)),
        }
    }

    /// Takes the certificate of an authority, with those above it. An issuing authority takes over when
    /// verifiers can know it, or, with `standby`, waits for its turn.
    pub async fn import_certificate(
        &self,
        caller: &Standing,
        chain_pem: &str,
        standby: bool,
    ) -> Result<Brought, Error> {
        let why = "its certificate was brought from elsewhere";
        let brought = self
            .change_keys(caller, why, |records, now| {
                plan_import(records, chain_pem, standby, now)
            })
            .await?;
        if let Err(error) = self.rotate_due().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the keys could not be looked at"
            );
        }
        Ok(brought)
    }

    /// Destroys the private halves of the roots of a hierarchy. From then on an issuing authority can
    /// be certified only elsewhere.
    pub async fn forget_root(
        &self,
        caller: &Standing,
        purpose: KeyPurpose,
        reason: &str,
    ) -> Result<KeyView, Error> {
        check_reason(reason)?;
        let Some((hierarchy, true)) = request::place(purpose) else {
            return Err(Error::field("purpose", "control-root or task-root"));
        };
        self.change_keys(caller, reason, |records, now| {
            let active = records
                .iter()
                .find(|record| record.purpose == purpose && record.state == KeyState::Active)
                .ok_or_else(|| not_an_authority(purpose))?;
            let changed = self.forgotten(records, hierarchy, now)?;
            let view = changed.iter().find(|record| record.id == active.id);
            let view = KeyView::of(view.unwrap_or(active));
            Ok((changed, view))
        })
        .await
    }

    fn forgotten(
        &self,
        records: &[KeyRecord],
        hierarchy: Hierarchy,
        now: Timestamp,
    ) -> Result<Vec<KeyRecord>, Error> {
        let issuer = self.issuer.load();
        let roots = records
            .iter()
            .filter(|record| record.purpose == hierarchy.root() && record.has_private());
        let forgotten = roots.map(|root| {
            let list = issuer.last_root_crl(hierarchy, &root.id, now);
            Ok(KeyRecord {
                crl: list.map_err(Error::internal)?,
                ..root.destroyed()
            })
        });
        forgotten.collect()
    }
}

fn not_an_authority(purpose: KeyPurpose) -> Error {
    let expected = format!(
        "control-issuing, task-issuing, control-root or task-root; {purpose} has no certificate"
    );
    Error::field("purpose", expected)
}

fn plan_import(
    records: &[KeyRecord],
    chain_pem: &str,
    standby: bool,
    now: Timestamp,
) -> Result<(Vec<KeyRecord>, Brought), Error> {
    let imported =
        import::import(records, chain_pem, now).map_err(|error| Error::InvalidCertificate {
            message: error.to_string(),
        })?;
    let (record, root) = match imported {
        Imported::Authority { record, root } => (*record, root.map(|root| *root)),
        Imported::Root(record) => {
            let brought = answer(&record, None);
            return Ok((vec![*record], brought));
        }
        Imported::Known(record) => return Ok((Vec::new(), answer(&record, None))),
    };
    let lead = root.as_ref().map(|_| now.plus(NEW_ROOT_LEAD));
    let free_from = rotation::room_from(records, record.purpose, now);
    // Whoever trusts the new root only must have had the time to come to trust it.
    let known = KeyRecord {
        activate_at: lead,
        ..record.clone()
    };
    let earliest = rotation::known_at(&known).max(free_from.unwrap_or(now));
    let record = KeyRecord {
        activate_at: if standby { lead } else { Some(earliest) },
        ..record
    };
    if standby && lead.is_some() {
        let message = "`standby` is for another authority beneath a root that is known; this file \
                       brings a new root, which takes over when everybody can know it";
        return Err(Error::KeyNotReady {
            message: message.to_owned(),
        });
    }
    let replaced = records
        .iter()
        .filter(|other| other.purpose == record.purpose && other.state == KeyState::Prepared)
        .map(|other| rotation::dropped(other, now));
    let former = records.iter().filter(|other| {
        root.as_ref().is_some_and(|root| {
            other.purpose == root.purpose && other.id != root.id && other.state == KeyState::Active
        })
    });
    let former = former.map(|other| KeyRecord {
        state: KeyState::Retired,
        retired_at: Some(now),
        ..other.clone()
    });
    let mut changed = vec![record.clone()];
    changed.extend(replaced);
    changed.extend(former);
    changed.extend(root.clone());
    Ok((changed, answer(&record, root.as_ref())))
}

fn answer(record: &KeyRecord, root: Option<&KeyRecord>) -> Brought {
    Brought {
        authority: KeyView::of(record),
        root: root.map(KeyView::of),
        takes_over_at: record.activate_at,
    }
}

impl Broker {
    /// The error of a key that nothing can follow.
    pub(crate) fn nothing_follows(purpose: KeyPurpose) -> Error {
        Error::KeyNotReady {
            message: no_successor(purpose),
        }
    }
}
