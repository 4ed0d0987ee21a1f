//! Which fields of the context a policy set can read.
//!
//! Two requests that differ only in what no policy reads have one answer. Whatever is not plainly the
//! reading of one named field of `context` counts as reading all of them.

use cedar_policy::{Policy, PolicySet};
use serde_json::Value;

/// What is read of a context; everything else of a request is always taken to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reads {
    /// The lifetime that is asked for.
    pub(crate) ttl: bool,
    /// What the task is for.
    pub(crate) purpose: bool,
    /// The minute.
    pub(crate) time: bool,
}

impl Reads {
    /// Everything.
    pub(crate) const ALL: Self = Self {
        ttl: true,
        purpose: true,
        time: true,
    };

    /// What any policy of `set` reads.
    pub(crate) fn of(set: &PolicySet) -> Self {
        let mut reads = Self {
            ttl: false,
            purpose: false,
            time: false,
        };
        for policy in set.policies() {
            reads.add_policy(policy);
        }
        reads
    }

    fn add_policy(&mut self, policy: &Policy) {
        match policy.to_json() {
            Ok(json) => self.add(&json),
            Err(_) => *self = Self::ALL,
        }
    }

    fn add(&mut self, node: &Value) {
        match node {
            Value::Object(fields) => {
                for (operator, operands) in fields {
                    if operator == "Var" && operands == "context" {
                        *self = Self::ALL;
                    } else if let Some(field) = field_of_context(operator, operands) {
                        self.add_field(field);
                    } else {
                        self.add(operands);
                    }
                }
            }
            Value::Array(nodes) => nodes.iter().for_each(|node| self.add(node)),
            _ => {}
        }
    }

    fn add_field(&mut self, field: &str) {
        match field {
            "ttl_seconds" => self.ttl = true,
            "purpose" => self.purpose = true,
            "time" => self.time = true,
            // The others are compared in any case.
            _ => {}
        }
    }
}

/// The field, of `context.field` and `context has field`.
fn field_of_context<'a>(operator: &str, operands: &'a Value) -> Option<&'a str> {
    let is_access = matches!(operator, "." | "has");
    let is_of_context = || operands.get("left")?.get("Var")?.as_str();
    let field = operands.get("attr")?.as_str()?;
    (is_access && is_of_context() == Some("context")).then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(when: &str) -> Reads {
        let text = format!("@id(\"a\") permit(principal, action, resource) when {{ {when} }};");
        Reads::of(&text.parse().unwrap())
    }

    #[test]
    fn a_field_is_read_however_it_is_written() {
        const NONE: Reads = Reads {
            ttl: false,
            purpose: false,
            time: false,
        };
        let ttl = Reads { ttl: true, ..NONE };
        let purpose = Reads {
            purpose: true,
            ..NONE
        };
        let time = Reads { time: true, ..NONE };
        for (when, expected) in [
            ("true", NONE),
            ("principal.ttl_seconds == 1", NONE),
            ("context.depth == 1", NONE),
            ("context.ttl_seconds < 5", ttl),
            ("context[\"ttl_seconds\"] < 5", ttl),
            ("context[\"ttl\\u{5f}seconds\"] < 5", ttl),
            ("context has ttl_seconds", ttl),
            ("if true then context.purpose == \"\" else false", purpose),
            ("context.purpose like \"*x*\"", purpose),
            ("[1, context.time].contains(2)", time),
            ("{ a: context.time }.a == 2", time),
            ("resource.at.left.attr == context.time", time),
            ("context == resource.context", Reads::ALL),
            ("{ c: context }.c.depth == 1", Reads::ALL),
            ("(if true then context else context).depth == 1", Reads::ALL),
        ] {
            assert_eq!(reads(when), expected, "{when}");
        }
    }

    #[test]
    fn what_any_policy_reads_is_read() {
        let text = "@id(\"a\") permit(principal, action, resource) when { context.time > 1 };
            @id(\"b\") forbid(principal, action, resource) unless { context.ttl_seconds < 9 };";
        let reads = Reads::of(&text.parse().unwrap());
        assert!(reads.ttl && reads.time && !reads.purpose);
    }
}
