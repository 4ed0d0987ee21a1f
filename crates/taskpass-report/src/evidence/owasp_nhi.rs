//! OWASP Non-Human Identities Top 10, 2025.

use super::figures::{
    AFTER_END, BEYOND_RETIREMENT, BEYOND_TASK, BOUND, BY_POLICY, DECIDED, KEY_STEPS,
    LONGEST_CERTIFICATE, LONGEST_TOKEN, MEDIAN_TOKEN, METHODS, MOST_TARGETS, NEVER_USED, NO_OWNER,
    OPERATORS, OVERDUE, PERMITTED, RETIRED, SHARED_KEYS, TASKS, THEFTS, VOUCHED,
};
use super::{Catalogue, Control};

pub(super) const CATALOGUE: Catalogue = Catalogue {
    title: "OWASP Non-Human Identities Top 10, 2025",
    controls: &[
        Control {
            id: "NHI1",
            title: "Improper Offboarding",
            does: "Every agent is registered with an owner and an end date. Retiring an agent, or \
                   offboarding its owner, revokes what it holds in the same step, ends its tasks and \
                   refuses it from then on.",
            figure: &NO_OWNER,
            more: &[
                &OVERDUE,
                &NEVER_USED,
                &RETIRED,
                &BEYOND_RETIREMENT,
                &AFTER_END,
            ],
            limit: "That a person has left is known to the broker only if somebody, or the directory, \
                    tells it. Verifiers without the feed accept a token until it expires.",
        },
        Control {
            id: "NHI2",
            title: "Secret Leakage",
            does: "Agents hold no lasting secret of a target: they are issued short-lived credentials, \
                   their keys never leave them, and the log holds hashes instead of tokens. Tokens can be \
                   bound to a certificate, so that a leaked one is of no use.",
            figure: &BOUND,
            more: &[&LONGEST_TOKEN, &LONGEST_CERTIFICATE, &THEFTS],
            limit: "What a workload does with a token that it holds is not seen. A token that is not bound \
                    can be used by whoever has it until it ends.",
        },
        Control {
            id: "NHI3",
            title: "Vulnerable Third-Party NHI",
            does: "Workloads of others are let in only by rules that name their issuer and subject, as \
                   agents of the registry like all others: owned, limited, revocable.",
            figure: &VOUCHED,
            more: &[&PERMITTED],
            limit: "How well a third party guards its own issuer cannot be measured here. Their \
                    identities that never come to the broker are unknown to it.",
        },
        Control {
            id: "NHI4",
            title: "Insecure Authentication",
            does: "Callers prove a key in the handshake, by a signed assertion, or by the word of an issuer that \
                   is trusted by name. There are no passwords and no shared secrets; an enrolment token \
                   works once.",
            figure: &METHODS,
            more: &[&THEFTS],
            limit: "This is how agents prove themselves to the broker. How an API authenticates whoever \
                    does not come with the broker's credentials is its own matter.",
        },
        Control {
            id: "NHI5",
            title: "Overprivileged NHI",
            does: "Nothing is permitted by default. A credential has the scopes that were asked for one \
                   task, within registration, stage and policy; `report least-privilege --suggest` writes \
                   the narrower registration.",
            figure: &PERMITTED,
            more: &[&BY_POLICY, &DECIDED],
            limit: "What was granted is not what was used: that is known only of targets whose verifiers \
                    report use. How much a scope allows is defined by the target.",
        },
        Control {
            id: "NHI6",
            title: "Insecure Cloud Deployment Configurations",
            does: "Jobs of pipelines and clusters come with the token of their platform, checked for \
                   issuer, audience and subject; cloud accounts can be reached by exchanging the \
                   broker's tokens instead of keeping keys.",
            figure: &VOUCHED,
            more: &[&METHODS],
            limit: "Whether the rules of federation are narrow enough is a matter of configuration, which \
                    is not in the log. Configurations of the clouds themselves are not seen.",
        },
        Control {
            id: "NHI7",
            title: "Long-Lived Secrets",
            does: "Tokens live at most an hour, task certificates and tasks a day, identities a week, \
                   whatever configuration and policies say. Signing keys follow a schedule.",
            figure: &LONGEST_TOKEN,
            more: &[
                &MEDIAN_TOKEN,
                &LONGEST_CERTIFICATE,
                &BEYOND_TASK,
                &KEY_STEPS,
            ],
            limit: "Secrets that exist beside the broker are not found by it. A root that is kept \
                    elsewhere lives as long as its owner says.",
        },
        Control {
            id: "NHI8",
            title: "Environment Isolation",
            does: "A broker serves one trust domain, and a credential one target: what was issued for \
                   one environment's target is refused by another's. Policies can forbid by labels.",
            figure: &MOST_TARGETS,
            more: &[&BY_POLICY],
            limit: "Which target belongs to which environment is known to the broker only by the names and \
                    labels that were given. Separate brokers separate keys as well.",
        },
        Control {
            id: "NHI9",
            title: "NHI Reuse",
            does: "An identity is one agent's, a credential one task's. Keys by which several agents prove \
                   themselves are found, and two keys that claim one identity end it.",
            figure: &SHARED_KEYS,
            more: &[&THEFTS, &TASKS],
            limit: "Several workloads behind one agent that keep to one key look like one.",
        },
        Control {
            id: "NHI10",
            title: "Human Use of NHI",
            does: "People are operators, with identities and roles of their own; an operator is issued no \
                   credential for a target, and what each did is recorded by name.",
            figure: &OPERATORS,
            more: &[&METHODS],
            limit: "A person who sits at an agent's machine and uses its key is not told from the agent.",
        },
    ],
    untouched: &[],
};
