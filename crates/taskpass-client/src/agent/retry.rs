//! One more try where the broker asks for it.

use std::future::Future;
use std::time::Duration;

use tonic::{Code, Response, Status};

use crate::error::{RETRY_AFTER_REVOCATION, Refused};

/// The wait if the broker names none: a revocation covers whole seconds.
const DEFAULT_WAIT: Duration = Duration::from_secs(1);
/// No answer makes a caller wait longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Calls, and calls once more if the first answer is [`RETRY_AFTER_REVOCATION`], or a limit at which
/// the broker says that there will be room soon. Every other refusal is final here: the call may have
/// had an effect, or will not do better.
pub(super) async fn once_more<T, F>(call: impl Fn() -> F) -> Result<Response<T>, Refused>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let refused = match call().await {
        Ok(reply) => return Ok(reply),
        Err(status) => Refused::from(status),
    };
    if !refused.is(RETRY_AFTER_REVOCATION) && !is_room_soon(&refused) {
        return Err(refused);
    }
    let wait = refused.retry_after.unwrap_or(DEFAULT_WAIT);
    tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
    call().await.map_err(Refused::from)
}

/// A limit was reached, which changed nothing, and the broker named a time that is worth waiting for.
fn is_room_soon(refused: &Refused) -> bool {
    refused.code == Code::ResourceExhausted
        && refused.retry_after.is_some_and(|wait| wait <= LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn retry_after(wait: Option<Duration>) -> Status {
        let mut details = ErrorDetails::with_error_info(
            RETRY_AFTER_REVOCATION,
            "taskpass",
            [("x".into(), "y".into())],
        );
        if wait.is_some() {
            details.set_retry_info(wait);
        }
        Status::with_error_details(Code::Unavailable, "a revocation just happened", details)
    }

    fn limited(wait: Option<Duration>) -> Status {
        let mut details = ErrorDetails::with_error_info(
            "ISSUES_PER_SECOND_PER_AGENT",
            "taskpass",
            [("limit".into(), "1".into())],
        );
        if wait.is_some() {
            details.set_retry_info(wait);
        }
        Status::with_error_details(Code::ResourceExhausted, "too fast", details)
    }

    /// How often it was called, how long it waited, whether it went well in the end.
    async fn run(answers: Vec<Result<(), Status>>) -> (usize, Duration, bool) {
        let calls = Cell::new(0);
        #[expect(
            clippy::disallowed_methods,
            reason = "the runtime's paused clock is what is measured"
        )]
        let now = tokio::time::Instant::now;
        let start = now();
        let result = once_more(|| {
            let answer = answers[calls.get()].clone();
            calls.set(calls.get() + 1);
            async move { answer.map(Response::new) }
        })
        .await;
        (calls.get(), now() - start, result.is_ok())
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_the_broker_says_and_tries_once() {
        let ms = Duration::from_millis;
        for (answers, expected) in [
            (vec![Ok(())], (1, ms(0), true)),
            (
                vec![Err(retry_after(Some(ms(700)))), Ok(())],
                (2, ms(700), true),
            ),
            (vec![Err(retry_after(None)), Ok(())], (2, ms(1000), true)),
            (
                vec![Err(retry_after(Some(Duration::from_hours(1)))), Ok(())],
                (2, ms(5000), true),
            ),
            (
                vec![
                    Err(retry_after(Some(ms(5)))),
                    Err(retry_after(Some(ms(5)))),
                    Ok(()),
                ],
                (2, ms(5), false),
            ),
            (
                vec![Err(Status::unavailable("down")), Ok(())],
                (1, ms(0), false),
            ),
            (
                vec![Err(Status::permission_denied("no")), Ok(())],
                (1, ms(0), false),
            ),
            // A limit: only where there will be room soon.
            (
                vec![Err(limited(Some(ms(300)))), Ok(())],
                (2, ms(300), true),
            ),
            (
                vec![Err(limited(Some(ms(5001)))), Ok(())],
                (1, ms(0), false),
            ),
            (vec![Err(limited(None)), Ok(())], (1, ms(0), false)),
        ] {
            let (calls, waited, ok) = run(answers).await;
            // The runtime's timer rounds up to its next millisecond.
            assert!(
                waited >= expected.1 && waited <= expected.1 + ms(1),
                "{waited:?}"
            );
            assert_eq!((calls, ok), (expected.0, expected.2));
        }
    }
}
