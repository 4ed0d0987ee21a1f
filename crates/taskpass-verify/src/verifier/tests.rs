mod tampered;

use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::revocation::Selector;
use taskpass_core::time::Clock as _;

use super::*;
use crate::refusal::Reason;
use crate::testing::{NOW, World, jwk, ledger, rule, task_id};
use crate::token::UnverifiedToken;

fn reason<T>(outcome: Result<T, Refusal>) -> Option<Reason> {
    outcome.err().map(|refusal| refusal.reason())
}

#[test]
fn a_good_token_says_who_what_and_which_task() {
    let world = World::new();
    let verifier = world.verifier();
    let token = verifier.verify_token(&world.token(), &ledger()).unwrap();
    assert_eq!(token.agent().as_str(), "invoice-bot");
    assert_eq!(token.task(), task_id(1));
    assert_eq!(token.ancestors().len(), 1);
    assert_eq!(token.purpose(), "pay invoice 17");
    assert_eq!(token.stage().as_str(), "bounded");
    assert_eq!(token.expires_at(), NOW.plus(Duration::from_mins(5)));
    assert!(!token.is_bound());
    assert!(
        token
            .require_scope(&"invoices:read".parse().unwrap())
            .is_ok()
    );
    let denied = token.require_scope(&"invoices:write".parse().unwrap());
    assert_eq!(reason(denied), Some(Reason::Scope));
    let metrics = verifier.metrics();
    assert_eq!(
        (metrics.accepted, metrics.staleness),
        (1, Some(Duration::ZERO))
    );
}

type Change = fn(&mut taskpass_token::Claims);

#[test]
fn a_token_for_another_place_or_time_is_refused() {
    let world = World::new();
    let verifier = world.verifier();
    let wrong: &[(Change, Reason)] = &[
        (
            |c| c.issuer = "https://other.example".into(),
            Reason::Issuer,
        ),
        (
            |c| c.audience = "https://c.example".parse().unwrap(),
            Reason::Audience,
        ),
        // One of ours, but not the one that is asked for.
        (
            |c| c.audience = "https://b.example".parse().unwrap(),
            Reason::Audience,
        ),
        (
            |c| c.subject = "spiffe://other.example/agent/invoice-bot".parse().unwrap(),
            Reason::Issuer,
        ),
        (
            |c| c.subject = "spiffe://example.org/agent/planner".parse().unwrap(),
            Reason::Issuer,
        ),
        (|c| c.expires_at += 1, Reason::Lifetime),
        (|c| c.issued_at -= 3600, Reason::Lifetime),
        (|c| c.issued_at += 61, Reason::NotYetValid),
        (|c| c.not_before += 61, Reason::NotYetValid),
    ];
    for (change, expected) in wrong {
        let mut claims = world.claims();
        change(&mut claims);
        let outcome = verifier.verify_token(&world.sign(&claims), &ledger());
        assert_eq!(reason(outcome), Some(*expected));
    }
    let elsewhere = "https://c.example".parse().unwrap();
    let outcome = verifier.verify_token(&world.token(), &elsewhere);
    assert!(matches!(outcome, Err(Refusal::NotOurAudience(_))));
    for text in ["", "a.b.c", &world.token().replace('.', "")] {
        assert_eq!(
            reason(verifier.verify_token(text, &ledger())),
            Some(Reason::Malformed)
        );
    }
    let token = world.token();
    world.clock.advance(Duration::from_mins(5));
    world.confirm(&verifier, 0);
    assert_eq!(
        reason(verifier.verify_token(&token, &ledger())),
        Some(Reason::Expired)
    );
    let counted = verifier.metrics().refused;
    let of = |wanted| counted.iter().find(|(r, _)| *r == wanted).unwrap().1;
    assert_eq!((of(Reason::Audience), of(Reason::Expired)), (3, 1));
}

#[test]
fn a_bound_token_needs_its_certificate() {
    let world = World::new();
    let verifier = world.verifier();
    let (own, other) = (world.certificate(), world.certificate());
    let proved = |der: &[u8]| verifier.verify_certificate(der, &[]).unwrap();
    let token = world.bound_token(&own, task_id(1));
    assert!(matches!(
        verifier.verify_token(&token, &ledger()),
        Err(Refusal::CertificateMissing)
    ));
    assert!(matches!(
        verifier.verify_token_with(&token, &ledger(), &proved(&other)),
        Err(Refusal::OtherCertificate)
    ));
    let good = verifier.verify_token_with(&token, &ledger(), &proved(&own));
    assert!(good.unwrap().is_bound());
    let borrowed = world.bound_token(&own, task_id(9));
    assert!(matches!(
        verifier.verify_token_with(&borrowed, &ledger(), &proved(&own)),
        Err(Refusal::OtherTask)
    ));
    // An unbound token may come over any good connection.
    let unbound = verifier.verify_token_with(&world.token(), &ledger(), &proved(&own));
    assert!(unbound.is_ok());
}

/// A connection outlives what was true when it began.
#[test]
fn a_certificate_is_looked_at_again_with_every_token() {
    let world = World::new();
    let verifier = world.verifier();
    let der = world.certificate();
    let certificate = verifier.verify_certificate(&der, &[]).unwrap();
    let token = world.bound_token(&der, task_id(1));
    assert!(
        verifier
            .verify_token_with(&token, &ledger(), &certificate)
            .is_ok()
    );
    let revoked = rule(1, Selector::Credential(certificate.credential_id()), NOW);
    verifier.shared().add(vec![revoked], 1);
    for outcome in [
        verifier
            .verify_token_with(&token, &ledger(), &certificate)
            .map(drop),
        verifier.recheck_certificate(&certificate),
    ] {
        assert!(matches!(outcome, Err(Refusal::Revoked { seq: 1 })));
    }
    world.clock.advance(Duration::from_mins(15));
    world.confirm(&verifier, 1);
    let token = world.bound_token(&der, task_id(1));
    let outcome = verifier.verify_token_with(&token, &ledger(), &certificate);
    assert_eq!(reason(outcome), Some(Reason::Expired));
    let fresh = world.certificate();
    let held = verifier.verify_certificate(&fresh, &[]).unwrap();
    let strangers = World::new();
    verifier.replace_anchors(&strangers.anchors()).unwrap();
    let outcome = verifier.verify_certificate(&fresh, &[]);
    assert_eq!(reason(outcome), Some(Reason::Untrusted));
    let outcome = verifier.recheck_certificate(&held);
    assert_eq!(reason(outcome), Some(Reason::Untrusted));
}

#[test]
fn rules_refuse_what_they_name_and_nothing_else() {
    let world = World::new();
    let der = world.certificate();
    let root = taskpass_token::spki::key_id(&rcgen::PublicKeyData::subject_public_key_info(
        world.root.key(),
    ))
    .unwrap();
    let issuing = taskpass_token::spki::key_id(&rcgen::PublicKeyData::subject_public_key_info(
        world.issuing.key(),
    ))
    .unwrap();
    for (selector, token_dies, certificate_dies) in [
        (Selector::Task(task_id(1)), true, true),
        (Selector::Task(task_id(2)), true, true),
        (Selector::Task(task_id(3)), false, false),
        (Selector::Agent("invoice-bot".parse().unwrap()), true, true),
        (Selector::Agent("planner".parse().unwrap()), true, true),
        (Selector::Agent("bystander".parse().unwrap()), false, false),
        (Selector::Target(ledger()), true, false),
        (
            Selector::Target("https://b.example".parse().unwrap()),
            false,
            false,
        ),
        (
            Selector::Key(jwk(&world.token_key).id().clone()),
            true,
            false,
        ),
        (Selector::Key(issuing), false, true),
        (Selector::Key(root), false, true),
        (Selector::Everything, true, true),
    ] {
        let verifier = world.verifier();
        verifier
            .shared()
            .add(vec![rule(7, selector.clone(), NOW)], 7);
        let token = verifier.verify_token(&world.token(), &ledger()).map(drop);
        let certificate = verifier.verify_certificate(&der, &[]).map(drop);
        for (outcome, dies) in [(token, token_dies), (certificate, certificate_dies)] {
            match outcome {
                Ok(()) => assert!(!dies, "{selector}"),
                Err(Refusal::Revoked { seq: 7 }) => assert!(dies, "{selector}"),
                Err(other) => panic!("{selector}: {other}"),
            }
        }
    }
}

#[test]
fn a_view_that_is_too_old_vouches_for_nothing() {
    let world = World::new();
    let mut settings = world.settings();
    settings.staleness = Staleness::Strict(Duration::from_secs(30));
    let strict = world.blank(settings.clone());
    settings.staleness = Staleness::BestEffort;
    let lenient = world.blank(settings);
    let ask = |verifier: &Verifier| reason(verifier.verify_token(&world.token(), &ledger()));
    assert_eq!(ask(&strict), Some(Reason::NotReady));
    assert_eq!(ask(&lenient), Some(Reason::NotReady));
    world.confirm(&strict, 0);
    world.confirm(&lenient, 0);
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(ask(&strict), None);
    // The wall clock is not what counts.
    world.clock.jump_to(NOW.plus(Duration::from_hours(1)));
    assert_eq!(ask(&strict), None);
    world.clock.jump_to(NOW.plus(Duration::from_secs(30)));
    world.clock.advance(Duration::from_millis(1));
    let refusal = strict.verify_token(&world.token(), &ledger()).unwrap_err();
    assert!(matches!(refusal, Refusal::Stale { age } if age == Duration::from_millis(30_001)));
    assert!(refusal.is_ours());
    assert_eq!(ask(&lenient), None);
    world.confirm(&strict, 0);
    assert_eq!(ask(&strict), None);
    // Found wrong: not a matter of age.
    strict.shared().distrust();
    assert_eq!(ask(&strict), Some(Reason::Stale));
    world.confirm(&strict, 0);
    assert_eq!(ask(&strict), None);
}

#[test]
fn keys_are_believed_for_a_day() {
    let world = World::new();
    let verifier = world.verifier();
    let held = verifier.verify_token(&world.token(), &ledger()).unwrap();
    world.clock.advance(MAX_JWKS_AGE);
    world.confirm(&verifier, 0);
    assert!(verifier.verify_token(&world.token(), &ledger()).is_ok());
    world.clock.advance(Duration::from_millis(1));
    let outcome = verifier.verify_token(&world.token(), &ledger());
    assert_eq!(reason(outcome), Some(Reason::KeysStale));
    verifier.replace_jwks(world.settings().jwks);
    let token = world.token();
    let fresh = verifier.verify_token(&token, &ledger()).unwrap();
    assert!(verifier.recheck_token(&fresh).is_ok());
    assert_eq!(reason(verifier.recheck_token(&held)), Some(Reason::Expired));
    verifier.replace_jwks(JwkSet::default());
    assert_eq!(
        reason(verifier.recheck_token(&fresh)),
        Some(Reason::Untrusted)
    );
    assert_eq!(
        reason(verifier.verify_token(&token, &ledger())),
        Some(Reason::Untrusted)
    );
}

#[test]
fn settings_that_cannot_hold_are_refused() {
    let world = World::new();
    let refused = |change: fn(&mut Settings)| {
        let mut settings = world.settings();
        change(&mut settings);
        Verifier::new(settings, Arc::new(world.clock.clone())).unwrap_err()
    };
    assert!(matches!(
        refused(|s| s.issuer.clear()),
        SettingsError::Issuer
    ));
    assert!(matches!(
        refused(|s| s.audiences.clear()),
        SettingsError::Audiences
    ));
    assert!(matches!(
        refused(|s| s.task_anchors_pem.clear()),
        SettingsError::Anchors(_)
    ));
    assert!(matches!(
        refused(|s| s.staleness = Staleness::Strict(Duration::ZERO)),
        SettingsError::Staleness
    ));
    assert!(matches!(
        refused(|s| s.staleness = Staleness::Strict(Duration::from_secs(301))),
        SettingsError::Staleness
    ));
    assert_eq!(world.clock.now(), NOW);
    assert_ne!(NOW, Timestamp::ZERO);
}

#[tokio::test]
async fn waiting_for_a_revocation_to_be_in_force() {
    let world = World::new();
    let verifier = world.blank(world.settings());
    let waiting = verifier.clone();
    let waiter = tokio::spawn(async move {
        waiting.wait_until_ready().await;
        waiting.wait_for_seq(2).await;
    });
    world.confirm(&verifier, 1);
    tokio::task::yield_now().await;
    assert!(!waiter.is_finished());
    verifier
        .shared()
        .add(vec![rule(2, Selector::Everything, NOW)], 2);
    waiter.await.unwrap();
    verifier.wait_for_seq(1).await;
}
