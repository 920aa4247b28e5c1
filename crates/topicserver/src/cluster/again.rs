//! Asking once more, while the answer to the first question is still awaited.
//!
//! A server that ends leaves what it has in process without an answer. The next one answers.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

/// The answer to the first question, or to the second, which asks the same and begins to when the
/// first has had no answer for so long. What isn't `useful` as an answer to the second says nothing
/// of the first: that is awaited then.
pub(super) async fn once_more<T>(
    after: Duration,
    first: impl Future<Output = T>,
    second: impl Future<Output = T>,
    useful: impl Fn(&T) -> bool,
) -> T {
    let mut first = pin!(first);
    if let Ok(answer) = timeout(after, &mut first).await {
        return answer;
    }
    let again = tokio::select! {
        biased;
        answer = &mut first => return answer,
        answer = second => answer,
    };
    match useful(&again) {
        true => again,
        false => first.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, sleep};

    const AFTER: Duration = Duration::from_millis(300);

    /// Answers after so many milliseconds.
    async fn after(millis: u64, answer: &str) -> &str {
        sleep(Duration::from_millis(millis)).await;
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_useful_answer_counts() {
        let useful = |answer: &&str| *answer != "in process";
        for (first, second, expected, millis) in [
            // Nobody asks twice who is answered soon.
            ((299, "one"), (0, "two"), "one", 299),
            ((2000, "late"), (5, "two"), "two", 305),
            ((400, "one"), (200, "two"), "one", 400),
            ((900, "one"), (5, "in process"), "one", 900),
            ((2000, "late"), (1700, "late"), "late", 2000),
        ] {
            let began = Instant::now();
            let (first, second) = (after(first.0, first.1), after(second.0, second.1));
            assert_eq!(once_more(AFTER, first, second, useful).await, expected);
            assert_eq!(began.elapsed(), Duration::from_millis(millis));
        }
    }
}
