//! Uploads that broke off go on where they stopped, verified; nobody else ever sees what they left.

mod continuing;
mod downloads;
mod keeping;
mod offering;
mod takeover;

use std::time::Duration;

use sealift_pipeline::FRAME;
use sealift_protocol::WireError;
use sealift_protocol::message::{Body, Part, Put, Request, Stored, Verdict};
use sealift_tests::transfer::{end_of, put};
use sealift_tests::{Client, Machine, PATIENCE, Store, eventually, within};
use sealift_types::Digest;

const MIB: usize = 1 << 20;

/// When the files that are uploaded here were last modified.
const MTIME: i64 = 1_700_000_000_000_000_000;

fn dated(file: &str, content: &[u8]) -> Put {
    Put { size: Some(content.len() as u64), mtime: Some(MTIME), ..put(file, Body::Stream) }
}

fn resumed(file: &str, content: &[u8], offset: u64) -> Put {
    let part = Part { size: offset, sha256: Digest::of(&content[..at(offset)]) };
    Put { resume: Some(part), ..dated(file, content) }
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

/// Begins an upload, or goes on with one, and sends the content up to `end`.
async fn begin(client: &mut Client, put: &Put, content: &[u8], end: usize) {
    client.push(&Request::Put(put.clone()));
    client.flush().await;
    let start = put.resume.map_or(0, |part| at(part.size)).min(end);
    for frame in content[start..end].chunks(FRAME) {
        client.send_data(frame).await;
    }
}

/// Does something while an upload goes on, slowly: with frames that hold nothing.
async fn beside<T>(client: &mut Client, doing: impl Future<Output = T>) -> T {
    let going_on = async {
        loop {
            client.send_data(&[]).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        biased;
        done = doing => done,
        () = going_on => unreachable!("it goes on for ever"),
    }
}

/// Begins an upload and loses the connection after so many bytes.
async fn cut(machine: &Machine, put: &Put, content: &[u8], end: usize) {
    let mut client = machine.connect().await;
    begin(&mut client, put, content, end).await;
}

/// The same, until the server offers to go on. Returns from where.
async fn left(machine: &Machine, file: &str, content: &[u8], end: usize) -> u64 {
    cut(machine, &dated(file, content), content, end).await;
    offered(&mut machine.connect().await, file, content.len() as u64).await
}

/// From where on the server offers to go on, once it has noticed that the upload broke off.
async fn offered(client: &mut Client, file: &str, size: u64) -> u64 {
    let asking = async {
        loop {
            match client.plan_dated(file, size, MTIME).await {
                Verdict::Resume { offset } => return offset,
                Verdict::Send | Verdict::Hash => tokio::time::sleep(Duration::from_millis(5)).await,
                other => panic!("{other:?} about a part"),
            }
        }
    };
    within(PATIENCE, "an offer to go on", asking).await
}

/// Sends the rest, and the trailer of the whole.
async fn go_on(client: &mut Client, file: &str, content: &[u8], offset: u64) -> Result<Stored, WireError> {
    begin(client, &resumed(file, content, offset), content, content.len()).await;
    client.push_trailer(&end_of(content));
    client.flush().await;
    client.stored().await
}

/// Sends the whole.
async fn whole(client: &mut Client, file: &str, content: &[u8]) -> Result<Stored, WireError> {
    client.send_stream(&dated(file, content), content).await;
    client.stored().await
}

/// Waits until so many uploads to this path have failed.
async fn failed(store: &Store, path: &str, times: usize) {
    let failures = || store.log().into_iter().filter(|row| row.path == path && row.error.is_some()).count();
    eventually("the log of what failed", || (failures() == times).then_some(())).await;
}
