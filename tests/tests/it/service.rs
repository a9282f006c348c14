//! The server as systemd runs it: the units, the socket that is handed over, and what it is told.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sealift_server::data::DataDirectory;
use sealift_tests::{PATIENCE, Site, eventually};
use tempfile::TempDir;

use crate::SEALIFTD;

/// The exposure that the service may have at most, in tenths.
const EXPOSURE: &str = "10";

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging")
}

/// Runs a program of systemd; none if it is not installed here.
fn systemd(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            skip(program);
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

#[allow(clippy::print_stderr)]
fn skip(program: &str) {
    eprintln!("skipped: {program} is not installed here");
}

#[test]
fn the_units_are_what_systemd_understands() {
    let folder = TempDir::new().unwrap();
    let copy = |name: &str| {
        let unit = fs::read_to_string(packaging().join(name)).unwrap();
        let path = folder.path().join(name);
        // It wants a program that is there.
        fs::write(&path, unit.replace("/usr/bin/sealiftd", SEALIFTD)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (service, socket) = (copy("sealiftd.service"), copy("sealiftd.socket"));
    let Some(verified) = systemd("systemd-analyze", &["verify", "--man=no", &service, &socket]) else {
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_service_is_exposed_as_little_as_promised() {
    let unit = packaging().join("sealiftd.service");
    let threshold = format!("--threshold={EXPOSURE}");
    let arguments = ["security", "--offline=yes", "--no-pager", &threshold, unit.to_str().unwrap()];
    let Some(measured) = systemd("systemd-analyze", &arguments) else { return };
    assert!(measured.status.success(), "{}", String::from_utf8_lossy(&measured.stdout));
}

#[test]
fn every_directive_is_explained() {
    let unit = fs::read_to_string(packaging().join("sealiftd.service")).unwrap();
    let (_, service) = unit.split_once("[Service]\n").unwrap();
    let (service, _) = service.split_once("\n[Install]").unwrap();
    // Each run of directives has a comment right above it, and says one thing.
    let (mut explained, mut run) = (false, 0);
    for line in service.lines() {
        if line.starts_with('#') {
            (explained, run) = (true, 0);
        } else if line.is_empty() {
            explained = false;
        } else {
            run += 1;
            assert!(explained, "{line} has no comment");
            assert!(run <= 6, "{line} stands too far from its comment");
        }
    }
}

/// A server that was handed its socket and has somebody to tell how it is.
struct Activated {
    site: Site,
    child: Child,
    told: UnixDatagram,
    /// What it said before, in the order in which it did.
    heard: String,
    folder: TempDir,
}

impl Activated {
    /// `None` where systemd's tools are not installed.
    fn start() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let (data, notify) = (folder.path().join("data"), folder.path().join("notify"));
        DataDirectory::open_or_initialise(&data, std::time::SystemTime::now()).unwrap();
        let told = UnixDatagram::bind(&notify).unwrap();
        told.set_read_timeout(Some(PATIENCE)).unwrap();
        // The tool has no way to say which port the system picked.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let notify_socket = format!("NOTIFY_SOCKET={}", notify.display());
        let arguments =
            ["-l", &port.to_string(), "-E", &notify_socket, "-E", "WATCHDOG_USEC=300000", SEALIFTD, "serve"];
        let spawned = Command::new("systemd-socket-activate")
            .args(arguments)
            // Another address would be in the way if it counted.
            .args(["--listen", "192.0.2.1:1", "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("stderr")).unwrap())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                skip("systemd-socket-activate");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let site = Site { data, address: port };
        Some(Self { site, child, told, heard: String::new(), folder })
    }

    /// Waits until the server has said a line that begins so, and returns the rest of it.
    fn hear(&mut self, beginning: &str) -> String {
        loop {
            let lines = std::mem::take(&mut self.heard);
            if let Some(at) = lines.lines().position(|line| line.starts_with(beginning)) {
                let rest = lines.lines().skip(at + 1).map(|line| format!("{line}\n"));
                self.heard = rest.collect();
                return lines.lines().nth(at).unwrap()[beginning.len()..].to_owned();
            }
            let mut message = [0; 4096];
            let length =
                self.told.recv(&mut message).unwrap_or_else(|error| panic!("no {beginning}: {error}"));
            self.heard = String::from_utf8(message[..length].to_vec()).unwrap();
        }
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_server_takes_the_socket_and_tells_how_it_is() {
    let Some(mut server) = Activated::start() else { return };
    // The tool starts the program at the first connection, which waits meanwhile, as it would during a restart.
    let mut knocked = None;
    eventually("the socket", || {
        knocked = std::net::TcpStream::connect(server.site.address).ok();
        knocked.is_some().then_some(())
    })
    .await;
    server.hear("READY=1");
    let said = fs::read_to_string(server.folder.path().join("stderr")).unwrap();
    assert!(said.contains("listen = 192.0.2.1:1 has no effect"), "{said}");
    let alice = server.site.enrol("alice").await;
    let mut client = alice.connect().await;
    client.put_inline("file", b"content").await.unwrap();
    server.hear("WATCHDOG=1");
    loop {
        let status = server.hear("STATUS=");
        if status.starts_with("Serving 1 connections") {
            break;
        }
    }
    server.hear("WATCHDOG=1");
    kill_process(Pid::from_child(&server.child), Signal::TERM).unwrap();
    server.hear("STOPPING=1");
    drop(client);
    let ended = eventually("the end", || server.child.try_wait().unwrap()).await;
    assert!(ended.success());
}

#[tokio::test]
async fn sockets_that_are_not_one_for_tcp_are_refused() {
    let Some(server) = Activated::start() else { return };
    drop(server);
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("socket");
    let child = Command::new("systemd-socket-activate")
        .args(["-l", socket.to_str().unwrap(), SEALIFTD, "serve", "--data"])
        .arg(folder.path().join("data"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the socket", || std::os::unix::net::UnixStream::connect(&socket).ok()).await;
    let waiting = tokio::task::spawn_blocking(move || child.wait_with_output());
    let ended = tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("ListenStream"), "{said}");
    assert!(!folder.path().join("data").exists(), "nothing was made");
}
