//! Join tokens, secrets, addresses, identities and trust domains, as people paste them and as certificates carry them.

use data_encoding::BASE64URL_NOPAD;
use sealift_certs::{Identity, JoinToken, Secret, TrustDomain, token};
use sealift_transfer::Address;
use sealift_types::Digest;

/// The longest text that is a token.
const LONGEST: usize = 8192;

/// Takes text, or behind a zero byte what is in a token: the checksum keeps everything else from getting far.
pub fn check(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, content)) => {
            let sum = &Digest::of(content).as_bytes()[..4].to_vec()[..];
            let text = format!("{}{}", token::SCHEME, BASE64URL_NOPAD.encode(&[content, sum].concat()));
            if let Some(token) = read(&text) {
                assert_eq!(token.to_string(), text, "a content has one token");
            }
        }
        _ => {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            read(text);
            words(text);
        }
    }
}

fn read(text: &str) -> Option<JoinToken> {
    let token: JoinToken = text.parse().ok()?;
    let written = token.to_string();
    assert!(written.len() <= LONGEST && text.len() <= LONGEST);
    assert_eq!(written.parse::<JoinToken>().as_ref(), Ok(&token));
    let pasted: String = text.split_whitespace().collect();
    assert_eq!(
        written.strip_prefix(token::SCHEME),
        Some(pasted.strip_prefix(token::SCHEME).unwrap_or(&pasted))
    );
    for address in &token.addresses {
        let dialled = address.parse::<Address>();
        assert!(dialled.is_ok(), "a token is accepted with the address {address}, which cannot be dialled");
    }
    Some(token)
}

fn words(text: &str) {
    if let Ok(secret) = Secret::from_text(text) {
        assert_eq!(secret.to_text(), text);
    }
    if let Ok(domain) = text.parse::<TrustDomain>() {
        assert_eq!(domain.as_str(), text);
        let _ = domain.dns_name();
    }
    if let Ok(identity) = text.parse::<Identity>() {
        assert_eq!(identity.to_string(), text, "an identity has one spelling");
    }
    if let Ok(address) = text.parse::<Address>() {
        let again = address.to_string().parse::<Address>();
        assert_eq!(again.as_ref(), Ok(&address), "{address}");
    }
}
