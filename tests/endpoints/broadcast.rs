//! A broadcast is written once per protocol in use, and its bytes are shared by all connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::endpoints::*;
use bytes::{Bytes, BytesMut};
use serde::{Serialize, de::DeserializeOwned};
use wse::{Client, SendQueue, Server, SlowPeer, memory};
use wse_codecs::{Cbor, CborFormat, JsonArray, JsonFormat};
use wse_proto::{
    CodecError, Decode, Encode, Envelope, Fault, Format, Head, Hi, Negotiated, Packed, Protocol,
    ProtocolInfo,
};

/// A protocol whose format counts what it writes.
#[derive(Clone, Debug)]
struct Counting<P: Protocol> {
    inner: P,
    format: CountingFormat<P::Format>,
    encoded: Arc<AtomicUsize>,
}

#[derive(Clone, Debug)]
struct CountingFormat<F> {
    inner: F,
    encoded: Arc<AtomicUsize>,
}

impl<P: Protocol> Counting<P> {
    fn new(inner: P) -> Self {
        let encoded = Arc::default();
        let format =
            CountingFormat { inner: inner.format().clone(), encoded: Arc::clone(&encoded) };
        Self { inner, format, encoded }
    }

    /// How many payloads were written since the last time.
    fn take(&self) -> usize {
        self.encoded.swap(0, Ordering::Relaxed)
    }
}

impl<P: Protocol> Protocol for Counting<P> {
    type Format = CountingFormat<P::Format>;

    fn info(&self) -> ProtocolInfo {
        self.inner.info()
    }

    fn format(&self) -> &Self::Format {
        &self.format
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        self.inner.pack(head, payload, out);
    }

    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        self.inner.unpack(message)
    }

    fn pack_with<F>(&self, head: &Head, out: &mut BytesMut, write: F) -> Result<(), CodecError>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), CodecError>,
    {
        self.inner.pack_with(head, out, write)
    }
}

impl<F: Format> Format for CountingFormat<F> {
    fn encode_hi(&self, hi: &Hi, out: &mut BytesMut) {
        self.inner.encode_hi(hi, out);
    }

    fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
        self.inner.decode_hi(payload)
    }

    fn encode_fault(&self, fault: &Fault, out: &mut BytesMut) {
        self.inner.encode_fault(fault, out);
    }

    fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError> {
        self.inner.decode_fault(payload)
    }

    fn empty_map(&self) -> Bytes {
        self.inner.empty_map()
    }
}

macro_rules! counts {
    ($format:ty) => {
        impl<T: Serialize + ?Sized> Encode<T> for CountingFormat<$format> {
            fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError> {
                self.encoded.fetch_add(1, Ordering::Relaxed);
                self.inner.encode(value, out)
            }
        }

        impl<T: DeserializeOwned> Decode<T> for CountingFormat<$format> {
            fn decode(&self, payload: &Bytes) -> Result<T, CodecError> {
                self.inner.decode(payload)
            }
        }
    };
}

counts!(JsonFormat);
counts!(CborFormat);

type Both = Negotiated<(Counting<JsonArray>, Counting<Cbor>)>;

/// A server that speaks both, and the counters of what it writes.
fn both() -> (Server<Both>, Counting<JsonArray>, Counting<Cbor>) {
    let (json, cbor) = (Counting::new(JsonArray), Counting::new(Cbor));
    let protocol = Negotiated::new((json.clone(), cbor.clone()));
    (server(&protocol).connections_per_user(100).build(), json, cbor)
}

/// A client that speaks one of the protocols of the server, and writes down its notes.
async fn speaking<P: Talk>(protocol: P, server: &Server<Both>, user: &str, log: &Log) -> Client<P> {
    let log = log.clone();
    let name = protocol.subprotocols()[0];
    Client::builder(protocol.clone(), memory::URL)
        .connector(memory::connector(server))
        .identity(format!("secret of {user}"))
        .on("note", move |_, Note { text }: Note| {
            log.add(format!("{name} {text}"));
            async {}
        })
        .connect()
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_is_encoded_once_per_protocol_in_use() {
    let log = Log::default();
    let (server, json, cbor) = both();
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(speaking(JsonArray, &server, "ann", &log).await);
    }
    let _ = (json.take(), cbor.take());
    assert_eq!(server.all().send("note", &note("1")).unwrap(), 20);
    assert_eq!((json.take(), cbor.take()), (1, 0), "nobody speaks CBOR");

    let mut others = Vec::new();
    for _ in 0..30 {
        others.push(speaking(Cbor, &server, "bob", &log).await);
    }
    let _ = (json.take(), cbor.take());
    assert_eq!(server.all().send("note", &note("2")).unwrap(), 50);
    assert_eq!((json.take(), cbor.take()), (1, 1));
    assert_eq!(server.all().except_user("ann").send("note", &note("3")).unwrap(), 30);
    assert_eq!((json.take(), cbor.take()), (0, 1));
    assert_eq!(server.user("ann").send("note", &note("4")).unwrap(), 20);
    assert_eq!((json.take(), cbor.take()), (1, 0));
    assert_eq!(server.user("eve").send("note", &note("5")).unwrap(), 0);
    assert_eq!((json.take(), cbor.take()), (0, 0));

    let room = server.room("lobby");
    assert_eq!(room.send("note", &note("6")).unwrap(), 0);
    assert_eq!((json.take(), cbor.take()), (0, 0), "nobody is in it");
    for conn in &server.user("bob").connections()[..10] {
        conn.join("lobby").unwrap();
    }
    assert_eq!(room.send("note", &note("7")).unwrap(), 10);
    assert_eq!((json.take(), cbor.take()), (0, 1));
    for conn in &server.user("ann").connections()[..5] {
        conn.join("lobby").unwrap();
    }
    assert_eq!(room.send("note", &note("8")).unwrap(), 15);
    assert_eq!((json.take(), cbor.take()), (1, 1));
    assert_eq!(room.except_user("bob").send("note", &note("9")).unwrap(), 5);
    assert_eq!((json.take(), cbor.take()), (1, 0));
    assert_eq!(room.send_acked("note", &note("10")).await.unwrap().received(), 15);
    assert_eq!((json.take(), cbor.take()), (1, 1));

    settle().await;
    let mut lines = log.take();
    lines.sort();
    lines.dedup();
    let expected = [
        "wse-cbor 10",
        "wse-cbor 2",
        "wse-cbor 3",
        "wse-cbor 7",
        "wse-cbor 8",
        "wse-default-json 1",
        "wse-default-json 10",
        "wse-default-json 2",
        "wse-default-json 4",
        "wse-default-json 8",
        "wse-default-json 9",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test(start_paused = true)]
async fn one_protocol_is_encoded_once() {
    let protocol = Counting::new(JsonArray);
    let server = server(&protocol).build();
    let mut clients = Vec::new();
    for n in 0..50 {
        clients.push(client(&protocol, &server, &n.to_string()).connect().await.unwrap());
    }
    protocol.take();
    assert_eq!(server.all().send("note", &note("1")).unwrap(), 50);
    assert_eq!(protocol.take(), 1);
    for conn in server.connections().iter().take(20) {
        conn.join("lobby").unwrap();
    }
    assert_eq!(server.room("lobby").send("note", &note("2")).unwrap(), 20);
    assert_eq!(protocol.take(), 1);
}

/// What cannot be written reaches nobody: not even those whose protocol could.
#[tokio::test(start_paused = true)]
async fn a_broadcast_that_cannot_be_encoded_reaches_nobody() {
    /// A map with keys that JSON has no form for; CBOR has one.
    #[derive(Serialize)]
    struct Odd(std::collections::BTreeMap<Vec<u8>, u8>);
    let log = Log::default();
    let (server, ..) = both();
    let cbor = speaking(Cbor, &server, "ann", &log).await;
    let seen = log.clone();
    cbor.unhandled(move |_, message| {
        seen.add(message.name.to_string());
        async {}
    });
    let odd = Odd([(vec![1, 2], 3)].into());
    assert_eq!(server.all().send("odd", &odd).unwrap(), 1);
    settle().await;
    assert_eq!(log.take(), ["odd"]);
    let _json = speaking(JsonArray, &server, "bob", &log).await;
    assert!(server.all().send("odd", &odd).is_err());
    settle().await;
    assert_eq!(log.take(), [""; 0]);
}

/// Connections whose peers do not read hold the same bytes, not copies. Measured by what the process
/// holds: 200 queued copies of a megabyte would show.
#[test]
fn the_bytes_of_a_broadcast_are_shared() {
    const MIB: usize = 1 << 20;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(within(async {
        let queue = SendQueue::default().bytes(8 * MIB).slow_peer(SlowPeer::DropNewest);
        let server = server(&JsonArray).send_queue(queue).build();
        let mut peers = Vec::new();
        for n in 0..200 {
            let raw = Raw::user(&server, &n.to_string()).await;
            // Fills the pipe and the socket's own buffer, so that the rest waits in the queue.
            let conn = server.user(n.to_string()).connections().remove(0);
            for _ in 0..5 {
                conn.send("note", &note("x".repeat(40 * 1024))).unwrap();
                settle().await;
            }
            peers.push(raw);
        }
        let text = note("x".repeat(MIB));
        let before = allocated::now();
        assert_eq!(server.all().send("note", &text).unwrap(), 200);
        settle().await;
        let grown = allocated::now() - before;
        assert!(grown > MIB as isize, "it waits: {grown}");
        assert!(grown < 4 * MIB as isize, "{grown} bytes for one broadcast of a megabyte");
        // And it is not lost.
        let mut first = peers.remove(0);
        for _ in 0..5 {
            first.hear().await;
        }
        assert!(first.hear().await.len() > MIB);
    }));
}

/// The allocator of the whole program. It counts the bytes of each thread on its own, so tests that run in parallel
/// do not change the count.
pub mod allocated {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;

    thread_local! {
        static BYTES: Cell<isize> = const { Cell::new(0) };
    }

    pub fn now() -> isize {
        BYTES.get()
    }

    pub struct Counter;

    #[global_allocator]
    static COUNTER: Counter = Counter;

    fn count(bytes: isize) {
        let _ = BYTES.try_with(|all| all.set(all.get() + bytes));
    }

    // SAFETY: all is left to the system's allocator.
    #[allow(unsafe_code)]
    unsafe impl GlobalAlloc for Counter {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count(layout.size() as isize);
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
            count(-(layout.size() as isize));
            unsafe { System.dealloc(at, layout) }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_passes_strangers_by() {
    let server = server(&JsonArray).build();
    let mut eve = Raw::stranger(&server).await;
    let mut ann = Raw::user(&server, "ann").await;
    assert_eq!(server.all().send("news", &1).unwrap(), 1);
    assert_eq!(ann.hear().await, r#"["news",1,null]"#);
    eve.greet("eve").await;
    assert_eq!(eve.hear().await, welcome("eve"));
}
