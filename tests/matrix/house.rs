//! The broker of the matrix: it federates, has a Unix socket and an OAuth front, and knows everybody.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use taskpass_api::v1::{self, entry::Entry as Kind};
use taskpass_testkit::calls::Services;
use taskpass_testkit::people::from_now;
use taskpass_testkit::{Broker, pair, policies, within};
use tempfile::TempDir;

use crate::BIN;
use crate::column::Column;
use crate::sections::{Places, sections};
use crate::state::State;
use crate::svid::Authority;

/// Who answers for every helper.
const HELPERS: &str = "helpers";

pub(crate) struct House {
    pub(crate) broker: Broker,
    pub(crate) operator: Services,
    pub(crate) authority: Authority,
    pub(crate) socket: PathBuf,
    programs: TempDir,
    policies: TempDir,
    pairs: String,
    _folder: TempDir,
}

impl House {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Beside the program, so that it has links of other names: one for each agent.
        let programs = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(programs.path(), mode).unwrap();
        let authority = Authority::new();
        let bundle = folder.path().join("bundle.pem");
        std::fs::write(&bundle, &authority.pem).unwrap();
        let socket = folder.path().join("agent.sock");
        let pairs = |state: State| {
            let agent = state.agent();
            pair(&state.above(), agent) + &pair(agent, &state.helper())
        };
        let pairs: String = State::ALL.map(pairs).concat();
        let policies = policies(&pairs);
        let at = programs.path().canonicalize().unwrap();
        for state in State::ALL {
            std::fs::hard_link(BIN, at.join(state.agent())).unwrap();
        }
        let config = sections(&Places {
            policies: policies.path(),
            bundle: &bundle,
            socket: &socket,
            programs: &at,
        });
        let broker = Broker::builder(BIN).serve(&config).oauth().start();
        let operator = broker.services("").await;
        let house = Self {
            broker,
            operator,
            authority,
            socket,
            programs,
            policies,
            pairs,
            _folder: folder,
        };
        house.register().await;
        house
    }

    /// Everybody, in one change.
    async fn register(&self) {
        let owner = |name: &str| {
            Kind::Owner(v1::Owner {
                name: name.to_owned(),
                contact: "a@example.org".to_owned(),
                ..v1::Owner::default()
            })
        };
        let mut entries = vec![owner(HELPERS)];
        for state in State::ALL {
            let agent = |name: &str, owner: &str| {
                Kind::Agent(v1::Agent {
                    name: name.to_owned(),
                    owner: owner.to_owned(),
                    purpose: "matrix".to_owned(),
                    stage: v1::Stage::Bounded.into(),
                    scopes: state.scopes(),
                    valid_until: Some(from_now(Duration::from_hours(24))),
                    ..v1::Agent::default()
                })
            };
            let (own, above) = (state.owner(), state.owner_above());
            let target = |uri: String, observe: Option<v1::ObserveMode>| {
                let scopes = ["read", "other"].map(|name| v1::TargetScope {
                    name: name.to_owned(),
                    access: v1::Access::Read.into(),
                });
                Kind::Target(v1::Target {
                    uri,
                    scopes: scopes.into(),
                    risk: v1::Risk::Low.into(),
                    token_alg: v1::TokenAlg::Es256.into(),
                    observe,
                    ..v1::Target::default()
                })
            };
            let observe = v1::ObserveMode {
                observe_until: Some(from_now(Duration::from_hours(1))),
                reason: "the matrix".to_owned(),
            };
            entries.extend([
                owner(&own),
                owner(&above),
                target(state.target(), None),
                target(state.observed(), Some(observe)),
                agent(state.agent(), &own),
                agent(&state.above(), &above),
                agent(&state.helper(), HELPERS),
            ]);
        }
        let entries = entries.into_iter().map(|entry| v1::Entry {
            entry: Some(entry),
            version: 0,
        });
        let request = v1::ApplyRequest {
            entries: entries.collect(),
            reason: "the matrix".to_owned(),
            ..v1::ApplyRequest::default()
        };
        within(self.operator.registry().apply(request))
            .await
            .unwrap();
    }

    /// The program that a rule of the Unix socket makes an agent.
    pub(crate) fn program(&self, agent: &str) -> PathBuf {
        self.programs.path().canonicalize().unwrap().join(agent)
    }

    /// Forbids what the columns say, and has it read.
    pub(crate) fn forbid(&self, columns: &[Arc<Column>]) {
        let forbidden = columns.iter().filter_map(|column| {
            let agent = column.state.forbidden()?;
            Some(format!(
                "@id(\"drill-{agent}\")\nforbid (principal == Agent::\"{agent}\", action, resource);\n"
            ))
        });
        let forbidden: Vec<_> = forbidden.collect();
        self.reload(&forbidden.concat());
    }

    /// Forbids nothing more.
    pub(crate) fn permit(&self) {
        self.reload("");
    }

    fn reload(&self, more: &str) {
        let text = format!("{}{more}", self.pairs);
        std::fs::write(self.policies.path().join("extra.cedar"), text).unwrap();
        let pid = i32::try_from(self.broker.pid().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();
    }
}
