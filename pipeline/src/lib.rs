//! The path of a content's bytes between a file and a connection.
//!
//! Reading, hashing and writing block, so they run on threads beside the task that sends or receives. The threads and
//! the task pass a few blocks back and forth. These blocks are all the memory that a transfer uses, whatever the size of
//! the file, and each side waits for the other when it is ahead.
//!
//! - [`read_stage`]: a file becomes data frames.
//! - [`write_stage`]: received blocks are hashed and written.
//! - [`ReorderBuffer`]: blocks that arrive by several connections get their order back.
//! - [`DirectFile`]: writes that bypass the page cache.

mod direct;
mod frame_batch;
mod loan;
mod memory;
mod read_stage;
mod reorder;
mod sizes;
mod write_stage;

pub use direct::DirectFile;
pub use frame_batch::FrameBatch;
pub use loan::{MemoryLender, MemoryLoan};
pub use memory::trim;
pub use read_stage::{FrameQueue, FrameRecycler, ReadStage, read_stage, read_stage_with_spare};
pub use reorder::{BlockReceiver, OpenBlock, ReorderBuffer};
pub use sizes::{ALIGNMENT, BLOCK, BLOCKS, FRAME, LARGE, MANY_BLOCKS, blocks_for};
pub use write_stage::{ByteObserver, WriteStage, blocks_per_write, write_stage, write_stage_with_loans};

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::time::Duration;

    use proptest::prelude::*;
    use sealift_protocol::frame::HEADER;
    use sealift_types::{Digest, Hasher};

    use super::*;

    type ReadResult = io::Result<(u64, Option<Digest>)>;

    fn across(
        content: &[u8],
        limit: Option<u64>,
        beside: bool,
    ) -> (Vec<u8>, ReadResult, io::Result<(u64, Digest)>) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        runtime.block_on(async {
            let (filler, mut full) = read_stage();
            let (mut empty, drainer) = write_stage(ALIGNMENT * 3, BLOCKS);
            let source = content.to_vec();
            let filling =
                tokio::task::spawn_blocking(move || filler.run(&source[..], limit, Some(Hasher::new())));
            let draining = tokio::task::spawn_blocking(move || {
                let mut target = Vec::new();
                let outcome = if beside {
                    drainer.run_beside(&mut target, Hasher::new())
                } else {
                    drainer.run(&mut target, Hasher::new())
                };
                (target, outcome)
            });
            while let Some(frames) = full.next().await {
                for (index, frame) in frames.iter().enumerate() {
                    let mut reader = sealift_protocol::io::FrameReader::new(frame, Duration::from_secs(10));
                    let header = reader.header(Duration::ZERO).await.unwrap().unwrap();
                    if index % 2 == 0 {
                        assert!(empty.receive(&mut reader, header).await.unwrap());
                    } else {
                        assert!(empty.copy(&frame[HEADER..]).await);
                    }
                }
                full.recycle(frames);
            }
            drop(empty);
            let (target, drained) = draining.await.unwrap();
            (target, filling.await.unwrap(), drained)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn contents_of_any_size_arrive_whole(
            frames in 0usize..10, rest in prop_oneof![Just(0usize), Just(1), 0..FRAME], limited: bool, beside: bool,
        ) {
            let content: Vec<u8> = (0..frames * FRAME + rest).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let limit = limited.then_some(content.len() as u64 / 2);
            let sent = &content[..limit.map_or(content.len(), |l| usize::try_from(l).unwrap())];
            let (arrived, filled, drained) = across(&content, limit, beside);
            prop_assert!(arrived == sent);
            prop_assert_eq!(filled.unwrap(), (sent.len() as u64, Some(Digest::of(sent))));
            prop_assert_eq!(drained.unwrap(), (sent.len() as u64, Digest::of(sent)));
        }
    }

    #[test]
    fn a_filler_whose_frames_nobody_takes_ends() {
        let (filler, full) = read_stage();
        drop(full);
        let outcome = filler.run(io::repeat(7), None, None);
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_drainer_that_fails_stops_the_receiver() {
        for beside in [false, true] {
            fails(beside).await;
        }
    }

    async fn fails(beside: bool) {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (mut empty, drainer) = write_stage(ALIGNMENT, BLOCKS);
        let draining = tokio::task::spawn_blocking(move || {
            if beside { drainer.run_beside(Full, Hasher::new()) } else { drainer.run(Full, Hasher::new()) }
        });
        let mut passed = 0;
        while empty.copy(&[1; ALIGNMENT]).await {
            passed += 1;
            assert!(passed <= BLOCKS);
        }
        drop(empty);
        assert_eq!(draining.await.unwrap().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
