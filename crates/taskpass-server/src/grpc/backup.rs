//! `BackupService`.

use taskpass_api::v1::{self, backup_service_server::BackupService};
use taskpass_core::verb::Verb;
use tonic::{Request, Response, Status};

use super::audit::{Gone, Stream};
use super::{Service, proved, standing};
use crate::status;

#[tonic::async_trait]
impl BackupService for Service {
    type BackupStream = Stream<v1::BackupResponse>;

    async fn backup(
        &self,
        request: Request<v1::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let slot = self.streams.backup().map_err(status::of)?;
        let (caller, proved) = (standing(&request)?, proved(&request)?);
        let mut pieces = self.broker.backup(&caller).await.map_err(status::of)?;
        let (mut reader, stream) = self.reader(caller, proved, Verb::Backup, slot);
        tokio::spawn(async move {
            loop {
                let piece = match reader.meanwhile(pieces.recv()).await {
                    Ok(Some(Ok(data))) => v1::BackupResponse { data },
                    Ok(Some(Err(error))) => return reader.end(status::of(error)).await,
                    Ok(None) | Err(Gone) => return,
                };
                if reader.send(piece).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(stream))
    }

    async fn unseal(
        &self,
        request: Request<v1::UnsealRequest>,
    ) -> Result<Response<v1::UnsealResponse>, Status> {
        let caller = standing(&request)?;
        let reason = request.into_inner().reason;
        let was_sealed = self.broker.unseal(&caller, &reason).await;
        Ok(Response::new(v1::UnsealResponse {
            was_sealed: was_sealed.map_err(status::of)?,
        }))
    }
}
