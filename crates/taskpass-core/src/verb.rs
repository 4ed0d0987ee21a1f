//! What operators do, as policies name it.
//!
//! Which roles may call a method at all is a table in code; policies narrow beneath it. A verb is the
//! word that both mean.

use crate::access::words;

words!(
    /// What an operator does.
    Verb, "a verb of operators, such as revoke", {
    /// Registers an entry.
    Register => "register",
    /// Changes an entry.
    Update => "update",
    /// Refuses an entry until it is resumed.
    Suspend => "suspend",
    /// Lets an entry, or the broker, take part again.
    Resume => "resume",
    /// Refuses an entry for ever.
    Retire => "retire",
    /// Makes a single-use enrolment token.
    CreateEnrolmentToken => "create_enrolment_token",
    /// Revokes what a selector names.
    Revoke => "revoke",
    /// Distrusts a key.
    TaintKey => "taint_key",
    /// Lets the next key take over.
    RotateKey => "rotate_key",
    /// Makes a request for a certificate from elsewhere.
    ExportCsr => "export_csr",
    /// Takes a certificate from elsewhere.
    ImportCertificate => "import_certificate",
    /// Destroys the private half of a root.
    ForgetRoot => "forget_root",
    /// Writes several entries of the registry at once.
    Apply => "apply",
    /// Takes the whole store away, its keys sealed.
    Backup => "backup",
    /// Lets a broker that was restored issue again.
    Unseal => "unseal",
    /// Reads the registry.
    ReadRegistry => "read_registry",
    /// Reads tasks and credentials.
    ReadTasks => "read_tasks",
    /// Reads or follows the revocations.
    ReadRevocations => "read_revocations",
    /// Asks about a credential that was presented.
    Introspect => "introspect",
    /// Reads which keys there are.
    ReadKeys => "read_keys",
    /// Asks what policies decide.
    ExplainPolicy => "explain_policy",
    /// Reads the audit log.
    ReadAudit => "read_audit",
    /// Takes the whole audit log away.
    ExportAudit => "export_audit",
});
