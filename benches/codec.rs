//! Packing and unpacking whole messages against the bare serializer on the same payload.
//!
//! `bare` is the payload alone: encode the value into a reused buffer, decode it from its bytes.
//! `hand` is the same message as the serializer alone would write and read it: a tuple of type,
//! payload and stamp, or the `Envelope` of `wse.proto`. `wse` is `pack_with` into a reused buffer, and
//! `unpack` with the decoding of the payload. The bar: `wse` within 1.15 times `hand`,
//! and at 10 KiB within 1.15 times `bare` too.

use std::hint::black_box;
use std::time::Duration;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prost::Message;
use serde::{Deserialize, Serialize};
use wse::{Cbor, Decode, Encode, Head, JsonArray, Protobuf, Protocol, Stamp};

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

#[derive(Clone, PartialEq, prost::Message)]
struct Envelope {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(bytes = "vec", tag = "2")]
    payload: Vec<u8>,
    #[prost(string, tag = "3")]
    stamp: String,
}

const NAME: &str = "report";
const STAMP: &str = "k3J9x0aQzP";

/// What a serializer does alone, with the value and with the whole message.
struct Alone {
    encode: fn(&Report, &mut Vec<u8>),
    decode: fn(&[u8]) -> Report,
    encode_message: fn(&Report, &mut Vec<u8>),
    decode_message: fn(&[u8]) -> (String, Report, String),
}

fn protocol<P>(c: &mut Criterion, protocol: &P, alone: &Alone)
where
    P: Protocol<Format: Encode<Report> + Decode<Report>>,
{
    let format = protocol.format();
    let head = Head::call(NAME, Stamp::from(STAMP));
    for (size, value) in [("100B", report(0)), ("10KiB", report(66))] {
        let (mut bare, mut hand, mut out) = (Vec::new(), Vec::new(), BytesMut::new());
        (alone.encode)(&value, &mut bare);
        (alone.encode_message)(&value, &mut hand);
        protocol.pack_with(&head, &mut out, |out| format.encode(&value, out)).unwrap();
        let message = out.split().freeze();

        let mut group = c.benchmark_group(format!("{}/{size}", protocol.info().name()));
        group.throughput(Throughput::Bytes(bare.len() as u64));
        for (name, encode) in [("pack/bare", alone.encode), ("pack/hand", alone.encode_message)] {
            group.bench_function(name, |b| {
                let mut out = Vec::new();
                b.iter(|| {
                    out.clear();
                    encode(black_box(&value), &mut out);
                    black_box(out.len())
                });
            });
        }
        group.bench_function("pack/wse", |b| {
            let mut out = BytesMut::new();
            b.iter(|| {
                out.clear();
                let write = |out: &mut BytesMut| format.encode(black_box(&value), out);
                protocol.pack_with(black_box(&head), &mut out, write).unwrap();
                black_box(out.len())
            });
        });
        group.bench_function("unpack/bare", |b| b.iter(|| (alone.decode)(black_box(&bare))));
        group
            .bench_function("unpack/hand", |b| b.iter(|| (alone.decode_message)(black_box(&hand))));
        group.bench_function("unpack/wse", |b| {
            b.iter(|| {
                let envelope = protocol.unpack(black_box(&message).into()).unwrap();
                let value: Report = format.decode(&envelope.payload).unwrap();
                (envelope, value)
            });
        });
        group.bench_function("unpack/envelope", |b| {
            b.iter(|| protocol.unpack(black_box(&message).into()).unwrap());
        });
        group.finish();
    }
}

fn json(c: &mut Criterion) {
    let alone = Alone {
        encode: |value, out| serde_json::to_writer(out, value).unwrap(),
        decode: |bytes| serde_json::from_slice(bytes).unwrap(),
        encode_message: |value, out| serde_json::to_writer(out, &(NAME, value, STAMP)).unwrap(),
        decode_message: |bytes| serde_json::from_slice(bytes).unwrap(),
    };
    protocol(c, &JsonArray, &alone);
}

fn cbor(c: &mut Criterion) {
    let alone = Alone {
        encode: |value, out| ciborium::into_writer(value, out).unwrap(),
        decode: |bytes| ciborium::from_reader(bytes).unwrap(),
        encode_message: |value, out| ciborium::into_writer(&(NAME, value, STAMP), out).unwrap(),
        decode_message: |bytes| ciborium::from_reader(bytes).unwrap(),
    };
    protocol(c, &Cbor, &alone);
}

fn protobuf(c: &mut Criterion) {
    let alone = Alone {
        encode: |value, out| value.encode(out).unwrap(),
        decode: |bytes| Report::decode(bytes).unwrap(),
        encode_message: |value, out| {
            let payload = value.encode_to_vec();
            let message = Envelope { kind: NAME.into(), payload, stamp: STAMP.into() };
            message.encode(out).unwrap();
        },
        decode_message: |bytes| {
            let message = Envelope::decode(bytes).unwrap();
            (message.kind, Report::decode(&message.payload[..]).unwrap(), message.stamp)
        },
    };
    protocol(c, &Protobuf, &alone);
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = json, cbor, protobuf
}
criterion_main!(benches);
