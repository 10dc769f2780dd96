//! Packing and unpacking whole messages against the bare serializer on the same payload.
//!
//! `bare` is what one would write by hand: encode the value into a reused buffer; decode it from
//! its bytes. `wse` adds the envelope: `pack_with` into a reused buffer; `unpack`, then decode.

use std::hint::black_box;
use std::time::Duration;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use wse_codecs::{Cbor, JsonArray, Protobuf};
use wse_proto::{Decode, Encode, Head, Protocol, Stamp};

/// What a chat or a tracker sends: texts, numbers, and a list that makes it large.
#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
struct Report {
    #[prost(string, tag = "1")]
    title: String,
    #[prost(uint64, tag = "2")]
    time: u64,
    #[prost(double, tag = "3")]
    load: f64,
    #[prost(bool, tag = "4")]
    urgent: bool,
    #[prost(message, repeated, tag = "5")]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
struct Entry {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(string, tag = "2")]
    author: String,
    #[prost(string, tag = "3")]
    text: String,
    #[prost(int64, repeated, tag = "4")]
    marks: Vec<i64>,
    #[prost(double, tag = "5")]
    score: f64,
}

fn report(entries: u32) -> Report {
    let entry = |id| Entry {
        id: 1000 + id,
        author: format!("user-{id}"),
        text: "The quick brown fox said \"hello\" to the lazy dog, twice.".to_owned(),
        marks: vec![1, 20, 300, -4000],
        score: 0.5 + f64::from(id) / 7.0,
    };
    Report {
        title: "state of the nightly build".to_owned(),
        time: 1_763_678_400_123,
        load: 0.734_5,
        urgent: false,
        entries: (0..entries).map(entry).collect(),
    }
}

/// Benchmarks one protocol; `encode` and `decode` are the bare serializer's.
fn protocol<P>(
    c: &mut Criterion,
    protocol: &P,
    encode: impl Fn(&Report, &mut Vec<u8>),
    decode: impl Fn(&[u8]) -> Report,
) where
    P: Protocol<Format: Encode<Report> + Decode<Report>>,
{
    let format = protocol.format();
    let head = Head::call("report", Stamp::from("k3J9x0aQzP"));
    for (size, value) in [("100B", report(0)), ("10KiB", report(66))] {
        let mut bare = Vec::new();
        encode(&value, &mut bare);
        let mut out = BytesMut::new();
        protocol.pack_with(&head, &mut out, |out| format.encode(&value, out)).unwrap();
        let message = out.split().freeze();

        let mut group = c.benchmark_group(format!("{}/{size}", protocol.name()));
        group.throughput(Throughput::Bytes(bare.len() as u64));
        group.bench_function("pack/bare", |b| {
            let mut out = Vec::new();
            b.iter(|| {
                out.clear();
                encode(black_box(&value), &mut out);
                black_box(out.len())
            });
        });
        group.bench_function("pack/wse", |b| {
            let mut out = BytesMut::new();
            b.iter(|| {
                out.clear();
                protocol
                    .pack_with(&head, &mut out, |out| format.encode(black_box(&value), out))
                    .unwrap();
                black_box(out.len())
            });
        });
        group.bench_function("unpack/bare", |b| {
            b.iter(|| decode(black_box(&bare)));
        });
        group.bench_function("unpack/wse", |b| {
            b.iter(|| {
                let envelope = protocol.unpack(black_box(&message).clone()).unwrap();
                let value: Report = format.decode(&envelope.payload).unwrap();
                (envelope, value)
            });
        });
        group.bench_function("unpack/envelope", |b| {
            b.iter(|| protocol.unpack(black_box(&message).clone()).unwrap());
        });
        group.finish();
    }
}

fn codecs(c: &mut Criterion) {
    protocol(
        c,
        &JsonArray,
        |value, out| serde_json::to_writer(out, value).unwrap(),
        |bytes| serde_json::from_slice(bytes).unwrap(),
    );
    protocol(
        c,
        &Cbor,
        |value, out| ciborium::into_writer(value, out).unwrap(),
        |bytes| ciborium::from_reader(bytes).unwrap(),
    );
    protocol(
        c,
        &Protobuf,
        |value, out| prost::Message::encode(value, out).unwrap(),
        |bytes| prost::Message::decode(bytes).unwrap(),
    );
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = codecs
}
criterion_main!(benches);
