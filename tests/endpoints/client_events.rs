//! The callbacks of a client: `on_ready`, `on_event`, `on_closed` and `on_error`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};

use crate::support::endpoints::*;
use futures::StreamExt;
use wse::{
    Accept, Backoff, Cbor, Client, ClientEvent, Close, Hello, JsonArray, Negotiated, Server, Status,
};

crate::over_every_protocol! {
    callbacks_and_stream_see_the_same_events_in_order
    each_callback_gets_its_own_events
    a_callback_may_use_the_client
    a_panic_in_a_callback_is_caught
    on_ready_sends_before_the_offline_queue
    a_panic_in_on_ready_is_an_error_event
}

/// A client event as text.
fn line(event: &ClientEvent) -> String {
    match event {
        ClientEvent::Ready(_) => "ready".to_owned(),
        ClientEvent::Closed(close) => format!("closed {close}"),
        ClientEvent::Retrying { .. } => "retrying".to_owned(),
        ClientEvent::Error { code, name, message, .. } => {
            format!("error {code} {} {message}", name.as_deref().unwrap_or("-"))
        }
        other => format!("{other:?}"),
    }
}

fn quick() -> Backoff {
    Backoff::default().base(ms(10)).cap(ms(10))
}

async fn callbacks_and_stream_see_the_same_events_in_order<P: Talk>(protocol: P) {
    let log = Log::default();
    let seen = log.clone();
    let server = server(&protocol).build();
    let ann = client(&protocol, &server, "ann")
        .reconnect(quick())
        .on_event(move |event| seen.add(line(event)))
        .on("fail", |_, (): ()| async { Err::<(), _>("broken") })
        .build();
    let mut stream = ann.events();
    ann.connect().await.unwrap();
    server.user("ann").send("fail", &()).unwrap();
    settle().await;
    server.close_user("ann", Close::new(1012, "restart"));
    tokio::time::sleep(ms(20)).await;
    ann.close();
    ann.closed().await;
    let expected = [
        "ready",
        "error wse.server.rp.failed fail broken",
        "closed 1012 restart",
        "retrying",
        "ready",
        "closed 1000 wse.by-client",
    ];
    assert_eq!(log.lines(), expected);
    for expected in expected {
        assert_eq!(line(&stream.next().await.unwrap()), expected);
    }
}

async fn each_callback_gets_its_own_events<P: Talk>(protocol: P) {
    let log = Log::default();
    let [closed, error] = [(); 2].map(|()| log.clone());
    let server = server(&protocol).build();
    let ann = client(&protocol, &server, "ann")
        .on_closed(move |close| closed.add(format!("closed {close}")))
        .on_error(move |event| error.add(line(event)))
        .on("fail", |_, (): ()| async { Err::<(), _>("broken") })
        .connect()
        .await
        .unwrap();
    server.user("ann").send("fail", &()).unwrap();
    settle().await;
    ann.close_with(Close::new(4100, "bye"));
    ann.closed().await;
    assert_eq!(log.lines(), ["error wse.server.rp.failed fail broken", "closed 4100 bye"]);
}

async fn a_callback_may_use_the_client<P: Talk>(protocol: P) {
    let log = Log::default();
    let (seen, received) = (log.clone(), log.clone());
    let handle = Arc::new(OnceLock::<Client<P>>::new());
    let server = server(&protocol)
        .on("note", move |_, Note { text }: Note| {
            received.add(text);
            async {}
        })
        .build();
    let own = Arc::clone(&handle);
    let ann = client(&protocol, &server, "ann")
        .on_event(move |event| {
            let Some(ann) = own.get() else { return };
            seen.add(format!("{} {:?}", line(event), ann.status()));
            if let ClientEvent::Ready(_) = event {
                ann.send("note", &note("from the callback")).unwrap();
            }
        })
        .build();
    assert!(handle.set(ann.clone()).is_ok());
    ann.connect().await.unwrap();
    settle().await;
    assert_eq!(ann.status(), Status::Ready);
    assert_eq!(log.lines(), ["ready Ready", "from the callback"]);
}

async fn a_panic_in_a_callback_is_caught<P: Talk>(protocol: P) {
    let log = Log::default();
    let seen = log.clone();
    let server = server(&protocol).build();
    let ann = client(&protocol, &server, "ann")
        .on_event(|_| panic!("as told"))
        .on_event(move |event| seen.add(line(event)))
        .connect()
        .await
        .unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    ann.close();
    ann.closed().await;
    // Each panic is an error event for the other callbacks.
    let error = "error wse.server.rp.failed on_event `on_event` panicked: as told";
    assert_eq!(log.lines(), ["ready", error, "closed 1000 wse.by-client", error]);
}

/// A thread that sends while `on_ready` runs does not get ahead of it, nor of the offline queue.
async fn on_ready_sends_before_the_offline_queue<P: Talk>(protocol: P) {
    let log = Log::default();
    let received = log.clone();
    let server = server(&protocol)
        .on("note", move |_, Note { text }: Note| {
            received.add(text);
            async {}
        })
        .build();
    let (handles, threads) = mpsc::channel::<Client<P>>();
    let (done, sent) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        for ann in threads {
            ann.send("note", &note("from another thread")).unwrap();
            // Before the signal: the test blocks the runtime later, and a last handle would not be noticed.
            drop(ann);
            done.send(()).unwrap();
        }
    });
    // Receivers are not `Sync`, as a callback must be.
    let (handles, sent) = (std::sync::Mutex::new(handles), std::sync::Mutex::new(sent));
    let ann = client(&protocol, &server, "ann")
        .offline_queue(10)
        .on_ready(move |ann| {
            ann.send("note", &note("first")).unwrap();
            handles.lock().unwrap().send(ann.clone()).unwrap();
            sent.lock().unwrap().recv().unwrap();
            ann.send("note", &note("second")).unwrap();
        })
        .build();
    ann.send("note", &note("queued")).unwrap();
    ann.connect().await.unwrap();
    ann.send("note", &note("last")).unwrap();
    settle().await;
    assert_eq!(log.lines(), ["first", "second", "queued", "from another thread", "last"]);
    // The callback has the sender, and the client has the callback.
    drop(ann);
    settle().await;
    thread.join().unwrap();
}

async fn a_panic_in_on_ready_is_an_error_event<P: Talk>(protocol: P) {
    let log = Log::default();
    let seen = log.clone();
    let server = server(&protocol).build();
    let ann = client(&protocol, &server, "ann")
        .on_ready(|_| panic!("not ready"))
        .on_event(move |event| seen.add(line(event)))
        .connect()
        .await
        .unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    assert_eq!(
        log.lines(),
        ["error wse.server.rp.failed on_ready `on_ready` panicked: not ready", "ready"]
    );
}

/// The client is closed while `on_ready` runs in another thread: the connection must not count as ready after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_closed_in_on_ready_ends() {
    let server = Server::builder(JsonArray)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let ann = Client::builder(JsonArray, server.url().unwrap())
        .identity("ann".to_owned())
        .on_ready(|ann| {
            let ann = ann.clone();
            std::thread::spawn(move || ann.close()).join().unwrap();
            std::thread::sleep(ms(100));
        })
        .build();
    let _ = ann.connect().await;
    tokio::time::timeout(ms(5000), ann.closed()).await.expect("the client ends");
    tokio::time::sleep(ms(200)).await;
    assert_eq!(ann.status(), Status::Offline);
    assert!(server.shutdown(ms(1000)).await);
}

/// The client is closed in another thread while `on_error` reports the lost messages of the offline queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_closed_while_it_reports_lost_messages_ends() {
    let server = Server::builder(Cbor)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let closing = Arc::new(OnceLock::<Client<Negotiated<(JsonArray, Cbor)>>>::new());
    let client = Arc::clone(&closing);
    let reported = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&reported);
    // The kept messages are packed by the first protocol, and the server speaks the second.
    let protocol = Negotiated::new((JsonArray, Cbor));
    let ann = Client::builder(protocol, server.url().unwrap())
        .identity("ann".to_owned())
        .offline_queue(2)
        .on_error(move |_| {
            told.store(true, Ordering::Relaxed);
            let ann = client.get().unwrap().clone();
            std::thread::spawn(move || ann.close()).join().unwrap();
            std::thread::sleep(ms(100));
        })
        .build();
    assert!(closing.set(ann.clone()).is_ok());
    ann.send("first", &()).unwrap();
    ann.send("second", &()).unwrap();
    let _ = ann.connect().await;
    assert!(reported.load(Ordering::Relaxed));
    tokio::time::timeout(ms(5000), ann.closed()).await.expect("the client ends");
    tokio::time::sleep(ms(200)).await;
    assert_eq!(ann.status(), Status::Offline);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_told_of_its_end_is_not_ready_any_more() {
    let server = server(&JsonArray).build();
    let (log, told) = (Log::default(), Arc::<OnceLock<Client<JsonArray>>>::default());
    let (statuses, of) = (log.clone(), Arc::clone(&told));
    let ann = client(&JsonArray, &server, "ann").reconnect(quick()).on_event(move |event| {
        if let (ClientEvent::Closed(_), Some(ann)) = (event, of.get()) {
            statuses.add(format!("{:?}", ann.status()));
        }
    });
    told.set(ann.connect().await.unwrap()).unwrap();
    server.close_user("ann", Close::new(1012, "restart"));
    settle().await;
    assert_eq!(log.lines(), ["Reconnecting"]);
}
