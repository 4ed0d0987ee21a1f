//! An API that follows the feed goes over to the restored broker by itself, and believes nothing of before.

use taskpass_testkit::{Broker, Watcher, eventually, until};
use taskpass_token::JwkSet;
use taskpass_verify::Reason;

use crate::{API, Sealed, backup, house, restore, task, token};

async fn becomes(watcher: &Watcher, token: &str, expected: Option<Reason>) {
    let what = format!("the verifier says {expected:?}");
    eventually(&what, async || {
        (watcher.token(token, API) == expected).then_some(())
    })
    .await;
}

fn revoke(broker: &Broker, who: &str, credential: &str) {
    let revoke = ["revoke", "--credential", credential, "--reason", "drill"];
    broker.cli(who, &revoke).ok();
}

/// An administrator enrols with what the restoring wrote, and ends the seal.
fn unseal(broker: &Broker, data: &std::path::Path) {
    let file = data.join("admin-enrolment.json").display().to_string();
    let to = broker.identity_folder("fresh").display().to_string();
    // Not within the second of the restoring.
    until("an administrator enrols", || {
        let enrol = ["enrol", "--token-file", &file, "--out", &to];
        (broker.cli("", &enrol).code == 0).then_some(())
    });
    let unseal = ["unseal", "--reason", "looked at it"];
    broker.cli("fresh", &unseal).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verifier_goes_over_to_the_restored_broker_by_itself() {
    let mut broker = house(&["bot"]);
    broker.verifier("ledger", &[API]).await;
    let id = task(&broker, "bot").text("task_id");
    let held = token(&broker, "bot", &id).text("token");
    let (file, _) = backup(&broker, "first.backup");
    let watcher = broker.watch("ledger", &[API]).await;
    assert_eq!(watcher.token(&held, API), None);
    // The backup knows neither these tokens, nor that they were revoked: this verifier is ahead of it.
    for _ in 0..3 {
        let doomed = token(&broker, "bot", &id);
        revoke(&broker, "", &doomed.text("credential_id"));
        becomes(&watcher, &doomed.text("token"), Some(Reason::Revoked)).await;
    }
    let later = token(&broker, "bot", &id).text("token");
    let before = watcher.verifier.metrics();
    assert_eq!(broker.stop(), 0);

    let data = broker.path("restored");
    restore(&broker, &file, &data, &[]).ok();
    let sealed = Sealed::serve(&broker, &data);
    for spent in [&held, &later] {
        becomes(&watcher, spent, Some(Reason::Revoked)).await;
    }
    let after = watcher.verifier.metrics();
    assert!(after.reloads > before.reloads, "{after:?}");

    unseal(&broker, &data);
    let keys = broker.get("/.well-known/jwks.json").body;
    watcher
        .verifier
        .replace_jwks(JwkSet::from_json(&keys).unwrap());
    let id = until("a task starts", || {
        let started = task(&broker, "bot");
        (started.code == 0).then(|| started.text("task_id"))
    });
    let new = token(&broker, "bot", &id);
    becomes(&watcher, &new.text("token"), None).await;
    // Its key is not even published any more.
    assert_eq!(watcher.token(&held, API), Some(Reason::Untrusted));
    revoke(&broker, "fresh", &new.text("credential_id"));
    becomes(&watcher, &new.text("token"), Some(Reason::Revoked)).await;
    sealed.stop();
}
