//! Frames, masking and UTF-8, each beside the plainest thing that could be done instead.
//!
//! `cargo bench --bench ws`

use std::hint::black_box;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio_util::codec::{Decoder, Encoder};
use wse_transport::ws::{Codec, Frame, Limits, Opcode, Utf8Validator, apply_mask};

const SIZES: [usize; 4] = [32, 1024, 16 * 1024, 1024 * 1024];
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let payload = Bytes::from(vec![b'x'; size]);

        let mut server = Codec::server(Limits::default());
        let mut out = BytesMut::with_capacity(size + 16);
        group.bench_function(BenchmarkId::new("encode", size), |b| {
            b.iter(|| {
                out.clear();
                let frame = Frame::new(Opcode::Binary, payload.clone());
                server.encode(frame, &mut out).expect("open");
                black_box(&out);
            });
        });
        let mut client = Codec::client(Limits::default(), || MASK);
        group.bench_function(BenchmarkId::new("encode masked", size), |b| {
            b.iter(|| {
                out.clear();
                let frame = Frame::new(Opcode::Binary, payload.clone());
                client.encode(frame, &mut out).expect("open");
                black_box(&out);
            });
        });
        let mut copy = BytesMut::with_capacity(size + 16);
        group.bench_function(BenchmarkId::new("copy", size), |b| {
            b.iter(|| {
                copy.clear();
                copy.extend_from_slice(black_box(&payload));
                black_box(&copy);
            });
        });

        for (name, opcode) in [("decode binary", Opcode::Binary), ("decode text", Opcode::Text)] {
            let mut wire = BytesMut::new();
            client.encode(Frame::new(opcode, payload.clone()), &mut wire).expect("open");
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter_batched(
                    || (Codec::server(Limits::default()), wire.clone()),
                    |(mut codec, mut wire)| codec.decode(&mut wire).expect("sound"),
                    BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

fn masks(c: &mut Criterion) {
    let mut group = c.benchmark_group("mask");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let mut data = vec![b'x'; size];
        group.bench_function(BenchmarkId::new("words", size), |b| {
            b.iter(|| apply_mask(black_box(&mut data), MASK, 0));
        });
        group.bench_function(BenchmarkId::new("bytes", size), |b| {
            b.iter(|| {
                for (i, byte) in black_box(&mut data).iter_mut().enumerate() {
                    *byte ^= MASK[i % 4];
                }
            });
        });
    }
    group.finish();
}

fn utf8(c: &mut Criterion) {
    let mut group = c.benchmark_group("utf8");
    for (name, letter) in [("ascii", "x"), ("greek", "λ")] {
        for size in SIZES {
            group.throughput(Throughput::Bytes(size as u64));
            let text = letter.repeat(size / letter.len());
            group.bench_function(BenchmarkId::new(format!("{name} incremental"), size), |b| {
                b.iter(|| {
                    let mut validator = Utf8Validator::default();
                    validator.feed(black_box(text.as_bytes()))
                });
            });
            group.bench_function(BenchmarkId::new(format!("{name} std"), size), |b| {
                b.iter(|| std::str::from_utf8(black_box(text.as_bytes())).is_ok());
            });
        }
    }
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30)
}

criterion_group! { name = benches; config = quick(); targets = frames, masks, utf8 }
criterion_main!(benches);
