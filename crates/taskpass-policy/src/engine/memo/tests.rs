use std::cell::Cell;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use taskpass_core::access::{Access, Risk, Stage};
use taskpass_core::registry::{Observe, State};
use taskpass_core::rng::SeededRng;
use taskpass_core::ttl::MAX_TOKEN_TTL;
use taskpass_core::{Timestamp, Ttl};

use arc_swap::ArcSwap;

use super::super::{Engine, InForce, describe};
use super::*;
use crate::set::PolicySet;
use crate::testing::{NOW, World, decision, ledger, mail, scopes, set, task};

/// Everything that a request says, to be changed.
struct Asked {
    world: World,
    ask: Ask,
    depth: usize,
    ttl: Ttl,
    attestation: &'static str,
    now: Timestamp,
}

impl Asked {
    fn new() -> Self {
        Self {
            world: World::new(),
            ask: scopes([ledger(Access::Read), mail(Access::Write)]),
            depth: 0,
            ttl: Ttl::from_mins(5),
            attestation: "mtls",
            now: NOW,
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            depth: self.depth,
            ttl: self.ttl,
            attestation: self.attestation,
            now: self.now,
            ..self.world.request(self.ask.clone())
        }
    }
}

fn after(ms: u64) -> Timestamp {
    NOW.plus(Duration::from_millis(ms))
}

fn until(ms: u64) -> Observe {
    Observe {
        until: after(ms),
        reason: "trial".into(),
    }
}

fn other_task() -> TaskId {
    TaskId::generate(Timestamp::from_secs(1_700_003_600), &SeededRng::new(9))
}

fn lasting(ms: u64) -> Ttl {
    Ttl::new(Duration::from_millis(ms), MAX_TOKEN_TTL).unwrap()
}

/// Works it out, with nothing kept.
fn evaluate(set: &PolicySet, request: &Request<'_>) -> Answered {
    let described = describe(set, request);
    described.map_or_else(
        |_| Answered::failed(),
        |entities| super::super::evaluate(set, &entities, request),
    )
}

/// The memo's answer, and whether it was worked out, and the rows described.
fn asked_of(memo: &Memo, set: &PolicySet, request: &Request<'_>) -> (Answered, bool, bool) {
    let (described, evaluated) = (Cell::new(false), Cell::new(false));
    let describing = || {
        described.set(true);
        describe(set, request)
    };
    let evaluating = |entities: &Entities| {
        evaluated.set(true);
        super::super::evaluate(set, entities, request)
    };
    let answered = memo.answer(request, describing, evaluating);
    ((*answered).clone(), evaluated.get(), described.get())
}

type Change = fn(&mut Asked);

/// After each of these, and what was before it, policies may answer differently.
const SEEN: [Change; 30] = [
    |a| a.world.agent.version += 1,
    |a| a.world.agent.value.name = "other".parse().unwrap(),
    |a| a.world.agent.value.stage = Stage::ReadOnly,
    |a| a.world.agent.value.scopes = [ledger(Access::Read)].into(),
    |a| a.world.agent.value.state = State::Suspended,
    |a| a.world.agent.value.labels.clear(),
    |a| a.world.agent.value.valid_until = a.now,
    |a| a.world.owner.as_mut().unwrap().version += 1,
    |a| a.world.owner.as_mut().unwrap().value.state = State::Retired,
    |a| a.world.owner = None,
    |a| a.world.ledger.version += 1,
    |a| a.world.ledger.value.risk = Risk::High,
    |a| a.world.ledger.value.state = State::Suspended,
    |a| a.world.ledger.value.scopes.clear(),
    |a| a.world.mail.value.observe = Some(until(1)),
    |a| a.world.mail.value.observe = Some(until(40_000)),
    |a| a.world.delegating_from = Some("planner".parse().unwrap()),
    |a| a.world.delegating_from = Some("invoice-bot".parse().unwrap()),
    |a| a.world.purpose = String::new(),
    |a| a.world.purpose = "pay".into(),
    |a| a.ask = scopes([ledger(Access::Read)]),
    |a| a.ask = scopes([mail(Access::Actuate), ledger(Access::Read)]),
    |a| a.ask = scopes([]),
    |a| a.ask = Ask::Certificate,
    |a| a.ask = Ask::Svid,
    |a| a.depth += 1,
    |a| a.ttl = lasting(299_000),
    |a| a.attestation = "unix",
    // The next minute, and the next day.
    |a| a.now = after(40_000),
    |a| a.now = after(86_400_000),
];

/// These no policy can see.
const UNSEEN: [Change; 5] = [
    |a| a.now = after(39_999),
    |a| a.now = after(1),
    |a| a.ttl = lasting(299_001),
    |a| a.world.purpose = format!("  {}\n", a.world.purpose.trim()),
    |a| a.world.task = Some(other_task()),
];

/// What makes a request what it was.
const BACK: [Change; 6] = [
    |a| *a = Asked::new(),
    |a| a.world = World::new(),
    |a| a.world.task = Some(task()),
    |a| a.world.agent.value.valid_until = after(1),
    |a| a.now = NOW,
    |a| a.ask = Asked::new().ask,
];

/// Whether what is asked after `change` is worked out anew, and its rows are described anew.
fn anew(prepare: Change, change: Change) -> (bool, bool) {
    anew_for(Reads::ALL, prepare, change)
}

fn anew_for(reads: Reads, prepare: Change, change: Change) -> (bool, bool) {
    let memo = Memo::new(64, reads);
    let set = PolicySet::shipped().unwrap();
    let mut asked = Asked::new();
    prepare(&mut asked);
    asked_of(&memo, &set, &asked.request());
    change(&mut asked);
    let request = asked.request();
    let (found, evaluated, described) = asked_of(&memo, &set, &request);
    assert_eq!(found, evaluate(&set, &request));
    (evaluated, described)
}

#[test]
fn what_differs_in_anything_that_is_seen_is_worked_out_anew() {
    // What the entities are not made of: purpose, depth, lifetime, attestation, minute.
    let terms = [18, 19, 25, 26, 27, 28, 29];
    for (index, change) in SEEN.into_iter().enumerate() {
        let (evaluated, described) = anew(|_| {}, change);
        let failed = [9, 13, 16, 17, 23, 24].contains(&index);
        assert!(evaluated || failed, "{index}");
        assert_eq!(described, !terms.contains(&index), "{index}");
    }
    let of_task: Change = |a| {
        a.ask = Ask::Certificate;
        a.world.task = Some(task());
    };
    let another: Change = |a| a.world.task = Some(other_task());
    assert_eq!(anew(of_task, another), (true, true), "the task matters");
    let ending: Change = |a| a.world.agent.value.valid_until = after(1);
    assert_eq!(anew(ending, |a| a.now = after(1)), (true, true), "it ended");
    let observed: Change = |a| a.world.mail.value.observe = Some(until(1));
    assert_eq!(anew(observed, |a| a.now = after(1)), (true, false));
}

#[test]
fn the_same_is_worked_out_once() {
    assert_eq!(anew(|_| {}, |_| {}), (false, false));
    for (index, change) in UNSEEN.into_iter().enumerate() {
        assert_eq!(anew(|_| {}, change), (false, false), "{index}");
    }
}

#[test]
fn what_no_policy_reads_is_no_other_request() {
    let reads = PolicySet::shipped().unwrap().agents_read();
    assert!(reads.purpose && !reads.ttl && !reads.time, "{reads:?}");
    let later: Change = |a| a.now = after(60_000);
    let shorter: Change = |a| a.ttl = Ttl::from_mins(1);
    for change in [later, shorter] {
        assert_eq!(anew_for(reads, |_| {}, change), (false, false));
        assert_eq!(anew(|_| {}, change), (true, false));
    }
    let observed: Change = |a| a.world.mail.value.observe = Some(until(60_000));
    assert_eq!(anew_for(reads, observed, later), (true, false), "it ended");
}

#[test]
fn what_failed_is_not_kept() {
    let broken = set(
        "@id(\"broken\") forbid (principal is Agent, action, resource)
        when { context.time + 9223372036854775807 > 0 };",
    );
    let (memo, asked) = (Memo::new(1, broken.agents_read()), Asked::new());
    for _ in 0..2 {
        let (answered, evaluated, _) = asked_of(&memo, &broken, &asked.request());
        assert!(answered.errored && evaluated);
    }
    let mut unowned = Asked::new();
    unowned.world.owner = None;
    for _ in 0..2 {
        let (answered, _, described) = asked_of(&memo, &broken, &unowned.request());
        assert!(answered.errored && described);
    }
}

#[test]
fn a_later_answer_takes_the_place_of_an_earlier_one() {
    let set = PolicySet::shipped().unwrap();
    for places in [0, 1] {
        let memo = Memo::new(places, set.agents_read());
        let mut asked = Asked::new();
        for depth in [0, 1, 0, 1, 0, 1] {
            asked.depth = depth;
            let (_, evaluated, _) = asked_of(&memo, &set, &asked.request());
            assert!(evaluated, "{places}");
        }
    }
}

/// The shipped one; one in which most of what a request says matters; one that fails at times.
static SETS: LazyLock<[Arc<PolicySet>; 3]> = LazyLock::new(|| {
    let fine = r#"
        @id("now") permit (principal is Agent, action, resource is Scope)
        when { context.time == 28333333 && context.ttl_seconds == 300 };
        @id("deep") forbid (principal is Agent, action, resource) when { context.depth > 1 };
        @id("labelled") permit (principal is Agent, action == Action::"read", resource)
        when { principal.hasTag("env") && context.attestation == "mtls" };
        @id("tasks") permit (principal is Agent, action, resource is Task)
        when { context.purpose == "pay" || resource.agent == Agent::"planner" };
        @id("risky") forbid (principal is Agent, action, resource is Scope)
        when { context.risk == Risk::"high" && context.stage == Stage::"read-only" };"#;
    let fails = r#"
        @id("broad") permit (principal is Agent, action, resource);
        @id("later") forbid (principal is Agent, action, resource)
        when { context.time > 28333333 && context.time + 9223372036854775807 > 0 };"#;
    let sets = [PolicySet::shipped().unwrap(), set(fine), set(fails)];
    sets.map(Arc::new)
});

fn in_force(set: usize, places: usize) -> InForce {
    InForce {
        set: Arc::clone(&SETS[set]),
        memo: Memo::new(places, SETS[set].agents_read()),
    }
}

fn check(places: usize, steps: &[(usize, bool)]) -> Result<(), TestCaseError> {
    let changes: Vec<Change> = [&SEEN[..], &UNSEEN[..], &BACK[..]].concat();
    let engine = Engine {
        current: ArcSwap::from_pointee(in_force(0, places)),
    };
    let mut asked = Asked::new();
    let mut force = 0;
    for (step, twice) in steps {
        match changes.get(*step) {
            // It has no owner to change.
            Some(_) if asked.world.owner.is_none() && (7..9).contains(step) => {}
            Some(change) => change(&mut asked),
            None => {
                force = step % SETS.len();
                engine.current.store(Arc::new(in_force(force, places)));
            }
        }
        for _ in 0..=usize::from(*twice) {
            let request = asked.request();
            let expected = evaluate(&SETS[force], &request);
            let (allowed, basis) = match engine.decide(decision(), &request) {
                Ok(grant) => {
                    prop_assert_eq!(grant.ask(), &request.ask);
                    prop_assert_eq!(grant.read(), request.read());
                    prop_assert_eq!(grant.agent(), &request.agent.value.name);
                    (true, grant.basis().clone())
                }
                Err(denial) => {
                    prop_assert_eq!(denial.errored, expected.errored);
                    prop_assert_eq!(&denial.allowed, &expected.scopes);
                    (false, denial.basis)
                }
            };
            prop_assert_eq!(allowed, expected.allowed);
            prop_assert_eq!(&basis.policies, &expected.policies);
            prop_assert_eq!(basis.would_deny, expected.would_deny);
            prop_assert_eq!(basis.policy_set, SETS[force].hash());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn a_memo_is_never_noticed(
        places in 1_usize..6,
        steps in vec((0_usize..44, any::<bool>()), 1..60),
    ) {
        check(places, &steps)?;
    }
}
