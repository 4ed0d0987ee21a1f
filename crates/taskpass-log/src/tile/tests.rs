//! Names and contents of tiles.

use proptest::prelude::*;

use super::*;

fn tile(kind: Kind, index: u64, width: u16) -> Tile {
    Tile { kind, index, width }
}

#[test]
fn names_are_those_of_the_format() {
    for (tile, path) in [
        (tile(Kind::Hashes(0), 0, 256), "tile/0/000"),
        (tile(Kind::Hashes(1), 999, 3), "tile/1/999.p/3"),
        (tile(Kind::Hashes(0), 1_000, 256), "tile/0/x001/000"),
        (
            tile(Kind::Entries, 1_234_067, 256),
            "tile/entries/x001/x234/067",
        ),
        (
            tile(Kind::Entries, 1_234_067, 255),
            "tile/entries/x001/x234/067.p/255",
        ),
        (
            tile(Kind::Hashes(7), u64::MAX, 1),
            "tile/7/x018/x446/x744/x073/x709/x551/615.p/1",
        ),
    ] {
        assert_eq!(tile.path(), path);
        assert_eq!(Tile::parse(path), Some(tile));
    }
}

#[test]
fn other_names_do_not_read() {
    for path in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/x001/x002",
        "tile/00/000",
        "tile/+1/000",
        "tile/8/000",
        "tile/256/000",
        "tile/-1/000",
        "tile/0/+01",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/Entries/000",
        "/tile/0/000",
        "tile/0/../0/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "checkpoint",
    ] {
        assert_eq!(Tile::parse(path), None, "{path:?}");
    }
}

#[test]
fn the_example_of_the_format_has_its_tiles() {
    let at = |kind, item| Tile::holding(kind, item, 70_000).map(Tile::path);
    assert_eq!(at(Kind::Hashes(0), 69_887).unwrap(), "tile/0/272");
    assert_eq!(at(Kind::Hashes(0), 69_888).unwrap(), "tile/0/273.p/112");
    assert_eq!(at(Kind::Entries, 69_999).unwrap(), "tile/entries/273.p/112");
    assert_eq!(at(Kind::Entries, 70_000), None);
    assert_eq!(at(Kind::Hashes(1), 255).unwrap(), "tile/1/000");
    assert_eq!(at(Kind::Hashes(1), 272).unwrap(), "tile/1/001.p/17");
    assert_eq!(at(Kind::Hashes(1), 273), None);
    assert_eq!(at(Kind::Hashes(2), 0).unwrap(), "tile/2/000.p/1");
    assert_eq!(at(Kind::Hashes(3), 0), None);
    assert_eq!(Kind::Hashes(7).count(u64::MAX), 255);
}

#[test]
fn entries_at_the_limit_fit_and_above_it_do_not() {
    let mut bundle = Vec::new();
    let longest = vec![1; MAX_ENTRY];
    encode_entry(&mut bundle, &longest).unwrap();
    assert_eq!(decode_entries(&bundle, 1).unwrap(), vec![&longest]);
    let before = bundle.clone();
    let length = MAX_ENTRY + 1;
    assert_eq!(
        encode_entry(&mut bundle, &vec![1; length]),
        Err(EntryTooLong { length })
    );
    assert_eq!(bundle, before);
}

proptest! {
    #[test]
    fn names_read_back(level in 0_u8..9, index: u64, width in 1_u16..=256) {
        let kind = if level == 8 { Kind::Entries } else { Kind::Hashes(level) };
        let tile = tile(kind, index, width);
        prop_assert_eq!(Tile::parse(&tile.path()), Some(tile));
    }

    #[test]
    fn any_name_reads_to_itself_or_not_at_all(path in "tile/(entries|[0-9]{1,2})(/x?[0-9]{1,4}){1,3}(\\.p/[0-9]{1,3})?") {
        if let Some(tile) = Tile::parse(&path) {
            prop_assert_eq!(tile.path(), path);
        }
    }

    #[test]
    fn bundles_read_back_at_their_width_only(entries: Vec<Vec<u8>>, cut: prop::sample::Index) {
        let mut bundle = Vec::new();
        for entry in &entries {
            encode_entry(&mut bundle, entry).unwrap();
        }
        let width = u16::try_from(entries.len()).unwrap();
        prop_assert_eq!(decode_entries(&bundle, width).unwrap(), entries);
        prop_assert!(decode_entries(&bundle, width + 1).is_err());
        if width > 0 {
            prop_assert!(decode_entries(&bundle, width - 1).is_err());
            prop_assert!(decode_entries(&bundle[..cut.index(bundle.len())], width).is_err());
        }
    }

    #[test]
    fn tiles_read_back_at_their_width_only(count in 0_u16..20) {
        let hashes: Vec<_> = (0..count).map(|n| Hash::leaf(&n.to_be_bytes())).collect();
        let bytes = encode_hashes(&hashes);
        prop_assert_eq!(decode_hashes(&bytes, count).unwrap(), hashes);
        prop_assert!(decode_hashes(&bytes, count + 1).is_err());
        let mut longer = bytes.clone();
        longer.push(0);
        prop_assert!(decode_hashes(&longer, count).is_err());
    }

    #[test]
    fn any_bytes_read_to_themselves_or_not_at_all(bytes: Vec<u8>, width in 0_u16..=300) {
        if let Ok(hashes) = decode_hashes(&bytes, width) {
            prop_assert_eq!(encode_hashes(&hashes), bytes.clone());
        }
        if let Ok(entries) = decode_entries(&bytes, width) {
            let mut again = Vec::new();
            for entry in entries {
                encode_entry(&mut again, entry).unwrap();
            }
            prop_assert_eq!(again, bytes);
        }
    }
}
