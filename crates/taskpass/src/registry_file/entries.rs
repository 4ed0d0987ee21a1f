//! From the form to the entries that the broker is told.
//!
//! A value that is none is noted, and stands in the entry as something that the broker refuses too, so
//! that a faulty file can still be put to it for everything else that is wrong.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use taskpass_api::v1::{self, entry::Entry as E};
use taskpass_core::Timestamp;
use taskpass_core::access::{Access, Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::ttl::{MAX_CERTIFICATE_TTL, MAX_TOKEN_TTL, Ttl};
use toml::Spanned;

use super::form::{
    File, FileAgent, FileClientKey, FileObserve, FileOperator, FileOwner, FileTarget, FileVerifier,
    Text,
};
use super::{Fault, Places, RegistryFile};
use crate::errors::CliError;
use crate::values;

/// What instants in the file mean.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dates {
    /// Instants and days only: what was reviewed means the same whenever it is applied.
    Fixed,
    /// Also times from now; an agent that says none is valid for as long as this.
    FromNow(Timestamp, Duration),
}

/// What no broker takes for an enumerated word.
const NO_WORD: i32 = -1;

pub(super) fn read(form: File, text: &str, dates: Dates) -> RegistryFile {
    let File {
        owner,
        target,
        agent,
        operator,
        verifier,
    } = form;
    let mut reader = Reader {
        file: RegistryFile {
            entries: Vec::new(),
            faults: Vec::new(),
            places: Places::of(text),
        },
        entry: 0,
        dates,
    };
    for owner in owner {
        reader.owner(owner);
    }
    for target in target {
        reader.target(target);
    }
    for agent in agent {
        reader.agent(agent);
    }
    for operator in operator {
        reader.operator(operator);
    }
    for verifier in verifier {
        reader.verifier(verifier);
    }
    reader.file
}

struct Reader {
    file: RegistryFile,
    entry: usize,
    dates: Dates,
}

impl Reader {
    fn begin(&mut self, kind: &str, name: &Text, at: &Range<usize>) {
        let subject = format!("{kind} {}", name.get_ref());
        self.entry = self.file.places.entry(subject, at.start);
        let field = if kind == "target" { "uri" } else { "name" };
        self.stands(field, None, name);
    }

    fn stands<T>(&mut self, field: &str, item: Option<usize>, value: &Spanned<T>) {
        let at = value.span().start;
        self.file.places.field(field, item, at);
    }

    fn push(&mut self, entry: E) {
        self.file.entries.push(v1::Entry {
            entry: Some(entry),
            version: 0,
        });
    }

    fn fault(&mut self, field: &str, item: Option<usize>, why: &str) {
        let number = self.entry;
        let path = match item {
            Some(item) => format!("entries[{number}].{field}[{item}]"),
            None => format!("entries[{number}].{field}"),
        };
        let subject = self.file.places.subject(number);
        self.file.faults.push(Fault {
            path,
            text: format!("{subject}: {field}: {why}"),
        });
    }

    /// A value that is judged here, or nothing if it is none.
    fn judged<T>(
        &mut self,
        field: &str,
        item: Option<usize>,
        text: &Text,
        judge: impl FnOnce(&str) -> Result<T, CliError>,
    ) -> Option<T> {
        self.stands(field, item, text);
        match judge(text.get_ref()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(field, item, &error.to_string());
                None
            }
        }
    }

    fn word<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        field: &str,
        item: Option<usize>,
        text: &Text,
        wire: impl FnOnce(T) -> i32,
    ) -> i32 {
        let read = self.judged(field, item, text, |text| {
            let wrong = |error: T::Err| {
                let message = format!("`{text}`: {error}");
                CliError::new("INVALID_FIELD", message)
            };
            text.parse::<T>().map_err(wrong)
        });
        read.map_or(NO_WORD, wire)
    }

    fn ttl(&mut self, text: Option<&Text>, max: Ttl) -> Option<prost_types::Duration> {
        let text = text?;
        let read = self.judged("max_ttl", None, text, |text| values::ttl(text, max));
        Some(read.unwrap_or_default())
    }

    fn instant(&mut self, field: &str, item: Option<usize>, text: &Text) -> prost_types::Timestamp {
        let dates = self.dates;
        let read = self.judged(field, item, text, |text| match dates {
            Dates::Fixed => values::fixed_instant(text),
            Dates::FromNow(now, _) => values::valid_until(text, now),
        });
        read.unwrap_or(prost_types::Timestamp {
            seconds: -1,
            nanos: 0,
        })
    }

    fn limits(&mut self, limits: Option<Spanned<super::limits::FileLimits>>) -> Option<v1::Limits> {
        let limits = limits?;
        self.stands("limits", None, &limits);
        Some(limits.into_inner().into())
    }

    fn owner(&mut self, owner: Spanned<FileOwner>) {
        let span = owner.span();
        let FileOwner {
            name,
            contact,
            limits,
        } = owner.into_inner();
        self.begin("owner", &name, &span);
        self.stands("contact", None, &contact);
        let limits = self.limits(limits);
        self.push(E::Owner(v1::Owner {
            name: name.into_inner(),
            contact: contact.into_inner(),
            state: 0,
            limits,
        }));
    }

    fn target(&mut self, target: Spanned<FileTarget>) {
        let span = target.span();
        let FileTarget {
            uri,
            risk,
            scopes,
            token_alg,
            token_profile,
            max_ttl,
            limits,
            observe,
        } = target.into_inner();
        self.begin("target", &uri, &span);
        let risk = self.word("risk", None, &risk, |risk| {
            i32::from(match risk {
                Risk::Low => v1::Risk::Low,
                Risk::Medium => v1::Risk::Medium,
                Risk::High => v1::Risk::High,
            })
        });
        let scopes = self.target_scopes(scopes);
        let token_alg = token_alg.map_or(0, |text| {
            self.word("token_alg", None, &text, |alg| {
                i32::from(match alg {
                    TokenAlg::Es256 => v1::TokenAlg::Es256,
                    TokenAlg::EdDsa => v1::TokenAlg::Eddsa,
                })
            })
        });
        let token_profile = token_profile.map_or(0, |text| {
            self.word("token_profile", None, &text, |profile| {
                i32::from(match profile {
                    TokenProfile::OAuth => v1::TokenProfile::Oauth,
                    TokenProfile::Cloud => v1::TokenProfile::Cloud,
                })
            })
        });
        let max_ttl = self.ttl(max_ttl.as_ref(), MAX_TOKEN_TTL);
        let limits = self.limits(limits);
        let observe = observe.map(|observe| {
            let FileObserve { until, reason } = observe.into_inner();
            v1::ObserveMode {
                observe_until: Some(self.instant("observe", None, &until)),
                reason,
            }
        });
        self.push(E::Target(v1::Target {
            uri: uri.into_inner(),
            scopes,
            risk,
            token_alg,
            max_ttl,
            state: 0,
            token_profile,
            limits,
            observe,
        }));
    }

    fn target_scopes(&mut self, scopes: BTreeMap<String, Text>) -> Vec<v1::TargetScope> {
        let mut read = Vec::new();
        for (item, (name, access)) in scopes.into_iter().enumerate() {
            let access = self.word("scopes", Some(item), &access, |access| {
                i32::from(match access {
                    Access::Read => v1::Access::Read,
                    Access::Write => v1::Access::Write,
                    Access::Actuate => v1::Access::Actuate,
                })
            });
            read.push(v1::TargetScope { name, access });
        }
        read
    }

    fn agent(&mut self, agent: Spanned<FileAgent>) {
        let span = agent.span();
        let FileAgent {
            name,
            owner,
            purpose,
            stage,
            scopes,
            valid_until,
            max_ttl,
            labels,
            client_keys,
            limits,
        } = agent.into_inner();
        self.begin("agent", &name, &span);
        self.stands("owner", None, &owner);
        self.stands("purpose", None, &purpose);
        let stage = self.word("stage", None, &stage, |stage| {
            i32::from(match stage {
                Stage::ReadOnly => v1::Stage::ReadOnly,
                Stage::Bounded => v1::Stage::Bounded,
                Stage::Autonomous => v1::Stage::Autonomous,
            })
        });
        for (item, scope) in scopes.iter().enumerate() {
            self.stands("scopes", Some(item), scope);
        }
        let valid_until = match (valid_until, self.dates) {
            (Some(text), _) => Some(self.instant("valid_until", None, &text)),
            (None, Dates::Fixed) => None,
            (None, Dates::FromNow(now, validity)) => Some(values::wire_time(now.plus(validity))),
        };
        let max_ttl = self.ttl(max_ttl.as_ref(), MAX_CERTIFICATE_TTL);
        let client_keys = client_keys.into_iter().map(|key| {
            let FileClientKey { jwk, until } = key.into_inner();
            v1::ClientKey {
                jwk,
                until: Some(self.instant("client_keys", None, &until)),
                ..v1::ClientKey::default()
            }
        });
        let client_keys = client_keys.collect();
        let limits = self.limits(limits);
        self.push(E::Agent(v1::Agent {
            name: name.into_inner(),
            owner: owner.into_inner(),
            purpose: purpose.into_inner(),
            stage,
            scopes: scopes.into_iter().map(Spanned::into_inner).collect(),
            valid_until,
            max_ttl,
            labels: labels.into_iter().collect(),
            state: 0,
            created_at: None,
            client_keys,
            limits,
        }));
    }

    fn operator(&mut self, operator: Spanned<FileOperator>) {
        let span = operator.span();
        let FileOperator { name, roles } = operator.into_inner();
        self.begin("operator", &name, &span);
        let texts: Vec<String> = roles.into_iter().map(Spanned::into_inner).collect();
        let roles = values::roles(&texts).unwrap_or_else(|error| {
            self.fault("roles", None, &error.to_string());
            vec![NO_WORD]
        });
        self.push(E::Operator(v1::Operator {
            name: name.into_inner(),
            roles,
            state: 0,
        }));
    }

    fn verifier(&mut self, verifier: Spanned<FileVerifier>) {
        let span = verifier.span();
        let FileVerifier { name, targets } = verifier.into_inner();
        self.begin("verifier", &name, &span);
        self.push(E::Verifier(v1::Verifier {
            name: name.into_inner(),
            targets: targets.into_iter().map(Spanned::into_inner).collect(),
            state: 0,
        }));
    }
}
