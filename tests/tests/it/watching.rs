//! What a running server tells of itself: metrics, health, status, and the lines of its log.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sealift_protocol::message::{Body, Direction, Request};
use sealift_server::monitor::control::{self, ServerStatus};
use sealift_tests::client::list;
use sealift_tests::transfer::put;
use sealift_tests::{Launcher, Pattern, Settings, World, eventually, within};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::SEALIFTD;

/// The dashboard that comes with the packages.
const DASHBOARD: &str = include_str!("../../../packaging/grafana-dashboard.json");

/// What the manual says of metrics.
const MANUAL: &str = include_str!("../../../docs/monitoring.md");

async fn status(world: &World) -> ServerStatus {
    status_of(&world.data).await
}

async fn status_of(data: &Path) -> ServerStatus {
    control::ask(data).await.unwrap().expect("the server answers")
}

/// Code and body of an answer to these bytes.
async fn http(data: &Path, request: &str) -> (u16, String) {
    let address = status_of(data).await.metrics.expect("the metrics are somewhere");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(sealift_tests::PATIENCE, "an answer", stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn get(world: &World, path: &str) -> (u16, String) {
    get_of(&world.data, path).await
}

async fn get_of(data: &Path, path: &str) -> (u16, String) {
    http(data, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
}

/// The value of a series, whose labels are as they are printed.
fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("there is no {series} in\n{page}")).parse().unwrap()
}

/// All metrics of a server that has them.
pub(crate) async fn metrics(world: &World) -> String {
    get(world, "/metrics").await.1
}

/// The same of the server on a data directory.
pub(crate) async fn metrics_of(data: &Path) -> String {
    get_of(data, "/metrics").await.1
}

/// The value of a series of them.
pub(crate) fn metric(page: &str, series: &str) -> f64 {
    value(page, series)
}

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("sealift_")).collect()
}

/// A server with metrics, and what somebody did there.
async fn busy() -> World {
    let world = World::with(Settings::new().metrics()).await;
    let alice = world.enrol("alice").await;
    let mut client = alice.connect().await;
    let content = Pattern::new(1, 300_000).whole();
    for name in ["secret-name", "the-same"] {
        client.put_stream(name, &content).await.unwrap();
    }
    assert!(client.get("secret-name").await.unwrap() == content);
    client.request(&Request::List(list("/alice"))).await;
    client.request(&Request::List(list("/bob"))).await;
    world
}

#[tokio::test]
async fn metrics_count_what_happened_and_name_nobody() {
    let world = busy().await;
    let (code, page) = get(&world, "/metrics").await;
    assert_eq!(code, 200);
    for (series, least, most) in [
        ("sealift_requests_total{kind=\"put\",outcome=\"ok\"}", 2.0, 2.0),
        ("sealift_requests_total{kind=\"list\",outcome=\"ok\"}", 1.0, 1.0),
        ("sealift_requests_total{kind=\"list\",outcome=\"refused\"}", 1.0, 1.0),
        ("sealift_request_duration_seconds_count{kind=\"list\"}", 2.0, 2.0),
        ("sealift_transfers_total{direction=\"put\",outcome=\"ok\"}", 2.0, 2.0),
        ("sealift_content_bytes_total{direction=\"put\"}", 600_000.0, 600_000.0),
        ("sealift_content_bytes_total{direction=\"get\"}", 300_000.0, 300_000.0),
        ("sealift_wire_bytes_total{direction=\"put\"}", 600_000.0, 610_000.0),
        ("sealift_transfers_running{direction=\"put\"}", 0.0, 0.0),
        ("sealift_catalog_commit_duration_seconds_count", 1.0, 100.0),
        // Two blobs arrived, each with the sync of its file and of its directory.
        ("sealift_fsync_duration_seconds_count", 4.0, 6.0),
        ("sealift_machines_joined_total", 1.0, 1.0),
        ("sealift_store_logical_bytes", 600_000.0, 600_000.0),
        ("sealift_store_unique_bytes", 300_000.0, 300_000.0),
        ("sealift_store_saved_bytes", 300_000.0, 300_000.0),
        ("sealift_disk_free_bytes", 1.0, f64::MAX),
        ("sealift_certificate_expiry_timestamp_seconds{certificate=\"server\"}", 1.7e9, 1e11),
    ] {
        let value = value(&page, series);
        assert!((least..=most).contains(&value), "{series} is {value}");
    }
    for name in ["alice", "bob", "secret", "127.0.0.1"] {
        assert!(!page.contains(name), "{name} is nobody's business");
    }
}

#[tokio::test]
async fn the_dashboard_and_the_manual_name_metrics_that_exist() {
    let world = busy().await;
    let (_, page) = get(&world, "/metrics").await;
    let exist = names(&page);
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut queries = 0;
    let panels = dashboard["panels"].as_array().unwrap();
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten()) {
        let expression = target["expr"].as_str().unwrap();
        let asked = names(expression);
        assert!(!asked.is_empty(), "{expression}");
        for name in asked {
            assert!(exist.contains(name), "the dashboard asks for {name}");
        }
        queries += 1;
    }
    assert!(queries >= panels.len() / 2, "{queries} queries");
    let families: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let told: BTreeSet<_> = MANUAL
        .lines()
        .filter_map(|line| line.strip_prefix("| `sealift_"))
        .filter_map(|line| line.split(['`', '{']).next())
        .map(|rest| format!("sealift_{rest}"))
        .collect();
    assert_eq!(told.iter().map(String::as_str).collect::<BTreeSet<_>>(), families);
}

#[tokio::test]
async fn health_is_told_and_odd_requests_are_refused() {
    let mut world = World::with(Settings::new().metrics()).await;
    let alice = world.enrol("alice").await;
    assert_eq!(get(&world, "/healthz").await.0, 200);
    assert_eq!(get(&world, "/readyz").await, (200, "ready\n".into()));
    assert_eq!(get(&world, "/else").await.0, 404);
    assert_eq!(
        http(&world.data, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await.0,
        405
    );
    let long = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(40_000));
    assert_eq!(http(&world.data, &long).await.0, 431);
    // An upload under way keeps the server until it ends: alive, not ready.
    let mut uploading = alice.connect().await;
    uploading.push(&Request::Put(put("file", Body::Stream)));
    uploading.send_data(&[1; 200_000]).await;
    eventually("the upload under way", || world.store().incoming().pop()).await;
    world.begin_to_stop();
    within(sealift_tests::PATIENCE, "the server that stops", async {
        while get(&world, "/readyz").await.0 != 503 {}
    })
    .await;
    assert_eq!(get(&world, "/healthz").await.0, 200);
    assert!(status(&world).await.stopping);
}

#[tokio::test]
async fn status_shows_what_is_under_way() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let mut uploading = alice.connect().await;
    uploading.push(&Request::Put(sealift_protocol::message::Put {
        size: Some(1_000_000),
        ..put("large", Body::Stream)
    }));
    uploading.send_data(&[1; 250_000]).await;
    eventually("the upload under way", || server.store().incoming().pop()).await;
    let ran = launcher.run("status", &["--json"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&told["running"], &told["connections"]), (&Value::from(true), &Value::from(1)));
    let transfer = &told["transfers"][0];
    assert_eq!(transfer["path"], "/alice/large");
    assert_eq!((&transfer["identity"], &transfer["direction"]), (&"alice".into(), &"put".into()));
    assert_eq!((&transfer["size"], &transfer["bytes"]), (&1_000_000.into(), &250_000.into()));
    assert_eq!(transfer["bytes_per_second"], 0.0, "nothing moved between the two looks");
    assert!(told["disk"]["free_bytes"].as_u64().unwrap() > 0);
    let shown = launcher.run("status", &[]).await.stdout;
    for words in
        ["running for", "1 uploads, 0 downloads", "put /alice/large by alice", "left of", "authority until"]
    {
        assert!(shown.contains(words), "no {words:?} in\n{shown}");
    }
    let mode = fs::metadata(control::path(&server.data)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The next server finds the socket of one that was killed.
    server.kill();
    let stopped = launcher.run("status", &["--json"]).await;
    assert_eq!(stopped.code, Some(3), "{}", stopped.stderr);
    let told: Value = serde_json::from_str(&stopped.stdout).unwrap();
    assert_eq!((&told["running"], &told["store"]["entries"]), (&false.into(), &0.into()));
    assert!(stopped.stderr.contains("no server uses"), "{}", stopped.stderr);
    let _again = launcher.start().await;
    assert_eq!(launcher.run("status", &[]).await.code, Some(0));
}

#[tokio::test]
async fn a_line_of_the_log_tells_of_which_request_it_is() {
    let launcher = Launcher::new(SEALIFTD).settings(Settings::new().json_log());
    let server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let mut client = alice.connect().await;
    client.put_inline("a", b"x").await.unwrap();
    client.put_inline("b", b"y").await.unwrap();
    client.get("a").await.unwrap();
    let lines = eventually("three lines", || {
        let log = server.stderr();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines: Vec<_> = lines.filter(|line| line["fields"]["message"] == "transfer").collect();
        (lines.len() == 3).then_some(lines)
    })
    .await;
    for (line, (path, direction, request)) in
        lines.iter().zip([("/alice/a", "Put", 2), ("/alice/b", "Put", 3), ("/alice/a", "Get", 4)])
    {
        let fields = &line["fields"];
        assert_eq!((&fields["path"], &fields["direction"]), (&path.into(), &direction.into()));
        let spans = line["spans"].as_array().unwrap();
        let of = |name: &str| spans.iter().find_map(|span| span.get(name)).cloned();
        assert_eq!(of("request"), Some(request.into()), "{line}");
        assert_eq!(of("identity"), Some("alice".into()), "{line}");
        assert!(of("id").is_some(), "the connection has a number: {line}");
    }
}

#[test]
fn directions_have_two_words() {
    // The metrics have a label for each; a third would be counted as a download.
    for (direction, word) in [(Direction::Put, "put"), (Direction::Get, "get")] {
        assert_eq!(serde_json::to_value(direction).unwrap(), word);
    }
}
