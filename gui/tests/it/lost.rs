//! A connection that is lost in the middle of something: nothing is done or shown twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eframe::egui::Key;
use sealift_tests::World;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::desk::Desk;

/// A way to the server that can lose an answer.
struct Cable {
    address: SocketAddr,
    /// Bytes that the server may still say before the connection breaks.
    left: Arc<AtomicUsize>,
}

impl Cable {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let left = Arc::new(AtomicUsize::new(usize::MAX));
        let rest = left.clone();
        // The window is drawn on the test's own thread.
        std::thread::spawn(move || {
            let listener = listener.into_std().unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((near, _)) = listener.accept().await {
                    let far = TcpStream::connect(server).await.unwrap();
                    tokio::spawn(carry(near, far, rest.clone()));
                }
            });
        });
        Self { address, left }
    }

    /// Loses what the server says after so many bytes, once.
    fn cut_after(&self, bytes: usize) {
        self.left.store(bytes, Ordering::SeqCst);
    }

    fn is_cut(&self) -> bool {
        self.left.load(Ordering::SeqCst) > usize::MAX / 2
    }
}

async fn carry(near: TcpStream, far: TcpStream, left: Arc<AtomicUsize>) {
    let ((mut near_read, mut near_write), (mut far_read, mut far_write)) =
        (near.into_split(), far.into_split());
    let up = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut near_read, &mut far_write).await;
    });
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = far_read.read(&mut bytes).await {
        let room = left.load(Ordering::SeqCst);
        if room < count {
            let _ = near_write.write_all(&bytes[..room]).await;
            left.store(usize::MAX, Ordering::SeqCst);
            break;
        }
        if room < usize::MAX / 2 {
            left.store(room - count, Ordering::SeqCst);
        }
        if near_write.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    up.abort();
}

/// Entries of a directory that takes several pages to list.
const COUNT: usize = 3000;

/// A desk that reaches the server by a cable.
async fn wired(world: &World) -> (Desk, Cable) {
    let mut desk = Desk::joined(world, "alice").await;
    let cable = Cable::to(world.address).await;
    let profile = desk.folder.path().join("configuration/profiles/default/profile.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    let old = world.address.to_string();
    assert!(text.contains(&old), "{text}");
    std::fs::write(&profile, text.replace(&old, &cable.address.to_string())).unwrap();
    desk.press(Key::F5);
    (desk, cable)
}

#[tokio::test]
async fn what_is_deleted_when_an_answer_is_lost_is_not_deleted_once_more() {
    let world = World::start().await;
    let (mut desk, cable) = wired(&world).await;
    let mut other = world.enrol("alice").await.connect().await;
    other.put_inline("a.txt", b"a").await.unwrap();
    desk.press(Key::F5);
    desk.click_row("a.txt");
    desk.see("Kind");
    desk.press(Key::Delete);
    desk.see("cannot be brought back");
    cable.cut_after(0);
    desk.click("Delete");
    desk.see("Deleted");
    assert!(cable.is_cut());
    assert!(!desk.screen.state_mut().model.notices.at(std::time::Instant::now()).iter().any(|told| told.bad));
    world.stop().await;
}

#[tokio::test]
async fn a_listing_that_is_lost_in_the_middle_is_not_shown_twice() {
    let world = World::start().await;
    let (mut desk, cable) = wired(&world).await;
    let mut other = world.enrol("alice").await.connect().await;
    for number in 0..COUNT {
        let name = format!("{}{number}", "x".repeat(100));
        other.make_directory(&name, None).await.unwrap();
    }
    desk.press(Key::F5);
    let whole = |model: &sealift_gui::model::Model| {
        model.browser.total() == COUNT && model.browser.loading().is_none()
    };
    desk.until("the listing", |screen| whole(&screen.state().model));
    desk.screen.run_steps(3);
    // In the last page.
    cable.cut_after(COUNT * 120);
    desk.screen.state_mut().model.refresh();
    desk.until("the cut", |_| cable.is_cut());
    desk.until("the listing", |screen| screen.state().model.browser.loading().is_none());
    assert_eq!(desk.screen.state().model.browser.total(), COUNT);
    world.stop().await;
}
