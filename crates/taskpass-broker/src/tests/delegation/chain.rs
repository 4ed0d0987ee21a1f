//! Everybody above has a say, when it starts and whenever something is issued.

use taskpass_core::registry::{Owner, State};
use taskpass_core::ttl::Clamp;

use super::*;

type Fall = fn(&mut Agent, Timestamp);

/// Nobody hands on what it could not get itself today, whatever the other one could get.
#[tokio::test]
async fn the_ceiling_is_asked_of_the_starter_too() {
    let world = World::new().await;
    let t = &world.t;
    let parent = t.start("payer", &["read", "write"]).await.unwrap();
    world
        .change("payer", |agent| agent.scopes = refs(&["read"]))
        .await;
    let denied = world.hand_on("payer", "stranger", &["write"], parent).await;
    let Err(Error::AboveDenied { agent, denial }) = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(agent.as_str(), "payer");
    assert_eq!(denial.basis.policies, ["scope-not-registered"]);
    let entry = world.last("task.start").await;
    assert_eq!(entry["reason"], "POLICY_DENIED");
    assert_eq!(
        (&entry["actor"], &entry["agent"]),
        (&"agent/payer".into(), &"stranger".into())
    );
    assert_eq!(entry["subject"], "agent payer");
    assert_eq!(entry["id"], denial.basis.id.to_string());
    assert!(
        world
            .hand_on("payer", "stranger", &["read"], parent)
            .await
            .is_ok()
    );

    // The other one's own word comes first, and the parent's ceiling last.
    let denied = world.hand_on("payer", "reader", &["write"], parent).await;
    let Err(Error::PolicyDenied(denial)) = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(denial.basis.policies, ["stage-read-only"]);
    let small = t.start("payer", &["read"]).await.unwrap();
    world
        .change("payer", |agent| agent.scopes = refs(&["read", "write"]))
        .await;
    let beyond = world.hand_on("payer", "stranger", &["write"], small).await;
    assert_eq!(
        reason(beyond),
        "POLICY_DENIED",
        "by what this broker remembers"
    );
    t.broker.reload_registry().await.unwrap();
    let beyond = world.hand_on("payer", "stranger", &["write"], small).await;
    assert_eq!(reason(beyond), "SCOPE_EXCEEDS_TASK");
    world.are_as_documented().await;
}

/// Who is above the starter is asked as well.
#[tokio::test]
async fn everybody_above_is_asked() {
    let world = World::new().await;
    let t = &world.t;
    let parent = t.start("payer", &["read", "write"]).await.unwrap();
    let child = world
        .hand_on("payer", "stranger", &["read", "write"], parent)
        .await
        .unwrap();
    world
        .change("payer", |agent| agent.scopes = refs(&["read"]))
        .await;
    let own = t.start_under("stranger", &["write"], Some(child)).await;
    let Err(Error::AboveDenied { agent, .. }) = own else {
        panic!("{own:?}")
    };
    assert_eq!(agent.as_str(), "payer");
    assert!(
        t.start_under("stranger", &["read"], Some(child))
            .await
            .is_ok()
    );
}

/// Of another agent nobody learns more than that it takes part in nothing.
#[tokio::test]
async fn who_takes_part_in_nothing_is_handed_nothing() {
    let world = World::new().await;
    let parent = world.t.start("payer", &["read"]).await.unwrap();
    let unknown = world
        .hand_on("payer", "nobody", &["read"], parent)
        .await
        .unwrap_err();
    let now = world.t.now();
    let changes: [Fall; 3] = [
        |agent, _| agent.state = State::Suspended,
        |agent, _| agent.state = State::Retired,
        |agent, now| agent.valid_until = now,
    ];
    let before = world.agent("stranger").await;
    let words = |error: &Error| error.to_string().replace("stranger", "nobody");
    for change in changes {
        world.change("stranger", |agent| change(agent, now)).await;
        let refused = world
            .hand_on("payer", "stranger", &["read"], parent)
            .await
            .unwrap_err();
        assert_eq!(words(&refused), words(&unknown));
        assert_eq!(refused.reason(), "AGENT_SUSPENDED");
        world.elsewhere(Row::Agent(before.clone())).await;
        world.t.broker.reload_registry().await.unwrap();
    }
    let entry = world.last("task.start").await;
    assert_eq!(
        (&entry["reason"], &entry["agent"]),
        (&"AGENT_SUSPENDED".into(), &"stranger".into())
    );
    assert!(
        world
            .hand_on("payer", "stranger", &["read"], parent)
            .await
            .is_ok()
    );
}

/// Each of the ways in which somebody above can fall away is felt at the next issue, although this
/// broker's memory does not know of it yet: the guards do.
#[tokio::test]
async fn each_issue_rechecks_everybody_above() {
    let world = World::new().await;
    let t = &world.t;
    let root = t.start("payer", &["read"]).await.unwrap();
    let middle = world
        .hand_on("payer", "stranger", &["read"], root)
        .await
        .unwrap();
    let task = world
        .hand_on("stranger", "reader", &["read"], middle)
        .await
        .unwrap();
    let now = t.now();
    let changes: [(Fall, &str, bool); 5] = [
        (
            |agent, _| agent.state = State::Suspended,
            "AGENT_SUSPENDED",
            true,
        ),
        (
            |agent, _| agent.state = State::Retired,
            "AGENT_SUSPENDED",
            true,
        ),
        (
            |agent, now| agent.valid_until = now,
            "AGENT_SUSPENDED",
            true,
        ),
        // A certificate carries no scope.
        (|agent, _| agent.scopes.clear(), "POLICY_DENIED", false),
        (
            |agent, _| agent.owner = "gone".parse().unwrap(),
            "AGENT_SUSPENDED",
            true,
        ),
    ];
    for above in ["payer", "stranger"] {
        for (change, refusal, certificates_too) in changes {
            let before = world.agent(above).await;
            assert!(t.token("reader", task).await.is_ok());
            world.change(above, |agent| change(agent, now)).await;
            t.advance(1);
            let refused = t.token("reader", task).await.unwrap_err();
            assert_eq!(refused.reason(), refusal, "{above}");
            assert!(refused.to_string().contains(above), "{refused}");
            let entry = world.last("credential.token").await;
            assert_eq!(entry["subject"], format!("agent {above}"));
            assert_eq!(
                (&entry["agent"], &entry["reason"]),
                (&"reader".into(), &refusal.into())
            );
            let certificate = t.certificate("reader", task).await;
            assert_eq!(certificate.is_err(), certificates_too, "{above} {refusal}");
            world.elsewhere(Row::Agent(before)).await;
            t.broker.reload_registry().await.unwrap();
        }
    }
    let owner = Owner {
        name: "others".parse().unwrap(),
        contact: "others@example".into(),
        limits: taskpass_core::registry::Limits::NONE,
        state: State::Suspended,
    };
    assert!(t.certificate("reader", task).await.is_ok());
    world.elsewhere(Row::Owner(owner)).await;
    let refused = t.certificate("reader", task).await.unwrap_err();
    assert!(refused.to_string().contains("stranger"), "{refused}");
    assert_eq!(reason(t.token("reader", task).await), "AGENT_SUSPENDED");
    assert!(
        t.token("payer", root).await.is_ok(),
        "what is above goes on"
    );
    world.are_as_documented().await;
}

/// A permit that is taken back ends what it permitted, at the next issue.
#[tokio::test]
async fn each_hand_over_is_asked_again() {
    let pair = |from: &str, to: &str| {
        format!(
            r#"@id("{from}-to-{to}") permit (principal == Agent::"{to}", action == Action::"delegate", resource)
               when {{ resource.agent == Agent::"{from}" }};"#
        )
    };
    let (first, second) = (pair("payer", "stranger"), pair("stranger", "reader"));
    let world = World::with(1, &format!("{first}{second}")).await;
    let t = &world.t;
    let root = t.start("payer", &["read"]).await.unwrap();
    let middle = world
        .hand_on("payer", "stranger", &["read"], root)
        .await
        .unwrap();
    let task = world
        .hand_on("stranger", "reader", &["read"], middle)
        .await
        .unwrap();
    assert!(t.token("reader", task).await.is_ok());
    let entry = world.last("credential.token").await;
    let policies = entry["decision"]["policies"].as_array().unwrap();
    assert!(
        policies.contains(&"stranger-to-reader".into()),
        "{policies:?}"
    );

    world.permit(&second).await;
    let above = t.token("reader", task).await;
    let Err(Error::AboveDenied { agent, denial }) = above else {
        panic!("{above:?}")
    };
    assert_eq!(
        (agent.as_str(), &denial.basis.policies[..]),
        ("stranger", &["default-deny".to_owned()][..])
    );
    assert_eq!(reason(t.token("stranger", middle).await), "POLICY_DENIED");
    world.permit(&first).await;
    let own = t.token("reader", task).await;
    assert!(matches!(own, Err(Error::PolicyDenied(_))), "{own:?}");
    assert!(t.token("stranger", middle).await.is_ok());
}

/// No credential lives longer than an agent above could have it.
#[tokio::test]
async fn the_terms_of_those_above_bound_its_life() {
    let world = World::new().await;
    let t = &world.t;
    world
        .change("payer", |agent| agent.max_ttl = Some(Ttl::from_mins(2)))
        .await;
    t.broker.reload_registry().await.unwrap();
    let root = t.start("payer", &["read"]).await.unwrap();
    let task = world
        .hand_on("payer", "stranger", &["read"], root)
        .await
        .unwrap();
    let now = t.now();
    let token = t.token("stranger", task).await.unwrap();
    assert_eq!(token.clamped_by, Some(Clamp::Agent));
    assert_eq!(token.credential.expires_at(), soon(now, 120));
    world
        .change("payer", |agent| agent.valid_until = soon(now, 60))
        .await;
    t.broker.reload_registry().await.unwrap();
    let token = t.token("stranger", task).await.unwrap();
    assert_eq!(token.clamped_by, Some(Clamp::AgentValidity));
    assert_eq!(token.credential.expires_at(), soon(now, 60));
    let next = t
        .start_under("stranger", &["read"], Some(task))
        .await
        .unwrap();
    assert_eq!(next.deadline(), soon(now, 60));
    // A task of its own is bounded by its own terms.
    let own = t.start("stranger", &["read"]).await.unwrap();
    assert_eq!(t.token("stranger", own).await.unwrap().clamped_by, None);
    assert_eq!(world.record(task).await.deadline_at(), task.deadline());
    assert_ne!(key("payer"), key("stranger"));
}

/// Who may take part is no matter of policies: whatever set is in force, and also where the caller was
/// admitted a moment before.
#[tokio::test]
async fn no_set_of_policies_lets_somebody_take_part_who_does_not() {
    let world = World::new().await;
    let t = &world.t;
    std::fs::remove_file(world.policies.path().join("state.cedar")).unwrap();
    world.permit("").await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let falls: [Fall; 3] = [
        |agent, _| agent.state = State::Suspended,
        |agent, _| agent.state = State::Retired,
        |agent, now| agent.valid_until = now,
    ];
    let present = world.agent("payer").await;
    for fall in falls {
        let now = t.now();
        world.change("payer", |agent| fall(agent, now)).await;
        refused_everything(t, task).await;
        world.elsewhere(Row::Agent(present.clone())).await;
        t.broker.reload_registry().await.unwrap();
        assert!(t.token("payer", task).await.is_ok());
    }
    let team = Owner {
        name: "team".parse().unwrap(),
        contact: "team@example".into(),
        state: State::Suspended,
        limits: taskpass_core::registry::Limits::NONE,
    };
    world.elsewhere(Row::Owner(team)).await;
    refused_everything(t, task).await;
}

/// As this broker finds out in the commit, and then as it knows.
async fn refused_everything(t: &TestBroker, task: TaskId) {
    for _ in 0..2 {
        assert_eq!(reason(t.token("payer", task).await), "AGENT_SUSPENDED");
        assert_eq!(
            reason(t.certificate("payer", task).await),
            "AGENT_SUSPENDED"
        );
        let start = t.start("payer", &["read"]).await;
        assert_eq!(reason(start), "AGENT_SUSPENDED");
        let child = t.start_under("payer", &["read"], Some(task)).await;
        assert_eq!(reason(child), "AGENT_SUSPENDED");
    }
}
