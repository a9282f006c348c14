//! Reading ahead below TLS: every byte comes through once and in order, in whatever pieces it is received and asked for.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use arbitrary::{Arbitrary, Unstructured};
use sealift_certs::tls::ReadAhead;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::memory::within;
use crate::stream::Pieces;

/// One piece of a connection's memory, and what a waiting stream takes.
const MOST: usize = 128 * 1024 + 16 * 1024;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    sizes: [u8; 8],
    /// How often the content is repeated: pieces are large.
    times: u8,
    /// After how many reads the stream reads ahead.
    begins: u8,
    /// How much is asked for at once; every third time, something is written.
    wanted: [u16; 6],
    content: &'a [u8],
}

pub fn check(bytes: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    let mut content = input.content.repeat(usize::from(input.times) + 1);
    content.truncate(1024 * 1024);
    let mut stream = ReadAhead::new(Pieces::new(&content, &input.sizes));
    let mut room = vec![0; usize::from(u16::MAX)];
    within(MOST, || read(&mut stream, &input, &content, &mut room));
}

fn read(stream: &mut ReadAhead<Pieces>, input: &Input<'_>, content: &[u8], room: &mut [u8]) {
    let mut context = Context::from_waker(Waker::noop());
    let (mut at, mut written, mut pauses) = (0, 0, 0);
    for (number, wanted) in input.wanted.iter().cycle().enumerate() {
        if number == usize::from(input.begins) {
            stream.begin();
        }
        let wanted = usize::from(*wanted).max(1);
        let mut buffer = ReadBuf::new(&mut room[..wanted]);
        match Pin::new(&mut *stream).poll_read(&mut context, &mut buffer) {
            Poll::Pending => {
                pauses += 1;
                assert!(pauses < 3, "the stream waits although bytes have come");
                continue;
            }
            Poll::Ready(read) => read.expect("the stream below does not fail"),
        }
        pauses = 0;
        let count = buffer.filled().len();
        assert!(content[at..].starts_with(buffer.filled()), "bytes are lost, repeated or changed at {at}");
        at += count;
        if count == 0 {
            assert_eq!(at, content.len(), "the end comes before the last byte");
            break;
        }
        if number % 3 == 0 {
            let slices = [IoSlice::new(&content[..at.min(100)]), IoSlice::new(b"more")];
            let sent = Pin::new(&mut *stream).poll_write_vectored(&mut context, &slices);
            assert!(matches!(sent, Poll::Ready(Ok(_))));
            if let Poll::Ready(Ok(sent)) = sent {
                written += sent;
            }
            assert_eq!(stream.get_ref().written, written, "what is sent goes through at once");
        }
    }
}
