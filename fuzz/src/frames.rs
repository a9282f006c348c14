//! Frames: the reader finds the frames that the bytes hold, however these arrive and whatever is left unread.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use sealift_protocol::FrameKind;
use sealift_protocol::frame::{HEADER, MAX_CONTROL, MAX_DATA};
use sealift_protocol::io::{FrameReader, FrameWriter, StreamError};

use crate::memory::within;
use crate::stream::{Pieces, run};

const PATIENCE: Duration = Duration::from_secs(3600);

/// What a connection without bytes and the buffer of one control frame take.
const MOST: usize = MAX_CONTROL + 16 * 1024;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// How the bytes arrive.
    sizes: [u8; 8],
    /// What is done about each frame.
    deeds: [Deed; 4],
    wire: &'a [u8],
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Deed {
    Read,
    Skip,
    /// The next frame is asked for at once.
    Leave,
    /// The next frame is asked for by a future that is dropped.
    Cancel,
}

/// What a peer's bytes hold, by the rules in `docs/protocol.md` and no code of Sealift.
#[derive(Debug, PartialEq)]
enum Expected<'a> {
    Frame(FrameKind, &'a [u8]),
    End,
    Cut,
    UnknownKind,
    TooLong,
}

fn parse<'a>(wire: &mut &'a [u8]) -> Expected<'a> {
    if wire.is_empty() {
        return Expected::End;
    }
    let Some(([kind, a, b, c], rest)) = wire.split_first_chunk::<4>() else { return Expected::Cut };
    let (kind, most) = match kind {
        b'J' => (FrameKind::Control, 65_536),
        b'D' => (FrameKind::Data, 262_144),
        _ => return Expected::UnknownKind,
    };
    let length = usize::from(*a) * 65_536 + usize::from(*b) * 256 + usize::from(*c);
    if length > most {
        return Expected::TooLong;
    }
    match rest.split_at_checked(length) {
        Some((payload, rest)) => {
            *wire = rest;
            Expected::Frame(kind, payload)
        }
        None => Expected::Cut,
    }
}

/// Holds what the reader says against what the bytes hold.
pub fn check(bytes: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    let mut data = vec![0; MAX_DATA];
    // The stream's copy of the input is no concern of the reader.
    let mut reader = FrameReader::new(Pieces::new(input.wire, &input.sizes), PATIENCE);
    let mut frames = Vec::new();
    within(MOST, || run(read(&mut reader, &input, &mut data, &mut frames)));
    write_again(&frames);
}

async fn read<'a>(
    reader: &mut FrameReader<Pieces>,
    input: &Input<'a>,
    data: &mut [u8],
    frames: &mut Vec<&'a [u8]>,
) {
    let mut wire = input.wire;
    let mut total = 0;
    for deed in input.deeds.iter().cycle() {
        let expected = parse(&mut wire);
        let cancelled = match deed {
            Deed::Cancel => polled_once(reader.header(PATIENCE)).await,
            _ => None,
        };
        let header = match cancelled {
            Some(in_time) => in_time,
            None => reader.header(PATIENCE).await,
        };
        let (kind, payload) = match (&header, expected) {
            (Ok(Some(_)), Expected::Frame(kind, payload)) => (kind, payload),
            // The header of a frame that is cut short is there.
            (Ok(Some(header)), Expected::Cut) => {
                assert!(wire.len() - HEADER < header.length());
                let room = &mut data[..header.length()];
                let cut = match header.kind() {
                    FrameKind::Control => reader.control(*header).await.map(drop),
                    FrameKind::Data => reader.data(*header, room).await,
                };
                assert!(matches!(cut, Err(StreamError::Closed)), "{cut:?}");
                return;
            }
            (Ok(None), Expected::End) => {
                assert!(reader.is_between_frames());
                assert_eq!(reader.bytes(), total);
                return;
            }
            (Err(StreamError::Closed), Expected::Cut) => return,
            (Err(StreamError::Frame(_)), Expected::UnknownKind | Expected::TooLong) => return,
            (found, expected) => panic!("{found:?} where {expected:?} is"),
        };
        let Ok(Some(header)) = header else { unreachable!("matched above") };
        assert_eq!((header.kind(), header.length()), (kind, payload.len()));
        total += (HEADER + payload.len()) as u64;
        assert_eq!(reader.bytes(), total);
        match (deed, kind) {
            (Deed::Read, FrameKind::Control) => {
                assert_eq!(reader.control(header).await.expect("it is all there"), payload);
            }
            (Deed::Read, FrameKind::Data) => {
                let room = &mut data[..payload.len()];
                reader.data(header, room).await.expect("it is all there");
                assert_eq!(room, payload);
                frames.push(payload);
            }
            (Deed::Skip, _) => reader.skip(header).await.expect("it is all there"),
            (Deed::Leave | Deed::Cancel, _) => continue,
        }
        assert!(reader.is_between_frames());
    }
}

/// What a future has after one look at it; `None` if it was dropped before its end.
async fn polled_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// What was read is written as it was.
fn write_again(frames: &[&[u8]]) {
    let mut wire = Vec::new();
    let mut expected = Vec::new();
    let mut writer = FrameWriter::new(&mut wire, PATIENCE);
    for payload in frames {
        writer.push_data(payload).expect("it was read with this length");
        expected.extend_from_slice(&[b'D']);
        expected.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
        expected.extend_from_slice(payload);
    }
    run(writer.flush()).expect("memory takes everything");
    drop(writer);
    assert!(wire == expected, "frames were written in another way than they were read");
}
