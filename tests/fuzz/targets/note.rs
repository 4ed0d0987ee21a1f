//! The log's files: notes, checkpoints, proofs, tiles, bundles, names, state, summaries.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use taskpass_fuzz::{Key, way};
use taskpass_log::find::Summary;
use taskpass_log::note::{self, Note};
use taskpass_log::tile::{self, Tile};
use taskpass_log::{Checkpoint, LogName, NoteKey, State, TlogProof};

static KEY: LazyLock<Key> = LazyLock::new(Key::default);
static NOTE_KEYS: LazyLock<[NoteKey; 1]> =
    LazyLock::new(|| [NoteKey::new("a.example", &KEY.public()).unwrap()]);

fuzz_target!(|data: &[u8]| {
    let (way, data) = way(data, 10);
    let text = std::str::from_utf8(data).ok();
    match (way, text) {
        // Nobody but the key's holder makes a note.
        (0, _) => {
            if let Ok(read) = Note::parse(data) {
                assert!(read.verify(&*NOTE_KEYS).is_err());
            }
            assert!(Checkpoint::open(data, &*NOTE_KEYS).is_err());
        }
        (1, Some(text)) => {
            let key = &NOTE_KEYS[0];
            let sign = |text: &[u8]| Ok::<_, std::convert::Infallible>(KEY.sign(text).to_vec());
            if let Ok(made) = note::sign(text, key, sign) {
                let read = Note::parse(made.as_bytes()).unwrap();
                assert_eq!(read.verify(&*NOTE_KEYS), Ok(text));
                let opened = Checkpoint::open(made.as_bytes(), &*NOTE_KEYS);
                assert!(opened.is_err() || Checkpoint::parse(text).is_ok());
            }
        }
        (2, Some(text)) => {
            if let Ok(read) = Checkpoint::parse(text) {
                assert_eq!(read.to_string(), text);
            }
        }
        (3, _) => {
            if let Ok(read) = TlogProof::parse(data) {
                assert_eq!(read.to_string().as_bytes(), data);
                assert!(read.verify(b"entry", &*NOTE_KEYS).is_err());
            }
        }
        (4, _) => {
            let (width, rest) = taskpass_fuzz::way(data, u8::MAX);
            if let Ok(hashes) = tile::decode_hashes(rest, width.into()) {
                assert_eq!(tile::encode_hashes(&hashes), rest);
            }
        }
        (5, _) => {
            let (width, rest) = taskpass_fuzz::way(data, u8::MAX);
            if let Ok(entries) = tile::decode_entries(rest, width.into()) {
                let mut again = Vec::new();
                for entry in entries {
                    tile::encode_entry(&mut again, entry).unwrap();
                }
                assert_eq!(again, rest);
            }
        }
        (6, Some(text)) => {
            if let Some(read) = Tile::parse(text) {
                assert_eq!(read.path(), text);
            }
            if let Ok(read) = text.parse::<LogName>() {
                assert_eq!(read.to_string(), text);
            }
        }
        (7, Some(text)) => {
            if let Ok(read) = NoteKey::parse(text) {
                assert_eq!(read.to_string(), text);
            }
        }
        (8, _) => {
            if let Ok(read) = State::from_bytes(data) {
                assert_eq!(
                    State::from_bytes(&read.to_bytes()).unwrap().root(),
                    read.root()
                );
            }
        }
        (9, _) => {
            if let Some(read) = Summary::from_bytes(data) {
                assert_eq!(read.to_bytes(), data);
            }
        }
        _ => {}
    }
});
