//! All tables: what each is for, its key, its value.
//!
//! The number in a name is the version of the table's layout; a migration that changes a layout
//! makes a table of the next number. Values are the prost messages of `record`, unless said
//! otherwise. Numbers in keys are big-endian, so that the order of the bytes is the order of the
//! numbers.

use redb::TableDefinition;

type Table<K, V> = TableDefinition<'static, K, V>;

/// Credentials by expiry.
///
/// Key: the credential's id, whose first 48 bits are its expiry. Value: `CredentialRecord`.
pub(super) const CREDENTIAL: Table<&[u8; 16], &[u8]> = TableDefinition::new("credential.1");

/// Which credentials a task has.
///
/// Key: task id ‖ credential id. Value: nothing.
pub(super) const TASK_CREDENTIAL: Table<&[u8; 32], ()> = TableDefinition::new("task_credential.1");

/// Tasks by deadline.
///
/// Key: the task's id, whose first 48 bits are its deadline. Value: `TaskRecord`.
pub(super) const TASK: Table<&[u8; 16], &[u8]> = TableDefinition::new("task.1");

/// Which tasks lie directly under a task.
///
/// Key: parent id ‖ task id. Value: nothing.
pub(super) const CHILD_TASK: Table<&[u8; 32], ()> = TableDefinition::new("child_task.1");

/// Which tasks an agent has; the way from an agent to its credentials.
///
/// Key: agent name ‖ 0 ‖ task id. Value: nothing.
pub(super) const AGENT_TASK: Table<&[u8], ()> = TableDefinition::new("agent_task.1");

/// Which task an idempotency key started, until the task's deadline.
///
/// Key: agent name ‖ 0 ‖ SHA-256 of the key. Value: `IdempotencyRecord`.
pub(super) const IDEMPOTENCY: Table<&[u8], &[u8]> = TableDefinition::new("idempotency.1");

/// The registry: owners, agents, targets, operators, verifiers, the broker itself.
///
/// Key: kind ‖ `/` ‖ name. Value: `RowRecord`, which carries the version.
pub(super) const REGISTRY: Table<&str, &[u8]> = TableDefinition::new("registry.1");

/// Identity lines.
///
/// Key: kind ‖ `/` ‖ name of the principal. Value: `IdentityRecord`.
pub(super) const IDENTITY: Table<&str, &[u8]> = TableDefinition::new("identity.1");

/// Enrolments, until they expire.
///
/// Key: SHA-256 of the token. Value: `EnrolmentRecord`.
pub(super) const ENROLMENT: Table<&[u8; 32], &[u8]> = TableDefinition::new("enrolment.1");

/// Rules, until they can match nothing. Read whole when the store is opened.
///
/// Key: `seq`. Value: `RuleRecord`.
pub(super) const RULE: Table<u64, &[u8]> = TableDefinition::new("rule.1");

/// Signing keys, sealed.
///
/// Key: the key's id. Value: `KeyRow`.
pub(super) const KEY: Table<&str, &[u8]> = TableDefinition::new("key.1");

/// Live credentials and live tasks by expiry minute. Read whole when the store is opened.
///
/// Key: minute (8 bytes) ‖ kind (1 byte: 1 agent, 2 owner, 3 target; since schema 4 of
/// tasks: 4 agent, 5 owner) ‖ name. Value: the count, never 0.
pub(super) const COUNTER: Table<&[u8], u64> = TableDefinition::new("counter.1");

/// The next free place on the lists of an hour.
///
/// Key: hour (8 bytes) ‖ kind (1 byte: 1 token, 2 certificate). Value: the place. Since schema 2.
pub(super) const LIST_PLACE: Table<&[u8; 9], u64> = TableDefinition::new("list_place.1");

/// Tasks that are tied to a process, until they end. Read whole when the broker is opened.
///
/// Key: the task's id. Value: `TieRecord`.
pub(super) const TIED_TASK: Table<&[u8; 16], &[u8]> = TableDefinition::new("tied_task.1");

/// Audit entries that the log does not hold yet, the oldest first.
///
/// Key: the decision's id, whose first 48 bits are its time. Value: the entry as JSON.
pub(super) const OUTBOX: Table<&[u8; 16], &[u8]> = TableDefinition::new("outbox.1");

/// Single values.
///
/// | key | value |
/// |---|---|
/// | `schema` | the schema version, 4 bytes |
/// | `birth` | `BirthRecord` |
/// | `clock` | `ClockRecord`, written once a group |
/// | `archive` | `ArchiveRecord` |
/// | `value/…` | what the broker keeps under a `MetaKey`, as it gave it |
/// | `reporting/` ‖ verifier ‖ `/` ‖ target | `ReportingRecord`, which carries its version |
pub(super) const META: Table<&str, &[u8]> = TableDefinition::new("meta.1");

/// Key of [`META`]: the schema version. Its place and form never change.
pub(super) const SCHEMA: &str = "schema";
/// Key of [`META`]: what the store was made for.
pub(super) const BIRTH: &str = "birth";
/// Key of [`META`]: the high-water marks.
pub(super) const CLOCK: &str = "clock";
/// Key of [`META`]: where the log ends.
pub(super) const ARCHIVE: &str = "archive";
