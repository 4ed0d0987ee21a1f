//! Lists of revoked tokens: signed, and where they are found.
//!
//! A token names its list, and the list names itself, so neither can stand for another. A list is
//! good for five minutes and says to fetch it again after half a minute. It is signed with the key
//! that signs tokens (ES256): verifiers have that one already, and its `typ` keeps the two apart.

use std::time::Duration;

use taskpass_core::access::TokenAlg;
use taskpass_core::key::KeyId;
use taskpass_core::listing::ListId;
use taskpass_core::time::Timestamp;
use taskpass_status::{ListClaims, Packed, signing_input};
use taskpass_token::jws::assemble;

use crate::issuer::Issuer;
use crate::prepare::SignError;

/// How long a status list is good for.
pub const STATUS_LIFE: Duration = Duration::from_mins(5);
/// After how long it should be fetched again: how long a revocation may go unnoticed.
pub const STATUS_TTL: Duration = Duration::from_secs(30);

impl Issuer {
    /// Where the status list `id` is fetched.
    pub fn status_location(&self, id: ListId) -> String {
        format!("{}/{id}", self.status_aggregation())
    }

    /// Where all status lists are named.
    pub fn status_aggregation(&self) -> String {
        format!("{}/status", self.config.issuer_url)
    }

    /// The key that signs status lists now.
    pub fn status_key(&self) -> &KeyId {
        self.slot(TokenAlg::Es256).jwk.id()
    }

    /// Signs the list `id`, which holds everything that was revoked up to `as_of`.
    pub fn status_list(
        &self,
        id: ListId,
        packed: &Packed,
        as_of: Timestamp,
    ) -> Result<String, SignError> {
        let slot = self.slot(TokenAlg::Es256);
        let (uri, all) = (self.status_location(id), self.status_aggregation());
        let claims = ListClaims {
            uri: &uri,
            issued_at: as_of.secs(),
            expires_at: as_of.plus(STATUS_LIFE).secs(),
            ttl: STATUS_TTL.as_secs(),
            aggregation_uri: Some(&all),
        };
        let input = signing_input(&claims, packed, slot.jwk.alg(), slot.jwk.id());
        let signature = slot.key.sign(input.as_bytes())?;
        Ok(assemble(&input, &signature))
    }
}
