//! Records that a peer sends, well-made or not, opened with keys that the tests know.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use rustls::crypto::cipher::{AeadKey, Iv};
use rustls::{AlertDescription, ConnectionTrafficSecrets, Error, InvalidMessage};
use sealift_certs::tls;
use tokio::io::AsyncReadExt;

use crate::TlsReader;
use crate::reader::KEY_UPDATE;
use crate::record::{ALERT, DATA, HANDSHAKE, HEADER, Key, PLAINTEXT, Records};
use crate::shared::{Shared, Succession};

/// Keys that both a test and a reader know.
pub(super) struct Known(pub(super) u8);

impl Known {
    pub(super) fn key(&self) -> Key {
        let (key, iv) = (AeadKey::from([self.0; 32]), Iv::from([self.0; 12]));
        Key::new(0, &ConnectionTrafficSecrets::Aes256Gcm { key, iv }).unwrap()
    }

    fn reader(bytes: &[u8]) -> TlsReader<&[u8]> {
        let shared = Arc::new(Shared::new(Box::new(Self(0))));
        TlsReader::new(bytes, Self(0).key(), shared, Vec::new(), 0..0, false)
    }
}

impl Succession for Known {
    fn next_sealing(&mut self) -> Result<Key, Error> {
        self.next_opening()
    }

    fn next_opening(&mut self) -> Result<Key, Error> {
        self.0 += 1;
        Ok(self.key())
    }
}

/// Records that a peer with a known key sends.
fn sealed(records: &[(u8, &[u8])]) -> Vec<u8> {
    let (mut key, mut sealed) = (Known(0).key(), Records::default());
    for (kind, plaintext) in records {
        key.seal(*kind, plaintext, &mut sealed).unwrap();
    }
    sealed.bytes().to_vec()
}

/// What comes of these bytes, and what the peer hears in the end.
async fn outcome(bytes: &[u8], room: usize) -> (Vec<u8>, io::Result<()>, AlertDescription) {
    let mut reader = Known::reader(bytes);
    let (mut received, mut piece) = (Vec::new(), vec![0; room]);
    let ended = loop {
        match reader.read(&mut piece).await {
            Ok(0) => break Ok(()),
            Ok(count) => received.extend_from_slice(&piece[..count]),
            Err(error) => break Err(error),
        }
    };
    (received, ended, reader.shared.alert())
}

/// The error that these bytes lead to, whatever room there is; what comes before it is handed on.
async fn failure(bytes: &[u8], before: &[u8]) -> (Error, AlertDescription) {
    let mut found = None;
    for room in [3, 100_000] {
        let (received, ended, alert) = outcome(bytes, room).await;
        assert_eq!(received, before);
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        found = Some((tls::tls_error(&error).unwrap().clone(), alert));
    }
    found.unwrap()
}

#[tokio::test]
async fn padding_and_empty_records_carry_nothing() {
    // Behind the type, which the sealing adds, zeros would follow: so here the type is written by hand.
    let (mut key, mut sealed) = (Known(0).key(), Records::default());
    key.seal(0, b"padded\x17\0\0\0", &mut sealed).unwrap();
    key.seal(DATA, b"", &mut sealed).unwrap();
    key.seal(0, b"\x17", &mut sealed).unwrap();
    key.seal(DATA, b"with zeros\0\0", &mut sealed).unwrap();
    key.seal(ALERT, &[1, 0], &mut sealed).unwrap();
    for room in [1, 7, 1000] {
        let (received, ended, _) = outcome(sealed.bytes(), room).await;
        ended.unwrap();
        assert_eq!(received, b"paddedwith zeros\0\0", "room for {room}");
    }
}

#[tokio::test]
async fn a_byte_that_was_changed_is_found_wherever_it_is() {
    let bytes = sealed(&[(DATA, b"first"), (DATA, b"second"), (ALERT, &[1, 0])]);
    let second = HEADER + 5 + 17;
    for position in second..second + HEADER + 6 + 17 {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        let mut room = [0; 100];
        let mut reader = Known::reader(&changed);
        let first = reader.read(&mut room[..5]).await.unwrap();
        assert_eq!(&room[..first], b"first");
        let error = reader.read(&mut room).await.unwrap_err();
        // A length that grows waits for bytes that do not come.
        let longer =
            error.kind() == ErrorKind::UnexpectedEof && (second + 3..second + HEADER).contains(&position);
        assert!(longer || error.kind() == ErrorKind::InvalidData, "byte {position}: {error}");
        assert!(reader.read(&mut room).await.is_err(), "and it stays so");
    }
    let mut tag = bytes;
    tag[second - 1] ^= 1;
    assert_eq!(failure(&tag, b"").await, (Error::DecryptError, AlertDescription::BadRecordMac));
}

#[tokio::test]
async fn records_that_are_left_out_or_come_twice_are_found() {
    let bytes = sealed(&[(DATA, b"one"), (DATA, b"two")]);
    let (one, two) = bytes.split_at(HEADER + 3 + 17);
    assert_eq!(failure(two, b"").await.0, Error::DecryptError);
    assert_eq!(failure(&[one, one].concat(), b"one").await.0, Error::DecryptError);
}

#[tokio::test]
async fn what_has_no_place_behind_a_handshake_ends_the_connection() {
    let unexpected = AlertDescription::UnexpectedMessage;
    let ticket = sealed(&[(DATA, b"ok"), (HANDSHAKE, &[4, 0, 0, 0])]);
    let (error, alert) = failure(&ticket, b"ok").await;
    assert!(matches!(error, Error::InappropriateHandshakeMessage { .. }), "{error}");
    assert_eq!(alert, unexpected);
    let (error, alert) = failure(&sealed(&[(99, b"what")]), b"").await;
    assert!(matches!(error, Error::InappropriateMessage { .. }), "{error}");
    assert_eq!(alert, unexpected);
    // In the clear, from somebody in between.
    let (error, _) = failure(&[21, 3, 3, 0, 2, 2, 40], b"").await;
    assert!(matches!(error, Error::InappropriateMessage { .. }), "{error}");
    let (error, _) = failure(&sealed(&[(0, b"\0\0")]), b"").await;
    assert!(matches!(error, Error::PeerMisbehaved(_)), "{error}");
    let (error, _) = failure(&sealed(&[(ALERT, &[2, 40])]), b"").await;
    assert_eq!(error, Error::AlertReceived(AlertDescription::HandshakeFailure));
    let (error, alert) = failure(&sealed(&[(ALERT, &[2])]), b"").await;
    assert!(matches!(error, Error::InvalidMessage(_)), "{error}");
    assert_eq!(alert, AlertDescription::DecodeError);
    for short in [&[24, 0, 0, 1][..], &[24], &[24, 0, 0, 1, 2], &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0]] {
        let (error, _) = failure(&sealed(&[(HANDSHAKE, short)]), b"").await;
        assert_eq!(error, Error::InvalidMessage(InvalidMessage::InvalidKeyUpdate));
    }
    // Nothing to be told about a peer that has told.
    let (_, ended, _) = outcome(&sealed(&[(ALERT, &[1, 90]), (ALERT, &[1, 0])]), 9).await;
    ended.unwrap();
}

#[tokio::test]
async fn a_record_is_no_longer_than_it_may_be() {
    let full = vec![7; PLAINTEXT];
    let (received, _, _) = outcome(&sealed(&[(DATA, &full)]), 100).await;
    assert!(received == full);
    let (error, alert) = failure(&sealed(&[(DATA, &[&full[..], &[7]].concat())]), b"").await;
    assert_eq!((error, alert), (Error::PeerSentOversizedRecord, AlertDescription::RecordOverflow));
    let (error, _) = failure(&[DATA, 3, 3, 0x41, 1], b"").await;
    assert_eq!(error, Error::PeerSentOversizedRecord);
    let (error, _) = failure(&[&[DATA, 3, 3, 0, 16][..], &[0; 16]].concat(), b"").await;
    assert_eq!(error, Error::DecryptError);
}

#[tokio::test]
async fn new_keys_without_data_between_them_have_an_end() {
    let [kind, high, middle, low] = KEY_UPDATE;
    let update = [kind, high, middle, low, 0];
    let mut sealed = Records::default();
    for number in 0..40 {
        Known(number).key().seal(HANDSHAKE, &update, &mut sealed).unwrap();
    }
    let error = failure(sealed.bytes(), b"").await.0;
    assert_eq!(error, Error::InvalidMessage(InvalidMessage::InvalidKeyUpdate));

    let mut sealed = Records::default();
    for number in 0..40 {
        let mut key = Known(number).key();
        key.seal(DATA, b".", &mut sealed).unwrap();
        key.seal(HANDSHAKE, &update, &mut sealed).unwrap();
    }
    let (received, ended, _) = outcome(sealed.bytes(), 100).await;
    assert_eq!(received, [b'.'; 40]);
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}
