//! Every row has a cell for every column, and notes say where the log ends.

use super::Sheet;
use crate::exposure::exposure;
use crate::facts::KeysFrom;
use crate::inventory::inventory;
use crate::least_privilege::{Scope, least_privilege, suggest};
use crate::testing::{agent, at, credential, facts, id, registry, started, token};

#[test]
fn reports_become_tables() {
    let task = id(at(600), 1);
    let entries = [
        started(at(50), "a", &task, &["read", "write"]),
        token(at(60), "a", &task, &credential(at(360), 1), &["read"]),
    ];
    let facts = facts(Some(at(10)), at(100), &entries);
    let registry = registry(vec![agent("a", &["read", "write"])]);
    let about = facts.about(KeysFrom::Copy, None);
    let mut least = least_privilege(&facts, &registry, about.clone(), &Scope::default()).unwrap();
    least.suggestion = Some(suggest(&facts, &registry, &least));
    let sheets = [
        Sheet::from(&inventory(&facts, &registry, about.clone())),
        Sheet::from(&least),
        Sheet::from(&exposure(&facts, about, |_| true)),
    ];
    for sheet in &sheets {
        assert!(
            sheet
                .notes
                .iter()
                .any(|note| note.contains("nothing is known of before"))
        );
        assert!(!sheet.charts.is_empty());
        for table in &sheet.tables {
            assert!(!table.rows.is_empty(), "{}", table.title);
            assert!(
                table
                    .rows
                    .iter()
                    .all(|row| row.cells.len() == table.columns.len())
            );
        }
    }
    assert_eq!(sheets[1].tables.len(), 3);
}
