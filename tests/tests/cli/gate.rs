//! A way to a server on which traffic stops at a certain byte, so that a test can be sure to be in the middle.

use std::net::SocketAddr;

use sealift_tests::{PATIENCE, within};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Which way is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// Another address of a server, for one connection after the other. Once so many bytes have passed, it holds back the
/// rest until it is opened.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The address.
    pub(crate) address: SocketAddr,
    reached: watch::Receiver<bool>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// Before `server`, letting `bytes` pass one way.
    pub(crate) async fn before(server: SocketAddr, way: Way, bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, reached) = watch::channel(false);
        let (open, opened) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                // While the server is away, whoever comes is sent away.
                let Ok(far) = TcpStream::connect(server).await else { continue };
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = far.into_split();
                let limit = move |this| if this == way { bytes } else { u64::MAX };
                let hold = Hold { tell: tell.clone(), opened: opened.clone() };
                // Whichever end goes first takes the other with it.
                tokio::spawn(async move {
                    tokio::select! {
                        () = pass(near_read, far_write, limit(Way::Up), hold.clone()) => {}
                        () = pass(far_read, near_write, limit(Way::Down), hold.clone()) => {}
                    }
                });
            }
        });
        Self { address, reached, open }
    }

    /// The address as the client takes it.
    pub(crate) fn server(&self) -> String {
        self.address.to_string()
    }

    /// Waits until something is held back.
    pub(crate) async fn reached(&mut self) {
        within(PATIENCE, "traffic at the gate", self.reached.wait_for(|reached| *reached)).await.unwrap();
    }

    /// Lets everything pass from now on.
    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }
}

#[derive(Debug, Clone)]
struct Hold {
    tell: watch::Sender<bool>,
    opened: watch::Receiver<bool>,
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, limit: u64, mut hold: Hold) {
    let mut buffer = vec![0; 16 * 1024];
    let mut passed = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if passed >= limit {
            hold.tell.send_replace(true);
            if hold.opened.wait_for(|opened| *opened).await.is_err() {
                return;
            }
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        passed += count as u64;
    }
}
