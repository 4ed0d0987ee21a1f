//! The figures that controls have, each defined once: one name means the same in every framework.

use super::figure::{Figure, Measure};
use super::numbers::Numbers;
use crate::inventory::Fault;

type Of = fn(&Numbers<'_>) -> Measure;

const fn figure(name: &'static str, means: &'static str, of: Of) -> Figure {
    Figure {
        name,
        means,
        zero: false,
        of,
    }
}

/// One that should be zero.
const fn alarm(name: &'static str, means: &'static str, of: Of) -> Figure {
    Figure {
        zero: true,
        ..figure(name, means, of)
    }
}

// Whose agents there are.
pub(super) const REGISTERED: Figure = figure(
    "registered",
    "owners, agents and targets that are registered",
    |n| Measure::counts(&n.registered),
);
pub(super) const NO_OWNER: Figure = alarm(
    "agents_without_owner",
    "agents whose owner is not registered or not active",
    |n| Measure::count(n.with_fault(|fault| matches!(fault, Fault::NoOwner { .. }))),
);
pub(super) const OVERDUE: Figure = alarm(
    "agents_overdue",
    "agents past their end date that were not retired",
    |n| Measure::count(n.with_fault(|fault| matches!(fault, Fault::Overdue { .. }))),
);
pub(super) const NEVER_USED: Figure = figure(
    "agents_never_used",
    "agents that never started a task, as far back as the log goes",
    |n| Measure::count(n.with_fault(|fault| matches!(fault, Fault::NeverUsed))),
);
pub(super) const SHARED_KEYS: Figure = alarm(
    "keys_of_several_agents",
    "keys by which more than one agent proved itself, in the whole log",
    |n| Measure::count(n.shared_keys),
);
pub(super) const RETIRED: Figure = figure(
    "agents_retired",
    "agents that were retired, in the whole log",
    |n| Measure::count(n.retired),
);
pub(super) const BEYOND_RETIREMENT: Figure = alarm(
    "beyond_retirement",
    "the longest that a credential lived on after its agent was retired",
    |n| Measure::Seconds {
        value: n.beyond_retirement,
    },
);
pub(super) const AFTER_END: Figure = alarm(
    "issued_after_end",
    "credentials that were issued to an agent that was suspended or retired",
    |n| Measure::count(n.trail.after_end),
);

// What was decided.
pub(super) const TASKS: Figure = figure("tasks", "tasks that were started", |n| {
    Measure::count(started(n))
});
pub(super) const CREDENTIALS: Figure = figure(
    "credentials",
    "tokens and certificates that were issued, each under one task",
    |n| Measure::count(n.exposure.credentials),
);
pub(super) const REFUSALS: Figure = figure("refusals", "what was refused, by reason", |n| {
    Measure::counts(&n.trail.refusals)
});
pub(super) const OUTSIDE_TASK: Figure = figure(
    "refused_outside_task",
    "requests for a scope that the task was not started with",
    |n| {
        Measure::count(
            n.trail
                .refusals
                .get("SCOPE_EXCEEDS_TASK")
                .copied()
                .unwrap_or(0),
        )
    },
);
pub(super) const BY_POLICY: Figure = figure(
    "refused_by_policy",
    "refusals by policy, by the policies that determined them",
    |n| Measure::counts(&n.trail.by_policy),
);
pub(super) const LIMITED: Figure = figure(
    "refused_by_limit",
    "refusals because a limit of agent, owner or target was reached",
    |n| {
        let limits = n.trail.refusals.iter().filter(|(reason, _)| {
            ["LIVE_", "ISSUES_PER_"]
                .iter()
                .any(|limit| reason.starts_with(limit))
                || reason.as_str() == "FAN_OUT"
        });
        Measure::count(limits.map(|(_, count)| *count).sum())
    },
);
pub(super) const DECIDED: Figure = figure(
    "decisions_with_policies",
    "decisions that name the policies that determined them",
    |n| Measure::Share {
        value: n.trail.decided,
        of: n.trail.decided.saturating_add(n.trail.undecided),
    },
);
pub(super) const POLICY_SETS: Figure = figure(
    "policy_sets",
    "policy sets, by hash, under which was decided",
    |n| Measure::count(crate::histogram::count(n.trail.policy_sets.len())),
);
pub(super) const POLICY_ERRORS: Figure = alarm(
    "policy_errors",
    "refusals because a policy could not be evaluated",
    |n| Measure::count(n.trail.errors),
);
pub(super) const OBSERVED: Figure = figure(
    "allowed_by_observing",
    "what no policy permits and was allowed because its target is only observed",
    |n| Measure::count(n.would_deny),
);
pub(super) const PERMITTED: Figure = figure(
    "permitted_and_granted",
    "scopes that agents may have, and how many of these they were granted",
    |n| {
        let total = n.privilege.as_ref().map(|report| &report.total);
        Measure::Share {
            value: total.map_or(0, |total| total.granted),
            of: total.map_or(0, |total| total.permitted),
        }
    },
);
pub(super) const MOST_TARGETS: Figure = figure(
    "targets_of_one_agent",
    "the most targets at which one agent was granted a scope",
    |n| Measure::count(n.most_targets),
);
pub(super) const DEPTHS: Figure = figure("depths", "tasks by how many tasks are above them", |n| {
    Measure::counts(&n.trail.depths)
});

// What was issued.
pub(super) const METHODS: Figure = figure(
    "methods",
    "what agents were allowed, by how they had proved themselves",
    |n| Measure::counts(&n.trail.methods),
);
pub(super) const VOUCHED: Figure = figure(
    "vouched",
    "what agents were allowed by the word of others, by who vouched",
    |n| Measure::counts(&n.trail.vouched),
);
pub(super) const BOUND: Figure = figure(
    "bound_tokens",
    "tokens that work only with the key of a certificate",
    |n| Measure::Share {
        value: n.bound_tokens,
        of: n.tokens,
    },
);
pub(super) const LONGEST_TOKEN: Figure =
    figure("longest_token", "the longest that a token lived", |n| {
        Measure::Seconds {
            value: n.exposure.token_life.max_s,
        }
    });
pub(super) const MEDIAN_TOKEN: Figure = figure(
    "median_token",
    "half of the tokens lived at most this long",
    |n| Measure::Seconds {
        value: n.exposure.token_life.p50_s,
    },
);
pub(super) const LONGEST_CERTIFICATE: Figure = figure(
    "longest_certificate",
    "the longest that a certificate lived",
    |n| Measure::Seconds {
        value: n.exposure.certificate_life.max_s,
    },
);
pub(super) const BEYOND_TASK: Figure = figure(
    "beyond_task",
    "the longest that a credential outlived its task",
    |n| Measure::Seconds {
        value: n.exposure.beyond_task.max_s,
    },
);
pub(super) const SAME_IDS: Figure = alarm(
    "ids_issued_twice",
    "credentials with the id of another one, in the whole log",
    |n| Measure::count(n.same_ids),
);
pub(super) const LIVE: Figure = figure("live", "credentials that are alive now", |n| {
    Measure::count(n.exposure.live)
});
pub(super) const KEY_STEPS: Figure = figure(
    "key_steps",
    "steps in the life of signing keys: made, taken over, retired, distrusted",
    |n| Measure::count(n.trail.of_kind("key")),
);
pub(super) const THEFTS: Figure =
    alarm("identity_thefts", "identities that two keys claimed", |n| {
        Measure::count(n.trail.of_kind("identity.theft"))
    });

// What was taken back.
pub(super) const REVOCATIONS: Figure =
    figure("revocations", "revocations, by what they named", |n| {
        Measure::counts(&n.trail.revocations)
    });
pub(super) const ENDED: Figure = figure(
    "credentials_ended",
    "live credentials that revocations ended, by their own count",
    |n| Measure::count(n.trail.ended),
);
pub(super) const DRILLS: Figure = figure("drills", "drills of the kill switch", |n| {
    Measure::count(crate::histogram::count(n.trail.drills.len()))
});
pub(super) const DRILL_LAST: Figure = figure(
    "drill_last_refusal",
    "in the newest drill, from the revocation until the last confirmation of a connected verifier",
    |n| Measure::Microseconds {
        value: n.drill().and_then(|drill| drill.last_us),
    },
);
pub(super) const DRILL_CONFIRMED: Figure = figure(
    "drill_confirmed",
    "in the newest drill, connected verifiers that confirmed that they refuse",
    |n| Measure::Share {
        value: n.drill().map_or(0, |drill| drill.confirmed),
        of: n.drill().map_or(0, |drill| drill.connected),
    },
);
pub(super) const DRILL_SILENT: Figure = alarm(
    "drill_silent",
    "in the newest drill, connected verifiers that did not confirm",
    |n| Measure::count(n.drill().map_or(0, |drill| drill.silent)),
);

// What is recorded.
pub(super) const LOG_ENTRIES: Figure = figure(
    "log_entries",
    "entries of the log, whose hashes and signatures were checked for this report",
    |n| Measure::count(n.about.log_entries),
);
pub(super) const OPERATORS: Figure = figure(
    "operators",
    "operators that did or read something, with how often",
    |n| Measure::counts(&n.trail.operators),
);
pub(super) const READS: Figure = figure("reads", "what operators read, one a call", |n| {
    Measure::count(n.trail.of_kind("read"))
});
pub(super) const REGISTRY_CHANGES: Figure = figure(
    "registry_changes",
    "changes of owners, agents, targets, operators and verifiers",
    |n| Measure::count(n.trail.of_kind("registry")),
);
pub(super) const WIDENED: Figure = figure(
    "registry_widened",
    "of these, how many let somebody have or do more, which asks for a reason",
    |n| Measure::Share {
        value: n.trail.widened,
        of: n.trail.of_kind("registry"),
    },
);
pub(super) const APPROVALS: Figure = figure(
    "approvals",
    "entries about changes that wait for a second operator: proposed, approved, rejected",
    |n| Measure::count(n.trail.of_kind("approval")),
);
pub(super) const USES: Figure = figure(
    "use_reports",
    "entries in which verifiers or agents say what credentials were used for",
    |n| Measure::count(n.trail.uses),
);

fn started(n: &Numbers<'_>) -> u64 {
    let found = n.trail.kinds.get("task.start allow");
    found.copied().unwrap_or(0)
}
