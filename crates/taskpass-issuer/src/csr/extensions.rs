//! The attributes and extensions of a request, each allowed or refused by name.

use taskpass_core::spiffe::SpiffeId;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{
    ExtendedKeyUsage, GeneralName, ParsedExtension, SubjectAlternativeName, X509Extension,
};
use x509_parser::prelude::X509CertificationRequestInfo;

use super::CsrError;

/// Refuses the first thing that may not be asked for.
pub(super) fn check(
    info: &X509CertificationRequestInfo<'_>,
    expected: &SpiffeId,
) -> Result<(), CsrError> {
    for attribute in info.iter_attributes() {
        match attribute.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(request) => {
                for extension in &request.extensions {
                    check_one(extension, expected)?;
                }
            }
            ParsedCriAttribute::ChallengePassword(_) | ParsedCriAttribute::UnsupportedAttribute => {
                return Err(CsrError::Attribute {
                    oid: attribute.oid.to_id_string(),
                });
            }
        }
    }
    Ok(())
}

fn check_one(extension: &X509Extension<'_>, expected: &SpiffeId) -> Result<(), CsrError> {
    match extension.parsed_extension() {
        ParsedExtension::BasicConstraints(constraints) if constraints.ca => {
            Err(CsrError::Authority)
        }
        ParsedExtension::SubjectAlternativeName(names) => check_names(names, expected),
        ParsedExtension::KeyUsage(usage) => check_usage(usage.flags),
        ParsedExtension::ExtendedKeyUsage(usage) => check_purpose(usage),
        // Some tools put a key identifier into every request; it names nothing but the key.
        ParsedExtension::BasicConstraints(_) | ParsedExtension::SubjectKeyIdentifier(_) => Ok(()),
        _ => Err(CsrError::Extension {
            oid: extension.oid.to_id_string(),
        }),
    }
}

fn check_names(names: &SubjectAlternativeName<'_>, expected: &SpiffeId) -> Result<(), CsrError> {
    match names.general_names.as_slice() {
        [GeneralName::URI(uri)] if *uri == expected.to_string() => Ok(()),
        _ => Err(CsrError::Names {
            expected: expected.clone(),
        }),
    }
}

fn check_usage(flags: u16) -> Result<(), CsrError> {
    // The first bit of the extension, digitalSignature, is the lowest here.
    if flags == 1 {
        Ok(())
    } else {
        Err(CsrError::KeyUsage)
    }
}

fn check_purpose(usage: &ExtendedKeyUsage<'_>) -> Result<(), CsrError> {
    let others = usage.any
        || usage.server_auth
        || usage.code_signing
        || usage.email_protection
        || usage.time_stamping
        || usage.ocsp_signing
        || !usage.other.is_empty();
    if usage.client_auth && !others {
        Ok(())
    } else {
        Err(CsrError::ExtendedKeyUsage)
    }
}
