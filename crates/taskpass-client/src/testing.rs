//! A server that answers as a broker would, and refuses each call's first try, over real mutual TLS.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer,
    DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use taskpass_api::v1::credential_service_server::{CredentialService, CredentialServiceServer};
use taskpass_api::v1::enrolment_service_server::{EnrolmentService, EnrolmentServiceServer};
use taskpass_api::v1::task_service_server::{TaskService, TaskServiceServer};
use taskpass_api::v1::{
    self, CompleteRequest, CompleteResponse, CreateEnrolmentTokenRequest,
    CreateEnrolmentTokenResponse, EnrolRequest, EnrolResponse, GetCredentialRequest,
    GetCredentialResponse, GetTaskRequest, GetTaskResponse, IssueCertificateRequest,
    IssueCertificateResponse, IssueTokenRequest, IssueTokenResponse, IssueTokensRequest,
    IssueTokensResponse, ListCredentialsRequest, ListCredentialsResponse, ListTasksRequest,
    ListTasksResponse, RenewIdentityRequest, RenewIdentityResponse, StartRequest, StartResponse,
};
use taskpass_core::rng::{Rng, SeededRng};
use taskpass_core::{CredentialId, TaskId, Timestamp};
use tonic::transport::{Identity as TlsIdentity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::identity::Identity;
use crate::key::LocalKey;

pub(crate) const LEDGER: &str = "https://ledger.example";
pub(crate) const READ: &str = "invoices:read";
const END: u64 = 4_000_000_000;

type Ca = CertifiedIssuer<'static, KeyPair>;

pub(crate) struct Broker {
    pub(crate) addr: String,
    state: Arc<State>,
}

struct State {
    ca: Ca,
    rng: SeededRng,
    seen: Mutex<HashSet<String>>,
    /// The key of each signing request that asked for a renewal.
    renewals: Mutex<Vec<Vec<u8>>>,
    /// Streams that kept a task alive.
    keep_alives: Mutex<u32>,
    /// The certificate of whoever called last.
    newest_peer: Mutex<Vec<u8>>,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(State {
            ca: authority(),
            rng: SeededRng::new(1),
            seen: Mutex::default(),
            renewals: Mutex::default(),
            keep_alives: Mutex::default(),
            newest_peer: Mutex::default(),
        });
        let key = LocalKey::generate().unwrap();
        let cert = state.certify(
            key.csr_der(),
            vec![SanType::IpAddress("127.0.0.1".parse().unwrap())],
            ExtendedKeyUsagePurpose::ServerAuth,
        );
        let tls = ServerTlsConfig::new()
            .identity(TlsIdentity::from_pem(cert, key.key_pem().as_bytes()))
            .client_auth_optional(true)
            .client_ca_root(tonic::transport::Certificate::from_pem(state.ca.pem()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let server = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(TaskServiceServer::from_arc(Arc::clone(&state)))
            .add_service(EnrolmentServiceServer::from_arc(Arc::clone(&state)))
            .add_service(CredentialServiceServer::from_arc(Arc::clone(&state)));
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        tokio::spawn(server.serve_with_incoming(incoming));
        Self { addr, state }
    }

    pub(crate) fn anchors(&self) -> String {
        self.state.ca.pem()
    }

    pub(crate) fn identity(&self) -> Identity {
        let key = LocalKey::generate().unwrap();
        let cert = self.state.identity(key.csr_der());
        Identity::new(cert, key.into_key_pem(), self.anchors()).unwrap()
    }

    pub(crate) fn renewals(&self) -> Vec<Vec<u8>> {
        self.state.renewals.lock().unwrap().clone()
    }

    pub(crate) fn newest_peer(&self) -> Vec<u8> {
        self.state.newest_peer.lock().unwrap().clone()
    }

    pub(crate) fn saw(&self, call: &str) -> bool {
        self.state.seen.lock().unwrap().contains(call)
    }

    pub(crate) fn calls(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }
}

fn authority() -> Ca {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "test");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl State {
    fn certify(&self, csr: &[u8], names: Vec<SanType>, usage: ExtendedKeyUsagePurpose) -> String {
        let mut csr = CertificateSigningRequestParams::from_der(&csr.to_vec().into()).unwrap();
        csr.params.subject_alt_names = names;
        csr.params.extended_key_usages = vec![usage];
        csr.signed_by(&self.ca).unwrap().pem()
    }

    fn identity(&self, csr: &[u8]) -> String {
        let name = "spiffe://example.org/agent/invoice-bot".try_into().unwrap();
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        self.certify(csr, vec![SanType::URI(name)], usage)
    }

    fn wire_identity(&self, csr: &[u8], generation: u64) -> v1::Identity {
        v1::Identity {
            cert_pem: self.identity(csr),
            ca_pem: self.ca.pem(),
            expires_at: Some(Self::expiry()),
            generation,
        }
    }

    fn first_try<T>(&self, request: &Request<T>, call: &str) -> Result<(), Status> {
        let peer = request.peer_certs().expect("mutual TLS");
        assert_eq!(peer.len(), 1);
        *self.newest_peer.lock().unwrap() = peer[0].to_vec();
        if self.seen.lock().unwrap().insert(call.to_owned()) {
            let mut details =
                ErrorDetails::with_error_info("RETRY_AFTER_REVOCATION", "taskpass", []);
            details.set_retry_info(Some(std::time::Duration::from_millis(1)));
            let text = "a revocation just happened";
            return Err(Status::with_error_details(Code::Unavailable, text, details));
        }
        Ok(())
    }

    fn expiry() -> prost_types::Timestamp {
        prost_types::Timestamp {
            seconds: i64::try_from(END).unwrap(),
            nanos: 0,
        }
    }

    fn credential(&self) -> String {
        let rng: &dyn Rng = &self.rng;
        CredentialId::generate(Timestamp::from_secs(END), rng).to_string()
    }
}

#[tonic::async_trait]
impl EnrolmentService for State {
    async fn create_enrolment_token(
        &self,
        _: Request<CreateEnrolmentTokenRequest>,
    ) -> Result<Response<CreateEnrolmentTokenResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn enrol(
        &self,
        request: Request<EnrolRequest>,
    ) -> Result<Response<EnrolResponse>, Status> {
        assert!(request.peer_certs().is_none());
        if request.get_ref().token != "one-time" {
            let details = ErrorDetails::with_error_info("ENROLMENT_REFUSED", "taskpass", []);
            let code = Code::Unauthenticated;
            return Err(Status::with_error_details(code, "refused", details));
        }
        Ok(Response::new(EnrolResponse {
            principal: None,
            identity: Some(self.wire_identity(&request.get_ref().csr, 1)),
        }))
    }

    /// The first answer is lost on its way.
    async fn renew_identity(
        &self,
        request: Request<RenewIdentityRequest>,
    ) -> Result<Response<RenewIdentityResponse>, Status> {
        assert_eq!(request.peer_certs().expect("mutual TLS").len(), 1);
        let csr = &request.get_ref().csr;
        let parsed = CertificateSigningRequestParams::from_der(&csr.to_vec().into()).unwrap();
        let key = rcgen::PublicKeyData::der_bytes(&parsed.public_key).to_vec();
        let mut renewals = self.renewals.lock().unwrap();
        renewals.push(key);
        if renewals.len() == 1 {
            return Err(Status::unavailable("connection reset"));
        }
        Ok(Response::new(RenewIdentityResponse {
            identity: Some(self.wire_identity(csr, 2)),
        }))
    }
}

#[tonic::async_trait]
impl TaskService for State {
    type KeepAliveStream =
        tokio_stream::Iter<std::vec::IntoIter<Result<v1::KeepAliveResponse, Status>>>;

    /// The first stream breaks, the second says that the task was lost, and there is no third.
    async fn keep_alive(
        &self,
        request: Request<v1::KeepAliveRequest>,
    ) -> Result<Response<Self::KeepAliveStream>, Status> {
        self.first_try(&request, "keep alive")?;
        let message = |state: v1::TaskState| v1::KeepAliveResponse {
            state: state.into(),
            deadline_at: Some(Self::expiry()),
            lost_after: None,
        };
        let active = Ok(message(v1::TaskState::Active));
        let mut opened = self.keep_alives.lock().unwrap();
        *opened += 1;
        let messages = match *opened {
            1 => vec![active, Err(Status::unavailable("connection reset"))],
            2 => vec![active, Ok(message(v1::TaskState::Lost))],
            _ => return Err(Status::failed_precondition("over")),
        };
        Ok(Response::new(tokio_stream::iter(messages)))
    }

    async fn start(
        &self,
        request: Request<StartRequest>,
    ) -> Result<Response<StartResponse>, Status> {
        let call = format!(
            "start {} {}",
            request.get_ref().parent_task_id,
            request.get_ref().agent
        );
        self.first_try(&request, &call)?;
        let id = TaskId::generate(Timestamp::from_secs(END), &self.rng);
        Ok(Response::new(StartResponse {
            task_id: id.to_string(),
            deadline_at: Some(Self::expiry()),
            scopes: request.into_inner().scopes,
            clamped_by: vec!["agent_max_ttl".into()],
            decision_id: String::new(),
            would_deny: false,
        }))
    }

    async fn get(
        &self,
        request: Request<GetTaskRequest>,
    ) -> Result<Response<GetTaskResponse>, Status> {
        self.first_try(&request, "get")?;
        Ok(Response::new(GetTaskResponse {
            task: Some(taskpass_api::v1::Task {
                task_id: request.into_inner().task_id,
                scopes: vec![format!("{LEDGER}#{READ}")],
                deadline_at: Some(Self::expiry()),
                ..taskpass_api::v1::Task::default()
            }),
        }))
    }

    async fn tree(
        &self,
        _: Request<taskpass_api::v1::TreeRequest>,
    ) -> Result<Response<taskpass_api::v1::TreeResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list(
        &self,
        _: Request<ListTasksRequest>,
    ) -> Result<Response<ListTasksResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn complete(
        &self,
        request: Request<CompleteRequest>,
    ) -> Result<Response<CompleteResponse>, Status> {
        self.first_try(&request, "complete")?;
        Ok(Response::new(CompleteResponse {
            task: None,
            credentials: 3,
        }))
    }
}

#[tonic::async_trait]
impl CredentialService for State {
    async fn issue_token(
        &self,
        request: Request<IssueTokenRequest>,
    ) -> Result<Response<IssueTokenResponse>, Status> {
        if request.get_ref().scopes != [READ] {
            let metadata = [("decision_id".to_owned(), "D1".to_owned())];
            let details = ErrorDetails::with_error_info("POLICY_DENIED", "taskpass", metadata);
            let code = Code::PermissionDenied;
            return Err(Status::with_error_details(code, "denied", details));
        }
        self.first_try(&request, "token")?;
        let request = request.into_inner();
        let token = if request.bind_certificate.is_empty() {
            "token, unbound".to_owned()
        } else {
            let digest = taskpass_core::secret::Sha256::of(&request.bind_certificate);
            format!("token, bound to {digest}")
        };
        Ok(Response::new(IssueTokenResponse {
            token,
            credential_id: self.credential(),
            expires_at: Some(Self::expiry()),
            scopes: request.scopes,
            clamped_by: vec![],
            decision_id: String::new(),
            would_deny: false,
            revocation_seq: 9,
        }))
    }

    async fn issue_tokens(
        &self,
        _: Request<IssueTokensRequest>,
    ) -> Result<Response<IssueTokensResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn issue_certificate(
        &self,
        request: Request<IssueCertificateRequest>,
    ) -> Result<Response<IssueCertificateResponse>, Status> {
        self.first_try(&request, "certificate")?;
        let request = request.into_inner();
        let name = format!(
            "spiffe://example.org/agent/invoice-bot/task/{}",
            request.task_id
        );
        let cert_pem = self.certify(
            &request.csr,
            vec![SanType::URI(name.as_str().try_into().unwrap())],
            ExtendedKeyUsagePurpose::ClientAuth,
        );
        Ok(Response::new(IssueCertificateResponse {
            cert_pem,
            ca_pem: self.ca.pem(),
            credential_id: self.credential(),
            expires_at: Some(Self::expiry()),
            clamped_by: vec![],
            decision_id: String::new(),
            revocation_seq: 9,
        }))
    }

    async fn get(
        &self,
        _: Request<GetCredentialRequest>,
    ) -> Result<Response<GetCredentialResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list(
        &self,
        _: Request<ListCredentialsRequest>,
    ) -> Result<Response<ListCredentialsResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}
