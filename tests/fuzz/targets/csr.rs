//! Requests to certify a key: any bytes, any attributes behind a good signature.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use taskpass_core::spiffe::SpiffeId;
use taskpass_fuzz::{Key, der, way};
use taskpass_issuer::CsrKey;
use taskpass_issuer::csr::MAX_CSR_LEN;

static KEY: LazyLock<Key> = LazyLock::new(Key::default);
static EXPECTED: LazyLock<SpiffeId> =
    LazyLock::new(|| "spiffe://example.org/agent/a".parse().unwrap());

/// AlgorithmIdentifier of Ed25519.
const ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];

/// A request whose subject and attributes are these bytes, signed by its own key.
fn request(subject: &[u8], attributes: &[u8]) -> Vec<u8> {
    let bits = [&[0], &KEY.public()[..]].concat();
    let spki = der(0x30, &[ED25519, &der(0x03, &bits)].concat());
    let info = [
        der(0x02, &[0]),
        der(0x30, subject),
        spki,
        der(0xa0, attributes),
    ];
    let info = der(0x30, &info.concat());
    let signature = [&[0], &KEY.sign(&info)[..]].concat();
    der(0x30, &[&info[..], ED25519, &der(0x03, &signature)].concat())
}

fuzz_target!(|data: &[u8]| {
    let (way, data) = way(data, 4);
    let made = match way {
        0 => data.to_vec(),
        1 => request(&[], data),
        2 => request(data, &[]),
        // The value of extensionRequest.
        _ => {
            let oid = [
                0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e,
            ];
            let values = der(0x31, &der(0x30, data));
            request(&[], &der(0x30, &[&oid[..], &values].concat()))
        }
    };
    if let Ok(key) = CsrKey::from_request(&made, &EXPECTED) {
        assert!(made.len() <= MAX_CSR_LEN);
        // The key that is taken is the one that signed.
        let spki = key.spki();
        let holds = |bytes: &[u8]| bytes.windows(spki.len()).any(|part| part == spki);
        assert!(way == 0 || holds(&made));
    }
});
