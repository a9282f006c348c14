//! A peer's control messages: what is understood means the same after it was written and read again.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use sealift_protocol::frame::HEADER;
use sealift_protocol::message::{Reply, Request, Trailer, Turn, decode, decode_request, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, payload)) = bytes.split_first() else { return };
    match kind % 5 {
        0 => {
            if let Ok(request) = decode_request(payload) {
                again::<Request>(&request);
            }
        }
        1 => round_trip::<Request>(payload),
        2 => round_trip::<Reply>(payload),
        3 => round_trip::<Trailer>(payload),
        _ => round_trip::<Turn>(payload),
    }
});

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(payload: &[u8]) {
    if let Ok(message) = decode::<T>(payload) {
        again(&message);
    }
}

fn again<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T) {
    let mut out = Vec::new();
    // A message may grow beyond one frame when it is written again, for example by escapes.
    if encode(message, &mut out).is_ok() {
        let read: T = decode(&out[HEADER..]).expect("what was written can be read");
        assert_eq!(&read, message);
    }
}
