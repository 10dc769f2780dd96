//! Connections that outlive their sockets: the peer comes back, and nothing is lost or doubled.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::endpoints::*;
use async_trait::async_trait;
use tokio::io::copy_bidirectional;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wse::{
    CallError, Client, ClientEvent, Conn, Connector, ResumeLimits, Resumed, SendError, SendQueue,
    Server, ServerBuilder, ServerEvent, SlowPeer, Status, Transport,
};
use wse_proto::Negotiate;
use wse_proto::session::Backoff;

crate::over_every_protocol! {
    calls_and_messages_survive_the_loss_of_a_socket
    the_server_calls_a_client_that_is_away
    the_gap_is_told_when_too_much_was_sent
    after_the_window_the_session_is_a_new_one
    the_old_socket_may_still_be_open
    what_a_slow_client_has_not_read_is_kept
    a_server_that_stops_ends_suspended_connections
    without_resume_a_connection_ends_with_its_socket
}

/// A network that can be cut.
pub struct Cable<P: Negotiate> {
    server: Server<P>,
    /// Cancelled when the client's end, and when the server's end learns of it.
    cuts: Arc<Mutex<[CancellationToken; 2]>>,
    /// Whether what passes is lost, and how many bytes are under way at most.
    stalled: watch::Sender<bool>,
    /// Whether nothing is passed on, in either direction.
    held: watch::Sender<bool>,
    width: Arc<AtomicUsize>,
    /// Whether new sockets open.
    plugged: watch::Sender<bool>,
    /// Whether nobody can connect.
    refuses: Arc<AtomicBool>,
}

impl<P: Negotiate> Cable<P> {
    pub fn new(server: &Server<P>) -> Self {
        Self {
            server: server.clone(),
            cuts: Arc::default(),
            stalled: watch::Sender::new(false),
            held: watch::Sender::new(false),
            width: Arc::new(AtomicUsize::new(64 << 10)),
            refuses: Arc::default(),
            plugged: watch::Sender::new(true),
        }
    }

    /// Ends all sockets, and lets none open until it is plugged in again.
    pub fn unplug(&self) {
        self.plugged.send_replace(false);
        self.cut();
    }

    pub fn plug(&self) {
        self.plugged.send_replace(true);
    }

    /// What passes is lost, until the next socket.
    pub fn stall(&self) {
        self.stalled.send_replace(true);
    }

    /// Nothing is passed on any more, in either direction.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Passes bytes on again.
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// From the next socket on, little is under way.
    pub fn narrow(&self) {
        self.width.store(256, Ordering::Relaxed);
    }

    /// Sets whether connecting fails from now on.
    pub fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Ends all sockets at both ends.
    pub fn cut(&self) {
        std::mem::take(&mut *self.cuts.lock().unwrap()).iter().for_each(CancellationToken::cancel);
    }

    /// Ends all sockets at the client's end only.
    pub fn lose(&self) {
        std::mem::take(&mut *self.cuts.lock().unwrap())[0].cancel();
    }
}

impl<P: Negotiate> Clone for Cable<P> {
    fn clone(&self) -> Self {
        Self {
            server: self.server.clone(),
            cuts: Arc::clone(&self.cuts),
            stalled: self.stalled.clone(),
            held: self.held.clone(),
            width: Arc::clone(&self.width),
            refuses: Arc::clone(&self.refuses),
            plugged: self.plugged.clone(),
        }
    }
}

#[async_trait]
impl<P: Negotiate> Connector for Cable<P> {
    async fn connect(&self, _host: &str, _port: u16) -> std::io::Result<Box<dyn Transport>> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        let mut plugged = self.plugged.subscribe();
        let _ = plugged.wait_for(|it| *it).await.map(drop);
        let mut far = Raw::dial(&self.server).await;
        let (near, mut middle) = tokio::io::duplex(self.width.load(Ordering::Relaxed));
        self.stalled.send_replace(false);
        let mut stalled = self.stalled.subscribe();
        let [client, server] = self.cuts.lock().unwrap().clone();
        let mut held = self.held.subscribe();
        tokio::spawn(async move {
            let copying = async {
                let losing = async {
                    let _ = stalled.wait_for(|it| *it).await;
                };
                tokio::select! {
                    biased;
                    () = losing => {}
                    copied = pass(&mut middle, &mut far, &mut held) => return copied,
                }
                let (mut here, mut there) =
                    (tokio::io::split(&mut middle), tokio::io::split(&mut far));
                let (mut one, mut two) = (tokio::io::sink(), tokio::io::sink());
                let lost = tokio::join!(
                    tokio::io::copy(&mut here.0, &mut one),
                    tokio::io::copy(&mut there.0, &mut two),
                );
                Ok((lost.0?, lost.1?))
            };
            if client.run_until_cancelled(copying).await.is_none() {
                drop(middle);
                server.cancelled().await;
            }
        });
        Ok(Box::new(near))
    }
}

/// Copies in both directions, unless it is held.
async fn pass(
    near: &mut tokio::io::DuplexStream,
    far: &mut Box<dyn Transport>,
    held: &mut watch::Receiver<bool>,
) -> std::io::Result<(u64, u64)> {
    let mut copying = pin!(copy_bidirectional(near, far));
    loop {
        let _ = held.wait_for(|held| !held).await.map(drop);
        tokio::select! {
            biased;
            _ = held.wait_for(|&held| held) => {}
            copied = &mut copying => return copied,
        }
    }
}

pub fn quick() -> Backoff {
    Backoff::default().base(ms(100)).cap(ms(100))
}

pub fn resumable<P: Talk>(log: &Log, builder: ServerBuilder<P>) -> ServerBuilder<P> {
    let seen = log.clone();
    builder.resume(ResumeLimits::default().window(secs(10))).on_event(move |event| {
        seen.add(match event {
            ServerEvent::Suspended(_, close) => format!("suspended {}", close.code),
            ServerEvent::Resumed(_, how) => format!("resumed {how:?}"),
            ServerEvent::Connected(_) => "connected".to_owned(),
            ServerEvent::Disconnected(_, close) => format!("disconnected {}", close.code),
            ServerEvent::Joined(_) => "joined".to_owned(),
            ServerEvent::Left(..) => "left".to_owned(),
            other => format!("{other:?}"),
        });
    })
}

/// A client that notes its messages and events.
pub async fn connect<P: Talk>(protocol: &P, cable: &Cable<P>, log: &Log) -> Client<P> {
    let (notes, events) = (log.clone(), log.clone());
    client(protocol, &cable.server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .on("note", move |_, note: Note| {
            notes.add(note.text);
            async {}
        })
        .procedure("ask", |_, n: i64| async move {
            tokio::time::sleep(ms(200)).await;
            wse::Ok(n + 1)
        })
        .on_event(move |event| match event {
            ClientEvent::Ready(_) => events.add("ready"),
            ClientEvent::Suspended(close) => events.add(format!("suspended {}", close.code)),
            ClientEvent::Resumed(how) => events.add(format!("resumed {how:?}")),
            ClientEvent::Closed(close) => events.add(format!("closed {}", close.code)),
            ClientEvent::Retrying { .. } => {}
            other => events.add(format!("{other:?}")),
        })
        .connect()
        .await
        .unwrap()
}

pub fn conn<P: Talk>(server: &Server<P>) -> Conn<P> {
    server.user("ann").connections().remove(0)
}

async fn calls_and_messages_survive_the_loss_of_a_socket<P: Talk>(protocol: P) {
    let (log, notes) = (Log::default(), Log::default());
    let heard = notes.clone();
    let server = resumable(&log, server(&protocol))
        .procedure("slow", |_, n: i64| async move {
            tokio::time::sleep(ms(300)).await;
            wse::Ok(n * 2)
        })
        .on("note", move |_, note: Note| {
            heard.add(note.text);
            async {}
        })
        .build();
    let cable = Cable::new(&server);
    let client_log = Log::default();
    let ann = connect(&protocol, &cable, &client_log).await;
    let id = conn(&server).id();
    let calling = {
        let ann = ann.clone();
        tokio::spawn(async move { ann.call::<_, i64>("slow", &21_i64).await })
    };
    tokio::time::sleep(ms(50)).await;
    ann.send("note", &note("before")).unwrap();
    settle().await;
    cable.cut();
    settle().await;
    assert_eq!(ann.status(), Status::Reconnecting);
    for n in 0..3 {
        conn(&server).send("note", &note(format!("away {n}"))).unwrap();
        ann.send("note", &note(format!("mine {n}"))).unwrap();
    }
    assert_eq!(conn(&server).id(), id);
    tokio::time::sleep(ms(200)).await;
    assert_eq!(ann.status(), Status::Ready);
    assert_eq!(calling.await.unwrap().unwrap(), 42);
    assert_eq!(notes.lines(), ["before", "mine 0", "mine 1", "mine 2"]);
    assert_eq!(log.lines(), ["joined", "connected", "suspended 1006", "resumed Full"]);
    assert_eq!(
        client_log.lines(),
        ["ready", "suspended 1006", "resumed Full", "away 0", "away 1", "away 2"]
    );
    assert_eq!(conn(&server).id(), id);
    assert_eq!(adds(&ann).await.unwrap(), 3);
    ann.close();
    ann.closed().await;
    settle().await;
    assert_eq!(log.lines()[4..], ["disconnected 1000", "left"]);
}

async fn the_server_calls_a_client_that_is_away<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = resumable(&log, server(&protocol)).build();
    let cable = Cable::new(&server);
    let ann = connect(&protocol, &cable, &Log::default()).await;
    let there = conn(&server);
    let early = {
        let there = there.clone();
        tokio::spawn(async move { there.call::<_, i64>("ask", &1_i64).await })
    };
    settle().await;
    cable.cut();
    settle().await;
    // Into the gap, while the handler of the first still runs.
    let late = there.call::<_, i64>("ask", &2_i64).await;
    assert_eq!((early.await.unwrap().unwrap(), late.unwrap()), (2, 3));
    cable.cut();
    settle().await;
    let receipt = there.send_acked("note", &note("x")).await;
    assert!(receipt.is_ok(), "{receipt:?}");
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn the_gap_is_told_when_too_much_was_sent<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = resumable(&log, server(&protocol))
        .resume(ResumeLimits::default().window(secs(10)).ring_messages(5))
        .build();
    let cable = Cable::new(&server);
    let client_log = Log::default();
    let _ann = connect(&protocol, &cable, &client_log).await;
    settle().await;
    cable.cut();
    settle().await;
    for n in 1..=8 {
        conn(&server).send("note", &note(n.to_string())).unwrap();
    }
    tokio::time::sleep(ms(300)).await;
    let lost = Resumed::Partial { first: 1, last: 3 };
    assert_eq!(log.lines().last().unwrap(), &format!("resumed {lost:?}"));
    let mut expected =
        vec!["ready".to_owned(), "suspended 1006".into(), format!("resumed {lost:?}")];
    expected.extend((4..=8).map(|n| n.to_string()));
    assert_eq!(client_log.lines(), expected);
}

async fn after_the_window_the_session_is_a_new_one<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = resumable(&log, server(&protocol))
        .resume(ResumeLimits::default().window(ms(5)))
        .procedure("slow", |_, n: i64| async move {
            tokio::time::sleep(ms(300)).await;
            wse::Ok(n * 2)
        })
        .build();
    let cable = Cable::new(&server);
    let client_log = Log::default();
    let ann = connect(&protocol, &cable, &client_log).await;
    let calling = {
        let ann = ann.clone();
        tokio::spawn(async move { ann.call::<_, i64>("slow", &21_i64).await })
    };
    settle().await;
    cable.unplug();
    tokio::time::sleep(ms(50)).await;
    cable.plug();
    tokio::time::sleep(ms(300)).await;
    let failed = calling.await.unwrap();
    assert!(matches!(failed, Err(CallError::Disconnected(_))), "{failed:?}");
    assert_eq!(
        log.lines(),
        [
            "joined",
            "connected",
            "suspended 1006",
            "disconnected 1006",
            "left",
            "joined",
            "connected"
        ]
    );
    assert_eq!(client_log.lines(), ["ready", "suspended 1006", "closed 1006", "ready"]);
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn the_old_socket_may_still_be_open<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = resumable(&log, server(&protocol)).build();
    let cable = Cable::new(&server);
    let client_log = Log::default();
    let ann = connect(&protocol, &cable, &client_log).await;
    cable.lose();
    tokio::time::sleep(ms(300)).await;
    assert_eq!(adds(&ann).await.unwrap(), 3);
    assert_eq!(log.lines(), ["joined", "connected", "resumed Full"]);
}

async fn what_a_slow_client_has_not_read_is_kept<P: Talk>(protocol: P) {
    let log = Log::default();
    let slow_peer = SlowPeer::Close { after: secs(1) };
    let server = resumable(&log, server(&protocol))
        .send_queue(SendQueue::default().messages(20).slow_peer(slow_peer))
        .resume(ResumeLimits::default().window(secs(60)).ring_bytes(16 << 20))
        .build();
    let cable = Cable::new(&server);
    let client_log = Log::default();
    let _ann = connect(&protocol, &cable, &client_log).await;
    cable.hold();
    let text = "x".repeat(20_000);
    let mut sent = 0;
    loop {
        settle().await;
        match conn(&server).send("note", &note(format!("{sent} {text}"))) {
            Ok(()) => sent += 1,
            Err(error) => break assert!(matches!(error, SendError::QueueFull), "{error:?}"),
        }
    }
    tokio::time::sleep(secs(2)).await;
    assert_eq!(log.lines().last().unwrap(), "suspended 1013");
    cable.cut();
    cable.held.send_replace(false);
    tokio::time::sleep(secs(1)).await;
    let events = log.lines();
    let events: Vec<_> = events.iter().filter(|line| !line.starts_with("Slow")).collect();
    assert_eq!(events, ["joined", "connected", "suspended 1013", "resumed Full"]);
    let lines = client_log.lines();
    let notes = lines.iter().filter_map(|line| line.split_once(' ')).filter(|it| it.1 == text);
    let expected: Vec<_> = (0..sent).map(|n| n.to_string()).collect();
    assert_eq!(notes.map(|it| it.0.to_owned()).collect::<Vec<_>>(), expected);
}

async fn a_server_that_stops_ends_suspended_connections<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = resumable(&log, server(&protocol)).build();
    let cable = Cable::new(&server);
    let ann = connect(&protocol, &cable, &Log::default()).await;
    cable.cut();
    settle().await;
    let (ended, took) = timed(server.shutdown(secs(5))).await;
    assert!(ended && took < secs(1), "{took:?}");
    assert_eq!(log.lines(), ["joined", "connected", "suspended 1006", "disconnected 1012", "left"]);
    ann.close();
    assert_eq!(ann.closed().await.map(|it| it.code), Some(1006));
}

async fn without_resume_a_connection_ends_with_its_socket<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).build();
    let cable = Cable::new(&server);
    let client_log = Log::default();
    let ann = connect(&protocol, &cable, &client_log).await;
    cable.cut();
    tokio::time::sleep(ms(300)).await;
    assert_eq!(client_log.lines(), ["ready", "closed 1006", "ready"]);
    assert_eq!(adds(&ann).await.unwrap(), 3);
}
