//! The way from a certificate up to a self-signed one, every signature checked.

use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{ImportError, check};

/// The most certificates above one.
const MAX_ABOVE: usize = 6;
/// The most certificates in a file.
const MAX_GIVEN: usize = 32;

/// Where to look for issuers.
pub(super) struct Pool<'a> {
    given: Vec<X509Certificate<'a>>,
    known: Vec<X509Certificate<'a>>,
}

impl<'a> Pool<'a> {
    /// Those of the file, and the roots that are known.
    pub(super) fn read(
        given: impl Iterator<Item = &'a [u8]>,
        known: Vec<&'a [u8]>,
    ) -> Result<Self, ImportError> {
        let read = |der: &'a [u8]| match X509Certificate::from_der(der) {
            Ok(([], certificate)) => Ok(certificate),
            _ => Err(ImportError::Form),
        };
        let given: Vec<_> = given.map(read).collect::<Result<_, _>>()?;
        if given.len() > MAX_GIVEN {
            return Err(ImportError::Form);
        }
        let known = known.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { given, known })
    }

    /// Those of the file.
    pub(super) fn given(&self) -> &[X509Certificate<'a>] {
        &self.given
    }

    /// The certificates above one, the nearest first, the last one self-signed.
    pub(super) fn climb<'p>(
        &'p self,
        from: &X509Certificate<'_>,
    ) -> Result<Vec<&'p X509Certificate<'a>>, ImportError> {
        if is_self_issued(from) {
            let problem = "it is self-signed; an authority above it must have signed it";
            return Err(check::unfit(from, problem));
        }
        let mut path: Vec<&'p X509Certificate<'a>> = Vec::new();
        while path.len() < MAX_ABOVE {
            let issuer = match path.last() {
                Some(last) => self.issuer_of(last)?,
                None => self.issuer_of(from)?,
            };
            path.push(issuer);
            if is_self_issued(issuer) {
                return Ok(path);
            }
        }
        Err(check::unfit(
            from,
            "there are too many certificates above it",
        ))
    }

    /// Whoever signed it: a self-signed one, if there are several of one name and key.
    fn issuer_of<'p>(
        &'p self,
        below: &X509Certificate<'_>,
    ) -> Result<&'p X509Certificate<'a>, ImportError> {
        let signed = |above: &&'p X509Certificate<'a>| {
            above.subject().as_raw() == below.issuer().as_raw()
                && above.as_raw() != below.as_raw()
                && below.verify_signature(Some(above.public_key())).is_ok()
        };
        let all = || self.known.iter().chain(&self.given);
        // A self-issued one must be self-signed as well.
        let rooted = |above: &&'p X509Certificate<'a>| {
            is_self_issued(above) && above.verify_signature(None).is_ok()
        };
        all()
            .filter(rooted)
            .find(signed)
            .or_else(|| all().filter(|above| !is_self_issued(above)).find(signed))
            .ok_or_else(|| ImportError::NoPath {
                issuer: below.issuer().to_string(),
            })
    }
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}
