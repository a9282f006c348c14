//! Control messages: what is understood means the same after it was written and read again, and takes bounded memory.

use std::fmt::Debug;

use arbitrary::{Result, Unstructured};
use sealift_protocol::WireError;
use sealift_protocol::frame::{HEADER, MAX_CONTROL};
use sealift_protocol::join::{JoinReply, JoinRequest};
use sealift_protocol::message::{Reply, Request, Trailer, Turn, decode, decode_request, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::memory::within;

/// Words that messages are made of. All other words only show that they are not known.
const WORDS: &str = "absent action address addresses after agent authority before bytes by certificate changed claim code \
    content copy csr direction directory do done duration_us end entries error etag etags executable expires failed features \
    file files from get hash hello id identity if_match info inline internal interrupted join joined keep kept key kind \
    length limit link list log machine make-directory message more move mtime name not-found offset path plan placed put \
    read recursive refuse remove renew report resume retry rights secret send server sha256 since size slice slices space \
    spaces started state stored stored_at stored_bytes stream target to transfers turn type update uri version versions \
    welcome whoami wire_bytes working alice / a/b /alice/a ../x \
    ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Takes a kind of message, and JSON or, where the next byte is odd, the choices that make some.
pub fn check(bytes: &[u8]) {
    let [kind, made, rest @ ..] = bytes else { return };
    let json;
    let payload = if made % 2 == 0 {
        rest
    } else {
        let Ok(value) = object(&mut Unstructured::new(rest), 0) else { return };
        json = value.to_string();
        json.as_bytes()
    };
    // No control frame has more.
    if payload.len() > MAX_CONTROL {
        return;
    }
    match kind % 7 {
        0 | 1 => request(payload),
        2 => round_trip::<Reply>(payload),
        3 => round_trip::<Trailer>(payload),
        4 => round_trip::<Turn>(payload),
        5 => written_alike::<JoinRequest>(payload),
        _ => written_alike::<JoinReply>(payload),
    }
}

fn object(choices: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let mut map = Map::new();
    // A message is nothing without its type.
    if depth == 0 {
        map.insert("type".into(), Value::String(word(choices)?));
    }
    for _ in 0..choices.int_in_range(0..=12)? {
        map.insert(word(choices)?, value(choices, depth + 1)?);
    }
    Ok(Value::Object(map))
}

fn value(choices: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    Ok(match choices.int_in_range(0..=9)? {
        0 => Value::Null,
        1 => Value::Bool(choices.arbitrary()?),
        2 => Value::from(choices.arbitrary::<u64>()?),
        3 => Value::from(choices.arbitrary::<i64>()?),
        4 => Value::from(choices.arbitrary::<u8>()?),
        5 => Value::String(choices.arbitrary()?),
        6 if depth < 4 => object(choices, depth)?,
        7 if depth < 4 => {
            let count = choices.int_in_range(0..=4)?;
            Value::Array((0..count).map(|_| value(choices, depth + 1)).collect::<Result<_>>()?)
        }
        _ => Value::String(word(choices)?),
    })
}

fn word(choices: &mut Unstructured<'_>) -> Result<String> {
    let words: Vec<_> = WORDS.split_whitespace().collect();
    Ok((*choices.choose(&words)?).to_owned())
}

/// How much a message of so many bytes may hold: small fields become large ones.
fn most(payload: &[u8]) -> usize {
    64 * 1024 + 48 * payload.len()
}

fn request(payload: &[u8]) {
    let plain = decode::<Request>(payload);
    match within(most(payload), || decode_request(payload)) {
        Ok(request) => {
            assert_eq!(plain.expect("it was just understood"), request);
            again(&request);
        }
        Err(error) => {
            let is_object = payload.trim_ascii_start().first() == Some(&b'{');
            assert!(plain.is_err() || !is_object, "a request is refused that is one: {error}");
            assert!(error.message.len() <= WireError::MAX_MESSAGE);
            // However odd a request is, the client hears what is wrong with it.
            encode(&Reply::Error(error), &mut Vec::new()).expect("every refusal fits into a frame");
        }
    }
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(payload: &[u8]) {
    if let Ok(message) = within(most(payload), || decode::<T>(payload)) {
        again(&message);
    }
}

fn again<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T) {
    let mut frame = Vec::new();
    // A message may grow beyond one frame when it is written again, for example by escapes.
    if encode(message, &mut frame).is_ok() {
        let read: T = decode(&frame[HEADER..]).expect("it was just written");
        assert_eq!(&read, message);
    }
}

/// The same for messages that cannot be compared: they are written alike.
fn written_alike<T: Serialize + DeserializeOwned>(payload: &[u8]) {
    let Ok(message) = within(most(payload), || decode::<T>(payload)) else { return };
    let mut frame = Vec::new();
    if encode(&message, &mut frame).is_ok() {
        let read: T = decode(&frame[HEADER..]).expect("it was just written");
        let mut again = Vec::new();
        encode(&read, &mut again).expect("it has the same length");
        assert!(frame == again, "{}", String::from_utf8_lossy(&frame));
    }
}
