//! Revoking an agent with 1 000 000 live credentials, and twenty with 50 000, beside revoking one
//! credential; and how long until the published lists say so.
//!
//! `cargo bench -p taskpass-bench --bench agent`; the goals are that the commit takes as long as
//! that of one, and that all lists are right within 5 s. A real broker on a store in memory, and on
//! one in a file; the credentials are recorded by commits of 1 000, nine tokens to a certificate,
//! under 1 000 tasks, all ending within one hour. Behind the broker run the same loops as in the
//! server; lists are asked for over and over, as their readers do, and are right when every bit and
//! every serial number is there.

#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be set up has no figure"
)]

#[path = "shared/bare.rs"]
mod bare;
#[path = "agent/fill.rs"]
mod fill;
#[path = "shared/rows.rs"]
mod rows;
#[path = "shared/standing.rs"]
mod standing;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use taskpass_bench::pace::since;
use taskpass_bench::{Report, Spread, floor};
use taskpass_broker::{Broker, ListLane, Revoke, RevokeWhat, Standing};
use taskpass_core::Timestamp;
use taskpass_core::access::{Access, Stage, TokenAlg};
use taskpass_core::caller::Caller;
use taskpass_core::key::KeyId;
use taskpass_core::listing::{LIST_LEN, ListId, ListPlace, list_hour};
use taskpass_core::registry::{Operator, Role, Row, State};
use taskpass_issuer::{AuthorityId, Hierarchy};
use taskpass_status::{Expect, StatusList};
use taskpass_store::{Change, MetaKey};
use tokio::task::JoinSet;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use bare::Bare;
use rows::LEDGER;

const TASKS: u64 = 1_000;
const EACH: u64 = 1_000;
const ALL: u64 = TASKS * EACH;
/// Every tenth is a certificate.
const CERTIFICATES: u64 = ALL / 10;
const TURNS: usize = 100;
/// Agents with fewer, so that there is more than one first time.
const MEDIUM: u64 = 20;
const MEDIUM_EACH: u64 = 50_000;
/// How long it is quiet before each of those.
const QUIET: Duration = Duration::from_secs(1);

fn registered(now: Timestamp) -> Vec<Row> {
    let mut all = vec![
        Row::Owner(rows::owner()),
        Row::Target(rows::target(LEDGER, TokenAlg::Es256, &[Access::Read])),
        Row::Operator(Operator {
            name: "ops".parse().unwrap(),
            roles: [Role::Admin].into(),
            state: State::Active,
        }),
    ];
    let medium = (0..MEDIUM).map(medium);
    let agents = ["large".to_owned(), "small".to_owned()]
        .into_iter()
        .chain(medium);
    all.extend(agents.map(|name| {
        let read = [format!("{LEDGER}#read").parse().unwrap()].into();
        Row::Agent(rows::agent(&name, Stage::ReadOnly, read, now))
    }));
    all
}

fn medium(number: u64) -> String {
    format!("medium-{number}")
}

/// How many tokens have a place.
fn tokens() -> u64 {
    ALL - CERTIFICATES + TURNS as u64 + MEDIUM * MEDIUM_EACH + MEDIUM
}

fn operator() -> Standing {
    let name = "ops".parse().unwrap();
    let caller = Caller::Operator(name, [Role::Admin].into());
    standing::standing(caller, Timestamp::ZERO)
}

struct Bench {
    bare: Bare,
    token_key: KeyId,
    authority: (AuthorityId, KeyId),
    /// Between these everything ends; it is in one hour.
    ends: (Timestamp, Timestamp),
}

impl Bench {
    async fn on(file: Option<&Path>) -> Self {
        let bare = Bare::open(file, registered).await;
        let now = bare.clock.now();
        let issuer = bare.broker.issuer();
        let authority = issuer.authorities(Hierarchy::Task, now).remove(0);
        let token_key = issuer.jwks(now).iter().next().unwrap().id().clone();
        // Half an hour around forty minutes from now, as far as it lies in one hour.
        let hour = list_hour(now.plus(Duration::from_mins(40)));
        let ends = (
            now.plus(Duration::from_mins(25))
                .max(Timestamp::from_secs(hour * 3600)),
            now.plus(Duration::from_mins(55))
                .min(Timestamp::from_secs((hour + 1) * 3600 - 1)),
        );
        Self {
            bare,
            token_key,
            authority: (authority.id, authority.key),
            ends,
        }
    }

    /// The medium agents, each for the first time and after a pause, while the lists are kept; and as
    /// often one credential, so that both are as cold.
    async fn firsts(&self) -> (Spread, Spread) {
        let task = self.task("small");
        self.start(&task).await;
        let (mut one, mut first) = (Vec::new(), Vec::new());
        for number in 0..MEDIUM {
            let mut credential = self.credential(&task, 1);
            credential.listed = ListPlace::from_number(tokens() - MEDIUM + number);
            let id = credential.id;
            self.commit(vec![Change::RecordCredential(credential)])
                .await;
            tokio::time::sleep(QUIET).await;
            one.push(self.revoke(RevokeWhat::Credential(id)).await);
            tokio::time::sleep(QUIET).await;
            let agent = RevokeWhat::Agent(medium(number).parse().unwrap());
            first.push(self.revoke(agent).await);
        }
        (Spread::millis(one), Spread::millis(first))
    }

    /// Small commits that record nothing: the floor of everything below.
    async fn commits(&self) -> Spread {
        let mut times = Vec::new();
        for turn in 0..TURNS {
            let put = Change::PutMeta {
                key: MetaKey::SettledSeq,
                value: (turn as u64 % 2).to_be_bytes().to_vec(),
            };
            times.push(self.commit(vec![put]).await);
        }
        Spread::millis(times)
    }

    async fn revoke(&self, what: RevokeWhat) -> Duration {
        let request = Revoke {
            what,
            reason: "bench".into(),
            dry_run: false,
            no_suspend: true,
        };
        let began = self.bare.clock.monotonic();
        self.bare
            .broker
            .revoke(&operator(), &request)
            .await
            .unwrap();
        since(began, &*self.bare.clock)
    }

    /// Many credentials of another agent, revoked one by one, and that agent as often.
    async fn small(&self) -> (Spread, Spread) {
        let task = self.task("small");
        self.start(&task).await;
        let (mut one, mut agent) = (Vec::new(), Vec::new());
        for turn in 0..TURNS {
            let mut credential = self.credential(&task, 1);
            let place = ALL - CERTIFICATES + turn as u64;
            credential.listed = ListPlace::from_number(place);
            let id = credential.id;
            self.commit(vec![Change::RecordCredential(credential)])
                .await;
            one.push(self.revoke(RevokeWhat::Credential(id)).await);
            agent.push(
                self.revoke(RevokeWhat::Agent("small".parse().unwrap()))
                    .await,
            );
        }
        (Spread::millis(one), Spread::millis(agent))
    }

    /// Whether every status list and CRL says what it must of `revoked` in all.
    async fn lists_are_right(&self) -> bool {
        let hour = list_hour(self.ends.0);
        let issuer = self.bare.broker.issuer();
        let tokens = tokens();
        let keys = issuer.jwks(self.bare.clock.now());
        for list in 0..tokens.div_ceil(LIST_LEN.into()) {
            let id = ListId {
                hour,
                list: u32::try_from(list).unwrap(),
            };
            let Ok(document) = self.bare.broker.status_list(id).await else {
                return false;
            };
            let expect = Expect {
                uri: &issuer.status_location(id),
                now: self.bare.clock.now(),
                leeway: Duration::from_secs(1),
            };
            let text = std::str::from_utf8(&document.body).unwrap();
            let read = StatusList::verify(text, &keys, &expect).unwrap();
            let set: u64 = read
                .packed()
                .bytes()
                .iter()
                .map(|byte| u64::from(byte.count_ones()))
                .sum();
            if set < u64::from(LIST_LEN).min(tokens - list * u64::from(LIST_LEN)) {
                return false;
            }
        }
        let id = ListId { hour, list: 0 };
        let Ok(document) = self.bare.broker.crl(&self.authority.0, id).await else {
            return false;
        };
        let (_, crl) = CertificateRevocationList::from_der(&document.body).unwrap();
        crl.iter_revoked_certificates().count() as u64 == CERTIFICATES
    }

    /// How long the lists need to be right, from now on.
    async fn until_right(&self) -> Duration {
        let began = self.bare.clock.monotonic();
        while !self.lists_are_right().await {
            let spent = since(began, &*self.bare.clock);
            assert!(spent < Duration::from_mins(2), "the lists are never right");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        since(began, &*self.bare.clock)
    }
}

/// One lane of the lists, as the server runs it.
async fn derive(broker: Arc<Broker>, lane: ListLane) {
    let mut newest = broker.watch_rules();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        newest.mark_unchanged();
        broker.list_revoked(lane).await.unwrap();
        tokio::select! {
            _ = newest.changed() => {}
            _ = ticks.tick() => {}
        }
    }
}

async fn run(name: &str, folder: Option<&Path>, report: Report) {
    let file = folder.map(|folder| folder.join("store.redb"));
    let bench = Bench::on(file.as_deref()).await;
    let began = bench.bare.clock.monotonic();
    bench.fill().await;
    bench.fill_medium().await;
    let filled = since(began, &*bench.bare.clock).as_secs_f64();
    report.line(
        &format!("{name}: {ALL} credentials recorded"),
        &[("seconds", json!(filled))],
    );
    let sync = folder.map(|folder| floor::sync(folder, &*bench.bare.clock).unwrap());
    let before = bench.commits().await;
    let (one, small) = bench.small().await;
    let mut lanes = JoinSet::new();
    for lane in ListLane::ALL {
        lanes.spawn(derive(Arc::clone(&bench.bare.broker), lane));
    }
    // What came before is worked through: the first pass is not the figure.
    while bench.bare.broker.lists_behind() > Duration::ZERO {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (cold, firsts) = bench.firsts().await;
    tokio::time::sleep(QUIET).await;
    let large = || RevokeWhat::Agent("large".parse().unwrap());
    let first = Spread::millis([bench.revoke(large()).await]);
    let right = bench.until_right().await;
    lanes.shutdown().await;
    let mut again = Vec::new();
    for _ in 0..TURNS {
        again.push(bench.revoke(large()).await);
    }
    let again = Spread::millis(again);
    let after = bench.commits().await;
    let moved = floor::moved(&before, &after);
    let spread = |what: &str, spread: &Spread| {
        let figures = [
            ("p50_ms", json!(spread.p50())),
            ("p99_ms", json!(spread.p99())),
            ("n", json!(spread.len())),
        ];
        report.line(&format!("{name}: {what}"), &figures);
    };
    if let Some(sync) = sync {
        spread("floor: sync of 4 KiB", &sync);
    }
    spread("floor: small commit, before", &before);
    spread("floor: small commit, after", &after);
    spread("revoking one credential", &one);
    spread("revoking an agent with few credentials", &small);
    spread("after a pause: one credential", &cold);
    spread(
        "after a pause: an agent with 50 000, the first time",
        &firsts,
    );
    spread("after a pause: the large agent, the first time", &first);
    spread("revoking the large agent, again", &again);
    report.line(
        &format!("{name}: large agent over one credential"),
        &[
            ("first_ratio", json!(first.p50() / cold.p50())),
            ("first_of_50000_ratio", json!(firsts.p50() / cold.p50())),
            ("ratio", json!(again.p50() / one.p50())),
            ("floor_moved", json!(moved)),
            ("steady", json!(floor::is_steady(moved))),
        ],
    );
    report.line(
        &format!("{name}: all lists right after"),
        &[("seconds", json!(right.as_secs_f64()))],
    );
}

#[tokio::main]
async fn main() {
    let report = Report::from_args(std::env::args());
    run("in memory", None, report).await;
    let folder = tempfile::tempdir().unwrap();
    run("on disk", Some(folder.path()), report).await;
}
