//! Frames: every byte after the TLS handshake belongs to one.
//!
//! A frame is a four-byte header, then its payload. The first byte says what the payload is, the other three are its
//! length, big-endian. Nothing is allocated before the length has been held against the kind's limit.

/// Bytes of a frame's header.
pub const HEADER: usize = 4;

/// The most payload bytes of a control frame: 64 KiB.
pub const MAX_CONTROL: usize = 64 * 1024;

/// The most payload bytes of a data frame: 256 KiB.
pub const MAX_DATA: usize = 256 * 1024;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// One JSON object, UTF-8: `J`, 0x4A.
    Control,
    /// Bytes of a content: `D`, 0x44.
    Data,
}

impl FrameKind {
    /// The most payload bytes of a frame of this kind.
    pub const fn limit(self) -> usize {
        match self {
            Self::Control => MAX_CONTROL,
            Self::Data => MAX_DATA,
        }
    }
}

/// A decoded header; its length is within the limit of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    kind: FrameKind,
    length: usize,
}

/// Why bytes are not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The first byte is neither `J` nor `D`.
    #[error("a frame of kind 0x{0:02x} is unknown: is the other end speaking sealift/1?")]
    Kind(u8),
    /// The payload is longer than its kind may be.
    #[error("a {kind:?} frame of {length} bytes is over its limit of {}", kind.limit())]
    TooLong {
        /// The frame's kind.
        kind: FrameKind,
        /// The length that was announced, in bytes.
        length: usize,
    },
}

impl Header {
    /// The header of a frame of `length` payload bytes.
    pub fn new(kind: FrameKind, length: usize) -> Result<Self, FrameError> {
        if length > kind.limit() {
            Err(FrameError::TooLong { kind, length })
        } else {
            Ok(Self { kind, length })
        }
    }

    /// What the payload is.
    pub fn kind(self) -> FrameKind {
        self.kind
    }

    /// Payload bytes, never above the kind's limit.
    pub fn length(self) -> usize {
        self.length
    }

    /// The four bytes that cross the wire.
    pub fn encode(self) -> [u8; HEADER] {
        let [_, .., a, b, c] = (self.length as u64).to_be_bytes();
        let kind = match self.kind {
            FrameKind::Control => b'J',
            FrameKind::Data => b'D',
        };
        [kind, a, b, c]
    }

    /// Reads four bytes from a peer.
    pub fn decode([kind, a, b, c]: [u8; HEADER]) -> Result<Self, FrameError> {
        let kind = match kind {
            b'J' => FrameKind::Control,
            b'D' => FrameKind::Data,
            other => return Err(FrameError::Kind(other)),
        };
        Self::new(kind, usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Golden bytes: a change here is a change of the wire, and so of the ALPN.
    #[test]
    fn headers_are_pinned() {
        let golden = [
            (FrameKind::Control, 0, [0x4a, 0, 0, 0]),
            (FrameKind::Control, 0x0102, [0x4a, 0, 1, 2]),
            (FrameKind::Control, MAX_CONTROL, [0x4a, 1, 0, 0]),
            (FrameKind::Data, MAX_DATA, [0x44, 4, 0, 0]),
        ];
        for (kind, length, bytes) in golden {
            let header = Header::new(kind, length).unwrap();
            assert_eq!(header.encode(), bytes);
            assert_eq!(Header::decode(bytes), Ok(header));
        }
    }

    #[test]
    fn lengths_over_the_limit_are_refused() {
        assert_eq!(
            Header::decode([b'J', 1, 0, 1]),
            Err(FrameError::TooLong { kind: FrameKind::Control, length: MAX_CONTROL + 1 })
        );
        assert!(Header::decode([b'D', 4, 0, 1]).is_err());
        assert_eq!(Header::decode([0x16, 3, 1, 2]), Err(FrameError::Kind(0x16)));
    }

    proptest! {
        #[test]
        fn any_four_bytes_decode_within_limits_or_not_at_all(bytes: [u8; 4]) {
            if let Ok(header) = Header::decode(bytes) {
                prop_assert!(header.length() <= header.kind().limit());
                prop_assert_eq!(header.encode(), bytes);
            }
        }
    }
}
