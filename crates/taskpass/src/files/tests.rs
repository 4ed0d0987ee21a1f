//! What is read, what is written, and what is left alone.

use std::path::PathBuf;

use rcgen::{CertificateParams, KeyPair, SanType};
use taskpass_core::rng::SystemRng;
use tempfile::TempDir;

use super::folder::CertFolder;
use super::*;

const TASK: &str = "spiffe://example.org/agent/a/task/01ARZ3NDEKTSV4RRFFQ69G5FAV";
const IDENTITY: &str = "spiffe://example.org/operator/ops";

fn certificate(uri: &str) -> rcgen::Certificate {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    params.self_signed(&key).unwrap()
}

fn file(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn secrets() {
    let dir = TempDir::new().unwrap();
    let secret = read_secret(&file(&dir, "good", b" eyJ.a.b\n")).unwrap();
    assert_eq!(secret.expose(), "eyJ.a.b");
    for (name, bytes, reason) in [
        ("empty", b" \n".to_vec(), "INVALID_TOKEN_FILE"),
        ("binary", vec![0xff, 0xfe], "INVALID_TOKEN_FILE"),
        ("huge", vec![b'a'; 256 * 1024 + 1], "FILE_ERROR"),
    ] {
        let error = read_secret(&file(&dir, name, &bytes)).unwrap_err();
        assert_eq!(error.reason(), reason, "{name}");
    }
    let error = read_secret(&dir.path().join("absent")).unwrap_err();
    assert_eq!(error.reason(), "FILE_ERROR");
}

#[test]
fn certificates_and_requests_in_both_encodings() {
    let dir = TempDir::new().unwrap();
    let cert = certificate(TASK);
    let der = cert.der().to_vec();
    assert_eq!(
        read_certificate(&file(&dir, "pem", cert.pem().as_bytes())).unwrap(),
        der
    );
    assert_eq!(read_certificate(&file(&dir, "der", &der)).unwrap(), der);
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    let request = csr.der().to_vec();
    assert_eq!(
        read_csr(&file(&dir, "csr", csr.pem().unwrap().as_bytes())).unwrap(),
        request
    );
    assert_eq!(read_csr(&file(&dir, "csr.der", &request)).unwrap(), request);
    for bytes in [&b"nonsense"[..], b"", &request, &der[..40]] {
        let error = read_certificate(&file(&dir, "bad", bytes)).unwrap_err();
        assert_eq!(error.reason(), "INVALID_CERTIFICATE");
    }
    let error = read_csr(&file(&dir, "bad", &der)).unwrap_err();
    assert_eq!(error.reason(), "INVALID_CSR");
}

#[test]
fn a_new_secret_file_is_private_and_never_replaces_one() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("enrol");
    drop(NewSecretFile::create(&path).unwrap());
    assert!(!path.exists(), "an unfilled file goes away");
    NewSecretFile::create(&path).unwrap().fill(b"x").unwrap();
    #[cfg(unix)]
    assert_eq!(mode(&path), 0o600);
    assert_eq!(
        NewSecretFile::create(&path).unwrap_err().reason(),
        "FILE_EXISTS"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"x");
}

/// The files, whether the key is the caller's own, and whether the folder is taken.
type Case<'a> = (&'a [(&'a str, &'a str)], bool, bool);

#[test]
fn which_folders_are_written_to() {
    let (task, identity) = (certificate(TASK).pem(), certificate(IDENTITY).pem());
    let cases: &[Case<'_>] = &[
        (&[], false, true),
        (
            &[
                ("cert.pem", &task),
                ("key.pem", "k"),
                ("ca.pem", "c"),
                ("notes", "n"),
            ],
            false,
            true,
        ),
        (
            &[("cert.pem", &identity), ("key.pem", "k"), ("ca.pem", "c")],
            false,
            false,
        ),
        (&[("cert.pem", "nonsense")], false, false),
        (&[("notes", "n")], false, false),
        (&[("key.pem", "k"), ("own.csr", "r")], false, false),
        (&[("key.pem", "k"), ("own.csr", "r")], true, true),
        (&[("cert.pem", &identity)], true, false),
        (&[("ca.pem", "c")], true, false),
    ];
    for (files, own_key, expected) in cases {
        let dir = TempDir::new().unwrap();
        for (name, text) in *files {
            file(&dir, name, text.as_bytes());
        }
        let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
        let opened = CertFolder::open(dir.path(), *own_key);
        assert_eq!(opened.is_ok(), *expected, "{names:?} {own_key}");
    }
}

#[test]
fn a_folder_is_made_and_its_key_is_private() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a/b");
    let folder = CertFolder::open(&path, false).unwrap();
    let files: [(&'static str, &[u8]); 3] =
        [("key.pem", b"k"), ("ca.pem", b"c"), ("cert.pem", b"x")];
    folder.write(&SystemRng::new(), &files).unwrap();
    folder.write(&SystemRng::new(), &files).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["ca.pem", "cert.pem", "key.pem"]);
    #[cfg(unix)]
    assert_eq!((mode(&path), mode(&path.join("key.pem"))), (0o700, 0o600));
}
