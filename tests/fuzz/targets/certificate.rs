//! Certificates downstream: any bytes as a certificate, a list or anchors; any bytes as the task
//! extension of a certificate that our authority signed.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rcgen::CustomExtension;
use taskpass_core::spiffe::SpiffeId;
use taskpass_fuzz::way;
use taskpass_token::TaskExtension;
use taskpass_token::task_extension::OID;
use taskpass_verify::testing::World;
use taskpass_verify::{CrlVerifier, Verifier};

struct Fixture {
    world: World,
    verifier: Verifier,
    lists: CrlVerifier,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let world = World::new();
    let settings = world.settings();
    let clock = Arc::new(world.clock.clone());
    let lists = CrlVerifier::new(
        settings.trust_domain.clone(),
        &settings.task_anchors_pem,
        clock,
    );
    Fixture {
        verifier: world.verifier(),
        lists: lists.unwrap(),
        world,
    }
});

fuzz_target!(|data: &[u8]| {
    let Fixture {
        world,
        verifier,
        lists,
    } = &*FIXTURE;
    let (way, data) = way(data, 6);
    match way {
        0 => {
            if let Ok(read) = TaskExtension::from_der(data) {
                assert_eq!(read.to_der(), data);
            }
        }
        1 => assert!(verifier.verify_certificate(data, &[]).is_err()),
        2 => {
            let mut leaf = world.leaf();
            leaf.custom_extensions = vec![CustomExtension::from_oid_content(OID, data.to_vec())];
            let accepted = verifier
                .verify_certificate(&world.issue(&leaf), &[])
                .is_ok();
            // A good extension may still not fit the rest of the certificate.
            assert!(!accepted || TaskExtension::from_der(data).is_ok());
        }
        3 => assert!(lists.take(data).is_err()),
        4 => {
            if let Ok(pem) = std::str::from_utf8(data) {
                let _ = world.blank(world.settings()).replace_anchors(pem);
            }
        }
        _ => {
            if let Ok(text) = std::str::from_utf8(data)
                && let Ok(id) = text.parse::<SpiffeId>()
            {
                assert_eq!(id.to_string(), text);
            }
        }
    }
});
