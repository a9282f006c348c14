//! Several ways to the same end, of which the first that leads there is taken (RFC 8305).

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

/// How long an attempt is waited for before the next one begins beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Begins one attempt after the other, the next one when those before have failed or have had their head start. Returns
/// the first success, or all failures in the order of the attempts.
pub(crate) async fn race<T, E, F>(attempts: impl IntoIterator<Item = F>) -> Result<T, Vec<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = attempts.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut failed = Vec::new();
    let mut next = waiting.next();
    // None: at once, without the tick of up to a millisecond that a sleep takes.
    let mut begin = None;
    loop {
        let turn = async {
            if let Some(begin) = begin {
                sleep_until(begin).await;
            }
        };
        tokio::select! {
            biased;
            Some((number, ended)) = running.next() => match ended {
                Ok(success) => return Ok(success),
                Err(error) => {
                    failed.push((number, error));
                    begin = None;
                }
            },
            () = turn, if next.is_some() => {
                if let Some((number, attempt)) = next.take() {
                    running.push(async move { (number, attempt.await) });
                }
                next = waiting.next();
                begin = Some(Instant::now() + HEAD_START);
            }
            else => break,
        }
    }
    failed.sort_by_key(|(number, _)| *number);
    Err(failed.into_iter().map(|(_, error)| error).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Runs attempts that take so many milliseconds and succeed or not. Returns the winner, when each began, and how long
    /// it took.
    async fn run(attempts: &[(u64, bool)]) -> (Result<usize, Vec<usize>>, Vec<u128>, u128) {
        let (start, begun) = (Instant::now(), RefCell::new(Vec::new()));
        let begun_here = &begun;
        let attempts = attempts.iter().enumerate().map(|(number, (took, succeeds))| async move {
            begun_here.borrow_mut().push(start.elapsed().as_millis());
            tokio::time::sleep(Duration::from_millis(*took)).await;
            if *succeeds { Ok(number) } else { Err(number) }
        });
        let ended = race(attempts).await;
        let took = start.elapsed().as_millis();
        (ended, begun.take(), took)
    }

    /// A runtime without a clock panics at each sleep.
    #[test]
    fn what_needs_no_wait_has_none() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let attempts =
            [false, true, true].map(|succeeds| async move { if succeeds { Ok(()) } else { Err(()) } });
        assert_eq!(runtime.block_on(race(attempts)), Ok(()));
    }

    /// Time stands still but for the sleeps.
    #[tokio::test(start_paused = true)]
    async fn the_first_that_leads_there_is_taken() {
        assert_eq!(run(&[]).await, (Err(vec![]), vec![], 0));
        assert_eq!(run(&[(100, true), (1, true)]).await, (Ok(0), vec![0], 100));
        // One that takes for ever costs the next one its head start only.
        assert_eq!(run(&[(5000, false), (10, true)]).await, (Ok(1), vec![0, 250], 260));
        // One that fails costs no more than that.
        assert_eq!(run(&[(10, false), (10, true)]).await, (Ok(1), vec![0, 10], 20));
        // One that is slow may still be the first.
        assert_eq!(run(&[(300, true), (100, true)]).await, (Ok(0), vec![0, 250], 300));
        assert_eq!(
            run(&[(400, false), (10, false), (10, false)]).await,
            (Err(vec![0, 1, 2]), vec![0, 250, 260], 400)
        );
    }
}
