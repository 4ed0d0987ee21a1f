//! The compressed form of statuses: DEFLATE in a zlib wrapper, base64url without padding (§4.2).
//!
//! Two programs may compress differently; what decides is what comes out again. Reading is bounded
//! before anything is unpacked, so that a short text cannot fill the memory.

use std::io::{Read as _, Write as _};

use data_encoding::BASE64URL_NOPAD;
use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::packed::{Bits, Packed};

/// The most bytes of statuses that are unpacked: 2^20 of eight bits, 2^23 of one.
pub const MAX_PACKED_LEN: usize = 1024 * 1024;

/// A text is no compressed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LstError {
    /// Not canonical base64url without padding.
    #[error("not canonical base64url")]
    Base64,
    /// Not one whole zlib stream.
    #[error("not exactly one zlib stream")]
    Zlib,
    /// More statuses than are looked at.
    #[error("unpacks to more than {MAX_PACKED_LEN} bytes")]
    TooLong,
}

/// Compresses, quickly: a list is signed anew every few seconds.
pub fn encode(packed: &Packed) -> String {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    // Writing to memory cannot fail.
    let written = encoder.write_all(packed.bytes());
    let compressed = encoder.finish().unwrap_or_default();
    debug_assert!(written.is_ok() && !compressed.is_empty());
    BASE64URL_NOPAD.encode(&compressed)
}

/// Unpacks.
pub fn decode(bits: Bits, lst: &str) -> Result<Packed, LstError> {
    let compressed = BASE64URL_NOPAD
        .decode(lst.as_bytes())
        .map_err(|_| LstError::Base64)?;
    let mut decoder = ZlibDecoder::new(&*compressed);
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_PACKED_LEN).unwrap_or(u64::MAX);
    decoder
        .by_ref()
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| LstError::Zlib)?;
    if bytes.len() > MAX_PACKED_LEN {
        return Err(LstError::TooLong);
    }
    // The end of the stream is only looked for when it is read past.
    if decoder.read(&mut [0]).map_err(|_| LstError::Zlib)? != 0 || !decoder.get_ref().is_empty() {
        return Err(LstError::Zlib);
    }
    Ok(Packed::from_bytes(bits, bytes))
}

#[cfg(test)]
mod vectors;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The draft's vectors, compared by what they say.
    #[test]
    fn the_drafts_lists() {
        for (bits, lst, bytes) in [
            (Bits::One, "eNrbuRgAAhcBXQ", &[0xb9, 0xa3][..]),
            (Bits::Two, "eNo76fITAAPfAgc", &[0xc9, 0x44, 0xf9][..]),
        ] {
            let packed = decode(bits, lst).unwrap();
            assert_eq!(packed.bytes(), bytes);
            assert_eq!(decode(bits, &encode(&packed)), Ok(packed));
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let good = encode(&Packed::from_bytes(Bits::One, vec![1, 2, 3]));
        let raw = BASE64URL_NOPAD.decode(good.as_bytes()).unwrap();
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let long = |len| {
            text(&{
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(&vec![0; len]).unwrap();
                encoder.finish().unwrap()
            })
        };
        assert_eq!(
            decode(Bits::One, &long(MAX_PACKED_LEN)).unwrap().len(),
            1 << 23
        );
        for (bad, why) in [
            (String::new(), LstError::Zlib),
            (format!("{good}="), LstError::Base64),
            (format!(" {good}"), LstError::Base64),
            (text(&raw[..raw.len() - 1]), LstError::Zlib),
            (text(&[&*raw, &[0]].concat()), LstError::Zlib),
            (text(&[&*raw, &*raw].concat()), LstError::Zlib),
            // Raw DEFLATE, and a gzip header.
            (text(&raw[2..]), LstError::Zlib),
            (text(&[0x1f, 0x8b, 8, 0]), LstError::Zlib),
            (long(MAX_PACKED_LEN + 1), LstError::TooLong),
            (long(100 * MAX_PACKED_LEN), LstError::TooLong),
        ] {
            assert_eq!(decode(Bits::One, &bad), Err(why));
        }
        let mut damaged = raw;
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(decode(Bits::One, &text(&damaged)), Err(LstError::Zlib));
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(bytes in proptest::collection::vec(any::<u8>(), 0..2000), width in 0_usize..4) {
            let packed = Packed::from_bytes(Bits::ALL[width], bytes);
            prop_assert_eq!(decode(packed.bits(), &encode(&packed)), Ok(packed));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,100}", bytes: Vec<u8>) {
            let _ = decode(Bits::One, &text);
            let _ = decode(Bits::One, &BASE64URL_NOPAD.encode(&bytes));
            let like = [&[0x78, 0xda], &*bytes].concat();
            let _ = decode(Bits::Eight, &BASE64URL_NOPAD.encode(&like));
        }
    }
}
