//! The program stops in order, and does not start where it must not.

use std::fs;
use std::time::Duration;

use sealift_protocol::message::{Body, Reply, Request};
use sealift_tests::transfer::{end_of, put};
use sealift_tests::{Launcher, Pattern, Settings, eventually, within};
use sealift_types::{Digest, ErrorCode};
use tokio::net::TcpStream;

use crate::SEALIFTD;

#[tokio::test]
async fn a_signal_lets_transfers_end_and_nobody_new_in() {
    let launcher = Launcher::new(SEALIFTD);
    let mut server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let large = Pattern::new(1, 40 << 20);
    let mut uploading = alice.connect().await;
    uploading.put_from("large", large.clone(), None).await.unwrap();
    let mut downloading = alice.connect_with_a_small_window().await;
    downloading.ask("large", 0).await;
    let Reply::Content(announced) = downloading.reply().await else { panic!("no content") };
    let mut idle = alice.connect().await;
    let content = Pattern::new(2, 2_000_000).whole();
    uploading.push(&Request::Put(put("file", Body::Stream)));
    uploading.send_data(&content[..100_000]).await;
    eventually("the upload under way", || server.store().incoming().pop()).await;

    server.terminate();
    let said = idle.last_words().await;
    assert_eq!(said.map(|error| (error.code, error.retry)), Some((ErrorCode::ShuttingDown, true)));
    let refused = TcpStream::connect(server.address).await;
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);

    for frame in content[100_000..].chunks(100_000) {
        uploading.send_data(frame).await;
    }
    uploading.push_trailer(&end_of(&content));
    uploading.flush().await;
    assert_eq!(uploading.stored().await.unwrap().sha256, Digest::of(&content));
    let fetched = downloading.receive_body(announced, std::io::sink()).await;
    fetched.verified().unwrap();
    for client in [&mut uploading, &mut downloading] {
        assert_eq!(client.last_words().await.map(|error| error.code), Some(ErrorCode::ShuttingDown));
    }
    drop((uploading, downloading, idle));
    assert_eq!(server.exit_code().await, Some(0));

    let server = launcher.start().await;
    let mut client = alice.at(server.address).connect().await;
    assert!(client.get("file").await.unwrap() == content);
    let row = server.store().logged_get("/alice/large").await;
    assert_eq!((row.error, row.bytes), (None, large.size()), "what ended after the signal is in the log");
}

#[tokio::test]
async fn a_signal_waits_no_longer_than_the_deadline() {
    let launcher = Launcher::new(SEALIFTD).settings(Settings::new().drain(Duration::from_millis(500)));
    let mut server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let mut client = alice.connect().await;
    client.push(&Request::Put(put("file", Body::Stream)));
    client.send_data(&[7; 100_000]).await;
    eventually("the upload under way", || server.store().incoming().pop()).await;
    server.terminate();
    let ended = within(Duration::from_secs(5), "the end of the server", server.exit_code()).await;
    assert_eq!(ended, Some(0));
    assert!(client.last_words().await.is_none());
    let server = launcher.start().await;
    assert!(alice.at(server.address).connect().await.list("").await.unwrap().is_empty());
    server.store().settled().await;
}

/// Whoever has connected and says nothing has nothing under way.
#[tokio::test]
async fn a_silent_stranger_does_not_hold_up_the_end() {
    let mut server = Launcher::new(SEALIFTD).start().await;
    let alice = server.enrol("alice").await;
    let silent = (server.knock().await, alice.dial().await);
    alice.connect().await.whoami().await.unwrap();
    server.terminate();
    let ended = within(Duration::from_secs(5), "the end of the server", server.exit_code()).await;
    assert_eq!(ended, Some(0));
    drop(silent);
}

/// The program behind a pipe may end, and the disk that takes the log may be full: neither ends the server.
#[tokio::test]
async fn a_server_whose_log_cannot_be_written_serves_on() {
    let mut server = Launcher::new(SEALIFTD).unheard().start().await;
    let alice = server.enrol("alice").await;
    for number in 0..3 {
        let mut client = alice.connect().await;
        let content = Pattern::new(number, 100_000).whole();
        client.put_stream("file", &content).await.unwrap();
        assert!(client.get("file").await.unwrap() == content);
        client.close().await;
    }
    server.terminate();
    assert_eq!(server.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let ended = launcher.fail().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("another sealiftd uses") && ended.stderr.contains("stop it first"),
        "{ended:?}"
    );
    assert!(!ended.stdout.contains("listening"), "nobody is called to a server that is not there: {ended:?}");
    // The first one has not noticed, and its uploads are safe.
    let mut client = server.enrol("alice").await.connect().await;
    client.put_stream("file", &Pattern::new(1, 100_000).whole()).await.unwrap();
    client.get("file").await.unwrap();
    server.kill();
    launcher.start().await.enrol("bob").await.connect().await.whoami().await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first = Launcher::new(SEALIFTD).start().await;
    let ended = Launcher::new(SEALIFTD).listen(first.address).fail().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let says = |word: &str| ended.stderr.contains(word);
    assert!(says(&first.address.to_string()) && says("--listen"), "{ended:?}");
    assert_eq!(ended.stdout, "", "{ended:?}");
}

#[tokio::test]
async fn a_catalog_that_is_none_stops_the_server_and_stays_as_it_is() {
    for (damage, words) in [
        (&[0x5a_u8; 20_000][..], "restore it from a backup"),
        (
            b"SQLite format 3\0and then something else, longer than a header, until here: ............",
            "restore it from a backup",
        ),
    ] {
        let launcher = Launcher::new(SEALIFTD);
        let catalog = launcher.data().join("catalog.db");
        for side in ["-wal", "-shm"] {
            let _ = fs::remove_file(launcher.data().join(format!("catalog.db{side}")));
        }
        fs::write(&catalog, damage).unwrap();
        for verb in [None, Some("invite")] {
            let ended = match verb {
                None => launcher.fail().await,
                Some(verb) => launcher.run(verb, &["alice"]).await,
            };
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.stderr.contains(words) && ended.stderr.contains("catalog.db"), "{ended:?}");
            assert_eq!(ended.stdout, "", "{ended:?}");
            assert_eq!(fs::read(&catalog).unwrap(), damage, "not a byte was changed");
        }
    }
}

#[tokio::test]
async fn a_directory_with_a_part_missing_is_left_alone() {
    for part in ["catalog.db", "pki/ca.key", "blobs", "incoming"] {
        let launcher = Launcher::new(SEALIFTD);
        let missing = launcher.data().join(part);
        if missing.is_dir() {
            fs::remove_dir(&missing).unwrap();
        } else {
            fs::remove_file(&missing).unwrap();
        }
        let ended = launcher.fail().await;
        assert_eq!(ended.code, Some(2), "{part}: {ended:?}");
        assert!(ended.stderr.contains(part) && ended.stderr.contains("restore"), "{part}: {ended:?}");
        assert!(!missing.exists(), "{part} is not made anew");
    }
    let launcher = Launcher::on_nothing(SEALIFTD);
    fs::create_dir(launcher.data()).unwrap();
    fs::write(launcher.data().join("thesis.txt"), "x").unwrap();
    let ended = launcher.fail().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(fs::read_dir(launcher.data()).unwrap().count(), 1);
    let ended = Launcher::on_nothing(SEALIFTD).run("invite", &["alice"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("sealiftd init"), "{ended:?}");
}
