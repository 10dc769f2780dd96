//! Reliable messages through closes, evictions, shutdowns and restarts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use wse::{
    Accept, Backoff, Client, Close, DuplicateWindows, Hello, JsonArray, Reliable, Server, memory,
};

use crate::Result;

/// The users that send at once, each a share of the messages.
const USERS: u64 = 8;

/// How many messages of a user are under way at once.
const WINDOW: u64 = 64;

/// The servers, of which the last one is in use.
type Current = Arc<Mutex<Server<JsonArray>>>;
type Handled = Arc<Mutex<HashMap<u64, u32>>>;

pub(crate) async fn run(messages: u64) -> Result {
    let handled = Handled::default();
    let windows = DuplicateWindows::default();
    let current: Current = Arc::new(Mutex::new(server(&windows, &handled)));
    let trouble = tokio::spawn(trouble(Arc::clone(&current), windows, Arc::clone(&handled)));
    let mut users = JoinSet::new();
    for user in 0..USERS {
        let share = messages / USERS;
        users.spawn(send(Arc::clone(&current), user, user * share..(user + 1) * share));
    }
    let mut acknowledged = Vec::new();
    for outcome in users.join_all().await {
        acknowledged.extend(outcome?);
    }
    trouble.abort();
    let server = current.lock().map_err(|_| "a thread panicked")?.clone();
    server.shutdown(Duration::from_secs(10)).await;
    let handled = handled.lock().map_err(|_| "a thread panicked")?;
    let lost = acknowledged.iter().filter(|it| !handled.contains_key(it)).count();
    let twice = handled.values().filter(|it| **it > 1).count();
    println!("sent {messages}, acknowledged {}, handled {}", acknowledged.len(), handled.len());
    println!("acknowledged and not handled: {lost}; handled twice: {twice}");
    match (lost, twice) {
        (0, 0) if acknowledged.len() as u64 == messages / USERS * USERS => Ok(()),
        (0, 0) => Err("some were never acknowledged".into()),
        _ => Err("a promise is broken".into()),
    }
}

fn server(windows: &DuplicateWindows, handled: &Handled) -> Server<JsonArray> {
    let handled = Arc::clone(handled);
    Server::builder(JsonArray)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .duplicate_windows(windows.clone())
        .on("count", move |_, n: u64| {
            let handled = Arc::clone(&handled);
            async move {
                if n.is_multiple_of(3) {
                    tokio::task::yield_now().await;
                }
                *handled.lock().expect("no thread panics").entry(n).or_default() += 1;
            }
        })
        .build()
}

/// Sends these messages as a user, a window of them at once. Returns those with a receipt.
async fn send(current: Current, user: u64, numbers: std::ops::Range<u64>) -> Result<Vec<u64>> {
    let connector = {
        let current = Arc::clone(&current);
        Newest(move || current.lock().expect("no thread panics").clone())
    };
    let backoff = Backoff::default().base(Duration::from_millis(10)).cap(Duration::from_millis(20));
    let client = Client::builder(JsonArray, memory::URL)
        .connector(connector)
        .identity(format!("user {user}"))
        .reconnect(backoff)
        // A client that was evicted comes back too.
        .reconnect_when(|_| true)
        .retry_first(true)
        .connect()
        .await?;
    let options = Reliable::default()
        .receipt_timeout(Duration::from_millis(500))
        .give_up_after(Duration::from_secs(60));
    let mut acknowledged = Vec::new();
    let mut sending = JoinSet::new();
    for n in numbers {
        if sending.len() as u64 == WINDOW {
            acknowledged.extend(sending.join_next().await.transpose()?.flatten());
        }
        let client = client.clone();
        sending.spawn(async move {
            client.send_reliable(options, "count", &n).await.is_ok().then_some(n)
        });
    }
    acknowledged.extend(sending.join_all().await.into_iter().flatten());
    Ok(acknowledged)
}

/// Closes, evicts, stops and replaces, one after the other.
async fn trouble(current: Current, windows: DuplicateWindows, handled: Handled) {
    for turn in 0_u64.. {
        tokio::time::sleep(Duration::from_millis(15)).await;
        let now = current.lock().expect("no thread panics").clone();
        let mut connections = now.connections();
        if connections.is_empty() {
            continue;
        }
        let conn = connections.swap_remove(turn as usize % connections.len());
        match turn % 20 {
            19 => {
                // The new one serves while the old one still stops.
                let next = server(&windows, &handled);
                *current.lock().expect("no thread panics") = next;
                let grace = Duration::from_millis(turn % 7 * 10);
                now.shutdown_with(Close::new(1012, "restart"), grace).await;
            }
            n if n % 3 == 0 => conn.close(Close::new(1012, "again")),
            n if n % 3 == 1 => conn.close_after_answers(Close::new(1012, "again")),
            _ => {
                let other = Client::builder(JsonArray, memory::URL)
                    .connector(memory::connector(&now))
                    .identity(conn.user_id().to_owned())
                    .connect()
                    .await;
                drop(other);
            }
        }
    }
}

/// Connects to the server in use.
struct Newest<F>(F);

#[async_trait::async_trait]
impl<F: Fn() -> Server<JsonArray> + Send + Sync + 'static> wse::Connector for Newest<F> {
    async fn connect(&self, host: &str, port: u16) -> std::io::Result<Box<dyn wse::Transport>> {
        memory::connector(&(self.0)()).connect(host, port).await
    }
}
