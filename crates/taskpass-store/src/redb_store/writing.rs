//! The tables of one write transaction, each opened when it is first needed.

use prost::Message;
use redb::{Key, Table, Value, WriteTransaction};

use super::error::During as _;
use super::tables;
use crate::error::StoreError;

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident = $definition:ident: $key:ty => $value:ty,)+) => {
        /// Tables of a write transaction.
        pub(super) struct Tables<'t> {
            transaction: &'t WriteTransaction,
            $($field: Option<Table<'t, $key, $value>>,)+
        }

        impl<'t> Tables<'t> {
            /// None is open yet.
            pub(super) fn new(transaction: &'t WriteTransaction) -> Self {
                Self { transaction, $($field: None,)+ }
            }

            /// Makes every table that is not there yet.
            pub(super) fn create_all(&mut self) -> Result<(), StoreError> {
                $(self.$field()?;)+
                Ok(())
            }

            $(
                /// The table of that name.
                pub(super) fn $field(&mut self) -> Result<&mut Table<'t, $key, $value>, StoreError> {
                    match &mut self.$field {
                        Some(table) => Ok(table),
                        slot @ None => {
                            let table = self.transaction.open_table(tables::$definition);
                            Ok(slot.insert(table.during("opened a table")?))
                        }
                    }
                }
            )+
        }
    };
}

tables! {
    credential = CREDENTIAL: &'static [u8; 16] => &'static [u8],
    task_credential = TASK_CREDENTIAL: &'static [u8; 32] => (),
    task = TASK: &'static [u8; 16] => &'static [u8],
    child_task = CHILD_TASK: &'static [u8; 32] => (),
    agent_task = AGENT_TASK: &'static [u8] => (),
    idempotency = IDEMPOTENCY: &'static [u8] => &'static [u8],
    registry = REGISTRY: &'static str => &'static [u8],
    identity = IDENTITY: &'static str => &'static [u8],
    enrolment = ENROLMENT: &'static [u8; 32] => &'static [u8],
    rule = RULE: u64 => &'static [u8],
    key = KEY: &'static str => &'static [u8],
    counter = COUNTER: &'static [u8] => u64,
    list_place = LIST_PLACE: &'static [u8; 9] => u64,
    tied_task = TIED_TASK: &'static [u8; 16] => &'static [u8],
    outbox = OUTBOX: &'static [u8; 16] => &'static [u8],
    meta = META: &'static str => &'static [u8],
}

/// Writes `value` under `key`.
pub(super) fn put<'k, 'v, K: Key + 'static, V: Value + 'static>(
    table: &mut Table<'_, K, V>,
    key: impl std::borrow::Borrow<K::SelfType<'k>>,
    value: impl std::borrow::Borrow<V::SelfType<'v>>,
) -> Result<(), StoreError> {
    table.insert(key, value).during("wrote a row").map(drop)
}

/// Writes a message under `key`.
pub(super) fn put_record<'k, K: Key + 'static>(
    table: &mut Table<'_, K, &'static [u8]>,
    key: impl std::borrow::Borrow<K::SelfType<'k>>,
    record: &impl Message,
) -> Result<(), StoreError> {
    put(table, key, record.encode_to_vec().as_slice())
}
