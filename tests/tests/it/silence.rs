//! Peers that stop: each wait has its end, and whoever can be told is told.

use std::time::{Duration, Instant};

use sealift_protocol::message::{Body, Reply, Request};
use sealift_tests::client::hello;
use sealift_tests::transfer::{put, put_inline};
use sealift_tests::{Client, PATIENCE, Pattern, Settings, World, eventually, within};
use sealift_types::ErrorCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The time-out that a test is about; all others keep their defaults, of 10 s and more.
const SHORT: Duration = Duration::from_millis(400);

/// By when a connection with that time-out must have ended, on a machine that is busy.
const SOON: Duration = Duration::from_secs(5);

async fn expect_timeout(client: &mut Client, since: Instant, what: &str) {
    let said = within(SOON, what, client.last_words()).await;
    let error = said.unwrap_or_else(|| panic!("{what}: not a word"));
    assert!(error.code == ErrorCode::Timeout && error.retry, "{what}: {error:?}");
    assert!(since.elapsed() >= SHORT, "{what}: too early");
}

#[tokio::test]
async fn a_stranger_who_says_nothing_is_hung_up_on() {
    let world = World::with(Settings::new().handshake(SHORT)).await;
    let alice = world.enrol("alice").await;
    let mut connected = alice.connect().await;
    for beginning in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"] {
        let begun = Instant::now();
        let mut stream = world.knock().await;
        stream.write_all(beginning).await.unwrap();
        let _ = within(SOON, "the end of the handshake", stream.read_to_end(&mut Vec::new())).await;
        assert!(begun.elapsed() >= SHORT);
    }
    let token = world.invite("bob");
    let mut joining = sealift_tests::joining::dial(&token).await.unwrap();
    within(SOON, "the end of a join conversation without a word", joining.last_words()).await;
    sealift_tests::joining::join(&token).await.unwrap();
    connected.whoami().await.unwrap();
}

#[tokio::test]
async fn a_client_without_a_request_is_told_that_it_took_too_long() {
    let world = World::with(Settings::new().first_request(SHORT)).await;
    let alice = world.enrol("alice").await;
    let mut greeted = alice.connect().await;
    let begun = Instant::now();
    let mut client = alice.dial().await;
    expect_timeout(&mut client, begun, "no first request").await;
    greeted.whoami().await.expect("this limit is for the first request only");
}

#[tokio::test]
async fn an_idle_client_is_told_so() {
    let world = World::with(Settings::new().idle(SHORT)).await;
    let alice = world.enrol("alice").await;
    let begun = Instant::now();
    let mut client = alice.connect().await;
    expect_timeout(&mut client, begun, "nothing after hello").await;
    let mut client = alice.connect().await;
    let begun = Instant::now();
    client.put_inline("file", b"x").await.unwrap();
    expect_timeout(&mut client, begun, "nothing after an upload").await;
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_is_told_so() {
    let world = World::with(Settings::new().stall(SHORT)).await;
    let alice = world.enrol("alice").await;
    let stream = Request::Put(put("file", Body::Stream));
    for (what, request, bytes) in [
        ("before the first data", Some(stream.clone()), &b""[..]),
        ("in the middle of a data frame", Some(stream.clone()), b"D\0\xff\xffhalf"),
        ("in the middle of a header", Some(stream.clone()), b"D\0"),
        ("between two data frames", Some(stream.clone()), b"D\0\0\x04some"),
        ("before the trailer of an empty file", Some(stream), b"D\0\0\0"),
        ("before the one frame of a small file", Some(Request::Put(put_inline("file", b"abc"))), b""),
        ("in the middle of a small file", Some(Request::Put(put_inline("file", b"abc"))), b"D\0\0\x03a"),
        ("in the middle of a request", None, b"J\0\0\x20{\"type\":"),
        ("in the middle of a request's header", None, b"J"),
    ] {
        let mut client = alice.connect().await;
        let begun = Instant::now();
        if let Some(request) = &request {
            client.push(request);
        }
        client.send_raw(bytes).await;
        expect_timeout(&mut client, begun, what).await;
    }
    let mut client = alice.dial().await;
    let begun = Instant::now();
    client.push(&hello());
    client.send_raw(b"J\0\0").await;
    assert!(matches!(client.reply().await, Reply::Welcome(_)));
    expect_timeout(&mut client, begun, "behind a hello").await;

    let mut client = alice.connect().await;
    assert!(client.list("").await.unwrap().is_empty());
    world.store().settled().await;
}

#[tokio::test]
async fn a_large_upload_that_stops_leaves_nothing() {
    let world = World::with(Settings::new().stall(SHORT)).await;
    let alice = world.enrol("alice").await;
    let mut client = alice.connect().await;
    client.push(&Request::Put(put("file", Body::Stream)));
    for _ in 0..20 {
        client.send_data(&[8; 200_000]).await;
    }
    let begun = Instant::now();
    eventually("the upload under way", || world.store().incoming().pop()).await;
    expect_timeout(&mut client, begun, "in the middle of a large upload").await;
    world.store().settled().await;
    assert_eq!(world.store().count("objects"), 0);
    assert_eq!(world.store().logged("/alice/file").await.bytes, 4_000_000);
}

#[tokio::test]
async fn a_slow_upload_that_keeps_moving_is_left_alone() {
    let world = World::with(Settings::new().stall(SHORT).idle(SHORT)).await;
    let mut client = world.enrol("alice").await.connect().await;
    let content = Pattern::new(1, 100).whole();
    client.push(&Request::Put(put("file", Body::Stream)));
    let begun = Instant::now();
    for piece in content.chunks(10) {
        client.send_data(piece).await;
        // The pace is what is tested here.
        tokio::time::sleep(SHORT / 4).await;
    }
    client.push_trailer(&sealift_tests::transfer::end_of(&content));
    client.flush().await;
    client.stored().await.unwrap();
    assert!(begun.elapsed() > 2 * SHORT, "longer than it may stop");
}

#[tokio::test]
async fn a_client_that_stops_reading_a_download_is_cut_off() {
    let world = World::with(Settings::new().stall(SHORT)).await;
    let alice = world.enrol("alice").await;
    let mut other = alice.connect().await;
    other.put_from("file", Pattern::new(1, 40 << 20), None).await.unwrap();
    let mut client = alice.connect_with_a_small_window().await;
    client.ask("file", 0).await;
    let Reply::Content(announced) = client.reply().await else { panic!("no content") };
    let row =
        within(SOON, "the end of a download that nobody reads", world.store().logged_get("/alice/file"))
            .await;
    assert_eq!(row.error.as_deref(), Some("interrupted"));
    assert!(row.bytes < announced.size && row.duration_us >= 400_000, "{row:?}");
    // What is on its way still arrives, but never an end.
    let mut received = 0;
    while let Ok(Some(header)) = client.reader.header(PATIENCE).await {
        assert_eq!(header.kind(), sealift_protocol::FrameKind::Data, "a trailer of half a download");
        let mut data = vec![0; header.length()];
        if client.reader.data(header, &mut data).await.is_err() {
            break;
        }
        received += data.len() as u64;
    }
    assert!(received < announced.size);
    other.whoami().await.unwrap();
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_left_alone() {
    // The server sees progress only in steps of a third of its socket's buffer, which may grow to 4 MiB.
    let limit = Duration::from_secs(1);
    let world = World::with(Settings::new().stall(limit).idle(limit)).await;
    let alice = world.enrol("alice").await;
    alice.connect().await.put_from("file", Pattern::new(1, 7 << 20), None).await.unwrap();
    let mut client = alice.connect_with_window(256 * 1024).await;
    let begun = Instant::now();
    client.ask("file", 0).await;
    client.receive(Slow(Duration::from_millis(90))).await.unwrap().verified().unwrap();
    assert!(begun.elapsed() > 2 * limit, "longer than it may stop");
}

/// Takes a pause behind each frame.
struct Slow(Duration);

impl std::io::Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::thread::sleep(self.0);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
