//! One connection, and what is called over it.

use std::fmt;

use taskpass_api::v1;
use taskpass_api::v1::credential_service_client::CredentialServiceClient;
use taskpass_api::v1::verification_service_client::VerificationServiceClient;
use taskpass_core::TaskId;
use taskpass_core::access::TokenAlg;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::error::BenchError;
use crate::house::{EDDSA_TARGET, ES256_TARGET, SCOPE};
use crate::service;

/// What one call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Floor: nothing.
    Empty,
    /// Floor: a signature.
    Sign(TokenAlg),
    /// Floor: a request checked, a certificate signed.
    Certify,
    /// A token.
    Token(TokenAlg),
    /// So many tokens at once.
    Tokens(TokenAlg, u32),
    /// A certificate.
    Certificate,
    /// Asking about a token.
    Introspect,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty call"),
            Self::Sign(alg) => write!(f, "signing alone, {alg}"),
            Self::Certify => f.write_str("checking a request and signing"),
            Self::Token(alg) => write!(f, "IssueToken, {alg}"),
            Self::Tokens(alg, count) => write!(f, "IssueTokens of {count}, {alg}"),
            Self::Certificate => f.write_str("IssueCertificate"),
            Self::Introspect => f.write_str("Introspect"),
        }
    }
}

/// The lives that are asked for run over 1 to 60 minutes, whatever else is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lives {
    shortest: u64,
    longest: u64,
}

impl Lives {
    /// A minute to an hour.
    pub(crate) const MIXED: Self = Self {
        shortest: 60,
        longest: 3_600,
    };

    /// For a soak, whose end must see as much expire as is issued.
    pub(crate) const fn up_to(longest: u64) -> Self {
        Self {
            shortest: 1,
            longest,
        }
    }

    /// The life of the `number`th call, in seconds. Neighbours are far apart, as in a mixed load.
    fn of(self, number: u64) -> u64 {
        // Coprime to every span that is used, so that each second of it comes up.
        const STRIDE: u64 = 1_640_531_527;
        let span = self.longest.saturating_sub(self.shortest) + 1;
        self.shortest + number.wrapping_mul(STRIDE) % span
    }
}

/// A connection with its caller's facts.
#[derive(Clone)]
pub(crate) struct Station {
    channel: Channel,
    task: String,
    csr: Vec<u8>,
    shown: String,
    lives: Lives,
}

impl Station {
    pub(crate) fn agent(channel: Channel, task: TaskId, csr: Vec<u8>) -> Self {
        Self {
            channel,
            task: task.to_string(),
            csr,
            shown: String::new(),
            lives: Lives::MIXED,
        }
    }

    pub(crate) fn verifier(channel: Channel, shown: String) -> Self {
        Self {
            channel,
            task: String::new(),
            csr: Vec::new(),
            shown,
            lives: Lives::MIXED,
        }
    }

    /// The same, asking for other lives.
    pub(crate) fn asking_for(&self, lives: Lives) -> Self {
        Self {
            lives,
            ..self.clone()
        }
    }

    fn request(&self, alg: TokenAlg, number: u64) -> v1::IssueTokenRequest {
        let target = match alg {
            TokenAlg::Es256 => ES256_TARGET,
            TokenAlg::EdDsa => EDDSA_TARGET,
        };
        v1::IssueTokenRequest {
            task_id: self.task.clone(),
            target: target.to_owned(),
            scopes: vec![SCOPE.to_owned()],
            ttl: Some(self.ttl(number)),
            ..Default::default()
        }
    }

    fn ttl(&self, number: u64) -> prost_types::Duration {
        prost_types::Duration {
            seconds: i64::try_from(self.lives.of(number)).unwrap_or(60),
            nanos: 0,
        }
    }

    /// A token that lives for an hour, to be asked about.
    pub(crate) async fn token(&self) -> Result<String, BenchError> {
        Ok(self.issued().await?.token)
    }

    /// The same, with everything that is said about it.
    pub(crate) async fn issued(&self) -> Result<v1::IssueTokenResponse, BenchError> {
        let mut request = self.request(TokenAlg::Es256, 0);
        request.ttl = Some(prost_types::Duration {
            seconds: 3_600,
            nanos: 0,
        });
        let issued = CredentialServiceClient::new(self.channel.clone())
            .issue_token(request)
            .await
            .map_err(|status| refused(Work::Token(TokenAlg::Es256), status))?;
        Ok(issued.into_inner())
    }

    /// One call; how many things it made. The answer is looked at: what is timed did its work.
    pub(crate) async fn perform(&self, work: Work, number: u64) -> Result<u64, BenchError> {
        let made = self.call(work, number).await;
        made.map_err(|status| refused(work, status))
    }

    /// The same, with the answer of whoever refuses.
    pub(crate) async fn call(&self, work: Work, number: u64) -> Result<u64, Status> {
        let mut credentials = CredentialServiceClient::new(self.channel.clone());
        let done = match work {
            Work::Empty => {
                let () = self.floor(service::EMPTY, ()).await?;
                1
            }
            Work::Sign(alg) => {
                let path = match alg {
                    TokenAlg::Es256 => service::SIGN_ES256,
                    TokenAlg::EdDsa => service::SIGN_EDDSA,
                };
                let reply: v1::IssueTokenResponse =
                    self.floor(path, self.request(alg, number)).await?;
                u64::from(!reply.token.is_empty())
            }
            Work::Certify => {
                let request = self.certificate_request(number);
                let reply: v1::IssueCertificateResponse =
                    self.floor(service::CERTIFY, request).await?;
                u64::from(!reply.cert_pem.is_empty())
            }
            Work::Token(alg) => {
                let reply = credentials.issue_token(self.request(alg, number)).await?;
                u64::from(!reply.into_inner().token.is_empty())
            }
            Work::Tokens(alg, count) => {
                let first = number.wrapping_mul(count.into());
                let items = (0..count.into()).map(|n| self.request(alg, first.wrapping_add(n)));
                let request = v1::IssueTokensRequest {
                    items: items.collect(),
                };
                let reply = credentials.issue_tokens(request).await?.into_inner();
                tokens(&reply, count)?
            }
            Work::Certificate => {
                let request = self.certificate_request(number);
                let reply = credentials.issue_certificate(request).await?;
                u64::from(!reply.into_inner().cert_pem.is_empty())
            }
            Work::Introspect => self.introspect().await?,
        };
        match done {
            0 => Err(Status::internal("the answer does not hold what was asked")),
            done => Ok(done),
        }
    }

    fn certificate_request(&self, number: u64) -> v1::IssueCertificateRequest {
        v1::IssueCertificateRequest {
            task_id: self.task.clone(),
            csr: self.csr.clone().into(),
            ttl: Some(self.ttl(number)),
            ..Default::default()
        }
    }

    async fn introspect(&self) -> Result<u64, Status> {
        let request = v1::IntrospectRequest {
            credential: Some(v1::introspect_request::Credential::Token(
                self.shown.clone(),
            )),
        };
        let reply = VerificationServiceClient::new(self.channel.clone())
            .introspect(request)
            .await?;
        Ok(u64::from(reply.into_inner().active))
    }

    async fn floor<Q, A>(&self, path: &'static str, request: Q) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client
            .ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let codec = ProstCodec::<Q, A>::default();
        let path = PathAndQuery::from_static(path);
        let reply = client.unary(Request::new(request), path, codec).await?;
        Ok(reply.into_inner())
    }
}

/// How many tokens came back, if it was all of them.
fn tokens(reply: &v1::IssueTokensResponse, expected: u32) -> Result<u64, Status> {
    let mut made = 0;
    for one in &reply.results {
        match &one.result {
            Some(v1::issue_tokens_result::Result::Issued(_)) => made += 1,
            Some(v1::issue_tokens_result::Result::Error(error)) => {
                return Err(Status::new(error.code.into(), error.message.clone()));
            }
            None => {}
        }
    }
    if made == u64::from(expected) {
        Ok(made)
    } else {
        Err(Status::internal("a batch came back in part"))
    }
}

pub(crate) fn refused(work: impl fmt::Display, status: Status) -> BenchError {
    BenchError::Refused {
        work: work.to_string(),
        status: Box::new(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_cover_their_span_and_never_leave_it() {
        for lives in [Lives::MIXED, Lives::up_to(5), Lives::up_to(1)] {
            let mut seen: Vec<_> = (0..10_000).map(|number| lives.of(number)).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.first(), Some(&lives.shortest));
            assert_eq!(seen.last(), Some(&lives.longest));
            let span = lives.longest - lives.shortest + 1;
            assert_eq!(seen.len() as u64, span);
        }
    }
}
