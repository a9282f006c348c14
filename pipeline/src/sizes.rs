//! Sizes of frames and blocks, and how many blocks a transfer uses.

use sealift_protocol::frame::MAX_DATA;
use sealift_protocol::message::SLICE;

/// Payload bytes of a data frame, 256 KiB: large enough to spread the cost of a frame, small enough for a core's cache.
pub const FRAME: usize = 256 * 1024;

/// Payload bytes of a block, 1 MiB: the unit in which threads hand on a content.
///
/// A block is larger than a frame because each hand-over wakes a thread. Frames are smaller because progress on a slow
/// line is counted in frames.
pub const BLOCK: usize = 4 * FRAME;

/// Blocks of one transfer: one for each of its threads, and some in reserve for a disk that pauses for milliseconds.
pub const BLOCKS: usize = 8;

/// Blocks of the download or upload of a large content. Disks pause for longer than networks.
pub const MANY_BLOCKS: usize = 2 * BLOCKS;

/// Contents from this size on, 8 MiB, are handed on in whole blocks, so that further connections can take some of them.
/// For smaller contents, the first touch of large blocks costs more time than fewer hand-overs save.
pub const LARGE: u64 = (BLOCKS * BLOCK) as u64;

/// The alignment of a block's memory, for direct I/O. Block sizes of disks are powers of two up to this.
pub const ALIGNMENT: usize = 4096;

const _: () = assert!(FRAME <= MAX_DATA);
const _: () = assert!(BLOCK as u64 == SLICE, "a slice of an upload is one block");

/// Returns how many blocks a receiver uses for a content of `size` bytes: [`MANY_BLOCKS`] if the content fills them or its
/// size is unknown, [`BLOCKS`] otherwise.
pub fn blocks_for(size: Option<u64>) -> usize {
    if size.is_none_or(|size| size >= (MANY_BLOCKS * BLOCK) as u64) { MANY_BLOCKS } else { BLOCKS }
}
