//! Enrolling, renewing, and two who claim one identity.

use std::time::Duration;

use taskpass_core::audit::Attestation;
use taskpass_core::identity::Principal;
use taskpass_store::Store;

use super::{Story, TRACE};
use crate::Proved;
use crate::testing::{TestBroker, ops};

/// A key pair that a caller makes: its request, and what it keeps to itself.
pub(super) fn key_pair() -> (Vec<u8>, Vec<u8>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let request = params.serialize_request(&key).unwrap().der().to_vec();
    (request, key.serialize_der())
}

async fn proved(t: &TestBroker, principal: &Principal) -> Proved {
    let line = t.store.identity(principal).await.unwrap().unwrap();
    Proved {
        principal: principal.clone(),
        attestation: Attestation::Mtls {
            key: line.current.key,
        },
        issued_at: line.current.issued_at,
        expires_at: line.current.expires_at,
        issued_by: None,
    }
}

impl Story {
    pub(super) fn key_pair(&mut self) -> (Vec<u8>, Vec<u8>) {
        let (request, private) = key_pair();
        self.secret("a caller's private key", &private);
        let at = private.windows(2).position(|two| two == [0x04, 0x20]);
        let at = at.unwrap() + 2;
        self.secret("the number of a caller's key", &private[at..at + 32]);
        (request, private)
    }

    async fn enrolment_token(&mut self, principal: &Principal) -> String {
        let broker = self.t.broker.clone();
        let fresh = broker
            .create_enrolment_token(&ops(), principal)
            .await
            .unwrap();
        self.show(&fresh);
        let token = fresh.token.expose().to_owned();
        self.secret("an enrolment token", &token);
        token
    }

    pub(super) async fn identities(&mut self) {
        let broker = self.t.broker.clone();
        let first = crate::first_enrolment(
            &*self.t.store,
            &Principal::from_parts("operator", "ops").unwrap(),
            Duration::from_hours(1),
            &*self.t.rng,
            self.t.now(),
        )
        .await
        .unwrap();
        self.secret("the first enrolment token", first.expose());
        let reader = Principal::from_parts("agent", "reader").unwrap();
        let token = self.enrolment_token(&reader).await;
        // A private key, handed in as if it were the request.
        let (request, private) = self.key_pair();
        let outcome = broker.enrol(&token, &private).await;
        self.failed(outcome, "INVALID_CSR");
        let enrolled = broker.enrol(&token, &request).await.unwrap();
        self.show(&enrolled);
        let guessed = format!("tpe_{}", data_encoding::BASE64URL_NOPAD.encode(&[0xA7; 32]));
        for refused in [
            token.clone(),
            guessed,
            format!("{token}="),
            token.replace("tpe_", ""),
        ] {
            self.secret("a refused enrolment token", &refused);
            let outcome = broker.enrol(&refused, &request).await;
            self.failed(outcome, "ENROLMENT_REFUSED");
        }
        let standing = broker
            .standing(&proved(&self.t, &reader).await, Some(TRACE.to_owned()))
            .await
            .unwrap();
        self.show(&standing);
        let (next, _) = self.key_pair();
        let renewed = broker.renew_identity(&standing, &next).await.unwrap();
        self.show(&renewed);

        // Of another agent somebody has a copy.
        let stranger = Principal::from_parts("agent", "stranger").unwrap();
        let token = self.enrolment_token(&stranger).await;
        let (request, private) = self.key_pair();
        broker.enrol(&token, &request).await.unwrap();
        let copied = proved(&self.t, &stranger).await;
        let standing = broker.standing(&copied, None).await.unwrap();
        for (outcome, request) in [(None, self.key_pair().0), (Some(()), self.key_pair().0)] {
            let renewed = broker.renew_identity(&standing, &request).await;
            match outcome {
                None => self.show(&renewed.unwrap()),
                Some(()) => self.failed(renewed, "IDENTITY_CONFLICT"),
            }
        }
        let outcome = broker.renew_identity(&standing, &private).await;
        self.failed(outcome, "INVALID_CSR");
        let refused = broker.standing(&copied, None).await;
        let error = refused.as_ref().err().unwrap();
        broker
            .record_refused_call(&copied, "/taskpass.v1.TaskService/Start", error)
            .await
            .unwrap();
        self.failed(refused, "UNAUTHENTICATED");
    }
}
