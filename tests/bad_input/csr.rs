//! Signing requests, and enrolment files.

use data_encoding::BASE64;
use rcgen::{CertificateParams, CustomExtension, KeyPair, SanType};
use serde_json::{Value, json};
use taskpass_api::v1;
use taskpass_testkit::{Broker, refused, within};

use crate::*;

/// PKCS#10 of an RSA key of 1024 bits, and of a P-384 key; both signed with their key.
const RSA_1024: &str = "MIIBPzCBqQIBADAAMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCrnN2opszR+UsP6BNpJKrq\
    XFOKFD+cxJ0Zz4Sp7h2BWjGmS6/VVBVe7fiylh1j/Q0O8zitYbuu9LW7MIW6ioIN/Qn5+tzjRZpnjpKsoGVrBmN8unmwjpy\
    8LxpXkKrju6hjjbTo3Oanis0N/tAClAZImZLHSo2Y5UbYc4vEds9uTwIDAQABoAAwDQYJKoZIhvcNAQELBQADgYEAj2yH28\
    iO4hu95HVpVqn7e8krXQ8/jZ0ywmUzrNkzdIFjHy8hqTlSdiP0i0LVq+Nawg47y7ZS429DTGHr1D0rf2/mHzY0uS5psLTUd\
    WoHMLmbCpMDcP31A5tEP8fa36tq0jKrWCp4H4HMiO3xVLIT9cfFaRGzsWp6IXXyv3Do79M=";
const P_384: &str = "MIH2MH8CAQAwADB2MBAGByqGSM49AgEGBSuBBAAiA2IABFsJTz6L+2gwApsS8pVNRtdpQOeN7pTHc/tF\
    juK2UeVr+wCHYy6ZrSNvQyHhF08MD7TDvECGwFzP/AFAf91CY3KpD7qCeVW+S3hFF93k0zyqcFNokrBi93a0/8GS81yu1qAA\
    MAoGCCqGSM49BAMCA2cAMGQCMBUub0RTcCTomTPK15kKkl5bbQCNJwq9Ht1DIznLFrROZ7+rs6T/DQyiAx0otvPeVwIwcBuf\
    7opSmukpEvc6DAWAD2EsC7X1RC4NC4vi4Jnr8pZiGZNJM8bP1RFqMvTd+Ucp";

fn csr(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    change(&mut params);
    params.serialize_request(&key).unwrap().der().to_vec()
}

fn signing_requests() -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let good = csr(|_| {});
    let mut unsigned = good.clone();
    *unsigned.last_mut().unwrap() ^= 1;
    let mut another_key = good.clone();
    // Within the public key.
    another_key[60] ^= 1;
    let mut trailing = good.clone();
    trailing.push(0);
    let truncated = good[..good.len() - 1].to_vec();
    let base64 = |text: &str| BASE64.decode(text.replace(' ', "").as_bytes()).unwrap();
    vec![
        ("a bad signature", unsigned, &["signature"]),
        ("another key's signature", another_key, &[]),
        ("RSA of 1024 bits", base64(RSA_1024), &["RSA", "P-256"]),
        ("P-384", base64(P_384), &["P-256"]),
        (
            "CA:TRUE",
            csr(|params| {
                // 2.5.29.19: SEQUENCE { TRUE }
                let authority = CustomExtension::from_oid_content(
                    &[2, 5, 29, 19],
                    vec![0x30, 0x03, 0x01, 0x01, 0xff],
                );
                params.custom_extensions.push(authority);
            }),
            &["CA"],
        ),
        (
            "another agent's name",
            csr(|params| {
                let name = "spiffe://dev.taskpass.test/agent/payout-bot";
                params.subject_alt_names.push(uri(name));
            }),
            &["subjectAltName", "agent/invoice-bot/task/"],
        ),
        (
            "another task's name",
            csr(|params| {
                let name =
                    "spiffe://dev.taskpass.test/agent/invoice-bot/task/01M82KCWXTNCWEX6FM9A5BRB8Q";
                params.subject_alt_names.push(uri(name));
            }),
            &[],
        ),
        (
            "a DNS name",
            csr(|params| {
                let name = SanType::DnsName("ledger.example".try_into().unwrap());
                params.subject_alt_names.push(name);
            }),
            &[],
        ),
        ("bytes after the end", trailing, &[]),
        ("no end", truncated, &[]),
        ("nothing", Vec::new(), &[]),
    ]
}

#[tokio::test]
async fn signing_requests_for_a_task() {
    let broker = Broker::start(BIN);
    let task_id = task(&broker);
    let before = state(&broker);
    let mut credentials = broker.services("invoice-bot").await.credentials();
    let file = broker.path("request.der");
    let out = broker.path("never");
    for (what, der, says) in signing_requests() {
        std::fs::write(&file, &der).unwrap();
        let args = [
            "issue",
            "cert",
            "--task",
            &task_id,
            "--out",
            &out.display().to_string(),
        ];
        let outcome = broker.cli(
            "invoice-bot",
            &[&args[..], &["--csr", &file.display().to_string()]].concat(),
        );
        outcome.refused("INVALID_CSR", &["P-256 or Ed25519"]);
        assert!(!out.join("cert.pem").exists(), "{what}");

        let csr = der.into();
        let request = v1::IssueCertificateRequest {
            task_id: task_id.clone(),
            csr,
            ttl: None,
            ..v1::IssueCertificateRequest::default()
        };
        let answer = refused(within(credentials.issue_certificate(request)).await);
        assert_eq!(answer.reason, "INVALID_CSR", "{what}: {answer}");
        assert!(answer.message.contains("csr"), "{what}: {answer}");
        for part in says {
            assert!(answer.message.contains(part), "{what}: {answer}");
        }
    }
    assert_eq!(state(&broker), before);
    // What is good is accepted: the cases differ from it in what they say they do.
    let request = v1::IssueCertificateRequest {
        task_id,
        csr: csr(|_| {}).into(),
        ttl: None,
        ..v1::IssueCertificateRequest::default()
    };
    within(credentials.issue_certificate(request))
        .await
        .unwrap();
}

#[tokio::test]
async fn signing_requests_for_an_identity() {
    use v1::principal::Kind;
    let broker = Broker::start(BIN);
    broker
        .register_agent("new-bot", "payments-team", v1::Stage::ReadOnly, &[])
        .await;
    let fresh = broker
        .enrolment_token(Kind::Agent("new-bot".into()))
        .await
        .token;
    let mut nobody = taskpass_testkit::calls::Services(broker.anonymous().await).enrolment();
    let mut bot = broker.services("invoice-bot").await.enrolment();
    for (what, der, _) in signing_requests() {
        let request = v1::EnrolRequest {
            token: fresh.clone(),
            csr: der.clone().into(),
        };
        let answer = refused(within(nobody.enrol(request)).await);
        assert_eq!(answer.reason, "INVALID_CSR", "{what}: {answer}");
        let request = v1::RenewIdentityRequest { csr: der.into() };
        let answer = refused(within(bot.renew_identity(request)).await);
        assert_eq!(answer.reason, "INVALID_CSR", "{what}: {answer}");
    }
    // None of these used the token up, and none moved the identity on.
    let request = v1::EnrolRequest {
        token: fresh,
        csr: csr(|_| {}).into(),
    };
    let enrolled = within(nobody.enrol(request)).await.unwrap().into_inner();
    assert_eq!(enrolled.identity.unwrap().generation, 1);
    let request = v1::RenewIdentityRequest {
        csr: csr(|_| {}).into(),
    };
    let renewed = within(bot.renew_identity(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(renewed.identity.unwrap().generation, 2);
}

#[test]
fn enrolment_files() {
    let broker = Broker::start(BIN);
    let file = broker.arg("bot.enrol");
    broker
        .cli("", &["agent", "enrol-token", "invoice-bot", "--out", &file])
        .ok();
    let good: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let enrol = |file: &str, out: &str| {
        let out = broker.arg(out);
        broker.cli("", &["enrol", "--token-file", file, "--out", &out])
    };
    let altered = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value);
        std::fs::write(broker.path(name), value.to_string()).unwrap();
        broker.arg(name)
    };
    let forged = altered("forged", &|value| {
        let mut token = value["token"].as_str().unwrap().to_owned();
        let last = token.pop().unwrap();
        token.push(if last == 'A' { 'B' } else { 'A' });
        value["token"] = json!(token);
    });
    let short = altered("short", &|value| value["token"] = json!("tpe_x"));
    let empty = altered("empty", &|value| value["token"] = json!(""));
    for file in [&forged, &short, &empty] {
        enrol(file, "refused").refused("ENROLMENT_REFUSED", &["works once"]);
    }
    let unknown = altered("unknown", &|value| value["more"] = json!(1));
    std::fs::write(broker.path("text"), "not JSON").unwrap();
    for file in [&unknown, &broker.arg("text")] {
        enrol(file, "refused").refused("INVALID_TOKEN_FILE", &["enrol-token"]);
    }
    enrol(&broker.arg("not-there"), "refused").refused("FILE_ERROR", &["not-there"]);
    assert!(!broker.path("refused").join("cert.pem").exists());
    // All that used nothing up; once it is used, it is as good as forged.
    enrol(&file, "accepted").ok();
    let used = enrol(&file, "refused");
    used.refused("ENROLMENT_REFUSED", &["works once"]);
    assert_eq!(
        used.stderr,
        enrol(&forged, "refused").stderr,
        "not told apart"
    );
    let again = enrol(&forged, "accepted");
    assert_eq!(again.code, 1, "{again}");
    assert!(
        broker.path("accepted").join("cert.pem").exists(),
        "what was there is kept"
    );
}
