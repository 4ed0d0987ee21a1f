//! What is signed passes the one check; what the grant does not cover is refused.

use super::*;
use crate::issuer::tests::{NOW, grant, issuer, scopes, task};
use std::time::Duration;
use taskpass_core::rng::SeededRng;
use taskpass_token::{Expect, TokenError, check};

const READ: &str = "https://ledger.example#invoices:read";

fn terms() -> TokenTerms {
    TokenTerms {
        agent: "invoice-bot".parse().unwrap(),
        owner: "payments".parse().unwrap(),
        task: task(),
        stage: Stage::Bounded,
        target: "https://ledger.example".parse().unwrap(),
        alg: TokenAlg::Es256,
        scopes: BTreeSet::from(["invoices:read".parse().unwrap()]),
        now: NOW,
        ends_at: NOW.plus(Duration::from_mins(5)),
        bound_to: Some(Sha256::of(b"certificate")),
    }
}

fn prepare(grant: Grant, terms: TokenTerms) -> Result<PreparedToken, PrepareError> {
    issuer().prepare_token(grant, terms, &SeededRng::new(9))
}

fn refusal(terms: TokenTerms) -> PrepareError {
    prepare(grant("invoice-bot", scopes(&[READ])), terms).unwrap_err()
}

#[test]
fn the_token_the_record_and_the_check_agree() {
    let issuer = issuer();
    for alg in [TokenAlg::Es256, TokenAlg::EdDsa] {
        let terms = TokenTerms { alg, ..terms() };
        let more = scopes(&[READ, "https://ledger.example#invoices:write"]);
        let prepared = issuer
            .prepare_token(
                grant("invoice-bot", more),
                terms.clone(),
                &SeededRng::new(9),
            )
            .unwrap();
        let (id, decision) = (prepared.id(), prepared.decision());
        let SignedToken { token, credential } = issuer.sign_token(prepared).unwrap();

        assert_eq!(credential.id, id);
        assert_eq!(credential.decision, decision);
        assert_eq!(credential.digest, Sha256::of(token.expose().as_bytes()));
        assert_eq!(credential.owner, terms.owner);
        assert_eq!(credential.issued_at, NOW);
        assert_eq!(id.ends_at(), terms.ends_at);

        let expect = Expect {
            issuer: issuer.issuer_url(),
            trust_domain: issuer.trust_domain(),
            audience: Some(&terms.target),
            now: NOW,
            leeway: Duration::ZERO,
        };
        let keys = issuer.jwks(NOW);
        let checked = check(token.expose(), &keys, &expect).unwrap();
        assert_eq!(checked.facts(), credential.facts());
        assert_eq!(checked.key(), issuer.token_key(alg).id());
        assert_eq!(checked.bound_to(), terms.bound_to);
        assert_eq!(checked.claims().task.purpose, terms.task.purpose);
        assert_eq!(checked.claims().task.decision, decision);
        let now = checked.expires_at();
        assert!(matches!(
            check(token.expose(), &keys, &Expect { now, ..expect }),
            Err(TokenError::Expired)
        ));
        assert!(
            !format!(
                "{:?}",
                issuer
                    .sign_token(
                        issuer
                            .prepare_token(
                                grant("invoice-bot", scopes(&[READ])),
                                terms,
                                &SeededRng::new(1)
                            )
                            .unwrap()
                    )
                    .unwrap()
            )
            .contains("eyJ")
        );
    }
}

#[test]
fn a_grant_that_does_not_cover_the_terms() {
    let other = prepare(grant("planner", scopes(&[READ])), terms()).unwrap_err();
    assert!(matches!(other, PrepareError::OtherAgent { .. }));
    for ask in [
        scopes(&["https://ledger.example#invoices:write"]),
        scopes(&["https://other.example#invoices:read"]),
        scopes(&[]),
        Ask::Certificate,
    ] {
        let refused = prepare(grant("invoice-bot", ask), terms()).unwrap_err();
        let asked = READ.parse().unwrap();
        assert_eq!(refused, PrepareError::ScopeNotGranted(asked));
    }
    let wider = TokenTerms {
        scopes: BTreeSet::from([
            "invoices:read".parse().unwrap(),
            "invoices:write".parse().unwrap(),
        ]),
        ..terms()
    };
    assert!(matches!(refusal(wider), PrepareError::ScopeNotGranted(_)));
    let none = TokenTerms {
        scopes: BTreeSet::new(),
        ..terms()
    };
    assert_eq!(refusal(none), PrepareError::NoScope);
}

#[test]
fn lifetimes_to_the_millisecond() {
    let ending = |ends_at| TokenTerms { ends_at, ..terms() };
    let good = |ends_at| prepare(grant("invoice-bot", scopes(&[READ])), ending(ends_at)).is_ok();
    let second = NOW.floor_to_second();
    for early in [
        Timestamp::ZERO,
        second,
        NOW,
        second.plus(Duration::from_millis(999)),
    ] {
        assert_eq!(refusal(ending(early)), PrepareError::TooShort);
    }
    assert!(good(second.plus(Duration::from_secs(1))));

    // NOW has a fraction: an hour later is still an hour in whole seconds.
    assert!(good(NOW.plus(Duration::from_hours(1))));
    let hour = second.plus(Duration::from_hours(1));
    assert!(good(hour.plus(Duration::from_millis(999))));
    assert_eq!(
        refusal(ending(hour.plus(Duration::from_secs(1)))),
        PrepareError::TooLong(MAX_TOKEN_TTL)
    );

    let short = TaskFacts {
        id: taskpass_core::TaskId::first_at(NOW.plus(Duration::from_secs(9))),
        ..task()
    };
    let terms = |millis| TokenTerms {
        task: short.clone(),
        ..ending(NOW.plus(Duration::from_millis(millis)))
    };
    assert!(prepare(grant("invoice-bot", scopes(&[READ])), terms(9000)).is_ok());
    assert_eq!(refusal(terms(9001)), PrepareError::BeyondTask);
}

#[test]
fn a_task_too_deep_is_refused() {
    let mut deep = terms();
    let above = deep.task.ancestors[0].clone();
    deep.task.ancestors = vec![above; taskpass_core::task::MAX_DEPTH + 1];
    assert_eq!(refusal(deep), PrepareError::TooDeep);
}

#[test]
fn a_token_names_its_place_and_the_list_says_it() {
    use taskpass_core::listing::{ListId, ListPlace, list_hour};
    use taskpass_status::{Bits, Packed, Status, StatusList};

    let issuer = issuer();
    let prepared = prepare(grant("invoice-bot", scopes(&[READ])), terms()).unwrap();
    let place = ListPlace::new(2, 131_071).unwrap();
    let signed = issuer.sign_token(prepared.listed_at(place)).unwrap();
    assert_eq!(signed.credential.listed, Some(place));
    let terms = terms();
    let expect = Expect {
        issuer: issuer.issuer_url(),
        trust_domain: issuer.trust_domain(),
        audience: Some(&terms.target),
        now: NOW,
        leeway: Duration::ZERO,
    };
    let keys = issuer.jwks(NOW);
    let checked = check(signed.token.expose(), &keys, &expect).unwrap();
    let id = ListId {
        hour: list_hour(signed.credential.expires_at()),
        list: 2,
    };
    let status = checked.status().unwrap();
    assert_eq!(status.uri, issuer.status_location(id));
    assert_eq!(status.index, 131_071);

    let mut packed = Packed::all_valid(Bits::One, 16 * 1024);
    let ask = |packed: &Packed| {
        let list = issuer.status_list(id, packed, NOW).unwrap();
        let expect = taskpass_status::Expect {
            uri: &status.uri,
            now: NOW,
            leeway: Duration::ZERO,
        };
        let list = StatusList::verify(&list, &keys, &expect).unwrap();
        list.status(status.index).unwrap()
    };
    assert_eq!(ask(&packed), Status::Valid);
    packed.set(status.index, 1).unwrap();
    assert_eq!(ask(&packed), Status::Invalid);
    // Neither can be taken for the other.
    let list = issuer.status_list(id, &packed, NOW).unwrap();
    assert!(matches!(
        check(&list, &keys, &expect),
        Err(TokenError::Type)
    ));
}

#[test]
fn a_token_for_a_cloud_says_jwt_and_is_refused_by_ours() {
    let issuer = issuer();
    let cloud = |alg| {
        let terms = TokenTerms { alg, ..terms() };
        let prepared = prepare(grant("invoice-bot", scopes(&[READ])), terms).unwrap();
        prepared.in_profile(TokenProfile::Cloud)
    };
    let refused = cloud(TokenAlg::EdDsa).unwrap_err();
    assert_eq!(refused, PrepareError::ProfileAlg(TokenProfile::Cloud));
    let signed = issuer.sign_token(cloud(TokenAlg::Es256).unwrap()).unwrap();
    let token = signed.token.expose();
    let header = taskpass_token::jws::parse(token).unwrap().header;
    assert_eq!(
        (header.alg.as_str(), header.typ.as_deref()),
        ("ES256", Some("JWT"))
    );
    let terms = terms();
    let expect = Expect {
        issuer: issuer.issuer_url(),
        trust_domain: issuer.trust_domain(),
        audience: Some(&terms.target),
        now: NOW,
        leeway: Duration::ZERO,
    };
    let refused = check(token, &issuer.jwks(NOW), &expect);
    assert!(matches!(refused, Err(TokenError::Type)));
}
