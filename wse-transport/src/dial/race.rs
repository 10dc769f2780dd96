//! Happy Eyeballs (RFC 8305): connects to the address of a host that answers first.
//!
//! The system's resolver waits for both families and sorts the addresses (§3, §4). This file alternates between the
//! families and races the attempts.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::sleep;

/// RFC 8305 §5: "Connection Attempt Delay", the time before the next attempt starts.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Alternates between the families, beginning with the preferred one (RFC 8305 §4).
pub(super) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let six = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == six);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut mixed = Vec::with_capacity(first.len() + second.len());
    while first.len() + second.len() > 0 {
        mixed.extend(first.next());
        mixed.extend(second.next());
    }
    mixed
}

/// Tries the addresses in order. The next attempt starts when the last one takes long, or any has failed. The first
/// connection wins, and the other attempts are dropped. If all fail, the last error is returned.
pub(super) async fn race<A, T, Fut>(addresses: Vec<A>, connect: impl Fn(A) -> Fut) -> io::Result<T>
where
    Fut: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "there is no address");
    loop {
        running.extend(waiting.next().map(&connect));
        tokio::select! {
            biased;
            outcome = running.next() => match outcome {
                Some(Ok(connection)) => return Ok(connection),
                Some(Err(error)) => failed = error,
                None => return Err(failed),
            },
            () = sleep(ATTEMPT_DELAY), if waiting.len() > 0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use tokio::time::Instant;

    use super::*;

    /// An address: when it answers, in ms, and whether with a connection.
    type Address = (u64, bool);

    /// Which address won and when, and when each was tried, in ms.
    async fn raced(addresses: &[Address]) -> (io::Result<usize>, u64, Vec<u64>, usize) {
        let start = Instant::now();
        let now = move || start.elapsed().as_millis() as u64;
        let tried = RefCell::new(Vec::new());
        let alive = Rc::new(Cell::new(0));
        let numbered: Vec<_> = addresses.iter().copied().enumerate().collect();
        let outcome = race(numbered, |(n, (ms, connects))| {
            tried.borrow_mut().push(now());
            alive.set(alive.get() + 1);
            let attempt = Attempt(Rc::clone(&alive));
            async move {
                let _attempt = attempt;
                sleep(Duration::from_millis(ms)).await;
                if connects { Ok(n) } else { Err(io::Error::other(n.to_string())) }
            }
        })
        .await;
        (outcome, now(), tried.into_inner(), alive.get())
    }

    struct Attempt(Rc<Cell<usize>>);

    impl Drop for Attempt {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_connection_wins_and_the_others_are_dropped() {
        let cases: &[(&[Address], usize, u64, &[u64])] = &[
            (&[(10, true), (0, true)], 0, 10, &[0]),
            // One that hangs costs 250 ms.
            (&[(60_000, true), (10, true), (0, true)], 1, 260, &[0, 250]),
            (&[(60_000, true), (60_000, true), (5, true)], 2, 505, &[0, 250, 500]),
            // One that fails costs nothing more.
            (&[(3, false), (10, true)], 1, 13, &[0, 3]),
            (&[(3, false), (4, false), (10, true)], 2, 17, &[0, 3, 7]),
            // An earlier attempt may still win.
            (&[(300, true), (100, true)], 0, 300, &[0, 250]),
            // Or fail, and so start the next at once.
            (&[(260, false), (60_000, true), (10, true)], 2, 270, &[0, 250, 260]),
        ];
        for (addresses, winner, when, tries) in cases {
            let (outcome, ended, tried, alive) = raced(addresses).await;
            assert_eq!(outcome.unwrap(), *winner, "{addresses:?}");
            assert_eq!((ended, tried.as_slice()), (*when, *tries), "{addresses:?}");
            assert_eq!(alive, 0, "{addresses:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_the_last_error_is_told() {
        let (outcome, ended, tried, _) = raced(&[(300, false), (10, false), (20, false)]).await;
        assert_eq!(outcome.unwrap_err().to_string(), "0");
        // The second fails at 260, the third then at 280; the first fails last, at 300.
        assert_eq!((ended, tried), (300, vec![0, 250, 260]));
        let (outcome, ended, ..) = raced(&[]).await;
        assert_eq!((outcome.unwrap_err().kind(), ended), (io::ErrorKind::NotFound, 0));
    }

    #[test]
    fn families_take_turns() {
        let parse = |text: &str| -> Vec<SocketAddr> {
            text.split_whitespace().map(|it| it.parse().unwrap()).collect()
        };
        let cases = [
            ("", ""),
            ("1.1.1.1:1 2.2.2.2:1", "1.1.1.1:1 2.2.2.2:1"),
            ("[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1", "[::1]:1 1.1.1.1:1 [::2]:1 [::3]:1"),
            ("1.1.1.1:1 2.2.2.2:1 [::1]:1 [::2]:1", "1.1.1.1:1 [::1]:1 2.2.2.2:1 [::2]:1"),
        ];
        for (given, wanted) in cases {
            assert_eq!(interleave(parse(given)), parse(wanted));
        }
    }
}
