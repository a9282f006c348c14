//! Join tokens, addresses and identities, as people paste them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealift_certs::{Identity, JoinToken};
use sealift_transfer::Address;

fuzz_target!(|text: &str| {
    if let Ok(token) = text.parse::<JoinToken>() {
        let again: JoinToken = token.to_string().parse().expect("a token that was written can be read");
        assert_eq!(again.to_string(), token.to_string());
    }
    if let Ok(address) = text.parse::<Address>() {
        let again: Address = address.to_string().parse().expect("an address that was written can be read");
        assert_eq!(again, address);
    }
    if let Ok(identity) = text.parse::<Identity>() {
        let again: Identity = identity.to_string().parse().expect("an identity that was written can be read");
        assert_eq!(again.to_string(), identity.to_string());
    }
});
