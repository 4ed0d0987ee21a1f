//! Waiting until something holds, never longer than a bound.

use std::time::Duration;

/// How long anything may take before a test fails. Generous: a loaded machine is not a bug.
pub const PATIENCE: Duration = Duration::from_secs(20);

const STEP: Duration = Duration::from_millis(5);

/// Asks until there is an answer; panics when patience ends. `what` says what was waited for.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    match poll(PATIENCE, &mut ask) {
        Some(answer) => answer,
        None => panic!("waited {PATIENCE:?} in vain until {what}"),
    }
}

/// Asks until there is an answer or `bound` has passed.
pub(crate) fn poll<T>(bound: Duration, ask: &mut dyn FnMut() -> Option<T>) -> Option<T> {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if waited >= bound {
            return None;
        }
        std::thread::sleep(STEP);
        waited += STEP;
    }
}

/// Asks until there is an answer, in an asynchronous test; panics when patience ends.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(STEP).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("waited {PATIENCE:?} in vain until {what}"),
    }
}
