//! Unpacking allocates nothing, and neither does packing into a buffer with enough capacity. Compression frees
//! what it allocates.
//!
//! The allocator is that of the whole program. It counts each thread on its own, so tests that run in parallel do
//! not change the counts.

#![allow(unsafe_code)] // a counting allocator cannot be written without

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};
use wse_codecs::{Cbor, JsonArray, MessagePack, Protobuf};
use wse_proto::{Encode, Head, Protocol, Stamp};
use wse_transport::ws::{Codec, Deflate, DeflateAgreement, Limits, Message};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        live(layout.size() as isize);
        // SAFETY: what the caller guarantees is what `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        live(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        live(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

fn live(change: isize) {
    LIVE.with(|live| live.set(live.get() + change));
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `run` allocates on this thread.
fn allocations<R>(run: impl FnOnce() -> R) -> (usize, R) {
    let before = COUNT.get();
    let result = run();
    (COUNT.get() - before, result)
}

fn check<P: Protocol, T>(protocol: &P, value: &T)
where
    P::Format: Encode<T>,
{
    let format = protocol.format();
    let long = "a name and a stamp that are too long to be kept inside of a text".repeat(2);
    for head in [
        Head::message("hello"),
        Head::call(&long, Stamp::from(long.as_str())),
        Head::Call { name: "add".into(), stamp: Stamp::from("s1"), receipt: true, timeout: None },
        Head::reply(Stamp::Int(4711)),
        Head::Welcome,
    ] {
        let mut out = BytesMut::with_capacity(1 << 16);
        // The thread's own buffer grows once.
        protocol.pack_with(&head, &mut out, |out| format.encode(value, out)).unwrap();
        out.clear();
        let (packing, ()) = allocations(|| {
            protocol.pack_with(&head, &mut out, |out| format.encode(value, out)).unwrap();
        });
        assert_eq!(packing, 0, "packing {head:?} by {}", protocol.info().name());

        // As a transport does: the message is cut out of a buffer that goes on.
        let message = out.split().freeze();
        let (unpacking, envelope) = allocations(|| protocol.unpack((&message).into()));
        assert_eq!(unpacking, 0, "unpacking {head:?} by {}", protocol.info().name());
        assert!(!envelope.unwrap().payload.is_empty());
    }
}

#[test]
fn the_counter_counts() {
    let (count, text) = allocations(|| String::from("x"));
    assert_eq!((count, text.as_str()), (1, "x"));
}

#[test]
fn unpacking_and_packing_in_place_allocate_nothing() {
    let value: Vec<Vec<Vec<String>>> = vec![vec![vec!["a\"b".repeat(300); 3]; 3]; 3];
    check(&JsonArray, &value);
    check(&Cbor, &value);
    check(&MessagePack, &value);
    check(&Protobuf, &"text".repeat(1000));
}

/// How many bytes two ends keep after they have exchanged a large message.
fn kept(agreed: DeflateAgreement) -> isize {
    let deflate = Deflate::default().takeover(true);
    let mut client = Codec::client(Limits::default(), || [0; 4]);
    let mut server = Codec::server(Limits::default());
    client.set_deflate(deflate, agreed);
    server.set_deflate(deflate, agreed);
    let frame = Message::text("lorem ipsum ".repeat(10_000)).into_frame();
    let mut wire = BytesMut::with_capacity(1 << 16);
    let before = LIVE.get();
    for _ in 0..3 {
        server.encode(frame.clone(), &mut wire).unwrap();
        assert!(wire.len() < 10_000);
        assert_eq!(client.decode(&mut wire).unwrap(), Some(frame.clone()));
    }
    LIVE.get() - before
}

#[test]
fn compression_keeps_no_memory_without_takeover() {
    let agreed = DeflateAgreement::default();
    let with = kept(agreed);
    assert!((300_000..500_000).contains(&with), "{with}");
    let without = kept(DeflateAgreement { server_no_context_takeover: true, ..agreed });
    assert!(without < 1000, "{without}");
}
