//! A server that is replaced by the next version of itself, while its clients go on.
//!
//! ```text
//! cargo run --example handover
//!
//! a server listens, and 40 clients call it without a pause
//! it was replaced
//! it was replaced
//! all clients have moved twice, and no connection was refused
//! ```
//!
//! The old process starts the new one and gives it the listening socket as its standard input. Both have the socket now, and what
//! the kernel has accepted waits in it. When the new one serves, the old one stops listening and sends its clients away, little by
//! little: each waits for its answers, and connects again. The old process ends when its last client has left. Sessions do not
//! move: each client has a new connection.
//!
//! `handover serve` is the server by itself: `kill -USR2 PID` replaces it. Behind systemd, the crate `listenfd` gives a service its
//! socket in the same form.

#[cfg(not(unix))]
fn main() {
    eprintln!("this example passes a socket to another process, as Unix does it");
}

#[cfg(unix)]
#[tokio::main]
async fn main() -> Result<(), wse::BoxError> {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => serve::run().await,
        _ => demo::run().await,
    }
}

#[cfg(unix)]
mod serve {
    use std::io;
    use std::net::TcpListener;
    use std::os::fd::{AsFd, OwnedFd};
    use std::process::Stdio;
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::process::Command;
    use tokio::signal::unix::{SignalKind, signal};
    use wse::{Accept, BoxError, Close, Drain, Hello, JsonArray, ResumeLimits, Server};

    pub async fn run() -> Result<(), BoxError> {
        let listener = inherited_or_new()?;
        let id = std::process::id();
        let server = Server::builder(JsonArray)
            .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
            // So that clients understand when they are asked to go.
            .resume(ResumeLimits::default())
            .procedure("served-by", move |_conn, ()| async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                wse::Ok(id)
            })
            .build();
        let mut replace = signal(SignalKind::user_defined2())?;
        let addr = server.listen_on(listener.try_clone()?)?;
        eprintln!("{id} serves {addr}");
        // For the process before this one.
        print!(".");
        io::Write::flush(&mut io::stdout())?;

        loop {
            replace.recv().await;
            match start_successor(listener.try_clone()?).await {
                Ok(()) => break,
                // This one goes on serving, and may be told again.
                Err(error) => eprintln!("{error}"),
            }
        }
        let drain = Drain::default().spread(Duration::from_secs(1)).close_listeners();
        server.drain(drain).await;
        server.shutdown_with(Close::new(1012, "restart"), Duration::from_secs(5)).await;
        Ok(())
    }

    /// The socket of the process before this one, or else a new one.
    fn inherited_or_new() -> io::Result<TcpListener> {
        match std::env::var_os("LISTENER") {
            Some(_) => Ok(io::stdin().as_fd().try_clone_to_owned()?.into()),
            None => TcpListener::bind("127.0.0.1:0"),
        }
    }

    /// Starts the next version, and returns when it serves.
    async fn start_successor(listener: TcpListener) -> Result<(), BoxError> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .env("LISTENER", "stdin")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut serves = child.stdout.take().ok_or("no output")?;
        // At the end of the output it has failed.
        serves.read_u8().await.map_err(|_| "the successor did not start")?;
        Ok(())
    }
}

#[cfg(unix)]
mod demo {
    use std::collections::BTreeSet;
    use std::process::Stdio;
    use std::time::Duration;

    use futures::StreamExt;
    use tokio::io::{AsyncBufReadExt, BufReader, Lines};
    use tokio::process::{ChildStderr, Command};
    use tokio_util::sync::CancellationToken;
    use wse::{Backoff, BoxError, CallError, Client, ClientEvent, JsonArray, Status};

    pub async fn run() -> Result<(), BoxError> {
        let mut first = Command::new(std::env::current_exe()?)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        // Its successors inherit it.
        let mut lines = BufReader::new(first.stderr.take().ok_or("no output")?).lines();
        let (mut id, addr) = next_server(&mut lines).await?;
        println!("a server listens, and 40 clients call it without a pause");
        let stop = CancellationToken::new();
        let clients: Vec<_> = (0..40)
            .map(|n| tokio::spawn(call_until(stop.clone(), format!("ws://{addr}"), n)))
            .collect();
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            signal("-USR2", &id).await?;
            (id, _) = next_server(&mut lines).await?;
            // All clients leave within a second.
            tokio::time::sleep(Duration::from_millis(1500)).await;
            println!("it was replaced");
        }
        first.wait().await?;
        stop.cancel();
        for client in clients {
            let servers = client.await??;
            if servers != 3 {
                return Err(format!("a client has seen {servers} servers").into());
            }
        }
        signal("-TERM", &id).await?;
        println!("all clients have moved twice, and no connection was refused");
        Ok(())
    }

    /// Calls until it is told to stop. Returns how many servers have answered.
    async fn call_until(stop: CancellationToken, url: String, n: u32) -> Result<usize, BoxError> {
        let (failed, mut failures) = tokio::sync::mpsc::unbounded_channel();
        let client = Client::builder(JsonArray, url)
            .identity(format!("user {n}"))
            .reconnect(Backoff::default())
            .on_event(move |event| {
                if let ClientEvent::Retrying { error, .. } = event {
                    let _ = failed.send(error.clone());
                }
            })
            .connect()
            .await?;
        let mut servers = BTreeSet::new();
        while !stop.is_cancelled() {
            let mut statuses = client.statuses();
            while statuses.next().await != Some(Status::Ready) {}
            match client.call::<_, u32>("served-by", &()).await {
                Ok(id) => servers.insert(id),
                // It was made while the client moved.
                Err(CallError::NotReady | CallError::Disconnected(_)) => continue,
                Err(error) => return Err(error.into()),
            };
        }
        match failures.try_recv() {
            Ok(error) => Err(format!("a client had to wait: {error}").into()),
            Err(_) => Ok(servers.len()),
        }
    }

    /// The next process that serves, and where.
    async fn next_server(
        lines: &mut Lines<BufReader<ChildStderr>>,
    ) -> Result<(String, String), BoxError> {
        let line = lines.next_line().await?.ok_or("no server")?;
        let (id, addr) = line.split_once(" serves ").ok_or(line.clone())?;
        Ok((id.to_owned(), addr.to_owned()))
    }

    async fn signal(name: &str, id: &str) -> Result<(), BoxError> {
        match Command::new("kill").args([name, id]).status().await?.success() {
            true => Ok(()),
            false => Err("the server is gone".into()),
        }
    }
}
