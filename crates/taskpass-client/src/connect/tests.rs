use super::*;

#[test]
fn addresses() {
    for (addr, host) in [
        ("broker.example:7443", Some("broker.example")),
        ("localhost:1", Some("localhost")),
        ("127.0.0.1:65535", Some("127.0.0.1")),
        ("[::1]:7443", Some("::1")),
        ("broker.example", None),
        (":7443", None),
        ("broker.example:0", None),
        ("broker.example:99999", None),
        ("broker.example:https", None),
        ("https://broker.example:7443", None),
        ("user@broker.example:7443", None),
        ("broker.example/path:7443", None),
        ("::1:7443", None),
        ("[::1:7443", None),
        ("[broker]:7443", None),
        ("", None),
    ] {
        assert_eq!(host_of(addr), host, "{addr:?}");
    }
}

#[test]
fn without_anchors_nobody_is_trusted() {
    for pem in [
        "",
        "not PEM",
        "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
    ] {
        assert!(matches!(
            endpoint("broker.example:7443", None, pem),
            Err(ConnectError::Anchors)
        ));
    }
}
