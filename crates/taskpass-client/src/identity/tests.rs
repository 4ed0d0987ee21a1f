use rcgen::{CertificateParams, DistinguishedName, SanType};

use super::*;
use crate::key::LocalKey;

/// A certificate for `key`, self-signed: nothing here checks who signed it.
fn certificate(key_pem: &str, uri: &str) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 1, 8);
    let pair = KeyPair::from_pem(key_pem).unwrap();
    params.self_signed(&pair).unwrap().pem()
}

const NAME: &str = "spiffe://example.org/agent/invoice-bot";

fn identity() -> Identity {
    let key = LocalKey::generate().unwrap().into_key_pem();
    let cert = certificate(&key, NAME);
    Identity::new(cert.clone(), key, cert).unwrap()
}

#[test]
fn what_is_saved_is_loaded() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("a/b");
    let first = identity();
    first.save(&folder).unwrap();
    let second = identity();
    second.save(&folder).unwrap();
    let loaded = Identity::load(&folder).unwrap();
    assert_eq!(loaded.cert_pem(), second.cert_pem());
    assert_eq!(loaded.key_pem(), second.key_pem());
    assert_eq!(loaded.name().to_string(), NAME);
    assert_eq!(
        loaded.expires_at(),
        Timestamp::parse_rfc3339("2026-01-08T00:00:01Z").unwrap()
    );
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["ca.pem", "cert.pem", "key.pem"]);
}

#[cfg(unix)]
#[test]
fn folder_and_key_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("id");
    identity().save(&folder).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("key.pem")), 0o600);
    let open = std::fs::Permissions::from_mode(0o604);
    std::fs::set_permissions(folder.join("key.pem"), open).unwrap();
    assert!(matches!(
        Identity::load(&folder),
        Err(IdentityError::Exposed { .. })
    ));
}

#[test]
fn an_error_names_the_missing_file() {
    for name in ["cert.pem", "key.pem", "ca.pem"] {
        let home = tempfile::tempdir().unwrap();
        identity().save(home.path()).unwrap();
        std::fs::remove_file(home.path().join(name)).unwrap();
        let error = Identity::load(home.path()).unwrap_err();
        assert!(matches!(&error, IdentityError::Missing { path } if path.ends_with(name)));
        assert!(error.to_string().contains(name), "{error}");
        assert!(error.to_string().contains("enrol"), "{error}");
    }
}

/// Stops a save at each of its steps, by hand, and looks at what is there.
#[test]
fn a_crash_leaves_the_old_identity_or_the_new_one() {
    let (old, new) = (identity(), identity());
    let files = [
        ("cert.pem", new.cert_pem().as_bytes()),
        ("key.pem", new.key_pem().as_bytes()),
        ("ca.pem", new.ca_pem().as_bytes()),
    ];
    for step in 0..=6 {
        let home = tempfile::tempdir().unwrap();
        old.save(home.path()).unwrap();
        let staging = home.path().join("next.tmp");
        std::fs::create_dir(&staging).unwrap();
        for (name, bytes) in files.iter().take(step + 1) {
            std::fs::write(staging.join(name), bytes).unwrap();
            private(&staging.join(name));
        }
        if step >= 3 {
            let next = home.path().join("next");
            std::fs::rename(&staging, &next).unwrap();
            for (name, _) in files.iter().take(step - 3) {
                std::fs::rename(next.join(name), home.path().join(name)).unwrap();
            }
        }
        let expected = if step >= 3 { &new } else { &old };
        let loaded = Identity::load(home.path()).unwrap();
        assert_eq!(loaded.cert_pem(), expected.cert_pem(), "step {step}");
        let third = identity();
        third.save(home.path()).unwrap();
        let loaded = Identity::load(home.path()).unwrap();
        assert_eq!(loaded.cert_pem(), third.cert_pem(), "step {step}");
        assert!(!home.path().join("next").exists());
        assert!(!home.path().join("next.tmp").exists());
    }
}

fn private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let _ = path;
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let (one, two) = (identity(), identity());
    let cert = || one.cert_pem().to_owned();
    let key = || one.key_pem().clone();
    assert!(matches!(
        Identity::new(cert(), two.key_pem().clone(), cert()),
        Err(IdentityError::Mismatch)
    ));
    for (cert_pem, key_pem, ca_pem, wrong) in [
        (String::new(), key(), cert(), "certificate"),
        (cert(), Zeroizing::new("x".into()), cert(), "key"),
        (cert(), key(), "x".into(), "list of anchors"),
        (
            certificate(&key(), "https://a.example"),
            key(),
            cert(),
            "certificate",
        ),
    ] {
        let error = Identity::new(cert_pem, key_pem, ca_pem).unwrap_err();
        assert!(
            matches!(error, IdentityError::Malformed { part, .. } if part == wrong),
            "{error}"
        );
    }
    assert!(!format!("{one:?}").contains("PRIVATE"));
}
