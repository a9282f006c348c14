//! Join tokens: all that a machine needs to enrol, in one line of text.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use sealift_types::Digest;

use crate::{Addresses, AddressesError, Secret, TrustDomain};

/// What a token's text begins with; reading does without it.
pub const SCHEME: &str = "sealift-join:";

/// The version of the token's form.
const VERSION: u8 = 1;

/// How much of the SHA-256 is behind the rest, in bytes.
const CHECKSUM: usize = 4;

/// The longest text that is looked at, in bytes; a token with 16 addresses of 255 bytes takes under 6,000.
const MAX_TEXT: usize = 8192;

/// What a machine needs to enrol.
///
/// As text it is [`SCHEME`] and the unpadded base64url (RFC 4648, section 5) of: the version, one byte, 1; the CA
/// certificate's SHA-256, 32 bytes; the secret, 16 bytes; the trust domain, behind its length in one byte; the number
/// of addresses in one byte, and each behind its length in one byte; and, in every version, the first 4 bytes of the
/// SHA-256 of all that, so that a damaged token is told apart from a wrong server.
///
/// `Display` writes that text, the secret included; `Debug` does not show the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The fingerprint of the CA certificate that the server must show.
    pub fingerprint: Digest,
    /// What lets the machine in, once.
    pub secret: Secret,
    /// The name that the server's certificate must carry.
    pub trust_domain: TrustDomain,
    /// Where the server may be reached, best first.
    pub addresses: Addresses,
}

/// Why a text is not a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Characters are missing, added or changed.
    #[error(
        "the token is damaged or incomplete: copy it whole, from \"sealift-join:\" to its last character, or ask for \
         a new one (sealiftd invite NAME)"
    )]
    Damaged,
    /// Intact, but of a later form.
    #[error(
        "the token is of version {0}, which this program does not know yet: update Sealift on this machine"
    )]
    Version(u8),
    /// Intact, but with addresses that nobody can dial.
    #[error(transparent)]
    Addresses(#[from] AddressesError),
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.extend(self.fingerprint.as_bytes());
        bytes.extend(self.secret.as_bytes());
        append(&mut bytes, self.trust_domain.as_str());
        bytes.push(u8::try_from(self.addresses.len()).expect("there are at most 16 addresses"));
        for address in &self.addresses {
            append(&mut bytes, address);
        }
        bytes.extend(checksum(&bytes));
        write!(f, "{SCHEME}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.len() > MAX_TEXT {
            return Err(TokenError::Damaged);
        }
        // Mail programs and terminals break long lines; the checksum tells whether the parts belong together.
        let text: String = text.split_whitespace().collect();
        let encoded = text.strip_prefix(SCHEME).unwrap_or(&text);
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| TokenError::Damaged)?;
        let (content, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(TokenError::Damaged)?;
        if *sum != checksum(content) {
            return Err(TokenError::Damaged);
        }
        match content.split_first() {
            Some((&VERSION, rest)) => FieldReader(rest).token(),
            Some((&version, _)) => Err(TokenError::Version(version)),
            None => Err(TokenError::Damaged),
        }
    }
}

/// Takes a token's fields off the front, never more than there is.
struct FieldReader<'a>(&'a [u8]);

impl FieldReader<'_> {
    fn token(mut self) -> Result<JoinToken, TokenError> {
        let fingerprint = Digest::from_bytes(self.array()?);
        let secret = Secret::from_bytes(self.array()?);
        let trust_domain = self.text()?.parse().map_err(|_| TokenError::Damaged)?;
        let [count] = self.array()?;
        let addresses: Result<Vec<_>, _> = (0..count).map(|_| self.text()).collect();
        let addresses = addresses?.try_into()?;
        if !self.0.is_empty() {
            return Err(TokenError::Damaged);
        }
        Ok(JoinToken { fingerprint, secret, trust_domain, addresses })
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], TokenError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(TokenError::Damaged)?;
        self.0 = rest;
        Ok(*head)
    }

    fn text(&mut self) -> Result<String, TokenError> {
        let [length] = self.array()?;
        let (head, rest) = self.0.split_at_checked(length.into()).ok_or(TokenError::Damaged)?;
        self.0 = rest;
        String::from_utf8(head.to_vec()).map_err(|_| TokenError::Damaged)
    }
}

fn append(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(u8::try_from(text.len()).expect("trust domains and addresses are at most 255 bytes"));
    bytes.extend(text.as_bytes());
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let [first, second, third, fourth, ..] = *Digest::of(content).as_bytes();
    [first, second, third, fourth]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pins the form: a token that is out there must stay readable.
    const GOLDEN: &str = "sealift-join:Aaqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqu7u7u7u7u7u7u7u7u7u7uxFmaW\
        xlcy5leGFtcGxlLm9yZwIObmFzLmxvY2FsOjg4ODgRWzIwMDE6ZGI4OjoxXTo0NDMcbtFq";

    fn golden() -> JoinToken {
        JoinToken {
            fingerprint: Digest::from_bytes([0xaa; 32]),
            secret: Secret::from_bytes([0xbb; 16]),
            trust_domain: "files.example.org".parse().unwrap(),
            addresses: ["nas.local:8888", "[2001:db8::1]:443"]
                .map(str::to_owned)
                .to_vec()
                .try_into()
                .unwrap(),
        }
    }

    #[test]
    fn the_form_is_fixed() {
        assert_eq!(golden().to_string(), GOLDEN);
        assert_eq!(GOLDEN.parse(), Ok(golden()));
    }

    #[test]
    fn the_scheme_and_white_space_do_not_matter() {
        let bare = GOLDEN.strip_prefix(SCHEME).unwrap();
        let (head, tail) = GOLDEN.split_at(70);
        for text in [bare, &format!("  {GOLDEN}\r\n"), &format!("{head}\n  {tail}")] {
            assert_eq!(text.parse(), Ok(golden()));
        }
    }

    #[test]
    fn a_damaged_token_says_so() {
        let bare = GOLDEN.strip_prefix(SCHEME).unwrap();
        for end in 0..GOLDEN.len() {
            assert_eq!(GOLDEN[..end].parse::<JoinToken>(), Err(TokenError::Damaged), "{end}");
        }
        for start in 1..bare.len() {
            assert_eq!(bare[start..].parse::<JoinToken>(), Err(TokenError::Damaged), "{start}");
        }
        for (at, old) in bare.char_indices() {
            let mut changed = bare.to_owned();
            changed.replace_range(at..=at, if old == 'A' { "B" } else { "A" });
            assert_eq!(changed.parse::<JoinToken>(), Err(TokenError::Damaged), "{at}");
        }
        for text in [format!("{GOLDEN}A"), format!("{GOLDEN}="), "a".repeat(MAX_TEXT + 1), "ä".to_owned()] {
            assert_eq!(text.parse::<JoinToken>(), Err(TokenError::Damaged));
        }
    }

    #[test]
    fn a_later_version_asks_for_an_update() {
        let error = encode(&[2, 1, 2, 3]).parse::<JoinToken>().unwrap_err();
        assert_eq!(error, TokenError::Version(2));
        assert!(error.to_string().contains("update"));
    }

    #[test]
    fn lengths_are_not_believed() {
        let start = [&[1; 33][..], &[0xbb; 16]].concat();
        let cases: [&[u8]; 6] = [
            b"",
            b"\xff",
            b"\x01x",
            b"\x01x\xff",
            b"\x01x\x01\xffnas:1",
            b"\x01x\x01\x05nas:1?", // one byte too many
        ];
        for rest in cases {
            let text = encode(&[&start[..], rest].concat());
            assert_eq!(text.parse::<JoinToken>(), Err(TokenError::Damaged), "{rest:?}");
        }
        let none = encode(&[&start[..], b"\x01x\x00"].concat());
        assert_eq!(none.parse::<JoinToken>(), Err(AddressesError::Count(0).into()));
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let shown = format!("{:?}", golden());
        assert!(!shown.contains("bb") && !shown.contains("187"), "{shown}");
    }

    proptest! {
        #[test]
        fn tokens_round_trip(
            fingerprint: [u8; 32],
            secret: [u8; 16],
            domain in "[a-z]([a-z0-9-]{0,40}[a-z0-9])?(\\.[a-z]{1,20}){0,2}",
            hosts in proptest::collection::vec(("[a-z][a-z0-9]{0,30}", 1..=u16::MAX), 1..=Addresses::MAX),
        ) {
            let hosts: Vec<_> = hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
            let token = JoinToken {
                fingerprint: Digest::from_bytes(fingerprint),
                secret: Secret::from_bytes(secret),
                trust_domain: domain.parse().unwrap(),
                addresses: hosts.try_into().unwrap(),
            };
            prop_assert!(token.to_string().len() <= MAX_TEXT);
            prop_assert_eq!(token.to_string().parse(), Ok(token));
        }

        #[test]
        fn nothing_makes_reading_panic(bytes: Vec<u8>, text: String) {
            let _ = text.parse::<JoinToken>();
            let _ = encode(&bytes).parse::<JoinToken>();
            let _ = encode(&[&[VERSION][..], &bytes].concat()).parse::<JoinToken>();
        }
    }

    fn encode(content: &[u8]) -> String {
        BASE64URL_NOPAD.encode(&[content, &checksum(content)[..]].concat())
    }
}
