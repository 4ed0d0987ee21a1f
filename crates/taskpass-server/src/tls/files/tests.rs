use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::ServerName;

use super::*;

/// A pair in PEM, and the certificate in DER.
fn pair() -> (String, String, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (
        certificate.pem(),
        key.serialize_pem(),
        certificate.der().to_vec(),
    )
}

/// The certificate that a client is shown, by a handshake in memory.
fn shown(config: Arc<ServerConfig>, trusted: &[u8]) -> Vec<u8> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(trusted)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = rustls::ServerConnection::new(config).unwrap();
    while client.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().unwrap();
    }
    client.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn new_files_are_taken_up_and_broken_ones_are_not() {
    let home = tempfile::tempdir().unwrap();
    let (cert, key) = (home.path().join("cert.pem"), home.path().join("key.pem"));
    let write = |pem: &str, key_pem: &str| {
        std::fs::write(&cert, pem).unwrap();
        std::fs::write(&key, key_pem).unwrap();
    };
    let (first, first_key, first_der) = pair();
    write(&first, &first_key);
    let files = FileTls::open(&cert, &key).unwrap();
    assert_eq!(shown(files.current(), &first_der), first_der);
    assert!(!files.refresh().unwrap(), "nothing has changed");
    // Written again, the same: no news, whatever the times say.
    write(&first, &first_key);
    assert!(!files.refresh().unwrap());

    let (second, second_key, second_der) = pair();
    for (pem, key_pem) in [
        (&second, &first_key),
        (&String::new(), &first_key),
        (&second, &"nonsense".to_owned()),
    ] {
        write(pem, key_pem);
        assert!(files.refresh().is_err());
        assert!(!files.refresh().unwrap(), "told once");
        assert_eq!(shown(files.current(), &first_der), first_der);
    }
    std::fs::remove_file(&key).unwrap();
    let gone = files.refresh().unwrap_err().to_string();
    assert!(gone.contains("key.pem"), "{gone}");
    write(&second, &second_key);
    assert!(files.refresh().unwrap());
    assert_eq!(shown(files.current(), &second_der), second_der);
}

#[test]
fn what_cannot_be_read_does_not_start() {
    let home = tempfile::tempdir().unwrap();
    let missing = home.path().join("none.pem");
    assert!(matches!(
        FileTls::open(&missing, &missing),
        Err(TlsError::File { .. })
    ));
}
