use super::*;
use crate::message::{Reply, decode};

const SOON: Duration = Duration::from_millis(20);
const LATER: Duration = Duration::from_secs(10);

#[tokio::test]
async fn frames_cross_in_order_and_are_counted() {
    let (near, far) = tokio::io::duplex(16);
    let mut writer = FrameWriter::new(near, LATER);
    let mut reader = FrameReader::new(far, LATER);
    let writing = async {
        writer.push(&Reply::Done {}).unwrap();
        writer.push_data(b"abc").unwrap();
        writer.close().await.unwrap();
        writer.bytes()
    };
    let reading = async {
        let header = reader.header(LATER).await.unwrap().unwrap();
        assert_eq!(decode::<Reply>(reader.control(header).await.unwrap()).unwrap(), Reply::Done {});
        let header = reader.header(LATER).await.unwrap().unwrap();
        let mut data = vec![0; header.length()];
        reader.data(header, &mut data).await.unwrap();
        assert_eq!(data, b"abc");
        assert!(reader.header(LATER).await.unwrap().is_none());
        reader.bytes()
    };
    let (written, read) = tokio::join!(writing, reading);
    assert_eq!(written, read);
}

#[tokio::test]
async fn a_frame_cut_short_and_a_silent_peer_are_told_apart() {
    let (near, far) = tokio::io::duplex(64);
    let mut reader = FrameReader::new(far, SOON);
    assert!(matches!(reader.header(SOON).await, Err(StreamError::Stalled(_))));
    let mut near = near;
    near.write_all(b"J\0\0").await.unwrap();
    assert!(matches!(reader.header(LATER).await, Err(StreamError::Stalled(_))));
    drop(near);
    assert!(matches!(reader.header(LATER).await, Err(StreamError::Closed)));
}

/// Whoever fails in the middle of a frame goes on with the next one, wherever that was, and whatever the payload holds.
#[tokio::test]
async fn a_payload_that_was_not_read_never_passes_for_frames() {
    let mut bytes = Vec::new();
    let mut writer = FrameWriter::new(&mut bytes, LATER);
    let frame = [&Header::new(FrameKind::Control, 2).unwrap().encode()[..], b"{}"].concat();
    let payload = frame.repeat(3000);
    writer.push_data(&payload).unwrap();
    writer.push(&Reply::Done {}).unwrap();
    writer.flush().await.unwrap();
    for read in [0, 1, HEADER, frame.len(), 8 * 1024, payload.len() - 1, payload.len()] {
        let mut reader = FrameReader::new(&bytes[..], LATER);
        let header = reader.header(LATER).await.unwrap().unwrap();
        reader.payload(&mut vec![0; read]).await.unwrap();
        assert_eq!(reader.is_between_frames(), read == payload.len());
        assert!(reader.payload(&mut vec![0; header.length() - read + 1]).await.is_err(), "too much");
        let header = reader.header(LATER).await.unwrap().unwrap();
        assert_eq!(decode::<Reply>(reader.control(header).await.unwrap()).unwrap(), Reply::Done {});
        assert!(reader.header(LATER).await.unwrap().is_none());
    }
}

/// The same where the future that reads is dropped half-way.
#[tokio::test]
async fn a_cancelled_read_leaves_the_rest_of_its_frame_to_be_dropped() {
    let (mut near, far) = tokio::io::duplex(64);
    let mut reader = FrameReader::new(far, LATER);
    near.write_all(b"D\0\0\x0cJ\0\0\x02").await.unwrap();
    let header = reader.header(LATER).await.unwrap().unwrap();
    let mut room = [0; 12];
    let cancelled = timeout(SOON, reader.data(header, &mut room)).await;
    assert!(cancelled.is_err() && !reader.is_between_frames());
    assert!(timeout(SOON, reader.header(LATER)).await.is_err(), "waiting for the rest can be cancelled, too");
    near.write_all(b"{}J\0\0\x02{}J\0\0\x02[]").await.unwrap();
    let header = reader.header(LATER).await.unwrap().unwrap();
    assert_eq!(reader.control(header).await.unwrap(), b"[]");
}

/// Time stands still but for the waits.
#[tokio::test(start_paused = true)]
async fn a_peer_that_trickles_is_given_up() {
    let (mut near, far) = tokio::io::duplex(64);
    let trickling = tokio::spawn(async move {
        near.write_all(&Header::new(FrameKind::Control, 10_000).unwrap().encode()).await.unwrap();
        while near.write_all(b"x").await.is_ok() {
            tokio::time::sleep(LATER / 2).await;
        }
    });
    let mut reader = FrameReader::new(far, LATER);
    let header = reader.header(LATER).await.unwrap().unwrap();
    let begun = Instant::now();
    assert!(matches!(reader.control(header).await, Err(StreamError::Trickled)));
    assert!(begun.elapsed() <= LATER + Duration::from_secs(10_000 / SLOWEST));
    drop(reader);
    trickling.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_slow_is_not_one_that_stalls() {
    /// Takes everything at once, and needs a minute to pass a little of it on.
    struct Slow(Movement, Option<std::pin::Pin<Box<tokio::time::Sleep>>>, usize, usize);
    impl AsyncWrite for Slow {
        fn poll_write(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            bytes: &[u8],
        ) -> std::task::Poll<io::Result<usize>> {
            std::task::Poll::Ready(Ok(bytes.len()))
        }
        fn poll_flush(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            while self.2 > 0 {
                let sleep = self.1.get_or_insert_with(|| Box::pin(tokio::time::sleep(LATER * 3 / 4)));
                std::task::ready!(sleep.as_mut().poll(context));
                self.1 = None;
                self.2 -= 1;
                self.0.count(self.3);
            }
            std::task::Poll::Ready(Ok(()))
        }
        fn poll_shutdown(
            self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            self.poll_flush(context)
        }
    }
    let movement = Movement::default();
    let slow = |count| Slow(movement.clone(), None, 10, count);
    FrameWriter::new(slow(3000), LATER).watching(movement.clone()).flush().await.unwrap();
    // Nobody sees what moves, or it is of no use.
    assert!(matches!(FrameWriter::new(slow(3000), LATER).flush().await, Err(StreamError::Stalled(_))));
    let mut trickling = FrameWriter::new(slow(1), LATER).watching(movement.clone());
    assert!(matches!(trickling.flush().await, Err(StreamError::Stalled(_))));
}

#[tokio::test]
async fn a_peer_that_stops_reading_stalls_the_writer() {
    let (near, _far) = tokio::io::duplex(8);
    let mut writer = FrameWriter::new(near, SOON);
    assert!(matches!(writer.write_frame(&[0; 64]).await, Err(StreamError::Stalled(_))));
}
