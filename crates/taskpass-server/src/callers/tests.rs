//! What one caller takes is not taken from another.

use taskpass_core::Timestamp;
use taskpass_core::time::ManualClock;

use super::*;

const WATCH: &str = "/taskpass.v1.RevocationService/WatchRevocations";
const EXPORT: &str = "/taskpass.v1.AuditService/Export";

fn callers(room: usize, limits: CallerLimits) -> (Arc<Callers>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let room = Arc::new(Semaphore::new(room));
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
    (Arc::new(Callers::new(limits, shared, room)), clock)
}

fn agent(name: &str) -> Principal {
    Principal::from_parts("agent", name).unwrap()
}

fn reason<T>(outcome: Result<T, Error>) -> &'static str {
    outcome.map_or_else(|error| error.reason(), |_| "OK")
}

fn reached<T>(outcome: Result<T, Error>) -> LimitReached {
    match outcome.err() {
        Some(Error::LimitReached(reached)) => *reached,
        other => panic!("{other:?}"),
    }
}

const LIMITS: CallerLimits = CallerLimits {
    requests_per_second: 100,
    in_flight: 8,
    streams: 3,
    all_per_second: 1000,
};

#[test]
fn requests_at_one_time_are_a_callers_own() {
    let (callers, _) = callers(100, LIMITS);
    let (greedy, polite) = (agent("greedy"), agent("polite"));
    let places: Vec<_> = (0..8)
        .map(|_| callers.enter(&greedy, true).unwrap())
        .collect();
    let full = reached(callers.enter(&greedy, true));
    assert_eq!(full.limit, Limit::InFlightPerCaller);
    assert_eq!((full.allowed, full.used), (8, Some(8)));
    assert_eq!(full.retry_after, Some(SOON));
    assert_eq!(full.whose, "agent/greedy");
    drop(callers.enter(&polite, true).unwrap());
    drop(places);
    assert!(callers.enter(&greedy, true).is_ok());
    assert!(
        callers.lock().held.is_empty(),
        "who holds nothing is forgotten"
    );
    assert_eq!(callers.room.available_permits(), 100);
}

#[test]
fn the_pace_is_a_callers_own_and_says_when() {
    let (callers, clock) = callers(100, LIMITS);
    for _ in 0..100 {
        callers.enter(&agent("greedy"), true).unwrap();
    }
    let fast = reached(callers.enter(&agent("greedy"), true));
    assert_eq!(fast.limit, Limit::RequestsPerCaller);
    assert_eq!(fast.retry_after, Some(Duration::from_millis(10)));
    assert!(callers.enter(&agent("polite"), true).is_ok());
    clock.advance(Duration::from_millis(10));
    assert!(callers.enter(&agent("greedy"), true).is_ok());
    assert!(callers.enter(&agent("greedy"), true).is_err());
}

#[test]
fn all_together_have_a_pace_too_and_the_greedy_take_none_of_it_in_vain() {
    let limits = CallerLimits {
        all_per_second: 150,
        ..LIMITS
    };
    let (callers, clock) = callers(1000, limits);
    for _ in 0..100 {
        callers.enter(&agent("greedy"), true).unwrap();
    }
    for _ in 0..100 {
        assert!(callers.enter(&agent("greedy"), true).is_err());
    }
    for _ in 0..50 {
        callers.enter(&agent("polite"), true).unwrap();
    }
    let all = reached(callers.enter(&agent("polite"), true));
    assert_eq!((all.limit, all.allowed), (Limit::RequestsOfAll, 150));
    assert_eq!(all.whose, "all callers");
    assert!(all.retry_after.unwrap() > Duration::ZERO);
    clock.advance(Duration::from_millis(7));
    assert!(callers.enter(&agent("polite"), true).is_ok());
}

#[test]
fn a_batch_is_as_many_requests_as_it_asks() {
    let (callers, clock) = callers(100, LIMITS);
    let batch = callers.enter(&agent("a"), true).unwrap();
    let more = batch.weigh(64).unwrap();
    assert_eq!(callers.room.available_permits(), 96);
    assert_eq!(reason(batch.weigh(99)), "REQUESTS_PER_CALLER");
    clock.advance(Duration::from_secs(1));
    assert_eq!(reason(batch.weigh(96)), "IN_FLIGHT_PER_CALLER");
    assert_eq!(
        callers.room.available_permits(),
        96,
        "refused, it holds nothing"
    );
    drop(more);
    clock.advance(Duration::from_secs(1));
    assert!(batch.weigh(96).is_ok());
    assert!(batch.weigh(1).is_ok());
    drop(batch);
    assert_eq!(callers.room.available_permits(), 100);
}

/// Also if it asks for more than a second's worth: or it could never pass.
#[test]
fn a_batch_that_waited_as_long_as_it_was_told_passes() {
    for items in [60, 100, 120] {
        let (callers, clock) = callers(100, LIMITS);
        let batch = || callers.enter(&agent("a"), true)?.weigh(items).map(drop);
        batch().unwrap();
        for _ in 0..5 {
            // Who may not even send a request is told when it may: how many it brings is not known.
            clock.advance(Duration::from_millis(10));
            let wait = reached(batch()).retry_after.unwrap();
            // The clock of tests counts whole milliseconds.
            clock.advance(wait + Duration::from_millis(1));
            batch().unwrap();
        }
    }
}

#[test]
fn the_room_of_all_is_full_for_everybody_and_not_for_what_is_reserved() {
    let (callers, _) = callers(2, LIMITS);
    let _held = [
        callers.enter(&agent("a"), true).unwrap(),
        callers.enter(&agent("b"), true).unwrap(),
    ];
    assert_eq!(reason(callers.enter(&agent("c"), true)), "QUEUE_FULL");
    assert_eq!(reason(callers.enter(&agent("c"), false)), "OK");
}

#[test]
fn streams_are_shared_out_by_method() {
    let (callers, _) = callers(100, LIMITS);
    let one = || callers.stream(&agent("v"), WATCH);
    let open: Vec<_> = (0..3).map(|_| one().unwrap().unwrap()).collect();
    let full = reached(one());
    assert_eq!(full.limit, Limit::StreamsPerCaller);
    assert_eq!((full.used, full.retry_after), (Some(3), None));
    assert_eq!(reason(callers.stream(&agent("w"), WATCH)), "OK");
    let exports: Vec<_> = (0..2)
        .map(|_| callers.stream(&agent("v"), EXPORT).unwrap().unwrap())
        .collect();
    assert!(callers.stream(&agent("v"), EXPORT).is_err());
    assert!(callers.stream(&agent("v"), "/x").unwrap().is_none());
    // A body holds the place until it is gone.
    let mut bodies: Vec<_> = open
        .into_iter()
        .map(|place| {
            let body = http_body_util::Full::new(bytes::Bytes::from_static(b"x"));
            place.hold(http::Response::new(Body::new(body)))
        })
        .collect();
    assert!(one().is_err());
    bodies.pop();
    assert_eq!(reason(one()), "OK");
    drop((bodies, exports));
    assert!(callers.lock().held.is_empty());
}
