//! From the plan to the helper's token, and back to nothing.

use taskpass_core::AgentName;
use taskpass_testkit::{eventually, pair, within};
use taskpass_verify::Reason;

use crate::*;

fn names(actors: &[&AgentName]) -> Vec<String> {
    actors.iter().map(ToString::to_string).collect()
}

async fn suspend(world: &World, kind: v1::Kind, name: &str) {
    let request = v1::SuspendRequest {
        kind: kind.into(),
        name: name.to_owned(),
        reason: "drill".to_owned(),
    };
    let mut registry = world.broker.services("").await.registry();
    within(registry.suspend(request)).await.unwrap();
}

async fn resume(world: &World, kind: v1::Kind, name: &str) {
    let request = v1::ResumeRequest {
        subject: Some(v1::resume_request::Subject::Entry(v1::Named {
            kind: kind.into(),
            name: name.to_owned(),
        })),
        reason: "drill is over".to_owned(),
    };
    let mut registry = world.broker.services("").await.registry();
    within(registry.resume(request)).await.unwrap();
}

#[tokio::test]
async fn downstream_sees_who_acts_and_for_whom() {
    let world = World::new().await;
    let [plan, work, help] = world.chain().await;
    let issued = token(&help).await.unwrap();
    let seen = world.verified(issued.expose());
    assert_eq!(seen.agent().as_str(), "helper");
    assert_eq!(names(&seen.actors()), ["helper", "worker", "planner"]);
    let above: Vec<_> = seen.ancestors().iter().map(|above| above.task).collect();
    assert_eq!(above, [work.id(), plan.id()]);
    let planner = world.broker.identity("planner");
    let domain = &planner.name().trust_domain;
    let id = |name: &str| format!("spiffe://{domain}/agent/{name}");
    let said = claims(issued.expose());
    assert_eq!(said["sub"], id("helper"));
    let act = &said["act"];
    assert_eq!(act["sub"], id("helper"));
    assert_eq!(act["act"]["sub"], id("worker"));
    assert_eq!(
        act["act"]["act"],
        serde_json::json!({ "sub": id("planner") })
    );
    // Where nobody handed anything on, nobody is said to act for anybody.
    let own = token(&plan).await.unwrap();
    assert_eq!(claims(own.expose())["act"], Value::Null);
    assert_eq!(names(&world.verified(own.expose()).actors()), ["planner"]);
    // Within the scopes and the end of what is above.
    assert!(help.deadline() <= work.deadline() && work.deadline() <= plan.deadline());
    let beyond = help.token(LEDGER, ["invoices:write"], None).await;
    assert_eq!(refusal(beyond).reason, "POLICY_DENIED");
    let certificate = help.certificate(None).await.unwrap();
    let proved = world.watcher.proved(certificate.cert_pem()).unwrap();
    assert_eq!(proved.ancestors().len(), 2);
}

#[tokio::test]
async fn handing_on_is_denied_but_for_the_pairs_that_are_permitted() {
    let world = World::new().await;
    let [plan, work, _] = world.chain().await;
    for (task, to) in [(&plan, "helper"), (&work, "planner")] {
        let refused = refusal(world.hand_on(task, to, &[READ]).await);
        assert_eq!(refused.reason, "POLICY_DENIED", "{to}");
        assert_eq!(refused.metadata["policies"], "default-deny");
    }
    let unknown = refusal(world.hand_on(&plan, "nobody", &[READ]).await);
    assert_eq!(unknown.reason, "AGENT_SUSPENDED");
    // The helper cannot get it, whoever hands it on; nor can anybody hand on more than there is.
    let refused = refusal(world.hand_on(&work, "helper", &[WRITE]).await);
    assert_eq!(refused.metadata["policies"], "scope-not-registered");
    let small = work.start_child("less", [READ], None).await.unwrap();
    world.permit(&(pair("planner", "worker") + &pair("worker", "planner")));
    let beyond = eventually("the policies are read again", async || {
        let refused = refusal(world.hand_on(&small, "planner", &[WRITE]).await);
        (refused.reason != "POLICY_DENIED").then_some(refused)
    });
    assert_eq!(beyond.await.reason, "SCOPE_EXCEEDS_TASK");
}

#[tokio::test]
async fn each_issue_depends_on_everybody_above() {
    let world = World::new().await;
    let [plan, work, help] = world.chain().await;
    for (kind, name, above) in [
        (v1::Kind::Agent, "planner", "planner"),
        (v1::Kind::Agent, "worker", "worker"),
        (v1::Kind::Owner, "office", "planner"),
    ] {
        assert!(token(&help).await.is_ok());
        suspend(&world, kind, name).await;
        for refused in [
            refusal(token(&help).await),
            refusal(help.certificate(None).await),
        ] {
            assert_eq!(refused.reason, "AGENT_SUSPENDED", "{name}");
            assert_eq!(refused.metadata["agent"], above, "{name}");
            assert!(refused.message.contains(above), "{}", refused.message);
        }
        resume(&world, kind, name).await;
    }
    // A permit that is taken back is felt at the next issue.
    assert!(token(&help).await.is_ok());
    world.permit(&pair("worker", "helper"));
    let refused = eventually("the policies are read again", async || {
        match token(&help).await {
            Ok(_) => None,
            Err(error) => Some(refusal::<()>(Err(error))),
        }
    });
    let refused = refused.await;
    assert_eq!(
        (refused.reason.as_str(), refused.metadata["agent"].as_str()),
        ("POLICY_DENIED", "worker")
    );
    assert_eq!(
        refusal(token(&work).await).metadata["policies"],
        "default-deny"
    );
    assert!(token(&plan).await.is_ok());
}

#[tokio::test]
async fn whoever_handed_it_on_can_end_it_and_ends_it_with_its_own() {
    let world = World::new().await;
    let [plan, work, help] = world.chain().await;
    let of_plan = token(&plan).await.unwrap();
    let of_work = token(&work).await.unwrap();
    let of_help = token(&help).await.unwrap();
    let shorter = std::time::Duration::from_mins(2);
    let certificate = help.certificate(Some(shorter)).await.unwrap();
    // The other way round it is not known.
    let helper = world.agent("helper").await;
    assert_eq!(
        refusal(helper.end(work.id()).await).reason,
        "TASK_NOT_FOUND"
    );

    let planner = world.agent("planner").await;
    let ended = planner.end(help.id()).await.unwrap();
    assert_eq!(ended.credentials, 2);
    let dead = |text: &str| world.watcher.token(text, LEDGER) == Some(Reason::Revoked);
    eventually("downstream knows", async || {
        dead(of_help.expose()).then_some(())
    })
    .await;
    assert_eq!(
        world.watcher.certificate(certificate.cert_pem()),
        Some(Reason::Revoked)
    );
    assert!(!dead(of_work.expose()) && !dead(of_plan.expose()));
    assert_eq!(refusal(token(&help).await).reason, "TASK_NOT_ACTIVE");

    assert_eq!(plan.complete().await.unwrap().credentials, 2);
    eventually("downstream knows", async || {
        dead(of_work.expose()).then_some(())
    })
    .await;
    assert!(dead(of_plan.expose()));
    assert_eq!(refusal(token(&work).await).reason, "TASK_NOT_ACTIVE");
    assert_eq!(
        refusal(work.certificate(None).await).reason,
        "TASK_NOT_ACTIVE"
    );
}
