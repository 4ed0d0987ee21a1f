//! What to do next, for the reasons that people meet.
//!
//! A reason that is not here needs no hint, or is one of a newer broker.

use std::collections::BTreeMap;

/// The hint for a reason, if there is one.
pub(super) fn for_reason(reason: &str, metadata: &BTreeMap<String, String>) -> Option<String> {
    if reason == "INTERNAL" {
        return metadata
            .get("error_id")
            .map(|id| format!("look for {id} in the broker's log"));
    }
    let named = metadata.get("field").map(String::as_str);
    let hint = match (reason, named) {
        ("INVALID_FIELD", Some(named)) => field(named),
        _ => None,
    };
    hint.or_else(|| text(reason)).map(str::to_owned)
}

/// Fields that have no reason of their own.
fn field(name: &str) -> Option<&'static str> {
    Some(match name {
        "kind" | "outcome" => "docs/AUDIT_LOG.md says which entries have which kind and outcome",
        "task_id" => "`taskpass task list` shows the ids of tasks",
        "credential_id" => "`taskpass issue` and `taskpass introspect` print the id",
        "from_index" => {
            "`taskpass audit checkpoint` says how far the log goes; without --from only what comes is printed"
        }
        "page_token" => {
            "take the next_page_token of the page before, with the same filter, or leave --page-token out"
        }
        _ => return None,
    })
}

fn text(reason: &str) -> Option<&'static str> {
    value(reason)
        .or_else(|| connection(reason))
        .or_else(|| refusal(reason))
        .or_else(|| registry(reason))
        .or_else(|| audit(reason))
}

/// Values that were judged.
fn value(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "INVALID_TTL" => {
            "write it like 90s, 5m or 1h; a token lives at most 1h, a certificate or a task 24h"
        }
        "INVALID_SCOPE" => {
            "`taskpass target show URI` lists a target's scopes; a task's scope is TARGET#SCOPE"
        }
        "INVALID_TARGET" | "UNKNOWN_TARGET" => "`taskpass target list` shows the targets",
        "UNKNOWN_SCOPE" => "`taskpass target show URI` lists the scopes of a target",
        "INVALID_NAME" => {
            "a name is 1 to 63 of a-z, 0-9, `-`, `_` and `.`, starting with a letter or digit"
        }
        "INVALID_VALID_UNTIL" => {
            "write an instant (2027-01-31T00:00:00Z), a day (2027-01-31) or a time from now (90d)"
        }
        "INVALID_PERIOD" => {
            "write an instant (2026-11-22T09:30:00Z), a day (2026-11-22) or how long ago (2h); not in \
             the future, and --from before --until"
        }
        "FILE_ERROR" => "is the path right, may you use it, and is there room on its disk?",
        "INVALID_CSR" => "send a PKCS#10 request with a P-256 or Ed25519 key, signed by that key",
        "INVALID_BINDING" => {
            "bind to a live certificate of the same task: `taskpass issue cert --task T --out DIR`"
        }
        _ => return None,
    })
}

/// Reaching the broker, and being somebody there.
fn connection(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "NO_ADDRESS" => "give --addr https://HOST:PORT, or set TASKPASS_ADDR",
        "INVALID_ADDRESS" => "write it like https://broker.example:8443",
        "NO_IDENTITY" => {
            "give --identity DIR, or set TASKPASS_IDENTITY; `taskpass enrol` makes one"
        }
        "IDENTITY_EXPIRED" => {
            "enrol anew: an administrator makes a token with `taskpass agent enrol-token NAME`"
        }
        "UNREACHABLE" | "UNAVAILABLE" | "UNKNOWN" => {
            "is the broker running, is the address right, and was the identity issued by it?"
        }
        "UNAUTHENTICATED" => {
            "the identity may have expired or been revoked; an administrator can make an enrol-token"
        }
        "ENROLMENT_REFUSED" => {
            "an enrolment token works once, for ten minutes; ask an administrator for a new one"
        }
        "METHOD_NOT_ALLOWED" => "this needs another kind of caller, or role; see --identity",
        "IDENTITY_CONFLICT" => {
            "somebody else renewed this identity: its key may be stolen; enrol anew and tell security"
        }
        "CALLER_SUSPENDED" => "an administrator can resume you",
        "ATTESTATION_UNAVAILABLE" => {
            "the broker cannot reach the issuer of the token, or its keys; its log says why. Try again in a moment"
        }
        "QUEUE_FULL" | "STORE_UNAVAILABLE" => "nothing was changed; try again in a moment",
        "CLOCK_UNSAFE" => "the broker's clock jumped; it issues again when that is settled",
        _ => return None,
    })
}

/// Refused tasks, credentials and revocations.
fn refusal(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "POLICY_DENIED" => {
            "ask for less, or ask an administrator to change the agent, the target or the policy"
        }
        "AGENT_SUSPENDED" => "an operator can lift it: `taskpass agent resume NAME --reason …`",
        "SCOPE_EXCEEDS_TASK" => "start a task whose --scope covers it: `taskpass task start`",
        "BINDING_REQUIRED" => {
            "`taskpass issue cert --task T --out C`, then repeat with --bind-cert C/cert.pem"
        }
        "TASK_NOT_ACTIVE" => "it is over; start another one: `taskpass task start`",
        "TASK_NOT_FOUND" => "`taskpass task list` shows the tasks that you may see",
        "TASK_TOO_DEEP" => "start it beneath a task that is higher up, or without --parent",
        "TARGET_NOT_ACTIVE" => "an operator can lift it: `taskpass target resume URI --reason …`",
        "BROKER_HALTED" => {
            "everything was revoked; an operator can resume: `taskpass resume --all --reason …`"
        }
        "BROKER_SEALED" => {
            "it was restored from a backup: enrol anew as the administrator whom `taskpass restore` named, \
             then `taskpass unseal --reason …`"
        }
        "RETRY_AFTER_REVOCATION" => "something was revoked within this second; try again",
        "LIVE_CREDENTIALS_PER_AGENT"
        | "LIVE_CREDENTIALS_PER_OWNER"
        | "LIVE_CREDENTIALS_PER_TARGET" => {
            "let some expire, ask for shorter ones, or raise it: `… update NAME --limit live_credentials=N`"
        }
        "LIVE_TASKS_PER_AGENT" | "LIVE_TASKS_PER_OWNER" => {
            "end what is done with `taskpass task complete`, or raise it: `… update NAME --limit live_tasks=N`"
        }
        "ISSUES_PER_SECOND_PER_AGENT"
        | "ISSUES_PER_SECOND_PER_OWNER"
        | "ISSUES_PER_SECOND_PER_TARGET" => {
            "wait as long as the broker says, or raise it: `… update NAME --limit issues_per_second=N`"
        }
        "USE_ITEMS_PER_MINUTE" => {
            "wait as long as the broker says; an administrator can raise [limits.uses] (docs/USE.md)"
        }
        "REQUESTS_PER_CALLER" | "IN_FLIGHT_PER_CALLER" => {
            "send less at once; an administrator can raise [limits.caller] (docs/LIMITS.md)"
        }
        "STREAMS_PER_CALLER" => "close a stream that is open; one is enough for many tasks",
        "IDEMPOTENCY_KEY_REUSED" => "use another --idempotency-key for another request",
        "CREDENTIAL_NOT_FOUND" => "it may have expired and been forgotten: then it is over anyway",
        "NOT_DRILLABLE" | "NO_CANARY" => {
            "`taskpass drill setup` registers a canary; `taskpass drill revoke` takes a fresh credential of it"
        }
        "DRILL_NOT_NOW" => "wait as long as the broker says; nothing was revoked",
        "DRILL_FAILED" => {
            "what is silent runs an older verifier library, is cut off, or does not refuse: find out which (docs/DRILL.md)"
        }
        "KEY_NOT_FOUND" => "`taskpass keys list` shows the keys",
        "INVALID_KEY" => "`taskpass keys list` shows the keys and what each is for",
        "INVALID_CERTIFICATE" => "docs/KEYS.md shows, command by command, how one is signed",
        _ => return None,
    })
}

/// The registry.
fn registry(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "INVALID_REGISTRY" => {
            "docs/REGISTRY.md shows the form of the file; `taskpass apply FILE --dry-run` checks it again"
        }
        "INVALID_REASON" => {
            "what lets somebody have or do more is recorded with a reason: --reason TEXT"
        }
        "TOO_MANY_ITEMS" => "send it in parts",
        "OWNER_NOT_FOUND" => "`taskpass owner list` shows them; `taskpass owner register` adds one",
        "AGENT_NOT_FOUND" => "`taskpass agent list` shows them",
        "TARGET_NOT_FOUND" => "`taskpass target list` shows them",
        "OPERATOR_NOT_FOUND" => "`taskpass operator list` shows them",
        "VERIFIER_NOT_FOUND" => "`taskpass verifier list` shows them",
        "ALREADY_REGISTERED" => "names are never used again; `update` changes what is registered",
        "NOT_READY" => {
            "`taskpass report readiness NAME --stage STAGE` says what is missing; `taskpass agent promote` brings the \
             evidence, or --force --reason TEXT"
        }
        "SECOND_OPERATOR_REQUIRED" => {
            "`taskpass approval list` shows what waits; another operator approves or rejects it"
        }
        "PROPOSAL_NOT_FOUND" | "PROPOSALS_FULL" | "ALREADY_PROPOSED" => {
            "`taskpass approval list` shows what waits"
        }
        "VERSION_CHANGED" => "somebody changed it meanwhile; look at it, then try again",
        "OWNER_NOT_ACTIVE" => "`taskpass owner resume NAME --reason …` first",
        "LAST_ADMIN" => "register and enrol another administrator first",
        "RETIRED" => "retired is for ever; register another name",
        _ => return None,
    })
}

/// The audit log, and what was copied of it.
fn audit(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "LOG_NOT_FOUND" => {
            "a log is named by its month, such as 2026-11; older ones may have been removed"
        }
        "ENTRY_NOT_FOUND" => {
            "an entry is in the log a second after its effect, and until its month is removed"
        }
        "LOG_UNAVAILABLE" => "the broker could not read its log; its own log says why",
        "NO_LOG" => "name the folder of an export: `taskpass audit export --out DIR` makes one",
        "LOG_INCOMPLETE" => "copy it again: `taskpass audit export --out DIR` adds what is missing",
        "LOG_FOREIGN_FILE" => "move it elsewhere: nothing vouches for it",
        "LOG_REWRITTEN" | "LOG_ROLLED_BACK" => {
            "keep both as evidence: the log was changed after it was signed, or this copy was"
        }
        "LOG_INVALID" | "CHAIN_BROKEN" => {
            "keep it as evidence; a new export, into another folder, shows whether the broker's log \
             or this copy was changed"
        }
        "LOG_UNTRUSTED" => "is it the key of this broker? compare it with the one you were given",
        "INVALID_CHECKPOINT" => "`taskpass audit checkpoint > FILE` writes one",
        "OTHER_LOG" => "each month has a log and a name of its own, and so has each broker",
        "NO_KEY" => {
            "give --key: the line of a .vkey file, or what `taskpass audit checkpoint -o json` has as \
             vkey, from somebody you trust"
        }
        "KEY_CHANGED" => "ask the broker's operator why, before you trust what it signs",
        "PROOF_INVALID" => {
            "the entry, the proof or its checkpoint was changed, or they are of \
             different entries"
        }
        _ => return None,
    })
}
