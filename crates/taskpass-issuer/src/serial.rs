//! Reading the serial number out of a certificate that somebody presents.

use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The sixteen bytes of the serial number, if `der` is exactly one certificate with such a serial.
///
/// Nothing about the certificate is believed by this: whoever asks compares the hash of `der` with
/// what was recorded under the serial number.
pub fn serial_number(der: &[u8]) -> Option<[u8; 16]> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    let serial = certificate.raw_serial();
    let padding = 16_usize.checked_sub(serial.len())?;
    if !rest.is_empty() || serial.is_empty() {
        return None;
    }
    // DER drops leading zero bytes of a positive integer; an id has all sixteen.
    let mut bytes = [0; 16];
    bytes.get_mut(padding..)?.copy_from_slice(serial);
    Some(bytes)
}
