//! What wakes the tasks of an application, and that its code never runs under a lock of the library.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use crate::support::endpoints::*;
use wse::Reliable;
use wse_codecs::JsonArray;

/// Counts how often it wakes.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// 5,000 messages to absent users made 100 logins take 2.9 s instead of 0.075 s, because each event of the server woke
/// each of them.
#[tokio::test(start_paused = true)]
async fn a_message_to_an_absent_user_is_woken_by_that_user_only() {
    let server = server(&JsonArray).build();
    let users: Vec<_> = (0..200).map(|n| server.user(format!("absent {n}"))).collect();
    let text = note("hi");
    let send = |user| Box::pin(wse::User::send_reliable(user, Reliable::default(), "note", &text));
    let mut sending: Vec<_> =
        users.iter().map(|user| (send(user), Arc::<Count>::default())).collect();
    for (future, count) in &mut sending {
        let waker = Waker::from(Arc::clone(count));
        assert!(pin!(future).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    // Logins, logouts, and what unauthenticated connections do.
    for _ in 0..10 {
        let ann = device(&JsonArray, &server, "ann", "phone").await;
        ann.close();
        ann.closed().await;
        Raw::stranger(&server).await.say("{").await;
        settle().await;
    }
    let woken = |sending: &[(_, Arc<Count>)]| -> Vec<usize> {
        let counts = sending.iter().map(|(_, count)| count.get()).enumerate();
        counts.filter(|(_, count)| *count > 0).map(|(n, _)| n).collect()
    };
    assert!(woken(&sending).is_empty());
    let _came = device(&JsonArray, &server, "absent 7", "phone").await;
    settle().await;
    assert_eq!(woken(&sending), [7]);
}
