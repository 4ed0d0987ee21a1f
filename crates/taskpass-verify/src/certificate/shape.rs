//! The shape of a task certificate, and what it says.
//!
//! Exactly what the broker issues: version 3, empty subject, one critical URI name of a task in the
//! trust domain, `CA:FALSE`, critical key usage `digitalSignature`, extended usage client
//! authentication, a serial number that carries the end, and the task extension. Extensions are
//! looked for once; two of a kind are refused.

use std::sync::LazyLock;

use taskpass_core::name::AgentName;
use taskpass_core::spiffe::{SpiffeId, Subject, TrustDomain};
use taskpass_core::task::Ancestor;
use taskpass_core::{CredentialId, TaskId, Timestamp, ttl};
use taskpass_token::{TaskExtension, spki, task_extension};
use x509_parser::der_parser::Oid;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

use super::CertificateError as Error;

/// `digitalSignature` alone, as the parser numbers the bits.
const DIGITAL_SIGNATURE: u16 = 1;

static TASK_EXTENSION: LazyLock<Option<Oid<'static>>> =
    LazyLock::new(|| Oid::from(task_extension::OID).ok());

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) id: CredentialId,
    pub(super) agent: AgentName,
    pub(super) task: TaskId,
    pub(super) ancestors: Vec<Ancestor>,
    pub(super) issued_at: u64,
    pub(super) expires_at: Timestamp,
}

/// Reads a certificate whose path is already known to be good.
pub(super) fn read(
    der: &[u8],
    trust_domain: &TrustDomain,
    now: Timestamp,
) -> Result<Claims, Error> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| Error::Malformed)?;
    if !rest.is_empty() {
        return Err(Error::Malformed);
    }
    if certificate.version() != X509Version::V3 {
        return Err(Error::Shape("not version 3"));
    }
    constraints(&certificate)?;
    let (agent, task) = name(&certificate, trust_domain)?;
    let extension = extension(&certificate)?;
    let (id, expires_at) = times(&certificate, extension.issued_at, now)?;
    Ok(Claims {
        id,
        agent,
        task,
        ancestors: extension.ancestors,
        issued_at: extension.issued_at,
        expires_at,
    })
}

fn constraints(certificate: &X509Certificate<'_>) -> Result<(), Error> {
    let basic = certificate
        .basic_constraints()
        .map_err(|_| Error::Malformed)?
        .ok_or(Error::Shape("no basic constraints"))?;
    if basic.value.ca {
        return Err(Error::IsAnAuthority);
    }
    let usage = certificate
        .key_usage()
        .map_err(|_| Error::Malformed)?
        .ok_or(Error::Shape("no key usage"))?;
    if !usage.critical || usage.value.flags != DIGITAL_SIGNATURE {
        return Err(Error::Shape("key usage is not critical digitalSignature"));
    }
    let extended = certificate
        .extended_key_usage()
        .map_err(|_| Error::Malformed)?
        .ok_or(Error::Usage)?;
    if !extended.value.client_auth || extended.value.any {
        return Err(Error::Usage);
    }
    spki::from_der(certificate.public_key().raw)
        .map(drop)
        .map_err(|_| Error::Shape("neither a P-256 nor an Ed25519 key"))
}

fn name(
    certificate: &X509Certificate<'_>,
    trust_domain: &TrustDomain,
) -> Result<(AgentName, TaskId), Error> {
    if certificate.subject().iter().next().is_some() {
        return Err(Error::Names("the subject is not empty"));
    }
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| Error::Malformed)?
        .ok_or(Error::Names("no alternative name"))?;
    if !names.critical {
        return Err(Error::Names("the alternative name is not critical"));
    }
    let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else {
        return Err(Error::Names("not exactly one URI"));
    };
    let id: SpiffeId = uri
        .parse()
        .map_err(|_| Error::Names("not a SPIFFE ID of a task"))?;
    if id.trust_domain != *trust_domain {
        return Err(Error::TrustDomain);
    }
    match id.subject {
        Subject::Task(agent, task) => Ok((agent, task)),
        Subject::Agent(_) | Subject::Operator(_) | Subject::Verifier(_) | Subject::Broker => {
            Err(Error::NotATask)
        }
    }
}

fn extension(certificate: &X509Certificate<'_>) -> Result<TaskExtension, Error> {
    let oid = TASK_EXTENSION
        .as_ref()
        .ok_or(Error::Shape("no task extension"))?;
    let found = certificate
        .get_extension_unique(oid)
        .map_err(|_| Error::Malformed)?
        .ok_or(Error::Shape("no task extension"))?;
    TaskExtension::from_der(found.value)
        .map_err(|_| Error::Shape("the task extension is malformed"))
}

/// Serial number, validity and the extension's instant must tell one story.
fn times(
    certificate: &X509Certificate<'_>,
    issued_at: u64,
    now: Timestamp,
) -> Result<(CredentialId, Timestamp), Error> {
    let instant = |secs: i64| u64::try_from(secs).map_err(|_| Error::Lifetime("before the epoch"));
    let not_before = instant(certificate.validity().not_before.timestamp())?;
    // `notAfter` is the last second in which it is valid.
    let end = instant(certificate.validity().not_after.timestamp())?.saturating_add(1);
    let id = CredentialId::from_slice(certificate.raw_serial())
        .ok_or(Error::Lifetime("the serial number is no id"))?;
    if id.expires_at().secs() != end {
        return Err(Error::Lifetime("the serial number carries another end"));
    }
    if issued_at < not_before || issued_at >= end {
        return Err(Error::Lifetime("issued outside its validity"));
    }
    if Timestamp::from_secs(issued_at) > now.plus(ttl::CLOCK_SKEW) {
        return Err(Error::NotYetValid);
    }
    let backdated = issued_at - not_before;
    let longest = ttl::MAX_CERTIFICATE_TTL.duration().as_secs();
    if end - issued_at > longest || backdated > ttl::CLOCK_SKEW.as_secs() {
        return Err(Error::Lifetime("valid for too long"));
    }
    Ok((id, Timestamp::from_secs(end)))
}
