//! Which verb of operators a method is, and where policies are asked about it.
//!
//! A method that operators may call and that has no verb here is refused to them: a test says so before.

use taskpass_core::verb::Verb;

use super::Access;

/// Where policies are asked about an operator's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// At the gate, about the broker as a whole.
    Here(Verb),
    /// In the use case, about what the request names.
    There,
    /// Nowhere: whoever has an identity needs it to keep that, or to see whether the broker lives.
    Never,
}

/// How policies are asked about `row` where an operator calls; none: it is refused.
pub fn asked(row: &Access) -> Option<Asked> {
    if row.anyone || row.method == "/taskpass.v1.EnrolmentService/RenewIdentity" {
        return Some(Asked::Never);
    }
    let (service, method) = row.method.strip_prefix("/taskpass.v1.")?.split_once('/')?;
    Some(match (service, method) {
        ("RegistryService", "Get" | "List") | ("ApprovalService", "ListProposals") => {
            Asked::Here(Verb::ReadRegistry)
        }
        ("RegistryService", "Apply") => Asked::Here(Verb::Apply),
        ("RegistryService", "Register" | "Update" | "Suspend" | "Resume" | "Retire")
        | ("ApprovalService", "Approve" | "Reject" | "ApprovePolicy")
        | ("EnrolmentService", "CreateEnrolmentToken")
        | ("RevocationService", "Revoke" | "Drill")
        | ("KeyService", "Taint")
        | ("BackupService", "Unseal") => Asked::There,
        ("BackupService", "Backup") => Asked::Here(Verb::Backup),
        ("TaskService", "Get" | "List" | "Tree") | ("CredentialService", "Get" | "List") => {
            Asked::Here(Verb::ReadTasks)
        }
        ("RevocationService", "List" | "WatchRevocations") => Asked::Here(Verb::ReadRevocations),
        ("VerificationService", "Introspect") => Asked::Here(Verb::Introspect),
        ("KeyService", "List") => Asked::Here(Verb::ReadKeys),
        ("KeyService", "Rotate") => Asked::Here(Verb::RotateKey),
        ("KeyService", "ExportCsr") => Asked::Here(Verb::ExportCsr),
        ("KeyService", "ImportCertificate") => Asked::Here(Verb::ImportCertificate),
        ("KeyService", "ForgetRoot") => Asked::Here(Verb::ForgetRoot),
        ("PolicyService", "Explain" | "WhoCan" | "WhatCan") => Asked::Here(Verb::ExplainPolicy),
        ("AuditService", "Export") => Asked::Here(Verb::ExportAudit),
        (
            "AuditService",
            "Query"
            | "Tail"
            | "ListLogs"
            | "GetCheckpoint"
            | "GetInclusionProof"
            | "GetConsistencyProof",
        ) => Asked::Here(Verb::ReadAudit),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{ADMIN, READ, RESPOND, TABLE};
    use super::*;

    #[test]
    fn every_method_of_operators_has_its_verb() {
        for row in TABLE {
            let asked = asked(row);
            assert!(
                row.operators.is_empty() || asked.is_some(),
                "{}: say in access/verb.rs where policies are asked about it",
                row.method
            );
        }
    }

    /// The shipped set is by role, as the table is: whoever is on the list is let through by it.
    #[test]
    fn the_table_lets_as_many_call_as_the_shipped_set() {
        let looks = |verb| {
            matches!(
                verb,
                Verb::ReadRegistry
                    | Verb::ReadTasks
                    | Verb::ReadRevocations
                    | Verb::Introspect
                    | Verb::ReadKeys
                    | Verb::ExplainPolicy
                    | Verb::ReadAudit
                    | Verb::ExportAudit
            )
        };
        for row in TABLE.iter().filter(|row| !row.operators.is_empty()) {
            match asked(row).unwrap() {
                Asked::Here(verb) if looks(verb) => assert_eq!(row.operators, READ, "{verb}"),
                Asked::Here(verb) => assert_eq!(row.operators, ADMIN, "{verb}"),
                Asked::There => assert!([ADMIN, RESPOND].contains(&row.operators)),
                Asked::Never => {}
            }
        }
    }
}
