//! A peer's bytes as frames: the reader ends with an error or at the end, and holds no more than one frame's payload.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sealift_protocol::FrameKind;
use sealift_protocol::io::FrameReader;

const PATIENCE: Duration = Duration::from_secs(3600);

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a clock");
    runtime.block_on(async {
        let mut reader = FrameReader::new(bytes, PATIENCE);
        let mut frames = 0;
        while let Ok(Some(header)) = reader.header(PATIENCE).await {
            frames += 1;
            let read = match header.kind() {
                FrameKind::Control => reader.control(header).await.map(|payload| assert_eq!(payload.len(), header.length())),
                FrameKind::Data if frames % 2 == 0 => reader.skip(header).await,
                FrameKind::Data => reader.data(header, &mut vec![0; header.length()]).await,
            };
            if read.is_err() {
                return;
            }
        }
    });
});
