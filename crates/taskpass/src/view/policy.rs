//! What policies decide, and whether they hold.

use std::fmt::Write as _;

use serde::Serialize;
use taskpass_api::v1;
use taskpass_core::Timestamp;
use taskpass_policy::Report;

use super::wire;
use crate::errors::CliError;
use crate::output::table::{Fields, Table};
use crate::output::text::{harmless, instant};
use crate::output::{Ink, View};

/// A set that would be loaded.
#[derive(Debug, Serialize)]
pub(crate) struct Valid {
    /// Where it is; absent for the shipped one.
    pub(crate) dir: Option<String>,
    /// Its hash.
    pub(crate) policy_set: String,
    /// The ids of its policies.
    pub(crate) policies: Vec<String>,
    /// What no operator could do, and somebody should.
    pub(crate) locked_out: Vec<&'static str>,
}

impl View for Valid {
    fn text(&self, ink: &Ink) -> String {
        let fields = Fields::default()
            .with("policies", self.policies.join(", "))
            .with("set", self.policy_set.as_str())
            .maybe("warning", lockout(&self.locked_out))
            .render(ink);
        let set = self.dir.as_deref().unwrap_or("The shipped set");
        format!("{} is good.\n{fields}", harmless(set))
    }
}

fn lockout(verbs: &[&str]) -> Option<String> {
    let verbs = Some(verbs.join(", ")).filter(|verbs| !verbs.is_empty())?;
    Some(format!(
        "no operator could {verbs}: permit it, as operators.cedar of the shipped set does"
    ))
}

fn set_name(dir: Option<&str>) -> &str {
    dir.unwrap_or("the shipped set")
}

/// Cases, and whether they hold.
#[derive(Debug, Serialize)]
pub(crate) struct Tested {
    dir: Option<String>,
    policy_set: String,
    cases: Vec<TestedCase>,
    /// Policies that determine no case.
    unexercised: Vec<String>,
}

#[derive(Debug, Serialize)]
struct TestedCase {
    name: String,
    passed: bool,
    expected: String,
    found: String,
}

impl Tested {
    /// From what came of it.
    pub(crate) fn new(dir: Option<String>, policy_set: String, report: Report) -> Self {
        let cases = report.outcomes.into_iter().map(|outcome| TestedCase {
            passed: outcome.passed(),
            expected: outcome.expected.to_string(),
            found: outcome.found.to_string(),
            name: outcome.name,
        });
        Self {
            dir,
            policy_set,
            cases: cases.collect(),
            unexercised: report.unexercised,
        }
    }
}

impl View for Tested {
    fn text(&self, ink: &Ink) -> String {
        let mut text = String::new();
        for case in &self.cases {
            let name = harmless(&case.name);
            // Writing to a String cannot fail.
            let _ = if case.passed {
                writeln!(text, "ok    {name}")
            } else {
                let failed = ink.alarm("FAIL");
                let (expected, found) = (harmless(&case.expected), harmless(&case.found));
                writeln!(
                    text,
                    "{failed}  {name}\n      expected: {expected}\n      found:    {found}"
                )
            };
        }
        let held = self.cases.iter().filter(|case| case.passed).count();
        let set = set_name(self.dir.as_deref());
        let _ = writeln!(text, "{held} of {} cases hold for {set}", self.cases.len());
        if !self.unexercised.is_empty() {
            let policies = self.unexercised.join(", ");
            let _ = writeln!(text, "no case is determined by: {policies}");
        }
        text
    }
}

/// A decision that was made, or would be.
#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    /// What is in the log; absent of a request that nobody made.
    entry: Option<serde_json::Value>,
    /// What would be decided today.
    today: Option<Answer>,
    today_refused: Option<String>,
}

/// What the policies say.
#[derive(Debug, Serialize)]
struct Answer {
    allowed: bool,
    policies: Vec<String>,
    asked: Vec<String>,
    allowed_scopes: Vec<String>,
    errored: bool,
    would_deny: bool,
    policy_set: String,
    questions: Vec<Question>,
    refused_before: Option<String>,
    at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Question {
    action: String,
    scope: Option<String>,
    allowed: bool,
    would_deny: bool,
    policies: Vec<String>,
}

impl TryFrom<v1::ExplainResponse> for Explained {
    type Error = CliError;

    fn try_from(reply: v1::ExplainResponse) -> Result<Self, CliError> {
        let entry = match reply.entry {
            Some(entry) => Some(
                serde_json::from_slice(&entry.json).map_err(|_| CliError::bad_reply("entry"))?,
            ),
            None => None,
        };
        Ok(Self {
            entry,
            today: reply.today.map(Answer::from),
            today_refused: wire::text(reply.today_refused),
        })
    }
}

impl From<v1::PolicyAnswer> for Answer {
    fn from(answer: v1::PolicyAnswer) -> Self {
        let questions = answer.questions.into_iter().map(|question| Question {
            action: question.action,
            scope: wire::text(question.scope),
            allowed: question.allowed,
            would_deny: question.would_deny,
            policies: question.policies,
        });
        Self {
            allowed: answer.allowed,
            policies: answer.policies,
            asked: answer.asked,
            allowed_scopes: answer.allowed_scopes,
            errored: answer.errored,
            would_deny: answer.would_deny,
            policy_set: answer.policy_set,
            questions: questions.collect(),
            refused_before: wire::text(answer.refused_before),
            at: wire::instant(answer.at),
        }
    }
}

impl View for Explained {
    fn text(&self, ink: &Ink) -> String {
        let mut text = String::new();
        if let Some(entry) = &self.entry {
            text.push_str(&recorded(entry).render(ink));
        }
        let then = self.entry.is_some();
        if let Some(today) = &self.today {
            if then {
                let _ = writeln!(text, "\n{}", ink.heading("The same request today"));
            }
            text.push_str(&today.text(ink));
        }
        if let Some(reason) = &self.today_refused {
            let reason = harmless(reason);
            let _ = writeln!(text, "\nThe same request today: refused, {reason}");
        }
        text
    }
}

/// What the log says of a decision.
fn recorded(entry: &serde_json::Value) -> Fields {
    let at = |path: &str| entry.pointer(path);
    let word = |path: &str| at(path).and_then(|value| value.as_str()).map(str::to_owned);
    let list = |path: &str| -> Vec<String> {
        let values = at(path).and_then(|value| value.as_array());
        let words = values
            .into_iter()
            .flatten()
            .filter_map(|value| value.as_str());
        words.map(str::to_owned).collect()
    };
    let holds = |path: &str| at(path).and_then(serde_json::Value::as_bool) == Some(true);
    let failed = holds("/decision/errored");
    let observed = holds("/decision/would_deny");
    Fields::default()
        .maybe("decision", word("/id"))
        .maybe("at", word("/at"))
        .maybe("about", word("/kind"))
        .maybe("agent", word("/agent"))
        .maybe("purpose", word("/purpose"))
        .each("asked", &list("/asked/scopes"))
        .maybe("outcome", word("/outcome"))
        .maybe("reason", word("/reason"))
        .each("policy", &list("/decision/policies"))
        .maybe(
            "observed",
            observed.then(|| "no policy permits it; its target was only observed".to_owned()),
        )
        .maybe(
            "failed",
            failed.then(|| "a policy could not be evaluated".to_owned()),
        )
        .maybe("set", word("/decision/policy_set"))
}

impl Answer {
    fn text(&self, ink: &Ink) -> String {
        let verdict = match (self.allowed, self.errored) {
            (true, _) if self.would_deny => "allow: only because the target is observed",
            (true, _) => "allow",
            (false, false) => "deny",
            (false, true) => "deny: a policy could not be evaluated",
        };
        let mut fields = Fields::default().with("decision", verdict);
        fields = fields.maybe(
            "before it",
            self.refused_before
                .as_ref()
                .map(|reason| format!("{reason}: it would not be asked")),
        );
        fields = fields.each("policy", &self.policies);
        if !self.allowed {
            fields = fields.each("allowed", &self.allowed_scopes);
        }
        let fields = fields
            .with("set", self.policy_set.as_str())
            .maybe("at", self.at.map(|at| instant(Some(at), ink)))
            .render(ink);
        let mut table = Table::new(&["ACTION", "ABOUT", "DECISION", "POLICIES"]);
        for question in &self.questions {
            table.row([
                question.action.clone(),
                question
                    .scope
                    .clone()
                    .unwrap_or_else(|| "the task".to_owned()),
                match (question.allowed, question.would_deny) {
                    (true, false) => "allow",
                    (true, true) => "observed",
                    (false, _) => "deny",
                }
                .to_owned(),
                question.policies.join(", "),
            ]);
        }
        format!("{fields}{}", table.render(ink, "nothing could be asked"))
    }
}

/// Whether an agent can have a scope.
#[derive(Debug, Serialize)]
pub(crate) struct Reach {
    agent: String,
    scope: String,
    access: Option<&'static str>,
    registered: bool,
    refused: Option<String>,
    would_deny: bool,
    policies: Vec<String>,
}

impl From<v1::Reach> for Reach {
    fn from(reach: v1::Reach) -> Self {
        Self {
            agent: reach.agent,
            scope: reach.scope,
            access: wire::access(reach.access),
            registered: reach.registered,
            refused: wire::text(reach.refused),
            would_deny: reach.would_deny,
            policies: reach.policies,
        }
    }
}

impl Reach {
    fn verdict(&self) -> Vec<String> {
        let can = if self.would_deny { "observed" } else { "can" };
        let verdict = self.refused.clone().unwrap_or_else(|| can.to_owned());
        let registered = if self.registered { "yes" } else { "no" };
        vec![verdict, registered.to_owned(), self.policies.join(", ")]
    }
}

/// The agents that can have a scope.
#[derive(Debug, Serialize)]
pub(crate) struct WhoCan {
    /// The set that was asked.
    pub(crate) policy_set: String,
    /// By agent.
    pub(crate) reaches: Vec<Reach>,
    /// Where to go on; empty at the end.
    pub(crate) next_page_token: String,
}

/// The scopes that an agent can have.
#[derive(Debug, Serialize)]
pub(crate) struct WhatCan {
    /// Whether it can have a certificate.
    pub(crate) certificate: bool,
    /// Whether that can be an X.509-SVID.
    pub(crate) svid: bool,
    /// The set that was asked.
    pub(crate) policy_set: String,
    /// By target and scope.
    pub(crate) reaches: Vec<Reach>,
    /// Where to go on; empty at the end.
    pub(crate) next_page_token: String,
}

impl View for WhoCan {
    fn text(&self, ink: &Ink) -> String {
        let mut table = Table::new(&["AGENT", "DECISION", "REGISTERED", "POLICIES"]);
        for reach in &self.reaches {
            table.row([reach.agent.clone()].into_iter().chain(reach.verdict()));
        }
        format!(
            "{}{}",
            table.render(ink, "no agents"),
            more(&self.next_page_token)
        )
    }
}

impl View for WhatCan {
    fn text(&self, ink: &Ink) -> String {
        let mut table = Table::new(&["SCOPE", "DOES", "DECISION", "REGISTERED", "POLICIES"]);
        for reach in &self.reaches {
            let first = [reach.scope.clone(), wire::shown(reach.access)];
            table.row(first.into_iter().chain(reach.verdict()));
        }
        let can = |can: bool| if can { "yes" } else { "no" };
        let certificates = Fields::default()
            .with("certificate", can(self.certificate))
            .with("as an SVID", can(self.svid))
            .render(ink);
        format!(
            "{}{certificates}{}",
            table.render(ink, "no scopes"),
            more(&self.next_page_token)
        )
    }
}

fn more(token: &str) -> String {
    if token.is_empty() {
        return String::new();
    }
    format!("… more: --page-token {}\n", harmless(token))
}
