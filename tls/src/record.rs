//! Records: how they look, how they are sealed and opened.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use rustls::{ConnectionTrafficSecrets, Error};

/// Type, version, length.
pub(crate) const HEADER: usize = 5;
/// The most plaintext in a record.
pub(crate) const PLAINTEXT: usize = 16 * 1024;
/// What a cipher adds.
const TAG: usize = 16;
/// A full record without padding, as most peers make it: plaintext, its type, the tag.
pub(crate) const RECORD: usize = HEADER + PLAINTEXT + 1 + TAG;
/// The longest record that has to be taken: up to 255 bytes of padding, type and tag.
pub(crate) const LONGEST: usize = HEADER + PLAINTEXT + 256;

/// What a record carries.
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const DATA: u8 = 23;

/// Seals or opens the records of one direction, each with the number after the last one's.
pub(crate) struct Key {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Key {
    /// A key whose next record has this number.
    pub(crate) fn new(sequence: u64, secrets: &ConnectionTrafficSecrets) -> Result<Self, Error> {
        let (algorithm, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(Error::General("a cipher that has no records here was agreed on".into())),
        };
        let unusable = || Error::General("the agreed key is of a wrong length".into());
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| unusable())?;
        let iv = iv.as_ref().try_into().map_err(|_| unusable())?;
        Ok(Self { key: LessSafeKey::new(key), iv, sequence })
    }

    /// How many records it has sealed or opened.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Appends a record that carries `plaintext`, at most [`PLAINTEXT`] bytes of it.
    pub(crate) fn seal(&mut self, kind: u8, plaintext: &[u8], records: &mut Records) -> Result<(), Error> {
        let made = header(plaintext.len() + 1 + TAG);
        let nonce = self.nonce()?;
        let (header, sealed) = records.add(HEADER + plaintext.len() + 1 + TAG).split_at_mut(HEADER);
        header.copy_from_slice(&made);
        let (sealed, kind_and_tag) = sealed.split_at_mut(plaintext.len());
        self.key
            .seal_out_of_place_scatter(nonce, Aad::from(made), plaintext, sealed, &[kind], kind_and_tag)
            .map_err(|_| Error::EncryptError)
    }

    /// Opens a record, header included, into `plaintext`, which is [`inner_length`] long. Returns what it carries and
    /// how many bytes.
    pub(crate) fn open(&mut self, record: &[u8], plaintext: &mut [u8]) -> Result<(u8, usize), Error> {
        let nonce = self.nonce()?;
        let (header, sealed) = record.split_at(HEADER);
        let (sealed, tag) = sealed.split_at(plaintext.len());
        self.key
            .open_separate_gather(nonce, Aad::from(header), sealed, tag, plaintext)
            .map_err(|_| Error::DecryptError)?;
        unpad(plaintext)
    }

    /// The same in the record's own memory, behind the header.
    pub(crate) fn open_in_place(&mut self, record: &mut [u8]) -> Result<(u8, usize), Error> {
        let nonce = self.nonce()?;
        let (header, sealed) = record.split_at_mut(HEADER);
        let plaintext =
            self.key.open_in_place(nonce, Aad::from(&*header), sealed).map_err(|_| Error::DecryptError)?;
        unpad(plaintext)
    }

    /// The next record's nonce.
    fn nonce(&mut self) -> Result<Nonce, Error> {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= number;
        }
        // No connection lives that long, but a nonce must never come twice.
        self.sequence = self.sequence.checked_add(1).ok_or(Error::EncryptError)?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

/// Sealed records. Their memory is used again without being cleared.
#[derive(Default)]
pub(crate) struct Records {
    memory: Vec<u8>,
    filled: usize,
}

impl Records {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[..self.filled]
    }

    pub(crate) fn capacity(&self) -> usize {
        self.memory.capacity()
    }

    pub(crate) fn clear(&mut self) {
        self.filled = 0;
    }

    /// Room for one more, of so many bytes.
    fn add(&mut self, length: usize) -> &mut [u8] {
        let start = self.filled;
        self.filled += length;
        if self.memory.len() < self.filled {
            self.memory.resize(self.filled, 0);
        }
        &mut self.memory[start..self.filled]
    }
}

/// The header of a record whose sealed part is so long.
fn header(length: usize) -> [u8; HEADER] {
    let [.., high, low] = length.to_be_bytes();
    [DATA, 3, 3, high, low]
}

/// The length of the first record in `bytes`, header included; `None` until its header is there.
pub(crate) fn record_length(bytes: &[u8]) -> Result<Option<usize>, Error> {
    let Some(&[kind, _, _, high, low]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    let length = HEADER + usize::from(u16::from_be_bytes([high, low]));
    if kind != DATA {
        // Whoever else speaks on this connection does not know its keys.
        return Err(Error::InappropriateMessage {
            expect_types: vec![rustls::ContentType::ApplicationData],
            got_type: kind.into(),
        });
    }
    match length {
        _ if length > LONGEST => Err(Error::PeerSentOversizedRecord),
        _ if length < HEADER + 1 + TAG => Err(Error::DecryptError),
        _ => Ok(Some(length)),
    }
}

/// What is left of a record of so many bytes when it is opened: plaintext, its type, and padding.
pub(crate) fn inner_length(record: usize) -> usize {
    record - HEADER - TAG
}

/// The type stands behind the plaintext, and zeros may follow it.
fn unpad(plaintext: &[u8]) -> Result<(u8, usize), Error> {
    let last = plaintext.iter().rposition(|byte| *byte != 0);
    let Some(last) = last else {
        return Err(rustls::PeerMisbehaved::IllegalTlsInnerPlaintext.into());
    };
    if last > PLAINTEXT { Err(Error::PeerSentOversizedRecord) } else { Ok((plaintext[last], last)) }
}
