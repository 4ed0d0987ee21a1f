//! CSA MAESTRO: the layers of an agentic system.

use super::figures::{
    AFTER_END, BOUND, BY_POLICY, CREDENTIALS, DECIDED, DEPTHS, DRILL_LAST, DRILL_SILENT,
    LOG_ENTRIES, METHODS, NO_OWNER, OPERATORS, POLICY_ERRORS, POLICY_SETS, REFUSALS, REVOCATIONS,
    SHARED_KEYS, TASKS, USES, VOUCHED,
};
use super::{Catalogue, Control};

pub(super) const CATALOGUE: Catalogue = Catalogue {
    title: "CSA MAESTRO",
    controls: &[
        Control {
            id: "L3",
            title: "Agent Frameworks",
            does: "Tools are reached with credentials of one task that the broker gives and takes back; a \
                   framework has nothing of its own to keep.",
            figure: &TASKS,
            more: &[&CREDENTIALS, &REFUSALS],
            limit: "What a framework does with prompts, plans and results is not seen.",
        },
        Control {
            id: "L4",
            title: "Deployment & Infrastructure",
            does: "Workloads prove themselves by what their platform says of them, and each has a key of \
                   its own.",
            figure: &METHODS,
            more: &[&VOUCHED, &SHARED_KEYS],
            limit: "A platform that is taken over attests whatever it is told to.",
        },
        Control {
            id: "L5",
            title: "Evaluation & Observability",
            does: "Every decision is an entry of a log that shows if anybody changed it; metrics count, and \
                   reports are computed from copies.",
            figure: &LOG_ENTRIES,
            more: &[&USES, &OPERATORS],
            limit: "What was done with a credential is known only as far as verifiers report it. What nobody \
                    outside has kept of the log can be rewritten by whoever has root on its machine.",
        },
        Control {
            id: "L6",
            title: "Security & Compliance",
            does: "Policy decides on each credential, deny by default; every agent has an owner; whatever \
                   was given can be taken back, which is tried and measured.",
            figure: &DECIDED,
            more: &[
                &BY_POLICY,
                &POLICY_SETS,
                &POLICY_ERRORS,
                &NO_OWNER,
                &REVOCATIONS,
                &DRILL_LAST,
                &DRILL_SILENT,
            ],
            limit: "Whether the policies say what the organisation wants is for people to read.",
        },
        Control {
            id: "L7",
            title: "Agent Ecosystem",
            does: "Agents have identities, and work that one hands on to another carries both; who was \
                   suspended or retired is issued nothing.",
            figure: &DEPTHS,
            more: &[&BOUND, &AFTER_END],
            limit: "Agents that work together beside the broker are not seen.",
        },
    ],
    untouched: &[
        (
            "L1",
            "Foundation Models",
            "the broker has nothing to do with models, their training or their answers",
        ),
        (
            "L2",
            "Data Operations",
            "data is protected by the targets that hold it; the broker says only who may call them",
        ),
    ],
};
