//! Peers that do not keep to the protocol: each is told where it can be, and nobody else notices.

use sealift_protocol::frame::{MAX_CONTROL, MAX_DATA};
use sealift_protocol::message::{Body, Reply, Request, Whoami};
use sealift_tests::transfer::{end_of, put, put_inline};
use sealift_tests::{Client, PATIENCE, World, within};
use sealift_types::{Digest, ErrorCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::code;

/// A control frame of these bytes, valid or not.
fn control(payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[b'J', a, b, c], payload].concat()
}

async fn expect_end(client: &mut Client, expected: ErrorCode, what: &str) {
    let said = within(PATIENCE, what, client.last_words()).await;
    assert_eq!(said.map(|error| error.code), Some(expected), "{what}");
}

/// A request whose JSON has exactly `length` bytes.
fn padded(length: usize) -> Vec<u8> {
    let empty = br#"{"type":"whoami","later":""}"#.len();
    format!(r#"{{"type":"whoami","later":"{}"}}"#, "x".repeat(length - empty)).into_bytes()
}

#[tokio::test]
async fn frames_that_are_none_end_the_connection() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut witness = alice.connect().await;
    let long = [&b"J\x01\x00\x01"[..], &padded(MAX_CONTROL + 1)].concat();
    for (what, bytes) in [
        ("an unknown kind", &b"X\0\0\x01x"[..]),
        ("a kind in lower case", b"j\0\0\x02{}"),
        ("a control frame of 16 MiB", b"J\xff\xff\xff"),
        ("a data frame of 16 MiB", b"D\xff\xff\xff"),
        ("a control frame one byte too long", &long),
        ("a data frame one byte too long", b"D\x04\x00\x01xxxx"),
        ("a data frame that nobody asked for", b"D\0\0\x01x"),
        ("an empty data frame that nobody asked for", b"D\0\0\0"),
        ("a web browser", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("TLS in TLS", b"\x16\x03\x01\x02\x00\x01\x00"),
        ("garbage", &[0x93; 1000]),
        ("a second hello", &control(br#"{"type":"hello","versions":[1]}"#)),
    ] {
        let mut client = alice.connect().await;
        client.send_raw(bytes).await;
        expect_end(&mut client, ErrorCode::BadRequest, what).await;
        witness.whoami().await.unwrap();
    }
}

/// The server reads on for a moment after its last word: a socket that is closed with bytes unread resets the
/// connection, and a client that is still sending would get that instead of the reason.
#[tokio::test]
async fn whoever_is_still_sending_learns_why_it_ends() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    for beginning in [&b"J\x01\x00\x01"[..], b"D\xff\xff\xff", b"D\0\0\x01x", b"garbage "] {
        let mut client = alice.connect().await;
        client.send_raw(beginning).await;
        for _ in 0..40 {
            client.send_raw(&[0x93; 50_000]).await;
        }
        expect_end(&mut client, ErrorCode::BadRequest, "two megabytes of garbage").await;
    }
}

#[tokio::test]
async fn the_first_request_has_to_be_a_hello() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    for request in [
        json!({"type": "whoami"}),
        json!({"type": "list", "path": ""}),
        json!({"type": "put", "path": "x", "body": "stream"}),
        json!({"type": "put", "path": "x", "body": "claim", "size": 0, "sha256": Digest::of(b"")}),
        json!({"type": "join", "secret": "x", "csr": "x"}),
        json!({"type": "unknown"}),
        json!({"type": "hello"}),
        json!({"type": "hello", "versions": "1"}),
        json!([1, 2, 3]),
        json!(null),
    ] {
        let mut client = alice.dial().await;
        client.push_json(&request);
        client.flush().await;
        // What is not understood may be answered before a request that would be; none is ever carried out.
        client.push(&Request::Whoami(Whoami {}));
        let _ = client.writer.flush().await;
        expect_end(&mut client, ErrorCode::BadRequest, &request.to_string()).await;
    }
    let mut client = alice.dial().await;
    client.send_raw(b"D\0\0\x01x").await;
    expect_end(&mut client, ErrorCode::BadRequest, "data before a hello").await;
    alice.connect().await.whoami().await.unwrap();
}

#[tokio::test]
async fn without_a_common_version_there_is_no_conversation() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let many: Vec<u32> = (2..10_000).collect();
    let most: Vec<u8> = vec![2; 32_000];
    for versions in [json!([]), json!([2]), json!([0, 2, u32::MAX]), json!(many), json!(most)] {
        let mut client = alice.dial().await;
        client.push_json(&json!({ "type": "hello", "versions": versions }));
        client.flush().await;
        expect_end(&mut client, ErrorCode::UnsupportedVersion, "a hello without a common version").await;
    }
    let mut client = alice.dial().await;
    let modern = json!({"type": "hello", "versions": [7, 1], "features": ["warp"], "agent": "x".repeat(5000), "more": {}});
    assert!(matches!(client.request_json(&modern).await, Reply::Welcome(welcome) if welcome.version == 1));
}

#[tokio::test]
async fn requests_that_are_not_understood_leave_the_connection_in_step() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let (unknown, bad) = (ErrorCode::UnknownRequest, ErrorCode::BadRequest);
    let deep = format!("{}1{}", "[".repeat(30_000), "]".repeat(30_000));
    let deep_field = format!(r#"{{"type":"whoami","later":{deep}}}"#);
    let quotes = format!(r#"{{"type":"{}"}}"#, "\\\"".repeat(32_000));
    let variant = format!(r#"{{"type":"put","path":"x","body":"{}"}}"#, "\\\"".repeat(32_000));
    let number = format!(r#"{{"type":"get","path":"x","offset":{}}}"#, "9".repeat(60_000));
    for (payload, expected) in [
        (r#"{"type":"teleport"}"#, unknown),
        (r#"{"type":"WHOAMI"}"#, unknown),
        (r#"{"type":""}"#, unknown),
        (r#"{"type":"welcome","version":1}"#, unknown),
        (&quotes, unknown),
        ("", bad),
        ("{", bad),
        ("{}", bad),
        ("[]", bad),
        ("5", bad),
        ("null", bad),
        ("\"whoami\"", bad),
        (r#"{"type":5}"#, bad),
        (r#"{"type":null}"#, bad),
        (r#"{"type":"get"}"#, bad),
        (r#"{"type":"get","path":"x"} "x""#, bad),
        (r#"{"type":"get","path":"x","offset":-1}"#, bad),
        (r#"{"type":"get","path":"x","offset":1e3}"#, bad),
        (r#"{"type":"get","path":"x","offset":"1"}"#, bad),
        (r#"{"type":"put","path":"x","body":"carrier-pigeon"}"#, bad),
        (r#"{"type":"put","path":"x","body":"claim","size":1,"sha256":"abc"}"#, bad),
        (r#"{"type":"put","path":"x","body":"claim","size":1,"mtime":9223372036854775808}"#, bad),
        (r#"{"type":"log","limit":-1}"#, bad),
        (&deep, bad),
        (&deep_field, bad),
        (&variant, bad),
        (&number, bad),
    ] {
        let what: String = payload.chars().take(80).collect();
        client.send_raw(&control(payload.as_bytes())).await;
        client.push(&Request::Whoami(Whoami {}));
        client.flush().await;
        let refusal = within(PATIENCE, &what, client.refusal()).await;
        assert_eq!(refusal.code, expected, "{what}");
        assert!(matches!(client.reply().await, Reply::Identity(_)), "{what}");
    }
    for bytes in
        [&b"\xff\xfe"[..], b"{\"type\":\"get\",\"path\":\"\xff\"}", b"\0\0\0\0", &[0x80; MAX_CONTROL]]
    {
        client.send_raw(&control(bytes)).await;
        assert_eq!(client.refusal().await.code, ErrorCode::BadRequest);
    }
    client.put_inline("file", b"x").await.unwrap();
    assert_eq!(client.names("").await, ["file"]);
}

#[tokio::test]
async fn frames_of_exactly_the_limit_are_fine() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    client.send_raw(&control(&padded(MAX_CONTROL))).await;
    assert!(matches!(client.reply().await, Reply::Identity(_)));
    let content = vec![5; MAX_DATA];
    client.push(&Request::Put(put("file", Body::Stream)));
    client.send_data(&content).await;
    client.push_trailer(&end_of(&content));
    client.flush().await;
    assert_eq!(client.stored().await.unwrap().sha256, Digest::of(&content));
    assert!(client.get("file").await.unwrap() == content);
}

#[tokio::test]
async fn what_has_no_place_in_an_upload_ends_the_connection() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let begin = |body| control(&serde_json::to_vec(&Request::Put(put("file", body))).unwrap());
    let inline = control(&serde_json::to_vec(&Request::Put(put_inline("file", b"abc"))).unwrap());
    let whoami = control(br#"{"type":"whoami"}"#);
    for (what, bytes) in [
        ("a request instead of the trailer", [begin(Body::Stream), whoami.clone()].concat()),
        ("a request instead of the data", [inline.clone(), whoami.clone()].concat()),
        ("no JSON instead of the trailer", [begin(Body::Stream), control(b"{{{")].concat()),
        ("a trailer that does not add up", [begin(Body::Stream), control(br#"{"type":"end"}"#)].concat()),
        ("an unknown kind in a body", [begin(Body::Stream), b"Z\0\0\x01x".to_vec()].concat()),
        ("a data frame that is too long", [begin(Body::Stream), b"D\x10\0\0".to_vec()].concat()),
        ("an inline body that is too long", [inline, b"D\x10\0\0".to_vec()].concat()),
    ] {
        let mut client = alice.connect().await;
        client.send_raw(&bytes).await;
        expect_end(&mut client, ErrorCode::BadRequest, what).await;
    }
    let mut client = alice.connect().await;
    assert!(client.list("").await.unwrap().is_empty());
    world.store().settled().await;
}

#[tokio::test]
async fn connections_that_end_in_the_middle_leave_nothing() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let request = control(&serde_json::to_vec(&Request::Put(put("file", Body::Stream))).unwrap());
    let content = vec![9; 100_000];
    let mut whole = request.clone();
    whole.extend(b"D\x01\x86\xa0");
    whole.extend(&content);
    whole.extend(control(&serde_json::to_vec(&end_of(&content)).unwrap()));
    // In a header, in a request, between two frames, in the data, in the trailer.
    let cuts = [
        1,
        3,
        4,
        10,
        request.len() - 1,
        request.len(),
        request.len() + 2,
        request.len() + 4,
        50_000,
        100_100,
    ];
    for cut in cuts.into_iter().chain([whole.len() - 1]) {
        for goodbye in [true, false] {
            let mut client = alice.connect().await;
            client.send_raw(&whole[..cut]).await;
            if goodbye {
                client.writer.close().await.unwrap();
                within(PATIENCE, "the other end's goodbye", client.last_words()).await;
            }
            drop(client);
        }
    }
    let mut client = alice.connect().await;
    assert!(client.list("").await.unwrap().is_empty());
    world.store().settled().await;
    // One that ends in order, but only in its sending direction, gets all its answers.
    client.send_raw(&whole).await;
    client.push(&Request::Whoami(Whoami {}));
    client.writer.close().await.unwrap();
    client.stored().await.unwrap();
    assert!(matches!(client.reply().await, Reply::Identity(_)));
    assert!(client.try_reply().await.unwrap().is_none());
}

#[tokio::test]
async fn whoever_speaks_no_tls_is_hung_up_on() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"J\0\0\x02{}",
        &[0; 64],
        &[0x16, 3, 1, 0xff, 0xff, 1, 2, 3],
        &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 7],
        &[0xff; 70_000],
    ] {
        let mut stream = world.knock().await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        // An alert perhaps, then the end, in order or not.
        let _ = within(PATIENCE, "the end of a stranger", stream.read_to_end(&mut Vec::new())).await;
        assert!(alice.try_connect().await.is_ok());
    }
}

/// Requests are answered in order, so a client that asks for much and reads nothing holds up nobody but itself.
#[tokio::test]
async fn a_flood_of_requests_without_a_reader_is_one_clients_problem() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut other = alice.connect().await;
    for number in 0..500 {
        other.push_inline(&format!("d/{number}"), b"x");
    }
    other.flush().await;
    for _ in 0..500 {
        other.stored().await.unwrap();
    }
    let mut flood = alice.connect_with_a_small_window().await;
    let list = control(&serde_json::to_vec(&json!({"type": "list", "path": "d"})).unwrap()).repeat(100);
    // Until the server reads no further.
    let quiet = std::time::Duration::from_millis(300);
    while tokio::time::timeout(quiet, flood.send_raw(&list)).await.is_ok() {}
    other.put_inline("other", b"x").await.unwrap();
    assert_eq!(other.names("d").await.len(), 500);
    assert_eq!(code(other.get("nothing").await), ErrorCode::NotFound);
    assert_eq!(alice.connect().await.names("").await, ["d", "other"]);
}

#[tokio::test]
async fn a_thousand_fields_that_nobody_knows_are_ignored() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let mut request =
        json!({"type": "put", "path": "file", "body": "inline", "size": 1, "sha256": Digest::of(b"x")});
    for number in 0..1000 {
        request[format!("later-{number}")] = Value::Null;
    }
    client.push_json(&request);
    client.send_data(b"x").await;
    client.stored().await.unwrap();
    assert_eq!(client.get("file").await.unwrap(), b"x");
}
