//! Checking a token with a loaded set of rules, as a multiple of the bare signature check of the
//! same bytes under the same key.
//!
//! `cargo bench -p taskpass-bench --bench verify`; the goal is at most 1.1 for each algorithm and
//! size of the set. The machine's speed changes while this runs, so what is compared is timed in
//! turns of a few milliseconds: within a turn each is timed several times, one after the other, and
//! its quickest counts; the figure is the median of the turns' ratios. Beside it stands where the
//! rest goes: `check` is form, signature, claims and times; what `verify` adds to that is the set,
//! the clock, the locks and the counters. `note` is what counting a use adds, for an API that reports
//! uses.

#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be set up has no figure"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;
use taskpass_bench::pace::since;
use taskpass_bench::{Report, Spread};
use taskpass_core::access::TokenAlg;
use taskpass_core::revocation::Selector;
use taskpass_core::rng::SeededRng;
use taskpass_core::time::SystemClock;
use taskpass_core::ttl::CLOCK_SKEW;
use taskpass_core::{Clock, CredentialId, TaskId};
use taskpass_token::check::{self, Expect};
use taskpass_token::{Jwk, JwkSet, PublicKey, jws};
use taskpass_verify::testing::{ISSUER, NOW, World, ledger};
use taskpass_verify::uses::{Outcome, Use};
use taskpass_verify::{Settings, UseSettings, Uses, Verifier};

const TURNS: usize = 100;
const ROUNDS: usize = 5;
const CALLS: u32 = 16;
const SIZES: [u64; 3] = [10, 10_000, 1_000_000];

/// A token, and everything that checks it.
struct Case {
    world: World,
    settings: Settings,
    token: String,
    alg: TokenAlg,
}

impl Case {
    fn eddsa() -> Self {
        let world = World::new();
        Self {
            settings: world.settings(),
            token: world.token(),
            alg: TokenAlg::EdDsa,
            world,
        }
    }

    fn es256() -> Self {
        let world = World::new();
        #[expect(clippy::disallowed_methods, reason = "the signature is ring's to make")]
        let random = SystemRandom::new();
        let alg = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::generate_pkcs8(alg, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(alg, pair.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref().try_into().unwrap();
        let jwk = Jwk::new(PublicKey::P256(point));
        let header = jws::header_json(TokenAlg::Es256, jwk.id(), jws::TOKEN_TYPE);
        let input = jws::signing_input(&header, &world.claims().to_json());
        let signature = pair.sign(&random, input.as_bytes()).unwrap();
        let mut settings = world.settings();
        settings.jwks = JwkSet::from_keys([jwk]).unwrap();
        Self {
            token: jws::assemble(&input, signature.as_ref()),
            settings,
            alg: TokenAlg::Es256,
            world,
        }
    }

    /// A verifier that holds so many rules, none about the token: most of completed tasks, some of
    /// single credentials, a few of agents.
    fn loaded(&self, rules: u64) -> Verifier {
        let verifier = self.world.blank(self.settings.clone());
        let rng = SeededRng::new(7);
        let end = NOW.plus(Duration::from_mins(5));
        self.world.confirm(&verifier, 0);
        for n in 0..rules {
            let selector = match n % 100 {
                0 => Selector::Agent(format!("agent-{n}").parse().unwrap()),
                1..10 => Selector::Credential(CredentialId::generate(end, &rng)),
                _ => Selector::Task(TaskId::generate(end, &rng)),
            };
            self.world.revoke(&verifier, selector);
        }
        assert_eq!(u64::try_from(verifier.metrics().rules).unwrap(), rules);
        verifier
    }
}

/// Nanoseconds of one call.
fn time(clock: &dyn Clock, mut call: impl FnMut()) -> f64 {
    let began = clock.monotonic();
    for _ in 0..CALLS {
        call();
    }
    since(began, clock).as_secs_f64() * 1e9 / f64::from(CALLS)
}

fn measure(case: &Case, rules: u64, clock: &dyn Clock, report: Report) {
    let verifier = case.loaded(rules);
    let here = ledger();
    let parsed = jws::parse(&case.token).unwrap();
    let key = case.settings.jwks.iter().next().unwrap().clone();
    let expect = Expect {
        issuer: ISSUER,
        trust_domain: &case.settings.trust_domain,
        audience: Some(&here),
        now: NOW,
        leeway: CLOCK_SKEW,
    };
    let message = parsed.signing_input.as_bytes();
    let bare = || {
        let signature = black_box(&parsed.signature);
        key.verify(black_box(message), signature).unwrap();
    };
    let alone = || {
        let token = black_box(&case.token);
        drop(check::check(token, &case.settings.jwks, &expect).unwrap());
    };
    let whole = || {
        let token = black_box(&case.token);
        drop(verifier.verify_token(token, &here).unwrap());
    };
    let known = verifier.verify_token(&case.token, &here).unwrap();
    let again = || verifier.recheck_token(black_box(&known)).unwrap();
    // What the report of uses adds to a request.
    let uses = Uses::new(verifier.clone(), UseSettings::default());
    let scope = known.scopes().first();
    let noted = || {
        let what = Use {
            scope,
            action: Some("GET /invoices"),
            resource: None,
            outcome: Outcome::Allowed,
        };
        uses.note(black_box(&known), &what);
    };
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let [mut signed, mut read, mut full, mut rechecked, mut counted] = [f64::INFINITY; 5];
        // In either order: what runs before something has a share in its time.
        for _ in 0..ROUNDS {
            signed = signed.min(time(clock, bare));
            read = read.min(time(clock, alone));
            full = full.min(time(clock, whole));
            rechecked = rechecked.min(time(clock, again));
            counted = counted.min(time(clock, noted));
            full = full.min(time(clock, whole));
            read = read.min(time(clock, alone));
            signed = signed.min(time(clock, bare));
        }
        turns.push([signed, read, full, rechecked, counted]);
    }
    let median = |of: fn(&[f64; 5]) -> f64| Spread::of(turns.iter().map(of)).p50();
    report.line(
        &format!("verify, {}, {rules} rules", case.alg),
        &[
            ("ratio", json!(median(|[bare, _, whole, ..]| whole / bare))),
            (
                "check_ratio",
                json!(median(|[bare, check, ..]| check / bare)),
            ),
            ("bare_us", json!(median(|[bare, ..]| bare / 1e3))),
            ("verify_us", json!(median(|[_, _, whole, ..]| whole / 1e3))),
            (
                "recheck_us",
                json!(median(|[_, _, _, again, _]| again / 1e3)),
            ),
            ("note_us", json!(median(|[.., noted]| noted / 1e3))),
        ],
    );
}

fn main() {
    let report = Report::from_args(std::env::args());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    for case in [Case::es256(), Case::eddsa()] {
        for rules in SIZES {
            measure(&case, rules, &*clock, report);
        }
    }
}
