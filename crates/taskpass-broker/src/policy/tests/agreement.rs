//! What is said that an agent can have is what it then gets, in random worlds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use taskpass_core::access::{Access, CertificateProfile, Risk, Stage};
use taskpass_core::identity::Principal;
use taskpass_core::registry::{Agent, Row, State, System};
use taskpass_core::rng::Rng;
use taskpass_core::ttl::MAX_TOKEN_TTL;
use taskpass_core::{AgentName, ScopeRef, Ttl};
use taskpass_store::{Change, Commit, Store as _};

use super::{only, shipped_and};
use crate::policy::{Reach, ReachQuery, Terms};
use crate::standing::active_caller;
use crate::testing::{LEDGER, MAIL, TestBroker, as_agent, csr, leaf, ops};
use crate::{CertificateRequest, Error, StartRequest, TokenRequest};

const AGENTS: [&str; 3] = ["reader", "payer", "stranger"];

/// Draws one of `all`.
fn pick<T: Clone>(rng: &dyn Rng, all: &[T]) -> T {
    let mut byte = [0];
    rng.fill(&mut byte);
    all[usize::from(byte[0]) % all.len()].clone()
}

/// Rows in any state, and policies of several kinds.
async fn shuffle(t: &TestBroker) {
    let rng = &*t.rng;
    let mostly = [
        State::Active,
        State::Active,
        State::Active,
        State::Suspended,
    ];
    let now = t.now();
    let registry = t.broker.registry();
    let mut rows = Vec::new();
    for owner in registry.owners() {
        let mut owner = owner.value.clone();
        owner.state = pick(rng, &mostly);
        rows.push(Row::Owner(owner));
    }
    for target in registry.targets() {
        let mut target = target.value.clone();
        target.state = pick(rng, &mostly);
        target.risk = pick(rng, Risk::ALL);
        rows.push(Row::Target(target));
    }
    for agent in registry.agents() {
        rows.push(Row::Agent(shuffled_agent(t, &agent.value)));
    }
    let halted = [State::Active; 9].into_iter().chain([State::Suspended]);
    let state = pick(rng, &halted.collect::<Vec<_>>());
    rows.push(Row::System(System {
        state,
        ..System::default()
    }));
    let mut commit = Commit::new(now);
    for row in rows {
        commit = commit.change(Change::PutRow(row));
    }
    t.store.commit(commit).await.unwrap();
    t.broker.reload_registry().await.unwrap();

    let set = pick(
        rng,
        &[
            "",
            "",
            "@id(\"short\") forbid (principal, action, resource is Scope) when { context.ttl_seconds > 600 };",
            "@id(\"no-certificate\") forbid (principal, action == Action::\"issue_certificate\", resource);",
            "@id(\"why\") forbid (principal, action, resource is Scope) unless { context.purpose like \"invoice*\" };",
            "@id(\"fails\") forbid (principal, action == Action::\"write\", resource) when { context.time * 9223372036854775807 > 0 };",
            "@id(\"only-tokens\") forbid (principal, action == Action::\"read\", resource) when { context.ttl_seconds == 300 };",
            "all",
        ],
    );
    t.broker
        .put_in_force(match set {
            "all" => only("@id(\"all\") permit (principal, action, resource);"),
            extra => shipped_and(extra),
        })
        .await
        .unwrap();
}

fn shuffled_agent(t: &TestBroker, agent: &Agent) -> Agent {
    let rng = &*t.rng;
    let scopes = [LEDGER, MAIL]
        .iter()
        .flat_map(|target| ["read", "write", "send"].map(|name| format!("{target}#{name}")))
        .filter(|_| pick(rng, &[true, true, false]))
        .map(|scope| scope.parse().unwrap());
    let svid = pick(rng, &[None, Some("allowed"), Some("no")]);
    let (past, future) = (t.now(), t.now().plus(Duration::from_hours(24)));
    Agent {
        stage: pick(rng, Stage::ALL),
        scopes: scopes.collect(),
        labels: svid
            .map(|svid| ("svid".into(), svid.into()))
            .into_iter()
            .collect(),
        state: pick(
            rng,
            &[
                State::Active,
                State::Active,
                State::Suspended,
                State::Retired,
            ],
        ),
        valid_until: pick(rng, &[future, future, future, past]),
        ..agent.clone()
    }
}

/// What comes of trying: nothing, or the reason and the policies of the refusal.
async fn attempt(
    t: &TestBroker,
    agent: &str,
    scope: &ScopeRef,
    access: Access,
    terms: &Terms,
) -> Result<(), (&'static str, BTreeSet<String>)> {
    let refused = |error: Error| {
        let policies = match &error {
            Error::PolicyDenied(denial) => denial.basis.policies.iter().cloned().collect(),
            _ => BTreeSet::new(),
        };
        (error.reason(), policies)
    };
    let principal = Principal::Agent(agent.parse().unwrap());
    active_caller(&t.broker.registry(), &principal, t.now()).map_err(refused)?;
    let caller = as_agent(agent);
    let start = StartRequest {
        purpose: terms.purpose().to_owned(),
        scopes: [scope.clone()].into(),
        ttl: terms.ttl,
        parent: None,
        agent: None,
        idempotency_key: None,
    };
    let task = t
        .broker
        .start_task(&caller, start)
        .await
        .map_err(refused)?
        .task
        .id;
    let bind = if access == Access::Actuate {
        Some(leaf(
            &certificate(t, agent, task, CertificateProfile::Client, terms)
                .await
                .map_err(refused)?,
        ))
    } else {
        None
    };
    let request = TokenRequest {
        task,
        target: scope.target.clone(),
        scopes: [scope.scope.clone()].into(),
        ttl: terms.ttl.map(|ttl| ttl.min(MAX_TOKEN_TTL)),
        bind,
    };
    let issued = t.broker.issue_token(&caller, &request).await;
    issued.map(drop).map_err(refused)
}

async fn certificate(
    t: &TestBroker,
    agent: &str,
    task: taskpass_core::TaskId,
    profile: CertificateProfile,
    terms: &Terms,
) -> Result<crate::IssuedCertificate, Error> {
    let request = CertificateRequest {
        task,
        csr: csr(),
        profile,
        ttl: terms.ttl,
    };
    t.broker.issue_certificate(&as_agent(agent), &request).await
}

fn query<K>(terms: &Terms, limit: usize) -> ReachQuery<K> {
    ReachQuery {
        terms: terms.clone(),
        refused_too: true,
        after: None,
        limit,
    }
}

/// All answers about an agent, page by page.
async fn what_can(t: &TestBroker, agent: &str, terms: &Terms, limit: usize) -> Vec<Reach> {
    let mut query = query(terms, limit);
    let mut all = Vec::new();
    loop {
        let agent = agent.parse().unwrap();
        let found = t
            .broker
            .what_can(&ops(), agent, query.clone())
            .await
            .unwrap();
        assert!(found.page.reaches.len() <= limit);
        all.extend(found.page.reaches);
        match found.page.next {
            Some(next) => query.after = Some(next),
            None => return all,
        }
    }
}

#[tokio::test]
async fn what_is_said_is_what_happens() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..24 {
        let t = TestBroker::seeded(seed).await;
        shuffle(&t).await;
        let terms = Terms {
            purpose: pick(
                &*t.rng,
                &[None, Some("invoice 1".to_owned()), Some("tea".to_owned())],
            ),
            ttl: pick(
                &*t.rng,
                &[None, Some(Ttl::from_mins(5)), Some(Ttl::from_hours(2))],
            ),
            attestation: None,
        };
        for agent in AGENTS {
            let reaches = what_can(&t, agent, &terms, 100).await;
            assert_eq!(reaches.len(), 6, "both targets have three scopes");
            assert_eq!(reaches, what_can(&t, agent, &terms, 1).await);
            for reach in reaches {
                let outcome = attempt(&t, agent, &reach.scope, reach.access, &terms).await;
                let said = match reach.refused {
                    None => Ok(()),
                    Some(reason) => Err((reason, reach.policies.iter().cloned().collect())),
                };
                assert_eq!(said, outcome, "{seed}: {reach:?}");
                let word = reach.refused.unwrap_or("granted");
                *seen.entry(word.to_owned()).or_default() += 1;
            }
        }
    }
    for word in [
        "granted",
        "POLICY_DENIED",
        "AGENT_SUSPENDED",
        "TARGET_NOT_ACTIVE",
        "BROKER_HALTED",
    ] {
        assert!(seen.contains_key(word), "never {word}: {seen:?}");
    }
}

/// With the registry and the set of the broker, and without the broker.
#[tokio::test]
async fn copies_say_the_same() {
    let mut granted = 0;
    for seed in 300..308 {
        let t = TestBroker::seeded(seed).await;
        shuffle(&t).await;
        let (set, registry) = (t.broker.policy.current(), t.broker.registry());
        for agent in AGENTS {
            let said = what_can(&t, agent, &Terms::default(), 100).await;
            granted += said.iter().filter(|reach| reach.refused.is_none()).count();
            let name = agent.parse().unwrap();
            assert_eq!(
                crate::reaches(&set, &registry, &name, t.now()).unwrap(),
                said
            );
        }
        let nobody = "nobody".parse().unwrap();
        assert!(crate::reaches(&set, &registry, &nobody, t.now()).is_err());
    }
    assert!(granted > 0);
}

#[tokio::test]
async fn who_can_says_the_same_the_other_way_round() {
    for seed in 100..104 {
        let t = TestBroker::seeded(seed).await;
        shuffle(&t).await;
        let terms = Terms::default();
        let mut by_agent = Vec::new();
        for agent in AGENTS {
            by_agent.extend(what_can(&t, agent, &terms, 100).await);
        }
        let mut by_scope = Vec::new();
        for target in [LEDGER, MAIL] {
            for name in ["read", "write", "send"] {
                let scope: ScopeRef = format!("{target}#{name}").parse().unwrap();
                for limit in [1, 100] {
                    let mut query: ReachQuery<AgentName> = query(&terms, limit);
                    loop {
                        let found = t
                            .broker
                            .who_can(&ops(), scope.clone(), query.clone())
                            .await
                            .unwrap();
                        assert_eq!(found.policy_set, t.broker.policy_hash());
                        if limit > 1 {
                            by_scope.extend(found.reaches);
                        }
                        match found.next {
                            Some(next) => query.after = Some(next),
                            None => break,
                        }
                    }
                }
            }
        }
        let order = |reach: &Reach| (reach.agent.clone(), reach.scope.clone());
        by_agent.sort_by_key(order);
        by_scope.sort_by_key(order);
        assert_eq!(by_agent, by_scope);
        assert_eq!(by_agent.len(), 18);
    }
}

/// Certificates as well; and without `refused_too` only what can be had.
#[tokio::test]
async fn certificates_and_what_is_left_out() {
    let (mut with, mut without) = (0, 0);
    for seed in 200..216 {
        let t = TestBroker::seeded(seed).await;
        // A task from before, so that only the certificate is in question.
        let mut tasks = BTreeMap::new();
        for agent in AGENTS {
            tasks.insert(agent, t.start(agent, &["read"]).await.unwrap());
        }
        shuffle(&t).await;
        let terms = Terms::default();
        for agent in AGENTS {
            let name: AgentName = agent.parse().unwrap();
            let some = ReachQuery {
                refused_too: false,
                ..query(&terms, 100)
            };
            let said = t.broker.what_can(&ops(), name, some).await.unwrap();
            let mut all = what_can(&t, agent, &terms, 100).await;
            all.retain(|reach| reach.refused.is_none());
            assert_eq!(said.page.reaches, all);
            let principal = Principal::Agent(agent.parse().unwrap());
            let admitted = active_caller(&t.broker.registry(), &principal, t.now()).is_ok();
            for (profile, said) in [
                (CertificateProfile::Client, said.certificate),
                (CertificateProfile::SpiffeSvid, said.svid),
            ] {
                let issued = certificate(&t, agent, tasks[agent], profile, &terms).await;
                assert_eq!(said, admitted && issued.is_ok(), "{seed} {agent} {profile}");
                *(if said { &mut with } else { &mut without }) += 1;
            }
        }
    }
    assert!(with > 4 && without > 40, "{with} {without}");
}

#[tokio::test]
async fn what_is_asked_about_must_be_there() {
    let t = TestBroker::new().await;
    let reason = |error: Error| error.reason();
    let terms = Terms::default();
    for (scope, expected) in [
        ("https://ledger.example#red", "UNKNOWN_SCOPE"),
        ("https://ledge.example#read", "UNKNOWN_TARGET"),
    ] {
        let asked = t
            .broker
            .who_can(&ops(), scope.parse().unwrap(), query(&terms, 10))
            .await;
        assert_eq!(asked.map_err(reason).unwrap_err(), expected);
    }
    let nobody = "nobody".parse().unwrap();
    let asked = t.broker.what_can(&ops(), nobody, query(&terms, 10)).await;
    assert_eq!(asked.map_err(reason).unwrap_err(), "AGENT_NOT_FOUND");
    for (terms, expected) in [
        (
            Terms {
                purpose: Some("two\nlines".into()),
                ..Terms::default()
            },
            "INVALID_PURPOSE",
        ),
        (
            Terms {
                attestation: Some("password".into()),
                ..Terms::default()
            },
            "INVALID_FIELD",
        ),
    ] {
        let asked = t
            .broker
            .what_can(&ops(), "reader".parse().unwrap(), query(&terms, 10))
            .await;
        assert_eq!(asked.map_err(reason).unwrap_err(), expected);
    }
}
