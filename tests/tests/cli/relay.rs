//! A way to a server on which each connection is counted, and some break.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::gate::Way;

/// Another address of a server.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    passed: Arc<Mutex<Vec<u64>>>,
}

/// After how many bytes one way a connection breaks.
pub(crate) type Cut = Option<(Way, u64)>;

impl Relay {
    /// Before `server`; the connections break as told, in the order in which they come. Those after them do not.
    pub(crate) async fn before(server: SocketAddr, cuts: Vec<Cut>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let passed = Arc::new(Mutex::new(Vec::new()));
        let counts = passed.clone();
        tokio::spawn(async move {
            let mut cuts = cuts.into_iter();
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(server).await else { continue };
                let cut = cuts.next().flatten();
                let number = {
                    let mut counts = counts.lock().unwrap();
                    counts.push(0);
                    counts.len() - 1
                };
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = far.into_split();
                let limit = |this| cut.filter(|(way, _)| *way == this).map_or(u64::MAX, |(_, bytes)| bytes);
                let (up, down) = (limit(Way::Up), limit(Way::Down));
                let counts = counts.clone();
                tokio::spawn(async move {
                    let count = |bytes| counts.lock().unwrap()[number] += bytes;
                    tokio::select! {
                        () = pass(near_read, far_write, up, count) => {}
                        () = pass(far_read, near_write, down, count) => {}
                    }
                });
            }
        });
        Self { address, passed }
    }

    /// The address as the client takes it.
    pub(crate) fn server(&self) -> String {
        self.address.to_string()
    }

    /// Bytes that passed over each connection, both ways.
    pub(crate) fn passed(&self) -> Vec<u64> {
        self.passed.lock().unwrap().clone()
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    limit: u64,
    count: impl Fn(u64),
) {
    let mut buffer = vec![0; 16 * 1024];
    let mut passed = 0;
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        passed += bytes as u64;
        if passed > limit || to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
        count(bytes as u64);
    }
}
