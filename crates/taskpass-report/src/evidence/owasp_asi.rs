//! OWASP Top 10 for Agentic Applications, 2026.

use super::figures::{
    AFTER_END, APPROVALS, BEYOND_TASK, BOUND, CREDENTIALS, DECIDED, DEPTHS, DRILL_CONFIRMED,
    DRILL_LAST, DRILL_SILENT, ENDED, LIMITED, METHODS, OUTSIDE_TASK, PERMITTED, REFUSALS,
    REVOCATIONS, SAME_IDS, TASKS, USES, VOUCHED, WIDENED,
};
use super::{Catalogue, Control};

pub(super) const CATALOGUE: Catalogue = Catalogue {
    title: "OWASP Top 10 for Agentic Applications, 2026",
    controls: &[
        Control {
            id: "ASI01",
            title: "Agent Goal Hijack",
            does: "A hijacked agent has what its task was started with, for as long as that lasts: what \
                   lies outside of the task's ceiling is refused, whoever talked the agent into asking.",
            figure: &OUTSIDE_TASK,
            more: &[&REFUSALS],
            limit: "The goal is not seen. Within the ceiling a hijacked agent is an agent.",
        },
        Control {
            id: "ASI02",
            title: "Tool Misuse & Exploitation",
            does: "Each tool is a target with scopes of its own; a token is for one of them, for one task, for \
                   minutes. Limits bound how much is issued at once and in a second.",
            figure: &CREDENTIALS,
            more: &[&TASKS, &LIMITED, &USES],
            limit: "What happens inside of a tool with a token that is good is the tool's to judge.",
        },
        Control {
            id: "ASI03",
            title: "Identity & Privilege Abuse",
            does: "Agents have identities of their own and no standing rights: each credential is decided by \
                   policy for one task and purpose, and says which agents stand above it. A task that was \
                   handed on never has more than the one it came from.",
            figure: &DECIDED,
            more: &[&PERMITTED, &BOUND, &DEPTHS],
            limit: "A purpose is the agent's own word. The target has to check what it is shown.",
        },
        Control {
            id: "ASI04",
            title: "Agentic Supply Chain Vulnerabilities",
            does: "How a workload proved what it is goes into the decision and into the log: which key, \
                   which issuer, which subject. Policies can ask for a method.",
            figure: &METHODS,
            more: &[&VOUCHED],
            limit: "The broker believes what the platform attests. It looks into no image, package or model.",
        },
        Control {
            id: "ASI05",
            title: "Unexpected Code Execution (RCE)",
            does: "Code that was smuggled in finds credentials of one task, which one command ends \
                   everywhere; how long that takes is measured on a canary.",
            figure: &DRILL_LAST,
            more: &[&DRILL_CONFIRMED, &DRILL_SILENT, &BEYOND_TASK],
            limit: "Until somebody revokes, code in the agent's process can do what the task may. Whoever is \
                    not on the feed refuses later than the drill says.",
        },
        Control {
            id: "ASI06",
            title: "Memory & Context Poisoning",
            does: "A credential is good for one task only, and ends with it: what was kept in a memory from \
                   an earlier one opens nothing. No two have one id.",
            figure: &BEYOND_TASK,
            more: &[&SAME_IDS],
            limit: "What an agent remembers besides is not seen, and whether a model gets to see a token \
                    depends on how the agent is built.",
        },
        Control {
            id: "ASI07",
            title: "Insecure Inter-Agent Communication",
            does: "Agents prove themselves to each other with certificates of their task, and hand work on \
                   through the broker, which writes the chain of agents into the credential.",
            figure: &BOUND,
            more: &[&DEPTHS],
            limit: "What agents tell each other beside the broker's credentials is neither seen nor protected.",
        },
        Control {
            id: "ASI08",
            title: "Cascading Failures",
            does: "How deep and how wide work is handed on is limited, each step can only narrow, and to \
                   revoke a task revokes everything beneath it.",
            figure: &DEPTHS,
            more: &[&LIMITED, &REVOCATIONS, &ENDED],
            limit: "Failures that spread through data or through the targets are not seen.",
        },
        Control {
            id: "ASI09",
            title: "Human-Agent Trust Exploitation",
            does: "That an agent is trusted further needs evidence or a reason, and can need a second \
                   operator; whatever lets somebody have more is recorded with who did it and why.",
            figure: &APPROVALS,
            more: &[&WIDENED],
            limit: "What people approve in the agent's own conversation is not seen. That a second person \
                    looked does not mean that they looked well.",
        },
        Control {
            id: "ASI10",
            title: "Rogue Agents",
            does: "To revoke an agent ends what it holds, and what was handed on from it, and refuses it from \
                   then on. The way is tried in drills.",
            figure: &AFTER_END,
            more: &[&REVOCATIONS, &DRILL_LAST, &DRILL_SILENT],
            limit: "That an agent has gone rogue must be noticed by somebody else.",
        },
    ],
    untouched: &[],
};
