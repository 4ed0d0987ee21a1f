//! What must hold after the broker has come back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use taskpass_api::v1::{
    CompleteRequest, GetCredentialRequest, IntrospectRequest, introspect_request::Credential,
};
use taskpass_client::Refused;
use taskpass_testkit::calls::Services;
use taskpass_testkit::watch::ders;
use taskpass_testkit::{Broker, Watcher, eventually, http, within};
use taskpass_verify::Reason;
use tokio::task::JoinSet;
use x509_parser::prelude::{
    CertificateRevocationList, DistributionPointName, FromDer as _, GeneralName, ParsedExtension,
    X509Certificate,
};

use crate::ledger::{Fate, Handed, Ledger, Ruling, What};
use crate::load::{self, LEDGER};

/// How many are looked at in parallel.
const ABREAST: usize = 16;

/// The numbers of the lists that were seen: they never go back, nor stay.
pub(crate) type Numbers = BTreeMap<String, Vec<u8>>;

/// Which of the credentials are looked at one by one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    All,
    /// From this one on, and every eighth of the older ones.
    Since(usize),
}

impl Which {
    fn takes(self, place: usize) -> bool {
        match self {
            Self::All => true,
            Self::Since(first) => place >= first || place % 8 == first % 8,
        }
    }
}

/// Checks what the ledger says.
pub(crate) async fn check(broker: &Broker, ledger: &Ledger, numbers: &mut Numbers, which: Which) {
    // First of all: a list that a relying party gets right after the start is already complete.
    let listed = lists(broker, ledger, numbers).await;
    let watcher = broker.watch("ledger", &[LEDGER]).await;
    assert_revoked_are_listed(ledger, &listed);
    finish_what_was_begun(broker, ledger).await;
    watcher.reaches(newest_seq(broker)).await;
    credentials(broker, ledger, &Arc::new(watcher), which).await;
    trail(broker, ledger).await;
    let unexpected = ledger.notes().unexpected.clone();
    assert!(unexpected.is_empty(), "{unexpected:#?}\n{}", broker.log());
}

fn newest_seq(broker: &Broker) -> u64 {
    let ready = broker.ops("/readyz").json();
    ready["revocation_seq"].as_u64().expect("a number")
}

/// Completing again, or starting again with the same key, after the answer was lost.
async fn finish_what_was_begun(broker: &Broker, ledger: &Ledger) {
    let (asked, starts) = {
        let notes = ledger.notes();
        (notes.asked.clone(), notes.starts.clone())
    };
    let doomed: BTreeSet<_> = asked
        .iter()
        .filter_map(|asked| match &asked.ruling {
            Ruling::Agent(name, _) => Some(name.clone()),
            _ => None,
        })
        .collect();
    let mut services = BTreeMap::new();
    for agent in starts.iter().map(|start| &start.agent) {
        if !doomed.contains(agent) && !services.contains_key(agent) {
            services.insert(agent.clone(), broker.services(agent).await);
        }
    }
    for (place, asked) in asked.iter().enumerate() {
        let Ruling::Completed { task, agent } = &asked.ruling else {
            continue;
        };
        let Some(services) = services.get(agent).filter(|_| asked.acknowledged.is_none()) else {
            continue;
        };
        let request = CompleteRequest {
            task_id: task.clone(),
        };
        within(services.tasks().complete(request))
            .await
            .expect("completing again succeeds");
        ledger.acknowledge(place, 0);
    }
    for (place, start) in starts
        .iter()
        .enumerate()
        .filter(|(_, start)| !start.key.is_empty())
    {
        let Some(services) = services.get(&start.agent) else {
            continue;
        };
        let reply = within(services.tasks().start(load::request(start))).await;
        match (&start.task, reply.map(|reply| reply.into_inner().task_id)) {
            (Some(task), Ok(again)) => assert_eq!(*task, again, "the same key is the same task"),
            (None, Ok(task)) => ledger.started(place, &task),
            (_, Err(status)) => {
                // Its parent is over by now, or was never there.
                let over = Refused::from(status.clone()).is("TASK_NOT_ACTIVE");
                assert!(over && !start.parent.is_empty(), "{start:?}: {status:?}");
            }
        }
    }
}

/// Each credential is known to the operator, and the broker and a fresh verifier agree with the
/// ledger on whether it lives.
async fn credentials(broker: &Broker, ledger: &Ledger, watcher: &Arc<Watcher>, which: Which) {
    let (handed, fates) = {
        let notes = ledger.notes();
        (notes.handed.clone(), notes.fates())
    };
    let (operator, verifier) = (broker.services("").await, broker.services("ledger").await);
    let all = handed.into_iter().zip(fates).enumerate();
    let all: Vec<_> = all
        .filter(|(place, _)| which.takes(*place))
        .map(|(_, one)| one)
        .collect();
    let mut looking = JoinSet::new();
    for part in all.chunks(all.len().div_ceil(ABREAST).max(1)) {
        let (part, watcher) = (part.to_vec(), Arc::clone(watcher));
        let (operator, verifier) = (operator.clone(), verifier.clone());
        looking.spawn(async move {
            for (handed, fate) in part {
                known(&operator, &handed).await;
                judged(&verifier, &watcher, &handed, fate).await;
            }
        });
    }
    while let Some(looked) = looking.join_next().await {
        looked.expect("every credential is as the ledger says");
    }
}

async fn known(operator: &Services, handed: &Handed) {
    let request = GetCredentialRequest {
        credential_id: handed.id.clone(),
    };
    let reply = within(operator.credentials().get(request)).await;
    let found = reply.map(|reply| reply.into_inner().credential);
    let Ok(Some(found)) = found else {
        panic!("{} was handed out and is not known: {found:?}", handed.id);
    };
    assert_eq!(
        (&found.task_id, &found.agent),
        (&handed.task, &handed.agent)
    );
}

async fn judged(verifier: &Services, watcher: &Watcher, handed: &Handed, fate: Fate) {
    let (presented, refused) = match &handed.what {
        What::Token(token) => (
            Credential::Token(token.clone()),
            watcher.token(token, LEDGER),
        ),
        What::Certificate(chain) => {
            let leaf = ders(chain).swap_remove(0);
            (
                Credential::Certificate(leaf.into()),
                watcher.certificate(chain),
            )
        }
    };
    let request = IntrospectRequest {
        credential: Some(presented),
    };
    let reply = within(verifier.verification().introspect(request)).await;
    let said = reply.expect("introspection answers").into_inner();
    if said.active {
        assert_eq!(
            (&said.credential_id, &said.task_id),
            (&handed.id, &handed.task)
        );
    }
    let seen = match (said.active, refused) {
        (true, None) => Fate::Lives,
        (false, Some(Reason::Revoked)) => Fate::Dead,
        both => panic!("introspection and verification differ: {both:?} {fate:?} {handed:?}"),
    };
    assert!(
        fate == Fate::Unknown || fate == seen,
        "{seen:?}, not {fate:?}: {handed:?}"
    );
}

/// The lists that the certificates of the ledger name: the revoked serial numbers of each.
type Listed = BTreeMap<String, BTreeSet<Vec<u8>>>;

async fn lists(broker: &Broker, ledger: &Ledger, numbers: &mut Numbers) -> Listed {
    let handed = ledger.notes().handed.clone();
    let urls: BTreeSet<_> = certificates(&handed).map(|(_, place)| place.url).collect();
    let mut listed = Listed::new();
    for url in urls {
        let der = eventually("the list is there", async || {
            let reply = http::get(&url).ok()?;
            // 503 is honest, an incomplete list would not be.
            assert!(
                [200, 503].contains(&reply.status),
                "{url}: {reply:?}\n{}",
                broker.log()
            );
            (reply.status == 200).then_some(reply.body)
        })
        .await;
        let (_, list) = CertificateRevocationList::from_der(&der).expect("a list");
        let number = list.crl_number().expect("it has a number").to_bytes_be();
        let earlier = numbers.insert(url.clone(), number.clone());
        assert!(
            earlier.is_none_or(|earlier| earlier < number),
            "the list's number went back"
        );
        let serials = list.iter_revoked_certificates();
        listed.insert(url, serials.map(|one| one.raw_serial().to_vec()).collect());
    }
    listed
}

fn assert_revoked_are_listed(ledger: &Ledger, listed: &Listed) {
    let notes = ledger.notes();
    let fates: BTreeMap<_, _> = notes
        .handed
        .iter()
        .map(|one| &one.id)
        .zip(notes.fates())
        .collect();
    for (handed, place) in certificates(&notes.handed) {
        let on_list = listed[&place.url].contains(&place.serial);
        match fates[&handed.id] {
            Fate::Dead => assert!(on_list, "{} is revoked and not listed", handed.id),
            Fate::Lives => assert!(!on_list, "{} is listed and not revoked", handed.id),
            Fate::Unknown => {}
        }
    }
}

struct Place {
    url: String,
    serial: Vec<u8>,
}

fn certificates(handed: &[Handed]) -> impl Iterator<Item = (&Handed, Place)> {
    handed.iter().filter_map(|handed| match &handed.what {
        What::Certificate(chain) => Some((handed, place(&ders(chain)[0]))),
        What::Token(_) => None,
    })
}

fn place(leaf: &[u8]) -> Place {
    let (_, leaf) = X509Certificate::from_der(leaf).expect("a certificate");
    let url = leaf.extensions().iter().find_map(|extension| {
        let ParsedExtension::CRLDistributionPoints(points) = extension.parsed_extension() else {
            return None;
        };
        match points.points.first()?.distribution_point.as_ref()? {
            DistributionPointName::FullName(names) => names.iter().find_map(|name| match name {
                GeneralName::URI(url) => Some((*url).to_owned()),
                _ => None,
            }),
            DistributionPointName::NameRelativeToCRLIssuer(_) => None,
        }
    });
    Place {
        url: url.expect("a certificate names its list"),
        serial: leaf.raw_serial().to_vec(),
    }
}

/// The trail has no gap, nothing twice, and one entry for everything that was acknowledged.
async fn trail(broker: &Broker, ledger: &Ledger) {
    let notes = {
        let notes = ledger.notes();
        (
            notes.handed.clone(),
            notes.asked.clone(),
            notes.starts.clone(),
        )
    };
    let (handed, asked, starts) = notes;
    let lines = drained(broker, &handed).await;
    let mut ids = BTreeSet::new();
    for (place, line) in lines.iter().enumerate() {
        assert_eq!(
            line["index"].as_u64(),
            u64::try_from(place).ok(),
            "a gap: {line}"
        );
        assert!(ids.insert(text(&line["entry"]["id"])), "twice: {line}");
    }
    let entries = || lines.iter().map(|line| &line["entry"]);
    let count = |wanted: &dyn Fn(&Value) -> Option<String>| {
        let mut counted: BTreeMap<String, usize> = BTreeMap::new();
        for key in entries().filter_map(wanted) {
            *counted.entry(key).or_default() += 1;
        }
        counted
    };
    let allowed = |entry: &Value| entry["outcome"] == "allow";
    let issued = count(&|entry| {
        allowed(entry).then(|| entry["credential"]["id"].as_str().map(str::to_owned))?
    });
    assert!(
        issued.values().all(|times| *times == 1),
        "one id, two credentials"
    );
    for one in &handed {
        assert_eq!(issued.get(&one.id), Some(&1), "{} in the trail", one.id);
    }
    let started = count(&|entry| {
        (allowed(entry) && entry["kind"] == "task.start").then(|| text(&entry["task"]))
    });
    for task in starts.iter().filter_map(|start| start.task.as_ref()) {
        assert_eq!(started.get(task), Some(&1), "task {task} in the trail");
    }
    let revoked = count(&|entry| {
        let rule = &entry["revocation"];
        let by_operator = text(&entry["actor"]).starts_with("operator");
        (entry["kind"] == "revocation" && by_operator)
            .then(|| format!("{} {}", text(&rule["selector"]), text(&rule["value"])))
    });
    for one in &asked {
        if matches!(one.ruling, Ruling::Completed { .. }) {
            continue;
        }
        let (selector, value) = one.ruling.parts();
        let times = revoked
            .get(&format!("{selector} {value}"))
            .copied()
            .unwrap_or(0);
        let good = times == 1 || (times == 0 && one.acknowledged.is_none());
        assert!(good, "{times} entries for {one:?}");
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The trail, once the outbox has been written to it.
async fn drained(broker: &Broker, handed: &[Handed]) -> Vec<Value> {
    eventually("the outbox is drained", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let lines = broker.audit();
        let found: BTreeSet<_> = lines
            .iter()
            .filter_map(|line| line["entry"]["credential"]["id"].as_str())
            .collect();
        handed
            .iter()
            .all(|one| found.contains(one.id.as_str()))
            .then_some(lines)
    })
    .await
}
