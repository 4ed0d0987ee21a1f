//! From TOML to cases, each value into its type.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use taskpass_core::access::{CertificateProfile, TokenAlg, TokenProfile};
use taskpass_core::grant::Ask;
use taskpass_core::registry::{Agent, Limits, Observe, Owner, State, Target, Versioned};
use taskpass_core::{ScopeRef, Timestamp, Ttl};

use super::file::{AgentRow, CaseRow, File, OwnerRow, TargetRow};
use super::operator::OperatorCase;
use super::{AgentCase, Asked, Case, CaseError, Cases, Expected};
use crate::place::Place;

/// How long agents are valid that do not say it.
const VALIDITY: Duration = Duration::from_hours(24 * 365);
/// The lifetime that is asked for where a case does not say it.
const ASKED: Ttl = Ttl::from_mins(5);

pub(super) type Result<T> = std::result::Result<T, CaseError>;

pub(super) fn cases(name: &str, text: &str) -> Result<Cases> {
    let file: File = toml::from_str(text).map_err(|error| CaseError::Syntax {
        // An offset that no text has gives a place without a position.
        place: Place::of_offset(name, text, error.span().map_or(usize::MAX, |at| at.start)),
        message: error.message().to_owned(),
    })?;
    let at = instant("at", &file.at)?;
    let mut cases = Cases {
        owners: keyed(file.owner.iter().map(owner), |owner| owner.name.clone())?,
        targets: keyed(file.target.iter().map(target), |target| target.uri.clone())?,
        agents: keyed(file.agent.iter().map(|row| agent(row, at)), |agent| {
            agent.name.clone()
        })?,
        all: Vec::new(),
    };
    for row in file.case {
        let case = case(&cases, row, at)?;
        if cases.all.iter().any(|other| other.name == case.name) {
            return Err(invalid(place(&case.name), "is in the file twice"));
        }
        cases.all.push(case);
    }
    if cases.all.is_empty() {
        return Err(CaseError::Empty);
    }
    Ok(cases)
}

pub(super) fn invalid(place: impl Into<String>, message: impl Display) -> CaseError {
    CaseError::Invalid {
        place: place.into(),
        message: message.to_string(),
    }
}

fn place(case: &str) -> String {
    format!("case {case:?}")
}

pub(super) fn word<T: FromStr<Err: Display>>(place: &str, text: &str) -> Result<T> {
    text.parse()
        .map_err(|error| invalid(place, format!("`{}`: {error}", text.escape_debug())))
}

fn instant(place: &str, text: &str) -> Result<Timestamp> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| {
        invalid(
            place,
            format!(
                "`{}` is no instant such as 2026-01-05T09:00:00Z",
                text.escape_debug()
            ),
        )
    })
}

fn state(place: &str, text: Option<&str>) -> Result<State> {
    text.map_or(Ok(State::Active), |text| word(place, text))
}

fn keyed<K: Ord + Display, T>(
    rows: impl Iterator<Item = Result<T>>,
    key: impl Fn(&T) -> K,
) -> Result<BTreeMap<K, Versioned<T>>> {
    let mut keyed = BTreeMap::new();
    for value in rows {
        let value = value?;
        let name = key(&value);
        let place = format!("`{name}`");
        if keyed
            .insert(name, Versioned { value, version: 1 })
            .is_some()
        {
            return Err(invalid(place, "is in the file twice"));
        }
    }
    Ok(keyed)
}

fn owner(row: &OwnerRow) -> Result<Owner> {
    let place = format!("owner {:?}", row.name);
    Ok(Owner {
        name: word(&place, &row.name)?,
        contact: String::new(),
        limits: Limits::NONE,
        state: state(&place, row.state.as_deref())?,
    })
}

fn target(row: &TargetRow) -> Result<Target> {
    let place = format!("target {:?}", row.uri);
    let scopes: Result<BTreeMap<_, _>> = row
        .scopes
        .iter()
        .map(|(name, access)| Ok((word(&place, name)?, word(&place, access)?)))
        .collect();
    Ok(Target {
        uri: word(&place, &row.uri)?,
        scopes: scopes?,
        risk: word(&place, &row.risk)?,
        token_alg: TokenAlg::Es256,
        token_profile: TokenProfile::OAuth,
        limits: Limits::NONE,
        observe: observe(&place, row.observe_until.as_deref())?,
        max_ttl: None,
        state: state(&place, row.state.as_deref())?,
    })
}

fn observe(place: &str, until: Option<&str>) -> Result<Option<Observe>> {
    let observe = |text: &str| {
        Ok(Observe {
            until: instant(place, text)?,
            reason: "a case".to_owned(),
        })
    };
    until.map(observe).transpose()
}

fn agent(row: &AgentRow, at: Timestamp) -> Result<Agent> {
    let place = format!("agent {:?}", row.name);
    let valid_until = match &row.valid_until {
        Some(text) => instant(&place, text)?,
        None => at.plus(VALIDITY),
    };
    Ok(Agent {
        name: word(&place, &row.name)?,
        owner: word(&place, &row.owner)?,
        purpose: String::new(),
        stage: word(&place, &row.stage)?,
        scopes: scopes(&place, &row.scopes)?,
        valid_until,
        max_ttl: None,
        labels: row.labels.clone(),
        state: state(&place, row.state.as_deref())?,
        created_at: at,
        client_keys: Vec::new(),
        limits: Limits::NONE,
    })
}

fn scopes(place: &str, texts: &[String]) -> Result<BTreeSet<ScopeRef>> {
    texts.iter().map(|text| word(place, text)).collect()
}

fn case(known: &Cases, row: CaseRow, at: Timestamp) -> Result<Case> {
    let place = place(&row.name);
    let at = match &row.at {
        Some(text) => instant(&place, text)?,
        None => at,
    };
    let expected = expected(&place, &row)?;
    let asked = match (&row.agent, &row.operator) {
        (Some(name), None) => Asked::Agent(agent_case(known, &place, &row, name)?),
        (None, Some(name)) => Asked::Operator(OperatorCase::parse(known, &place, &row, name)?),
        _ => {
            return Err(invalid(
                place,
                "is about either an `agent` or an `operator`",
            ));
        }
    };
    Ok(Case {
        name: row.name,
        asked,
        at,
        expected,
    })
}

fn agent_case(known: &Cases, place: &str, row: &CaseRow, name: &str) -> Result<AgentCase> {
    let of_operators = row.action.is_some()
        || row.on.is_some()
        || row.reason.is_some()
        || !row.roles.is_empty()
        || !row.on_roles.is_empty();
    if of_operators {
        return Err(invalid(
            place,
            "`roles`, `action`, `on` and `reason` are about an `operator`",
        ));
    }
    let agent = word(place, name)?;
    let Some(found) = known.agents.get(&agent) else {
        return Err(invalid(
            place,
            format!("there is no agent `{agent}` in the file"),
        ));
    };
    if !known.owners.contains_key(&found.value.owner) {
        let owner = &found.value.owner;
        return Err(invalid(
            place,
            format!("there is no owner `{owner}` in the file"),
        ));
    }
    let from = match &row.from {
        Some(from) => Some(word(place, from)?),
        None => None,
    };
    Ok(AgentCase {
        agent,
        ask: ask(known, place, row)?,
        from,
        ttl: match &row.ttl {
            Some(text) => word(place, text)?,
            None => ASKED,
        },
        depth: row.depth.unwrap_or(0),
        purpose: row.purpose.clone().unwrap_or_else(|| "a case".to_owned()),
        attestation: row.attestation.clone().unwrap_or_else(|| "mtls".to_owned()),
    })
}

fn ask(known: &Cases, place: &str, row: &CaseRow) -> Result<Ask> {
    match (&row.scopes, &row.certificate) {
        (Some(texts), None) => {
            let asked = scopes(place, texts)?;
            for scope in &asked {
                let target = known.targets.get(&scope.target);
                if !target.is_some_and(|target| target.value.scopes.contains_key(&scope.scope)) {
                    return Err(invalid(
                        place,
                        format!("there is no scope `{scope}` in the file"),
                    ));
                }
            }
            Ok(Ask::Scopes(asked))
        }
        (None, Some(profile)) => Ok(match word(place, profile)? {
            CertificateProfile::Client => Ask::Certificate,
            CertificateProfile::SpiffeSvid => Ask::Svid,
        }),
        _ => Err(invalid(
            place,
            "asks for either `scopes` or a `certificate`",
        )),
    }
}

fn expected(place: &str, row: &CaseRow) -> Result<Expected> {
    let allowed = match row.decision.as_str() {
        "allow" => true,
        "deny" => false,
        _ => return Err(invalid(place, "`decision` is `allow` or `deny`")),
    };
    if row.policies.is_empty() && !row.errored {
        return Err(invalid(
            place,
            "`policies` names those that determine the decision",
        ));
    }
    if allowed && (row.errored || row.would_allow.is_some()) {
        return Err(invalid(
            place,
            "`errored` and `would_allow` are about denials",
        ));
    }
    if row.would_deny && !allowed {
        return Err(invalid(
            place,
            "`would_deny` is about what is allowed because its target is only observed",
        ));
    }
    let narrower = match &row.would_allow {
        Some(texts) => Some(scopes(place, texts)?),
        None => None,
    };
    Ok(Expected {
        allowed,
        policies: row.policies.iter().cloned().collect(),
        errored: row.errored,
        would_deny: row.would_deny,
        narrower,
    })
}
