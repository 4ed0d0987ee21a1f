//! The broker of the story as its operator sees it, and the names of everybody in it.

use std::path::PathBuf;

use taskpass_api::v1;
use taskpass_client::Identity;
use taskpass_core::spiffe::TrustDomain;

use super::broker::{Addresses, Process};
use super::step::{Answered as _, Expecting as _, Outcome, Unmet, ensure};
use crate::context::Context;
use crate::host::Layout;
use crate::session::{Address, Session};

pub(super) const OWNER: &str = "billing-team";
pub(super) const AGENT: &str = "month-end-bot";
pub(super) const VERIFIER: &str = "billing";
pub(super) const TARGET: &str = "https://billing.example";
/// What the agent needs, and what its stage admits.
pub(super) const SCOPE: &str = "invoices:read";
/// What it is registered for too, and its stage does not admit.
pub(super) const BEYOND: &str = "payments:send";

/// A broker that is ready, with its operator at the door.
#[derive(Debug)]
pub(super) struct House<'a> {
    pub(super) context: &'a Context,
    pub(super) addresses: Addresses,
    pub(super) address: Address,
    pub(super) operator: Session,
    pub(super) trust_domain: TrustDomain,
    folder: PathBuf,
}

impl<'a> House<'a> {
    /// Starts the broker's process and connects as its operator.
    pub(super) async fn open(context: &'a Context, process: &mut Process) -> Result<Self, Unmet> {
        let addresses = process.start().await?;
        let address: Address = addresses.grpc.parse().expecting("an address of gRPC")?;
        let folder = process.folder().to_owned();
        let identity = Identity::load(&Layout::of(&folder).identities().join("operator"))
            .expecting("the operator has an identity")?;
        let operator = Session::connect(&address, &identity)
            .await
            .expecting("the broker accepts its operator")?;
        Ok(Self {
            context,
            addresses,
            address,
            operator,
            trust_domain: identity.name().trust_domain.clone(),
            folder,
        })
    }

    /// Where the data is.
    pub(super) fn layout(&self) -> Layout {
        Layout::of(&self.folder)
    }

    /// What the broker says of a token at this instant.
    pub(super) async fn introspect(&self, token: &str) -> Result<v1::IntrospectResponse, Unmet> {
        use v1::introspect_request::Credential;
        self.ask(Credential::Token(token.to_owned())).await
    }

    /// What the broker says of a certificate at this instant.
    pub(super) async fn introspect_certificate(
        &self,
        der: &[u8],
    ) -> Result<v1::IntrospectResponse, Unmet> {
        use v1::introspect_request::Credential;
        self.ask(Credential::Certificate(der.to_vec().into())).await
    }

    async fn ask(
        &self,
        credential: v1::introspect_request::Credential,
    ) -> Result<v1::IntrospectResponse, Unmet> {
        let request = v1::IntrospectRequest {
            credential: Some(credential),
        };
        self.operator
            .verification()
            .introspect(request)
            .await
            .answered("the broker says whether a credential is valid")
    }
}

/// Step: a broker starts.
pub(super) async fn start<'a>(context: &'a Context, process: &mut Process) -> Outcome<House<'a>> {
    let house = House::open(context, process).await?;
    let keys = house
        .operator
        .keys()
        .list(v1::ListKeysRequest {})
        .await
        .answered("the operator may list the keys")?
        .keys;
    let active = |purpose: &str| {
        let of = |key: &&v1::Key| key.purpose.starts_with(purpose);
        let keys = keys.iter().filter(of);
        keys.filter(|key| key.state() == v1::KeyState::Active)
            .count()
    };
    for (purpose, expected) in [("control-", 2), ("task-", 2), ("token-", 2)] {
        let found = active(purpose);
        let what = format!("{expected} active keys for {purpose}…");
        ensure(found == expected, what, format!("there are {found}"))?;
    }
    let told = vec![
        format!(
            "trust domain {}, issuer {}",
            house.trust_domain, house.addresses.http
        ),
        format!(
            "process {}, two hierarchies (Control, Task), {} keys, a store on disk",
            process.id().unwrap_or_default(),
            keys.len()
        ),
    ];
    Ok((house, told))
}
