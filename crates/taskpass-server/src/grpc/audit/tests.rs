use super::*;

fn filter(change: impl FnOnce(&mut v1::EntryFilter)) -> Result<Filter, &'static str> {
    let mut filter = v1::EntryFilter::default();
    change(&mut filter);
    parse_filter(Some(filter)).map_err(|error| error.reason())
}

#[test]
fn an_empty_filter_matches_all() {
    assert_eq!(parse_filter(None).ok(), Some(Filter::default()));
    assert_eq!(filter(|_| {}), Ok(Filter::default()));
}

#[test]
fn a_filter_says_what_does_not_read() {
    let at = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    let id = "01JD0000000000000000000000";
    for (found, expected) in [
        (filter(|f| f.agent = "no name".into()), "INVALID_NAME"),
        (filter(|f| f.owner = "É".into()), "INVALID_NAME"),
        (filter(|f| f.task_id = "x".into()), "INVALID_FIELD"),
        (filter(|f| f.credential_id = "x".into()), "INVALID_FIELD"),
        (
            filter(|f| f.target = "not a target".into()),
            "INVALID_TARGET",
        ),
        (filter(|f| f.from = at(-1, 0)), "INVALID_PERIOD"),
        (filter(|f| f.until = at(0, -1)), "INVALID_PERIOD"),
    ] {
        assert_eq!(found, Err(expected));
    }
    let found = filter(|f| {
        f.task_id = id.into();
        f.from = at(7, 5_000_000);
        f.kind = "credential.token".into();
    })
    .unwrap();
    assert_eq!(found.task.as_deref(), Some(id));
    assert_eq!(found.from, Some(Timestamp::from_millis(7_005)));
    assert_eq!(found.kind.as_deref(), Some("credential.token"));
}

#[test]
fn a_log_is_a_month() {
    assert_eq!(parse_log("").unwrap(), None);
    assert_eq!(parse_log("2026-11").unwrap(), "2026-11".parse().ok());
    for bad in ["2026", "2026-13", "2026-1", "../etc", " 2026-11"] {
        assert_eq!(
            parse_log(bad).unwrap_err().reason(),
            "INVALID_FIELD",
            "{bad}"
        );
    }
}

#[test]
fn an_entry_is_asked_for_in_one_way() {
    use v1::get_inclusion_proof_request::Entry;
    let ask = |entry, log: &str| {
        parse_which(v1::GetInclusionProofRequest {
            entry,
            log: log.to_owned(),
        })
        .map_err(|error| error.reason())
    };
    let id = || Some(Entry::CredentialId("01JD0000000000000000000000".into()));
    assert!(matches!(
        ask(Some(Entry::Index(0)), "2026-11"),
        Ok(WhichEntry::Index {
            log: Some(_),
            index: 0
        })
    ));
    assert!(matches!(ask(id(), ""), Ok(WhichEntry::Credential(_))));
    assert!(ask(id(), "2026-11").is_err());
    assert!(ask(None, "").is_err());
}

#[test]
fn a_page_is_cut_where_its_message_would_be_too_large() {
    let page = |lengths: &[usize]| {
        let log = "2026-11".parse().unwrap();
        let entries = lengths
            .iter()
            .zip((0..lengths.len() as u64).rev())
            .map(|(length, index)| LoggedEntry {
                log,
                index: index + 100,
                json: vec![b' '; *length],
            })
            .collect();
        let next = Some(Place { log, before: 7 });
        let page = bounded(EntryPage { entries, next });
        (page.entries.len(), page.next.unwrap().before)
    };
    assert_eq!(page(&[]), (0, 7));
    assert_eq!(page(&[700; 1000]), (1000, 7));
    assert_eq!(page(&[65_535; 20]), (16, 104));
    assert_eq!(page(&[BYTES + 1, 1]), (1, 101));
}
