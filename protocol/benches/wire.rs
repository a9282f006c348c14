//! What one frame, and what one message costs.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use sealift_protocol::io::{FrameReader, FrameWriter};
use sealift_protocol::message::{
    Body, Entry, EntryKind, Plan, PlannedFile, Put, decode, decode_request, encode,
};
use sealift_protocol::{Reply, Request};
use sealift_types::Digest;
use tokio::runtime::Builder;

/// Files of the trees that `bench/bench.py` sends are as large.
const SMALL: usize = 4096;

/// Frames that are written, or read, in one go.
const FRAMES: u64 = 1000;

/// Bytes that are gathered before they are written, as both ends do.
const GATHER: usize = 64 * 1024;

const PATIENCE: Duration = Duration::from_secs(60);

fn put(number: u64) -> Request {
    Request::Put(Put {
        path: format!("photos/2026/{number:06}.jpg").parse().unwrap(),
        body: Body::Inline,
        size: Some(SMALL as u64),
        sha256: Some(Digest::of(&number.to_le_bytes())),
        mtime: Some(1_709_210_096_789_000_000),
        executable: false,
        update: false,
        resume: None,
        key: None,
    })
}

fn plan() -> Request {
    let file = |number| PlannedFile {
        path: format!("photos/2026/{number:06}.jpg").parse().unwrap(),
        size: 1 << 20,
        mtime: Some(1_709_210_096_789_000_000),
        update: false,
        sha256: None,
    };
    Request::Plan(Plan { files: (0..256).map(file).collect() })
}

fn page() -> Reply {
    let entry = |number: u64| Entry {
        name: format!("{number:06}.jpg"),
        kind: EntryKind::File,
        size: SMALL as u64,
        mtime: 1_709_210_096_789_000_000,
        executable: false,
        sha256: Some(Digest::of(&number.to_le_bytes())),
        target: None,
        by: Some("alice".parse().unwrap()),
        etag: None,
    };
    Reply::Entries { entries: (0..256).map(entry).collect(), more: true, state: None, changed: false }
}

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("message");
    for (name, request) in [("put", put(1)), ("plan of 256", plan())] {
        let mut frame = Vec::new();
        encode(&request, &mut frame).unwrap();
        let payload = frame.split_off(sealift_protocol::frame::HEADER);
        group.bench_function(format!("encode {name}"), |bencher| {
            let mut out = Vec::new();
            bencher.iter(|| {
                out.clear();
                encode(black_box(&request), &mut out).unwrap();
            });
        });
        group.bench_function(format!("decode {name}"), |bencher| {
            bencher.iter(|| decode_request(black_box(&payload)).unwrap());
        });
    }
    let page = page();
    let mut frame = Vec::new();
    encode(&page, &mut frame).unwrap();
    let payload = frame.split_off(sealift_protocol::frame::HEADER);
    group.bench_function("encode page of 256", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| {
            out.clear();
            encode(black_box(&page), &mut out).unwrap();
        });
    });
    group.bench_function("decode page of 256", |bencher| {
        bencher.iter(|| decode::<Reply>(black_box(&payload)).unwrap());
    });
    group.finish();
}

/// Small uploads, as they follow each other on a connection: a request and its content.
fn frames(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let requests: Vec<_> = (0..FRAMES).map(put).collect();
    let content = [7; SMALL];
    let write = || async {
        let mut writer = FrameWriter::new(tokio::io::sink(), PATIENCE);
        for request in &requests {
            writer.push(request).unwrap();
            writer.push_data(&content).unwrap();
            if writer.pending() > GATHER {
                writer.flush().await.unwrap();
            }
        }
        writer.flush().await.unwrap();
    };
    let mut wire = Vec::new();
    for request in &requests {
        encode(request, &mut wire).unwrap();
        wire.extend(
            sealift_protocol::Header::new(sealift_protocol::FrameKind::Data, SMALL).unwrap().encode(),
        );
        wire.extend(content);
    }
    let mut group = criterion.benchmark_group("frames");
    group.throughput(Throughput::Elements(FRAMES));
    group.bench_function("write small uploads", |bencher| {
        bencher.iter(|| runtime.block_on(write()));
    });
    group.bench_function("read small uploads", |bencher| {
        let mut buffer = [0; SMALL];
        bencher.iter(|| {
            runtime.block_on(async {
                let mut reader = FrameReader::new(&wire[..], PATIENCE);
                while let Some(header) = reader.header(PATIENCE).await.unwrap() {
                    decode_request(reader.control(header).await.unwrap()).unwrap();
                    let header = reader.header(PATIENCE).await.unwrap().unwrap();
                    reader.data(header, &mut buffer).await.unwrap();
                }
            });
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    messages(&mut criterion);
    frames(&mut criterion);
    criterion.final_summary();
}
