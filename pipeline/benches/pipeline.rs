//! What hashing beside the wire reaches over memory: no TLS, no socket, no disk.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::io;
use std::thread;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use sealift_pipeline::{BLOCK, FRAME, MANY_BLOCKS, read_stage, write_stage};
use sealift_protocol::io::FrameReader;
use sealift_protocol::{FrameKind, Header};
use sealift_types::{Digest, Hasher};
use tokio::runtime::{Builder, Runtime};

/// Long enough for a steady flow, short enough to stay in memory that was touched before.
const SIZE: usize = 64 << 20;

const PATIENCE: Duration = Duration::from_secs(60);

/// From memory into frames that go nowhere.
fn send(runtime: &Runtime, content: &[u8]) {
    let (filler, mut full) = read_stage();
    thread::scope(|scope| {
        let filling =
            scope.spawn(move || filler.run(content, Some(content.len() as u64), Some(Hasher::new())));
        runtime.block_on(async {
            while let Some(frames) = full.next().await {
                black_box(&frames);
                full.recycle(frames);
            }
        });
        filling.join().unwrap().unwrap();
    });
}

/// From frames in memory to a writer that keeps nothing.
fn receive(runtime: &Runtime, wire: &[u8]) {
    let (mut empty, drainer) = write_stage(BLOCK, MANY_BLOCKS);
    thread::scope(|scope| {
        let draining = scope.spawn(move || drainer.run(io::sink(), Hasher::new()));
        runtime.block_on(async move {
            let mut reader = FrameReader::new(wire, PATIENCE);
            while let Some(header) = reader.header(PATIENCE).await.unwrap() {
                assert!(empty.receive(&mut reader, header).await.unwrap());
            }
        });
        draining.join().unwrap().unwrap();
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let content: Vec<u8> = (0..SIZE).map(|index| index.to_le_bytes()[index % 3]).collect();
    let mut wire = Vec::new();
    for payload in content.chunks(FRAME) {
        wire.extend(Header::new(FrameKind::Data, payload.len()).unwrap().encode());
        wire.extend(payload);
    }
    let mut group = criterion.benchmark_group("content");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(20);
    group.bench_function("hash", |bencher| bencher.iter(|| Digest::of(black_box(&content))));
    group.bench_function("send", |bencher| bencher.iter(|| send(&runtime, &content)));
    group.bench_function("receive", |bencher| bencher.iter(|| receive(&runtime, &wire)));
    group.finish();
    criterion.final_summary();
}
