//! `KeyService`.

use taskpass_api::v1::{self, key_service_server::KeyService};
use taskpass_issuer::KeyView;
use tonic::{Request, Response, Status};

use super::{Service, convert, standing};
use crate::status;

#[tonic::async_trait]
impl KeyService for Service {
    async fn list(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        let caller = standing(&request)?;
        let keys = self.broker.list_keys(&caller).await.map_err(status::of)?;
        let keys = keys.into_iter().map(to_key).collect();
        Ok(Response::new(v1::ListKeysResponse { keys }))
    }
}

fn to_key(key: KeyView) -> v1::Key {
    v1::Key {
        key_id: key.id.to_string(),
        purpose: key.purpose.to_string(),
        state: convert::key_state(key.state).into(),
        created_at: Some(convert::timestamp(key.created_at)),
        activated_at: key.activated_at.map(convert::timestamp),
        retired_at: key.retired_at.map(convert::timestamp),
        not_after: key.not_after.map(convert::timestamp),
        public_jwk: key.public_jwk.unwrap_or_default(),
        certificate_pem: key.certificate_pem.unwrap_or_default(),
    }
}
