//! Who may call what: one table, and everything that is not in it is denied.
//!
//! The comments in `proto/` repeat it in words; a test compares it with the compiled descriptors, and
//! another walks every method with every kind of caller over a real connection.

mod verb;

use taskpass_core::caller::Caller;
use taskpass_core::registry::Role;

pub use verb::{Asked, asked};

/// Who may call a method.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "the columns of a table")]
pub struct Access {
    /// The full name, `/package.Service/Method`.
    pub method: &'static str,
    /// Callers without an identity.
    pub anyone: bool,
    /// Agents.
    pub agents: bool,
    /// Verifiers.
    pub verifiers: bool,
    /// Operators with one of these roles.
    pub operators: &'static [Role],
    /// Whether load cannot fill its lane. Of an operator it is bounded by nothing, of others by their
    /// own share.
    pub reserved: bool,
}

const ADMIN: &[Role] = &[Role::Admin];
const RESPOND: &[Role] = &[Role::Admin, Role::Responder];
const READ: &[Role] = &[Role::Admin, Role::Responder, Role::Auditor];
const NONE: &[Role] = &[];

const fn operators(method: &'static str, operators: &'static [Role]) -> Access {
    Access {
        method,
        anyone: false,
        agents: false,
        verifiers: false,
        operators,
        reserved: false,
    }
}

const fn agents(method: &'static str, operators: &'static [Role]) -> Access {
    Access {
        method,
        anyone: false,
        agents: true,
        verifiers: false,
        operators,
        reserved: false,
    }
}

const fn verifiers(method: &'static str) -> Access {
    Access {
        method,
        anyone: false,
        agents: false,
        verifiers: true,
        operators: READ,
        reserved: false,
    }
}

const fn anyone(method: &'static str) -> Access {
    Access {
        method,
        anyone: true,
        agents: true,
        verifiers: true,
        operators: READ,
        reserved: false,
    }
}

const fn reserved(access: Access) -> Access {
    Access {
        reserved: true,
        ..access
    }
}

/// The table.
pub const TABLE: &[Access] = &[
    operators("/taskpass.v1.RegistryService/Register", ADMIN),
    operators("/taskpass.v1.RegistryService/Update", ADMIN),
    operators("/taskpass.v1.RegistryService/Get", READ),
    operators("/taskpass.v1.RegistryService/List", READ),
    reserved(operators("/taskpass.v1.RegistryService/Suspend", RESPOND)),
    operators("/taskpass.v1.RegistryService/Resume", ADMIN),
    reserved(operators("/taskpass.v1.RegistryService/Retire", ADMIN)),
    operators("/taskpass.v1.RegistryService/Apply", ADMIN),
    operators("/taskpass.v1.ApprovalService/ListProposals", READ),
    operators("/taskpass.v1.ApprovalService/Approve", ADMIN),
    operators("/taskpass.v1.ApprovalService/Reject", ADMIN),
    operators("/taskpass.v1.ApprovalService/ApprovePolicy", ADMIN),
    operators("/taskpass.v1.EnrolmentService/CreateEnrolmentToken", ADMIN),
    anyone("/taskpass.v1.EnrolmentService/Enrol"),
    Access {
        anyone: false,
        ..anyone("/taskpass.v1.EnrolmentService/RenewIdentity")
    },
    agents("/taskpass.v1.TaskService/Start", NONE),
    agents("/taskpass.v1.TaskService/Get", READ),
    agents("/taskpass.v1.TaskService/List", READ),
    agents("/taskpass.v1.TaskService/Tree", READ),
    agents("/taskpass.v1.TaskService/Complete", NONE),
    agents("/taskpass.v1.TaskService/KeepAlive", NONE),
    agents("/taskpass.v1.CredentialService/IssueToken", NONE),
    agents("/taskpass.v1.CredentialService/IssueTokens", NONE),
    agents("/taskpass.v1.CredentialService/IssueCertificate", NONE),
    agents("/taskpass.v1.CredentialService/Get", READ),
    agents("/taskpass.v1.CredentialService/List", READ),
    reserved(operators("/taskpass.v1.RevocationService/Revoke", RESPOND)),
    operators("/taskpass.v1.RevocationService/List", READ),
    reserved(verifiers("/taskpass.v1.RevocationService/WatchRevocations")),
    // In the lane of what they measure: load is when it matters.
    reserved(operators("/taskpass.v1.RevocationService/Drill", RESPOND)),
    reserved(Access {
        operators: NONE,
        ..verifiers("/taskpass.v1.RevocationService/Confirm")
    }),
    verifiers("/taskpass.v1.VerificationService/Introspect"),
    Access {
        verifiers: true,
        ..agents("/taskpass.v1.VerificationService/ReportUse", NONE)
    },
    operators("/taskpass.v1.KeyService/List", READ),
    operators("/taskpass.v1.KeyService/Rotate", ADMIN),
    reserved(operators("/taskpass.v1.KeyService/Taint", ADMIN)),
    operators("/taskpass.v1.KeyService/ExportCsr", ADMIN),
    operators("/taskpass.v1.KeyService/ImportCertificate", ADMIN),
    operators("/taskpass.v1.KeyService/ForgetRoot", ADMIN),
    operators("/taskpass.v1.BackupService/Backup", ADMIN),
    operators("/taskpass.v1.BackupService/Unseal", ADMIN),
    operators("/taskpass.v1.PolicyService/Explain", READ),
    operators("/taskpass.v1.PolicyService/WhoCan", READ),
    operators("/taskpass.v1.PolicyService/WhatCan", READ),
    operators("/taskpass.v1.AuditService/Query", READ),
    operators("/taskpass.v1.AuditService/Tail", READ),
    operators("/taskpass.v1.AuditService/ListLogs", READ),
    operators("/taskpass.v1.AuditService/GetCheckpoint", READ),
    operators("/taskpass.v1.AuditService/GetInclusionProof", READ),
    operators("/taskpass.v1.AuditService/GetConsistencyProof", READ),
    operators("/taskpass.v1.AuditService/Export", READ),
    reserved(anyone("/grpc.health.v1.Health/Check")),
    reserved(anyone("/grpc.health.v1.Health/Watch")),
    reserved(anyone("/grpc.health.v1.Health/List")),
];

/// Methods whose replies last: their number is bounded for each caller. `KeepAlive` has bounds of its
/// own, by task and agent.
const STREAMS: &[&str] = &[
    "/taskpass.v1.RevocationService/WatchRevocations",
    "/taskpass.v1.AuditService/Tail",
    "/taskpass.v1.AuditService/Export",
    "/taskpass.v1.BackupService/Backup",
];

/// Methods that are there only where reflection is.
pub const REFLECTION: &[Access] = &[
    anyone("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    anyone("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
];

/// The row of a method.
pub fn find(method: &str, reflection: bool) -> Option<&'static Access> {
    let more = if reflection { REFLECTION } else { &[] };
    TABLE.iter().chain(more).find(|row| row.method == method)
}

/// Whether a method's reply is a stream that lasts, which holds a place of its caller's.
pub(crate) fn is_stream(row: &Access) -> bool {
    STREAMS.contains(&row.method)
}

/// Whether a method's requests are a stream, which cannot be waited for.
pub(crate) fn streams_requests(row: &Access) -> bool {
    REFLECTION.iter().any(|other| other.method == row.method)
}

impl Access {
    /// Whether `caller` may call the method.
    pub fn admits(&self, caller: &Caller) -> bool {
        match caller {
            Caller::Agent(_) => self.agents,
            Caller::Verifier(..) => self.verifiers,
            Caller::Operator(..) => caller.has_role(self.operators),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::FileDescriptorSet;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_names_exactly_the_methods_that_there_are() {
        let descriptors: FileDescriptorSet =
            prost::Message::decode(taskpass_api::DESCRIPTORS).unwrap();
        let mut methods = BTreeSet::new();
        for file in descriptors
            .file
            .iter()
            .filter(|file| file.package() == "taskpass.v1")
        {
            for service in &file.service {
                for method in &service.method {
                    methods.insert(format!("/taskpass.v1.{}/{}", service.name(), method.name()));
                }
            }
        }
        let table: BTreeSet<_> = TABLE
            .iter()
            .map(|row| row.method.to_owned())
            .filter(|method| !method.starts_with("/grpc."))
            .collect();
        assert_eq!(table, methods);
        assert_eq!(
            TABLE.len(),
            TABLE
                .iter()
                .map(|row| row.method)
                .collect::<BTreeSet<_>>()
                .len()
        );
    }

    #[test]
    fn what_is_not_in_the_table_is_denied() {
        assert!(find("/taskpass.v1.KeyService/Reveal", false).is_none());
        assert!(find("/taskpass.v1.KeyService/list", false).is_none());
        assert!(find(REFLECTION[0].method, false).is_none());
        assert!(find(REFLECTION[0].method, true).is_some());
    }

    #[test]
    fn an_operator_without_roles_may_call_only_what_needs_none() {
        let nobody = Caller::Operator("x".parse().unwrap(), BTreeSet::new());
        assert!(TABLE.iter().all(|row| !row.admits(&nobody)));
    }
}
