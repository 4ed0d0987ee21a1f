//! Status lists: any text as a document, any payload behind a good signature, any compressed form.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use taskpass_core::Timestamp;
use taskpass_fuzz::{Key, way};
use taskpass_status::{Bits, Expect, MAX_PACKED_LEN, STATUS_LIST_TYPE, StatusList, lst};
use taskpass_token::JwkSet;

static KEY: LazyLock<Key> = LazyLock::new(Key::default);
static KEYS: LazyLock<JwkSet> = LazyLock::new(|| KEY.trusted());

fuzz_target!(|data: &[u8]| {
    let (way, data) = way(data, 6);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let expect = Expect {
        uri: "https://broker.example/status/472222-0",
        now: Timestamp::from_secs(1100),
        leeway: Duration::from_secs(5),
    };
    match way {
        0 => assert!(StatusList::verify(text, &*KEYS, &expect).is_err()),
        1 => {
            let document = KEY.document(STATUS_LIST_TYPE, text);
            let list = StatusList::verify(&document, &*KEYS, &expect);
            assert_eq!(list.is_ok(), StatusList::parse(data, &expect).is_ok());
            if let Ok(list) = list {
                let len = list.packed().len();
                assert!(list.is_current(expect.now) && list.status(len).is_err());
                assert_eq!(list.status(0).is_ok(), len > 0);
            }
        }
        _ => {
            let Some(bits) = Bits::new(1 << (way - 2)) else {
                unreachable!("1, 2, 4 and 8 bits are known")
            };
            if let Ok(packed) = lst::decode(bits, text) {
                assert!(packed.bytes().len() <= MAX_PACKED_LEN);
                assert_eq!(lst::decode(bits, &lst::encode(&packed)), Ok(packed));
            }
        }
    }
});
