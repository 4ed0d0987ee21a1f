//! NIST AI Risk Management Framework 1.0 (AI 100-1): the subcategories that the broker touches.

use super::figures::{
    AFTER_END, APPROVALS, BEYOND_RETIREMENT, BY_POLICY, DECIDED, DRILL_CONFIRMED, DRILL_LAST,
    DRILL_SILENT, DRILLS, ENDED, LIVE, LOG_ENTRIES, NEVER_USED, NO_OWNER, OBSERVED, OPERATORS,
    OUTSIDE_TASK, OVERDUE, PERMITTED, POLICY_ERRORS, POLICY_SETS, READS, REFUSALS, REGISTERED,
    REGISTRY_CHANGES, RETIRED, REVOCATIONS, TASKS, THEFTS, USES, VOUCHED, WIDENED,
};
use super::{Catalogue, Control};

pub(super) const CATALOGUE: Catalogue = Catalogue {
    title: "NIST AI Risk Management Framework 1.0",
    controls: &[
        Control {
            id: "GOVERN 1.4",
            title: "Risk management through transparent policies, procedures and controls",
            does: "Access is decided by policies that are text under review; each decision names the ones \
                   that determined it, and the set by its hash.",
            figure: &DECIDED,
            more: &[&POLICY_SETS],
            limit: "Who reviewed a policy is in the version control it comes from, not in the log.",
        },
        Control {
            id: "GOVERN 1.5",
            title: "Ongoing monitoring and periodic review",
            does: "Registrations end by themselves unless somebody extends them, which is a change with a \
                   name and a reason.",
            figure: &OVERDUE,
            more: &[&REGISTRY_CHANGES, &WIDENED, &READS],
            limit: "That a report was read does not mean that it was reviewed.",
        },
        Control {
            id: "GOVERN 1.6",
            title: "Mechanisms to inventory AI systems",
            does: "Only what is registered is issued anything: the registry is the inventory of agents, with \
                   owner, purpose, stage and end date.",
            figure: &REGISTERED,
            more: &[&NO_OWNER, &NEVER_USED],
            limit: "Agents that reach their tools without the broker are not in it.",
        },
        Control {
            id: "GOVERN 1.7",
            title: "Decommissioning and phasing out safely",
            does: "To retire an agent revokes what it holds, in one step, and its name is never used again.",
            figure: &RETIRED,
            more: &[&BEYOND_RETIREMENT, &AFTER_END],
            limit: "Models, data and machines of the agent are decommissioned elsewhere.",
        },
        Control {
            id: "GOVERN 2.1",
            title: "Roles, responsibilities and lines of communication are documented",
            does: "Operators have roles, agents have owners with a contact; each act is recorded with who did \
                   it.",
            figure: &OPERATORS,
            more: &[&NO_OWNER],
            limit: "The organisation behind these names is not described here.",
        },
        Control {
            id: "GOVERN 3.2",
            title: "Roles for human-AI configurations and oversight are differentiated",
            does: "Operators and agents are different kinds of callers and never stand in for each other; a \
                   change that weighs can need a second operator.",
            figure: &APPROVALS,
            more: &[&OPERATORS],
            limit: "Oversight of what an agent says and decides happens outside of the broker.",
        },
        Control {
            id: "GOVERN 6.1",
            title: "Policies address risks of third-party entities",
            does: "Third parties' workloads are let in by rules that name issuer and subject, and are agents \
                   of the registry.",
            figure: &VOUCHED,
            more: &[&PERMITTED],
            limit: "Third parties are known by what vouches for them, not by how they work.",
        },
        Control {
            id: "MAP 1.1",
            title: "Intended purposes and context of use are understood and documented",
            does: "Every agent is registered with a purpose, and every task is started with one; what \
                   lies outside of its scopes is refused.",
            figure: &TASKS,
            more: &[&OUTSIDE_TASK],
            limit: "A purpose is text. Whether the work was that, the log cannot say.",
        },
        Control {
            id: "MAP 3.3",
            title: "Targeted application scope is specified",
            does: "The scopes that an agent may ever be granted are registered, and compared with those \
                   that it was granted.",
            figure: &PERMITTED,
            more: &[&OUTSIDE_TASK],
            limit: "Scope means access to targets here, and nothing of what a model can do.",
        },
        Control {
            id: "MAP 3.5",
            title: "Processes for human oversight are defined",
            does: "A stage rises by evidence, or by force with a reason, and can need a second operator; \
                   operators can end any work.",
            figure: &APPROVALS,
            more: &[&WIDENED, &REVOCATIONS],
            limit: "How the people decide is theirs; the log has only what they did.",
        },
        Control {
            id: "MEASURE 2.4",
            title: "Functionality and behaviour are monitored in production",
            does: "Every task, credential and refusal is recorded as it happens; verifiers can report what \
                   credentials are used for.",
            figure: &REFUSALS,
            more: &[&TASKS, &USES],
            limit: "Behaviour means access. The content of the work is not monitored.",
        },
        Control {
            id: "MEASURE 2.6",
            title: "The system can fail safely",
            does: "A policy that cannot be evaluated, a store or a log that cannot be written, and a clock that \
                   cannot be trusted all lead to a refusal.",
            figure: &POLICY_ERRORS,
            more: &[&OBSERVED],
            limit: "Refusals for a store or a clock that failed cannot be in the log of the same moment; \
                    the broker's metrics and tests show those.",
        },
        Control {
            id: "MEASURE 2.7",
            title: "Security and resilience are evaluated and documented",
            does: "Drills revoke a canary's credential and measure when each connected verifier refuses; \
                   stolen identities end themselves.",
            figure: &DRILLS,
            more: &[&DRILL_LAST, &DRILL_CONFIRMED, &DRILL_SILENT, &THEFTS],
            limit: "A drill tries one path, at one moment. It is no penetration test.",
        },
        Control {
            id: "MEASURE 2.8",
            title: "Risks of transparency and accountability are examined",
            does: "Each credential leads to its decision, agent, owner and task in a log that anybody with \
                   a copy verifies without the broker.",
            figure: &LOG_ENTRIES,
            more: &[&DECIDED, &READS],
            limit: "A checkpoint binds nobody until somebody outside has kept it.",
        },
        Control {
            id: "MANAGE 1.3",
            title: "Responses to high-priority risks are developed and planned",
            does: "One command each ends a credential, a task, an agent, an owner's agents, a target, a key or \
                   everything; drills keep it in practice.",
            figure: &DRILLS,
            more: &[&REVOCATIONS],
            limit: "Who decides to use it, and when, is a plan of the organisation.",
        },
        Control {
            id: "MANAGE 2.4",
            title: "Mechanisms to supersede, disengage or deactivate AI systems",
            does: "Revocation is on disk before it is acknowledged and reaches connected verifiers at once; \
                   an agent that was revoked is suspended.",
            figure: &DRILL_LAST,
            more: &[&DRILL_CONFIRMED, &DRILL_SILENT, &ENDED, &AFTER_END],
            limit: "Access is taken, the process is not stopped. Who is not connected refuses when it next \
                    fetches a list, or when the credential expires.",
        },
        Control {
            id: "MANAGE 3.1",
            title: "Risks from third-party resources are monitored",
            does: "What workloads were let do by the word of others is counted by who vouched for them.",
            figure: &VOUCHED,
            more: &[],
            limit: "Third-party models and services that an agent calls with other credentials are not seen.",
        },
        Control {
            id: "MANAGE 4.1",
            title: "Post-deployment monitoring, override and incident response",
            does: "What is alive now is known, refusals are counted by policy, and operators override by \
                   revoking.",
            figure: &LIVE,
            more: &[&BY_POLICY, &REVOCATIONS],
            limit: "Feedback of users and those affected is gathered elsewhere.",
        },
        Control {
            id: "MANAGE 4.3",
            title: "Incidents are communicated, tracked and recovered from",
            does: "What happened to a credential, from request to end, can be taken from the log with its \
                   proof and given to others.",
            figure: &REVOCATIONS,
            more: &[&ENDED, &LOG_ENTRIES],
            limit: "To whom it must be told, and by when, is not known here.",
        },
    ],
    untouched: &[(
        "others",
        "All other subcategories",
        "they are about the organisation, its people, its models or its data",
    )],
};
