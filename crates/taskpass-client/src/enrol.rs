//! How a caller gets its first identity, and the next one.
//!
//! The key pair is made here; the broker sees a signing request. What comes back is accepted only if
//! it certifies exactly that key.

use std::path::Path;

use taskpass_api::v1::enrolment_service_client::EnrolmentServiceClient;
use taskpass_api::v1::{self, EnrolRequest, RenewIdentityRequest};
use taskpass_core::secret::Secret;
use tonic::transport::Channel;

use crate::connect::{ConnectError, connect};
use crate::error::Refused;
use crate::identity::{Identity, IdentityError};
use crate::key::{KeyError, LocalKey};

/// No identity was obtained.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No key pair.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The broker refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The folder of the identity could not be read or written.
    #[error(transparent)]
    Folder(#[from] IdentityError),
    /// The broker answered with something that is no identity for this key.
    #[error("the broker's answer holds no usable identity")]
    Answer(#[source] IdentityError),
    /// The broker answered without an identity.
    #[error("the broker's answer holds no identity")]
    Empty,
}

/// An identity, and which one of its holder it is.
#[derive(Debug)]
pub struct Enrolled {
    /// The identity. Not saved yet.
    pub identity: Identity,
    /// Counted from 1.
    pub generation: u64,
}

/// Trades a single-use token for an identity. `anchors_pem` came with the token.
pub async fn enrol(addr: &str, anchors_pem: &str, token: &Secret) -> Result<Enrolled, EnrolError> {
    // The key first: whatever can fail on this side must not use the token up.
    let key = LocalKey::generate()?;
    let channel = connect(addr, None, anchors_pem).await?;
    let request = EnrolRequest {
        token: token.expose().to_owned(),
        csr: key.csr_der().to_vec().into(),
    };
    let reply = EnrolmentServiceClient::new(channel)
        .enrol(request)
        .await
        .map_err(Refused::from)?;
    accept(reply.into_inner().identity, &key)
}

/// Trades the identity that `channel` presents for the next one, of `key`.
///
/// If the answer is lost, call again with the *same* key: another key for the same generation
/// counts as theft, and ends the identity. [`renew_in`] takes care of that.
pub async fn renew(channel: Channel, key: &LocalKey) -> Result<Enrolled, EnrolError> {
    let request = RenewIdentityRequest {
        csr: key.csr_der().to_vec().into(),
    };
    let reply = EnrolmentServiceClient::new(channel)
        .renew_identity(request)
        .await
        .map_err(Refused::from)?;
    accept(reply.into_inner().identity, key)
}

/// Renews the identity in `folder` and saves the next one there.
///
/// The next key is on disk before the broker hears of it, and is used again after a crash or a lost
/// answer, so that no interruption looks like a theft.
pub async fn renew_in(folder: &Path, addr: &str) -> Result<Enrolled, EnrolError> {
    let present = Identity::load(folder)?;
    let key = match Identity::load_next_key(folder)? {
        Some(pem) => LocalKey::from_pem(&pem)?,
        None => LocalKey::generate()?,
    };
    Identity::save_next_key(folder, key.key_pem())?;
    let channel = connect(addr, Some(&present), present.ca_pem()).await?;
    let enrolled = renew(channel, &key).await?;
    enrolled.identity.save(folder)?;
    Identity::drop_next_key(folder)?;
    Ok(enrolled)
}

fn accept(identity: Option<v1::Identity>, key: &LocalKey) -> Result<Enrolled, EnrolError> {
    let identity = identity.ok_or(EnrolError::Empty)?;
    Ok(Enrolled {
        generation: identity.generation,
        identity: Identity::new(identity.cert_pem, key.key_pem().clone(), identity.ca_pem)
            .map_err(EnrolError::Answer)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Broker;

    #[tokio::test]
    async fn a_token_becomes_an_identity_that_is_accepted() {
        let broker = Broker::start().await;
        let token = Secret::new("one-time".into());
        let enrolled = enrol(&broker.addr, &broker.anchors(), &token)
            .await
            .unwrap();
        assert_eq!(enrolled.generation, 1);
        let identity = &enrolled.identity;
        assert!(
            connect(&broker.addr, Some(identity), identity.ca_pem())
                .await
                .is_ok()
        );
        let token = Secret::new("guessed".into());
        let error = enrol(&broker.addr, &broker.anchors(), &token)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, EnrolError::Refused(r) if r.is("ENROLMENT_REFUSED")),
            "{error}"
        );
    }

    /// A lost answer must not look like a second key for the same generation.
    #[tokio::test]
    async fn an_interrupted_renewal_goes_on_with_the_same_key() {
        let broker = Broker::start().await;
        let home = tempfile::tempdir().unwrap();
        let present = broker.identity();
        present.save(home.path()).unwrap();
        let lost = renew_in(home.path(), &broker.addr).await.unwrap_err();
        assert!(matches!(lost, EnrolError::Refused(_)), "{lost}");
        let kept = Identity::load(home.path()).unwrap();
        assert_eq!(kept.cert_pem(), present.cert_pem());

        let enrolled = renew_in(home.path(), &broker.addr).await.unwrap();
        assert_eq!(enrolled.generation, 2);
        let next = Identity::load(home.path()).unwrap();
        assert_eq!(next.cert_pem(), enrolled.identity.cert_pem());
        assert_ne!(next.key_pem(), present.key_pem());
        renew_in(home.path(), &broker.addr).await.unwrap();
        let keys = broker.renewals();
        assert_eq!(keys[0], keys[1]);
        assert_ne!(keys[1], keys[2]);
    }
}
