//! What is asked of what an agent holds and does: scopes, lives, binding, refusals.

use super::{Found, Subject, judged, percent};
use crate::readiness::Outcome;
use crate::sheet::span;

/// Permitted scopes, and what is known of their use.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    permitted: u64,
    used: u64,
    unknown: u64,
}

impl Use {
    /// How that is against a share of so many in a hundred, and the share, as far as it is known.
    fn judged(self, asked: u64) -> (Outcome, Option<u64>) {
        let least = percent(self.used, self.permitted);
        let most = percent(self.used + self.unknown, self.permitted);
        match (least, most) {
            (Some(least), _) if least >= asked => (Outcome::Pass, Some(least)),
            (_, Some(most)) if most < asked => (Outcome::Fail, least),
            _ => (Outcome::Unknown, None),
        }
    }
}

impl Subject<'_> {
    /// Scopes of whose use nothing is known may have been used or not: it passes if it does without them,
    /// and fails if it does with all of them.
    pub(super) fn least_privilege(&self) -> Found {
        let mut of = Use::default();
        for row in &self.least.rows {
            if row.agent != self.agent.name || !row.permitted {
                continue;
            }
            of.permitted += 1;
            // What it handed on is used by agents beneath, and asked of it.
            match row.was_used() {
                Some(true) => of.used += 1,
                Some(false) if self.is_covered(&row.scope) => {}
                Some(false) | None => of.unknown += 1,
            }
        }
        let asked = self.asks.used_min_percent;
        let (outcome, measured) = of.judged(asked);
        Found {
            asks: format!("{asked} in 100 permitted scopes are used"),
            measured,
            unit: "used in 100 permitted scopes, at least",
            rests_on: format!(
                "{} of {} permitted scopes used, of {} it is not known; {}",
                of.used, of.permitted, of.unknown, self.least.coverage.says
            ),
            to_do: match outcome {
                Outcome::Unknown if of.permitted == 0 => {
                    "it may have nothing now: its registration, or a policy"
                }
                Outcome::Unknown => "let the verifiers of its targets report use (docs/REPORTS.md)",
                _ => {
                    "take away what it does not use: `taskpass report least-privilege --agent NAME \
                     --suggest FILE`"
                }
            }
            .to_owned(),
            outcome,
        }
    }

    /// Whether everything is known of the use of a scope's target, over the whole period: what was not seen
    /// since yesterday was not unused before.
    fn is_covered(&self, scope: &str) -> bool {
        let target = scope.split_once('#').map_or("", |(target, _)| target);
        let covered = self.least.coverage.target(target);
        covered.is_some_and(|covered| covered.whole_period)
    }

    pub(super) fn ttl(&self) -> Found {
        let asks = self.asks;
        let (mut token, mut certificate, mut issued) = (None, None, 0_u64);
        let own = self.facts.lives().filter(|life| {
            *life.issued.agent == *self.agent.name && self.facts.period().has(life.issued.issued_at)
        });
        for life in own {
            issued += 1;
            let lives = life.issued.expires_at.secs();
            let lives = Some(lives.saturating_sub(life.issued.issued_at.secs()));
            match &*life.issued.kind {
                "certificate" => certificate = certificate.max(lives),
                _ => token = token.max(lives),
            }
        }
        let of = |life: Option<u64>, cap: u64| {
            let life = life?;
            Some(percent(life, cap).unwrap_or(u64::MAX))
        };
        let share =
            of(token, asks.token_ttl_max_s).max(of(certificate, asks.certificate_ttl_max_s));
        let good = token.is_none_or(|life| life <= asks.token_ttl_max_s)
            && certificate.is_none_or(|life| life <= asks.certificate_ttl_max_s);
        let said = |life: Option<u64>| life.map_or_else(|| "none".to_owned(), span);
        Found {
            asks: format!(
                "tokens of at most {}, certificates of at most {}",
                span(asks.token_ttl_max_s),
                span(asks.certificate_ttl_max_s)
            ),
            measured: share,
            unit: "the longest life in 100 of its cap",
            rests_on: format!(
                "{issued} credentials of the period; longest token: {}, longest certificate: {}",
                said(token),
                said(certificate)
            ),
            outcome: if issued == 0 {
                Outcome::Unknown
            } else {
                judged(good)
            },
            to_do: if issued == 0 {
                "let it work: nothing was issued to it in the period"
            } else {
                "cap it: `taskpass agent update NAME --max-ttl …`, or its targets' --max-ttl"
            }
            .to_owned(),
        }
    }

    pub(super) fn bound_tokens(&self) -> Found {
        let asked = self.asks.bound_min_percent;
        let (bound, tokens) = self
            .seen()
            .map_or((0, 0), |seen| (seen.bound_tokens, seen.tokens));
        let share = percent(bound, tokens);
        Found {
            asks: format!("{asked} in 100 tokens are bound to a certificate"),
            measured: share,
            unit: "bound in 100 tokens",
            rests_on: format!("{bound} of {tokens} tokens of the period"),
            outcome: share.map_or(Outcome::Unknown, |share| judged(share >= asked)),
            to_do: if tokens == 0 {
                "let it work: no token was issued to it in the period"
            } else {
                "let it bind its tokens: `taskpass run`, or issue with --bind-cert"
            }
            .to_owned(),
        }
    }

    pub(super) fn denials(&self) -> Found {
        let asked = self.asks.denials_max_percent;
        let (denied, requests) = self.requests();
        // Not cut off in the agent's favour.
        let good = u128::from(denied) * 100 <= u128::from(requests) * u128::from(asked);
        Found {
            asks: format!("at most {asked} in 100 requests refused"),
            measured: percent(denied, requests),
            unit: "refused in 100 requests",
            rests_on: format!("{denied} refusals among {requests} requests of the period"),
            outcome: if requests == 0 {
                Outcome::Unknown
            } else {
                judged(good)
            },
            to_do: if requests == 0 {
                "let it work: it asked for nothing in the period"
            } else {
                "see what it was refused: `taskpass audit query --agent NAME --outcome deny`"
            }
            .to_owned(),
        }
    }

    pub(super) fn would_deny(&self) -> Found {
        let asked = self.asks.would_deny_max;
        let (_, requests) = self.requests();
        let found = self.seen().map_or(0, |seen| seen.would_deny);
        Found {
            asks: format!("at most {asked} requests allowed only because a target is observed"),
            measured: (requests > 0).then_some(found),
            unit: "requests that policies would deny",
            rests_on: format!("{found} of {requests} requests of the period"),
            outcome: if requests == 0 {
                Outcome::Unknown
            } else {
                judged(found <= asked)
            },
            to_do: if requests == 0 {
                "let it work: it asked for nothing in the period"
            } else {
                "permit it by a policy, or let it do without; then enforce the target"
            }
            .to_owned(),
        }
    }

    /// How many requests were refused, and how many there were.
    fn requests(&self) -> (u64, u64) {
        self.seen().map_or((0, 0), |seen| {
            let allowed = [seen.tasks, seen.tokens, seen.certificates];
            let all = allowed.into_iter().fold(seen.denials, u64::saturating_add);
            (seen.denials, all)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_counts_neither_way() {
        let of = |used, unknown, permitted| Use {
            permitted,
            used,
            unknown,
        };
        for (known, expected) in [
            (of(2, 0, 4), (Outcome::Pass, Some(50))),
            (of(1, 0, 4), (Outcome::Fail, Some(25))),
            // Enough without those that are not known; too little with all of them.
            (of(2, 2, 4), (Outcome::Pass, Some(50))),
            (of(1, 1, 5), (Outcome::Fail, Some(20))),
            (of(1, 1, 4), (Outcome::Unknown, None)),
            (of(0, 4, 4), (Outcome::Unknown, None)),
            (of(0, 0, 0), (Outcome::Unknown, None)),
        ] {
            assert_eq!(known.judged(50), expected, "{known:?}");
        }
    }
}
