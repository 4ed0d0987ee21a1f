//! `KeyService`.

use taskpass_api::v1::{self, key_service_server::KeyService};
use taskpass_broker::Error;
use taskpass_core::key::KeyPurpose;
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

    async fn rotate(
        &self,
        request: Request<v1::RotateKeyRequest>,
    ) -> Result<Response<v1::RotateKeyResponse>, Status> {
        let caller = standing(&request)?;
        let v1::RotateKeyRequest { key, now } = request.into_inner();
        let rotated = self.broker.rotate_key(&caller, &key, now).await;
        let rotated = rotated.map_err(status::of)?;
        Ok(Response::new(v1::RotateKeyResponse {
            next: Some(to_key(rotated.next)),
            takes_over_at: Some(convert::timestamp(rotated.takes_over_at)),
        }))
    }

    async fn taint(
        &self,
        request: Request<v1::TaintKeyRequest>,
    ) -> Result<Response<v1::TaintKeyResponse>, Status> {
        let caller = standing(&request)?;
        let v1::TaintKeyRequest { key_id, reason } = request.into_inner();
        let tainted = self.broker.taint_key(&caller, &key_id, &reason).await;
        let tainted = tainted.map_err(status::of)?;
        Ok(Response::new(v1::TaintKeyResponse {
            seq: tainted.seq,
            credentials: tainted.live.credentials,
            next: tainted.next.map(to_key),
        }))
    }

    async fn export_csr(
        &self,
        request: Request<v1::ExportCsrRequest>,
    ) -> Result<Response<v1::ExportCsrResponse>, Status> {
        let caller = standing(&request)?;
        let purpose = purpose(&request.into_inner().purpose)?;
        let made = self.broker.export_csr(&caller, purpose).await;
        let made = made.map_err(status::of)?;
        Ok(Response::new(v1::ExportCsrResponse {
            csr_pem: made.pem,
            key_id: made.key.id.to_string(),
        }))
    }

    async fn import_certificate(
        &self,
        request: Request<v1::ImportCertificateRequest>,
    ) -> Result<Response<v1::ImportCertificateResponse>, Status> {
        let caller = standing(&request)?;
        let v1::ImportCertificateRequest { chain_pem, standby } = request.into_inner();
        let brought = self
            .broker
            .import_certificate(&caller, &chain_pem, standby)
            .await;
        let brought = brought.map_err(status::of)?;
        Ok(Response::new(v1::ImportCertificateResponse {
            authority: Some(to_key(brought.authority)),
            root: brought.root.map(to_key),
            takes_over_at: brought.takes_over_at.map(convert::timestamp),
        }))
    }

    async fn forget_root(
        &self,
        request: Request<v1::ForgetRootRequest>,
    ) -> Result<Response<v1::ForgetRootResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let purpose = purpose(&request.purpose)?;
        let root = self
            .broker
            .forget_root(&caller, purpose, &request.reason)
            .await;
        Ok(Response::new(v1::ForgetRootResponse {
            root: Some(to_key(root.map_err(status::of)?)),
        }))
    }
}

fn purpose(text: &str) -> Result<KeyPurpose, Status> {
    text.parse().map_err(|_| {
        let expected = "control-issuing, task-issuing, control-root or task-root";
        status::of(Error::InvalidField {
            field: "purpose",
            expected: expected.to_owned(),
        })
    })
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
        has_private: key.has_private,
        takes_over_at: key.takes_over_at.map(convert::timestamp),
    }
}
