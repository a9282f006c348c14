use sealift_pipeline;

use super::*;
use crate::peer::pair_with_stall;

/// A share of zeros, which are read by a thread.
fn share(size: u64) -> SharedUpload {
    let (filler, frames) = sealift_pipeline::read_stage_with_spare(SLICES_AHEAD);
    std::thread::spawn(move || filler.run(std::io::repeat(0), Some(size), None));
    SharedUpload::new(0, Some(7), (0, size), true, frames)
}

/// Whoever waits for such a server forever keeps the slices that it has, and the others wait for those.
#[tokio::test]
async fn an_answer_to_a_slice_is_not_waited_for_without_end() {
    for moves in [false, true] {
        let share = share(AHEAD_EACH as u64 * SLICE);
        let stall = Duration::from_millis(300);
        let (mut connection, mut peer) = pair_with_stall(stall);
        let (mut achieved, events) = (0, |_| {});
        let serving = async {
            assert!(matches!(peer.request().await, Some(Request::Slice(Slice { length: 0, .. }))));
            peer.send(&Reply::Done {}).await;
            for _ in 0..AHEAD_EACH {
                let Some(Request::Slice(slice)) = peer.request().await else { panic!("no slice") };
                let mut left = slice.length;
                while left > 0 {
                    left -= peer.data().await.len() as u64;
                }
            }
            if moves {
                // Another connection brings what the server waits for.
                for _ in 0..4 {
                    sleep(stall / 2).await;
                    share.sent(1);
                }
                peer.send(&Reply::Error(sealift_protocol::WireError::new(ErrorCode::Absent, "over"))).await;
            }
            assert!(peer.request().await.is_none());
        };
        let sending = async {
            let sent = send(&mut connection, &share, &mut achieved, &events).await;
            drop(connection);
            sent
        };
        let (sent, ()) = tokio::join!(sending, serving);
        match moves {
            false => assert!(matches!(sent, Err(TransferError::Lost(_))), "{sent:?}"),
            true => sent.unwrap(),
        }
        let state = share.state();
        assert!(state.unanswered.is_empty() && !state.again.is_empty(), "somebody else sends them");
    }
}
