use super::*;

fn signed(size: u64) -> Signed {
    Signed {
        log: "2026-11".parse().unwrap(),
        size,
        checkpoint: format!("size {size}\n"),
        vkey: String::new(),
    }
}

#[tokio::test]
async fn a_file_is_replaced_and_nothing_is_left_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    assert_eq!(file::read(path.clone()).await.unwrap(), None);
    for text in ["first\n", "second\n"] {
        file::replace(path.clone(), text.to_owned()).await.unwrap();
        let found = file::read(path.clone()).await.unwrap();
        assert_eq!(found.as_deref(), Some(text.as_bytes()));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    std::fs::write(&path, "").unwrap();
    assert_eq!(file::read(path).await.unwrap(), None);
}

/// What lies where the new one is written, of an earlier attempt or put there, is not written to.
#[tokio::test]
async fn no_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (
        folder.path().join("checkpoint"),
        folder.path().join("other"),
    );
    std::fs::write(&other, "other").unwrap();
    std::os::unix::fs::symlink(&other, folder.path().join(".checkpoint.writing")).unwrap();
    file::replace(path.clone(), "new".to_owned()).await.unwrap();
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "other");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("checkpoint");
    let failed = file::replace(path, String::new()).await;
    assert!(matches!(
        failed,
        Err(ExportError::File {
            action: "write",
            ..
        })
    ));
    let failed = file::read(folder.path().to_owned()).await;
    assert!(matches!(
        failed,
        Err(ExportError::File { action: "read", .. })
    ));
}

#[tokio::test]
async fn only_what_is_newer_is_waited_for() {
    let (sender, mut receiver) = watch::channel(Some(signed(1)));
    let stop = CancellationToken::new();
    let first = newer(&mut receiver, None, &stop).await.unwrap();
    assert_eq!(first.size, 1);
    let exported = Some(place(&first));
    sender.send_replace(Some(signed(2)));
    let second = newer(&mut receiver, exported, &stop).await.unwrap();
    assert_eq!(second.size, 2);
    stop.cancel();
    assert!(
        newer(&mut receiver, Some(place(&second)), &stop)
            .await
            .is_none()
    );
}
