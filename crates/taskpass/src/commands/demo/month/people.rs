//! Callers: how they enrol and renew, and how they stand when they call.
//!
//! What a TLS handshake would prove is read, by the same code, from the certificate that the broker
//! issued; whether it may call is asked of the broker each time, as at the gate of one in service.

use std::collections::BTreeMap;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use taskpass_broker::{Enrolled, Proved, Standing, first_enrolment};
use taskpass_client::LocalKey;
use taskpass_core::Clock as _;
use taskpass_core::enrolment::FIRST_ENROLMENT_TTL;
use taskpass_core::identity::Principal;
use taskpass_core::rng::Rng;
use taskpass_core::secret::Secret;

use super::house::House;
use super::{OPERATOR, broken, refused};
use crate::errors::CliError;

/// Everybody who has an identity.
#[derive(Debug, Default)]
pub(super) struct People(BTreeMap<Principal, Proved>);

/// Who runs the broker.
pub(super) fn operator() -> Result<Principal, CliError> {
    let name = OPERATOR.parse().map_err(broken("name the operator"))?;
    Ok(Principal::Operator(name))
}

/// A new key.
pub(super) fn key() -> Result<LocalKey, CliError> {
    LocalKey::generate().map_err(broken("make a key"))
}

impl People {
    /// The operator comes first, with the token that is made on the broker's own machine.
    pub(super) async fn first(&mut self, house: &House, rng: &dyn Rng) -> Result<(), CliError> {
        let (who, now) = (operator()?, house.clock.now());
        let token = first_enrolment(house.store(), &who, FIRST_ENROLMENT_TTL, rng, now)
            .await
            .map_err(broken("make the first enrolment token"))?;
        self.redeem(house, &who, &token, &key()?).await
    }

    /// Somebody who is registered enrols with a token that the operator makes. Not done if the broker
    /// refuses it.
    pub(super) async fn enrol(
        &mut self,
        house: &House,
        who: &Principal,
        key: &LocalKey,
    ) -> Result<(), CliError> {
        let operator = self.operator(house).await?;
        let token = house.broker.create_enrolment_token(&operator, who).await;
        match refused(token, "make an enrolment token")? {
            Some(fresh) => self.redeem(house, who, &fresh.token, key).await,
            None => Ok(()),
        }
    }

    async fn redeem(
        &mut self,
        house: &House,
        who: &Principal,
        token: &Secret,
        key: &LocalKey,
    ) -> Result<(), CliError> {
        let enrolled = house.broker.enrol(token.expose(), key.csr_der()).await;
        if let Some(enrolled) = refused(enrolled, "enrol")? {
            self.0.insert(who.clone(), proved(house, &enrolled)?);
        }
        Ok(())
    }

    /// Somebody trades an identity for the next one; it stays as it is if the broker refuses that.
    pub(super) async fn renew(&mut self, house: &House, who: &Principal) -> Result<(), CliError> {
        let method = "EnrolmentService/RenewIdentity";
        let Some(standing) = self.standing(house, who, method).await? else {
            return Ok(());
        };
        let key = key()?;
        let renewed = house.broker.renew_identity(&standing, key.csr_der()).await;
        if let Some(renewed) = refused(renewed, "renew an identity")? {
            self.0.insert(who.clone(), proved(house, &renewed)?);
        }
        Ok(())
    }

    /// How somebody stands who calls now; nothing if the call is refused, which is recorded.
    pub(super) async fn standing(
        &self,
        house: &House,
        who: &Principal,
        method: &str,
    ) -> Result<Option<Standing>, CliError> {
        let Some(proved) = self.0.get(who) else {
            return Ok(None);
        };
        let error = match house.broker.standing(proved, None).await {
            Ok(standing) => return Ok(Some(standing)),
            Err(error) => error,
        };
        house
            .broker
            .record_refused_call(proved, method, &error)
            .await
            .map_err(broken("record a refused call"))?;
        refused::<Standing>(Err(error), "call")
    }

    /// How the operator stands, who is never refused.
    pub(super) async fn operator(&self, house: &House) -> Result<Standing, CliError> {
        let standing = self
            .standing(house, &operator()?, "RegistryService")
            .await?;
        standing.ok_or_else(|| CliError::new("MONTH_FAILED", "the operator was refused"))
    }
}

/// The end-entity certificate of a chain.
pub(super) fn leaf(chain_pem: &str) -> Result<CertificateDer<'static>, CliError> {
    CertificateDer::from_pem_slice(chain_pem.as_bytes()).map_err(broken("read a certificate"))
}

fn proved(house: &House, enrolled: &Enrolled) -> Result<Proved, CliError> {
    let leaf = leaf(&enrolled.chain_pem)?;
    let broker = &house.broker;
    taskpass_server::proved(&leaf, broker.trust_domain(), &broker.issuer())
        .ok_or_else(|| CliError::new("MONTH_FAILED", "an identity of the broker is none"))
}
