//! Renewing against answers that a test gives, in paused time.

use std::collections::VecDeque;
use std::sync::Mutex;

use taskpass_api::v1;
use taskpass_core::CredentialId;
use taskpass_core::rng::SeededRng;
use tonic::{Code, Status};

use super::run::{Taken, start};
use super::*;
use crate::error::Refused;

const START: u64 = 1_700_000_000;

/// The wall clock of the paused runtime.
#[derive(Debug)]
struct Paused(tokio::time::Instant, Mutex<Duration>);

impl Paused {
    #[expect(
        clippy::disallowed_methods,
        reason = "the paused clock is the time here"
    )]
    fn new() -> Self {
        Self(tokio::time::Instant::now(), Mutex::default())
    }

    /// The machine sleeps: time goes by, and its timers do not know.
    fn sleep_for(&self, time: Duration) {
        *self.1.lock().unwrap() += time;
    }
}

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        let slept = *self.1.lock().unwrap();
        Timestamp::from_secs(START).plus(self.0.elapsed() + slept)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What the broker answers next: a life in seconds with scopes, or a refusal.
type Answer = Result<(u64, &'static [&'static str]), Code>;

struct Script {
    clock: Arc<Paused>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    /// What was asked for, and when (seconds from the start).
    asked: Arc<Mutex<Vec<(u64, String)>>>,
}

impl Script {
    fn new(answers: &[Answer]) -> Self {
        Self {
            clock: Arc::new(Paused::new()),
            answers: Arc::new(Mutex::new(answers.iter().copied().collect())),
            asked: Arc::default(),
        }
    }

    async fn begin(&self, deadline: u64, scopes: &[&str]) -> Result<Renewing, AgentError> {
        let wanted = Wanted::default()
            .token("https://ledger.example", scopes, None)
            .unwrap();
        let (clock, answers) = (Arc::clone(&self.clock), Arc::clone(&self.answers));
        let asked = Arc::clone(&self.asked);
        let take = move |wanted: Wanted| {
            let now = clock.now();
            let scopes: Vec<_> = wanted.tokens[0]
                .scopes
                .iter()
                .map(ToString::to_string)
                .collect();
            let asking = (now.secs() - START, scopes.join(" "));
            asked.lock().unwrap().push(asking);
            // The last answer is given again and again.
            let mut answers = answers.lock().unwrap();
            let next = if answers.len() > 1 {
                answers.pop_front()
            } else {
                answers.front().copied()
            };
            let taken = match next.unwrap() {
                Ok((life, scopes)) => Ok(token(now.plus(Duration::from_secs(life)), scopes)),
                Err(code) => Err(Refused::from(Status::new(code, "x")).into()),
            };
            std::future::ready(taken)
        };
        let deadline = Timestamp::from_secs(START + deadline);
        let rng = Arc::new(SeededRng::new(7));
        start(
            deadline,
            wanted,
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            rng,
            take,
        )
        .await
    }

    fn asked(&self) -> Vec<(u64, String)> {
        self.asked.lock().unwrap().clone()
    }

    fn now(&self) -> u64 {
        self.clock.now().secs() - START
    }
}

fn token(expires_at: Timestamp, scopes: &[&str]) -> Taken {
    let id = CredentialId::generate(expires_at, &SeededRng::new(1));
    let reply = v1::IssueTokenResponse {
        token: "t".into(),
        credential_id: id.to_string(),
        expires_at: Some(prost_types::Timestamp {
            seconds: i64::try_from(expires_at.secs()).unwrap(),
            nanos: 0,
        }),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        ..v1::IssueTokenResponse::default()
    };
    Taken {
        certificate: None,
        tokens: vec![Token::read(reply).unwrap()],
    }
}

/// Waits for the end, and says why.
async fn end(renewing: &Renewing) -> Arc<AgentError> {
    let mut newest = renewing.subscribe();
    let last = newest
        .wait_for(|newest| matches!(newest.renewal, Renewal::Ended(_)))
        .await
        .unwrap();
    match &last.renewal {
        Renewal::Ended(error) => Arc::clone(error),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn renews_at_two_thirds_until_the_task_ends() {
    let script = Script::new(&[Ok((300, &["read"]))]);
    let renewing = script.begin(1000, &["read"]).await.unwrap();
    assert_eq!(renewing.current().generation(), 1);
    let mut newest = renewing.subscribe();
    newest.changed().await.unwrap();
    assert!((180..=220).contains(&script.now()), "{}", script.now());
    assert_eq!(renewing.current().generation(), 2);
    let error = end(&renewing).await;
    assert!(matches!(*error, AgentError::Deadline));
    assert_eq!(script.now(), 1000);
    let times: Vec<_> = script.asked().iter().map(|(at, _)| *at).collect();
    assert!((5..=6).contains(&times.len()), "{times:?}");
    for pair in times.windows(2) {
        assert!((179..=221).contains(&(pair[1] - pair[0])), "{times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_ended_while_the_machine_slept_is_renewed_at_once() {
    let script = Script::new(&[Ok((300, &["read"]))]);
    let renewing = script.begin(10_000, &["read"]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    script.clock.sleep_for(Duration::from_hours(1));
    let mut newest = renewing.subscribe();
    newest.changed().await.unwrap();
    let late = script.now() - 3610;
    assert!(late <= 5, "{late}");
    // And the end of the task is its end, by whatever time it came.
    script.clock.sleep_for(Duration::from_hours(2));
    assert!(matches!(*end(&renewing).await, AgentError::Deadline));
    let late = script.now() - (3610 + 7200);
    assert!(late <= 10, "{late}");
}

#[tokio::test(start_paused = true)]
async fn what_ends_with_the_task_is_not_renewed() {
    let script = Script::new(&[Ok((300, &["read"]))]);
    let renewing = script.begin(300, &["read"]).await.unwrap();
    end(&renewing).await;
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_keeps_what_is_held_and_is_tried_again() {
    let busy = Err(Code::Unavailable);
    let good = Ok((300, &["read"][..]));
    let script = Script::new(&[good, busy, Err(Code::ResourceExhausted), busy, good]);
    let renewing = script.begin(5000, &["read"]).await.unwrap();
    let first = renewing.current();
    let mut newest = renewing.subscribe();
    for _ in 0..3 {
        newest.changed().await.unwrap();
        let seen = newest.borrow_and_update().clone();
        assert!(matches!(seen.renewal, Renewal::Failing(_)), "{seen:?}");
        assert!(Arc::ptr_eq(&seen.credentials, &first));
    }
    newest.changed().await.unwrap();
    let seen = newest.borrow_and_update().clone();
    assert!(matches!(seen.renewal, Renewal::Fresh));
    assert_eq!(seen.credentials.generation(), 2);
    // Soon enough: before what was held had ended.
    assert!(script.now() < 300, "{}", script.now());
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_stays_away_is_asked_to_the_end_but_not_in_a_loop() {
    let script = Script::new(&[Ok((300, &["read"])), Err(Code::Unavailable)]);
    let renewing = script.begin(3600, &["read"]).await.unwrap();
    assert!(matches!(*end(&renewing).await, AgentError::Deadline));
    assert_eq!(script.now(), 3600);
    let tries = script.asked().len();
    assert!((50..1000).contains(&tries), "{tries}");
    assert_eq!(renewing.current().generation(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_judgement_is_the_end() {
    for code in [
        Code::PermissionDenied,
        Code::FailedPrecondition,
        Code::NotFound,
    ] {
        let script = Script::new(&[Ok((300, &["read"])), Err(code), Ok((300, &["read"]))]);
        let renewing = script.begin(5000, &["read"]).await.unwrap();
        let AgentError::Refused(refused) = &*end(&renewing).await else {
            panic!("another error");
        };
        assert_eq!(refused.code, code);
        assert_eq!(script.asked().len(), 2);
        assert_eq!(renewing.current().generation(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_narrowed_stays_narrow_and_nothing_widens() {
    let script = Script::new(&[
        Ok((300, &["read", "write"])),
        Ok((300, &["read"])),
        Ok((300, &["read"])),
        Ok((300, &["read", "write"])),
    ]);
    let renewing = script.begin(5000, &["read", "write"]).await.unwrap();
    let error = end(&renewing).await;
    assert!(matches!(*error, AgentError::Answer { field: "scopes" }));
    let asked: Vec<_> = script
        .asked()
        .into_iter()
        .map(|(_, scopes)| scopes)
        .collect();
    assert_eq!(asked, ["read write", "read write", "read", "read"]);
    let held = renewing.current();
    let token = held.token("https://ledger.example").unwrap();
    assert_eq!(token.scopes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_refusal_is_the_callers() {
    let script = Script::new(&[Err(Code::Unavailable)]);
    assert!(script.begin(5000, &["read"]).await.is_err());
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_it_stops_renewing() {
    let script = Script::new(&[Ok((300, &["read"]))]);
    drop(script.begin(5000, &["read"]).await.unwrap());
    tokio::time::sleep(Duration::from_secs(2000)).await;
    assert_eq!(script.asked().len(), 1);
}
