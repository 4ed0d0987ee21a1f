//! How keys of tables are put together, and read where a key says more than its record.

use taskpass_core::credential::CredentialKind;
use taskpass_core::identity::Principal;
use taskpass_core::registry::RowKey;
use taskpass_core::{AgentName, CredentialId, TaskId};

use crate::commit::{Counter, IdempotencyKey, MetaKey, Reporter};

/// `first ‖ second`: for `task_credential` and `child_task`.
pub(super) fn pair(first: &[u8; 16], second: &[u8; 16]) -> [u8; 32] {
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(first.iter().chain(second)) {
        *to = *from;
    }
    key
}

/// The second id of a [`pair`].
pub(super) fn second_of_pair(key: &[u8; 32]) -> Option<[u8; 16]> {
    key.last_chunk().copied()
}

/// The credential of a `task_credential` key.
pub(super) fn credential_of_pair(key: &[u8; 32]) -> Option<CredentialId> {
    second_of_pair(key).and_then(CredentialId::from_bytes)
}

/// `agent ‖ 0 ‖ rest`. A name contains no 0, so no agent's keys lie among another's.
fn of_agent(agent: &AgentName, rest: &[u8]) -> Vec<u8> {
    let name = agent.as_str().as_bytes();
    let mut key = Vec::with_capacity(name.len() + 1 + rest.len());
    key.extend_from_slice(name);
    key.push(0);
    key.extend_from_slice(rest);
    key
}

/// A key of `agent_task`.
pub(super) fn agent_task(agent: &AgentName, task: &TaskId) -> Vec<u8> {
    of_agent(agent, task.as_bytes())
}

/// Before the first and after the last key of an agent in `agent_task`.
pub(super) fn agent_task_edges(agent: &AgentName) -> (Vec<u8>, Vec<u8>) {
    // No id begins with 0xff: its top bit is 0.
    (of_agent(agent, &[]), of_agent(agent, &[0xff]))
}

/// The task of an `agent_task` key.
pub(super) fn task_of_agent_task(key: &[u8]) -> Option<TaskId> {
    key.last_chunk().copied().and_then(TaskId::from_bytes)
}

/// A key of `idempotency`.
pub(super) fn idempotency(key: &IdempotencyKey) -> Vec<u8> {
    of_agent(&key.agent, key.key.as_bytes())
}

/// The same, from its parts.
pub(super) fn idempotency_of(agent: &AgentName, key: &taskpass_core::secret::Sha256) -> Vec<u8> {
    of_agent(agent, key.as_bytes())
}

/// A key of `registry`.
pub(super) fn row(key: &RowKey) -> String {
    match key {
        RowKey::Owner(name) => format!("owner/{name}"),
        RowKey::Agent(name) => format!("agent/{name}"),
        RowKey::Target(uri) => format!("target/{uri}"),
        RowKey::Operator(name) => format!("operator/{name}"),
        RowKey::Verifier(name) => format!("verifier/{name}"),
        RowKey::System => "system/".to_owned(),
    }
}

/// A key of `identity`.
pub(super) fn principal(principal: &Principal) -> String {
    principal.to_string()
}

/// A key of `counter`.
pub(super) fn counter(counter: &Counter, minute: u64) -> Vec<u8> {
    let (kind, name) = match counter {
        Counter::Agent(name) => (1, name.as_str()),
        Counter::Owner(name) => (2, name.as_str()),
        Counter::Target(uri) => (3, uri.as_str()),
        Counter::AgentTasks(name) => (4, name.as_str()),
        Counter::OwnerTasks(name) => (5, name.as_str()),
    };
    let mut key = minute.to_be_bytes().to_vec();
    key.push(kind);
    key.extend_from_slice(name.as_bytes());
    key
}

/// Before the first key of `minute` in `counter`.
pub(super) fn counter_edge(minute: u64) -> Vec<u8> {
    minute.to_be_bytes().to_vec()
}

/// What a key of `counter` names.
pub(super) fn read_counter(key: &[u8]) -> Option<(Counter, u64)> {
    let (minute, rest) = key.split_first_chunk::<8>()?;
    let (kind, name) = rest.split_first()?;
    let name = std::str::from_utf8(name).ok()?;
    let counter = match kind {
        1 => Counter::Agent(name.parse().ok()?),
        2 => Counter::Owner(name.parse().ok()?),
        3 => Counter::Target(name.parse().ok()?),
        4 => Counter::AgentTasks(name.parse().ok()?),
        5 => Counter::OwnerTasks(name.parse().ok()?),
        _ => return None,
    };
    Some((counter, u64::from_be_bytes(*minute)))
}

/// A key of `list_place`.
pub(super) fn list_place(kind: CredentialKind, hour: u64) -> [u8; 9] {
    let kind = match kind {
        CredentialKind::Token => 1,
        CredentialKind::Certificate => 2,
    };
    let mut key = [kind; 9];
    for (to, from) in key.iter_mut().zip(hour.to_be_bytes()) {
        *to = from;
    }
    key
}

/// Before the first key of `hour` in `list_place`.
pub(super) fn list_place_edge(hour: u64) -> [u8; 9] {
    let mut key = [0; 9];
    for (to, from) in key.iter_mut().zip(hour.to_be_bytes()) {
        *to = from;
    }
    key
}

/// What a key of `list_place` names.
pub(super) fn read_list_place(key: &[u8; 9]) -> Option<(CredentialKind, u64)> {
    let (hour, kind) = key.split_first_chunk::<8>()?;
    let kind = match kind {
        [1] => CredentialKind::Token,
        [2] => CredentialKind::Certificate,
        _ => return None,
    };
    Some((kind, u64::from_be_bytes(*hour)))
}

/// A key of `meta` for what is kept of a verifier's reports. A name contains no `/`, so nobody's key is
/// another's.
pub(super) fn reporting(reporter: &Reporter) -> String {
    let Reporter { verifier, target } = reporter;
    format!("reporting/{verifier}/{target}")
}

/// A key of `meta` for a value of the broker.
pub(super) const fn value(key: MetaKey) -> &'static str {
    match key {
        MetaKey::SettledSeq => "value/settled_seq",
        MetaKey::CrlNumber => "value/crl_number",
        MetaKey::PolicySet => "value/policy_set",
        MetaKey::KeysVersion => "value/keys_version",
        MetaKey::Shutdown => "value/shutdown",
        MetaKey::OldestLog => "value/oldest_log",
        MetaKey::ListKey => "value/list_key",
        MetaKey::RegistryVersion => "value/registry_version",
        MetaKey::Swept => "value/swept",
        MetaKey::Restored => "value/restored",
        MetaKey::Proposals => "value/proposals",
        MetaKey::PolicyApprovals => "value/policy_approvals",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_edges_enclose_its_tasks_and_no_other_agents() {
        let task = |first| TaskId::from_bytes([first; 16]).unwrap();
        let (from, to) = agent_task_edges(&"ab".parse().unwrap());
        for (agent, inside) in [
            ("a", false),
            ("ab", true),
            ("ab-", false),
            ("abc", false),
            ("ac", false),
        ] {
            for first in [0, 0x7f] {
                let key = agent_task(&agent.parse().unwrap(), &task(first));
                assert_eq!(from < key && key < to, inside, "{agent}");
                assert_eq!(task_of_agent_task(&key), Some(task(first)));
            }
        }
    }

    #[test]
    fn counters_read_back_and_are_ordered_by_minute() {
        let counters = [
            Counter::Agent("z".parse().unwrap()),
            Counter::Owner("a".parse().unwrap()),
            Counter::Target("https://a.example".parse().unwrap()),
            Counter::AgentTasks("z".parse().unwrap()),
            Counter::OwnerTasks("a".parse().unwrap()),
        ];
        for one in &counters {
            let key = counter(one, 300);
            assert_eq!(read_counter(&key), Some((one.clone(), 300)));
            assert!(counter_edge(300) < key && key < counter_edge(301));
        }
        for bad in [
            &b"short"[..],
            b"12345678",
            b"12345678\x06a",
            b"12345678\x01A",
        ] {
            assert_eq!(read_counter(bad), None);
        }
    }
}
