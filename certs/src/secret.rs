//! The secret of a join token.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use data_encoding::HEXLOWER;
use sealift_types::Digest;
use zeroize::Zeroize;

/// 128 random bits that let one machine join, once.
///
/// Erased from memory when dropped, never shown by `Debug`, compared in constant time. The server stores only its
/// [`digest`](Self::digest): nobody who reads the catalog can join with it.
#[derive(Clone)]
pub struct Secret([u8; Self::LENGTH]);

impl Secret {
    /// The length in bytes.
    pub const LENGTH: usize = 16;

    /// A secret of 128 bits from the system's random generator.
    pub fn random() -> Self {
        Self(crate::random())
    }

    /// Takes bytes that are known to be a secret.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The secret itself, which belongs into no log.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The text that a join request carries: 32 lower-case hexadecimal digits.
    pub fn to_text(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// Reads what [`to_text`](Self::to_text) wrote.
    ///
    /// # Errors
    /// Fails on anything but 32 lower-case hexadecimal digits.
    pub fn from_text(text: &str) -> Result<Self, SecretError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| SecretError)?;
        Ok(Self(bytes.try_into().map_err(|_| SecretError)?))
    }

    /// What the server stores: the SHA-256 of the 16 bytes. It needs no salt, the secret is all randomness.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

/// What a secret's text must look like. The text is not repeated: it may be a secret with a typing error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a join secret is 32 lower-case hexadecimal digits: send the token's secret as it is")]
pub struct SecretError;

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Secret {}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let secret = Secret::random();
        let text = secret.to_text();
        assert_eq!(text.len(), 32);
        assert_eq!(Secret::from_text(&text), Ok(secret.clone()));
        assert_ne!(secret, Secret::random());
        for bad in ["", &text[1..], &format!("{text}0"), &text.replacen(&text[..1], "G", 1)] {
            assert_eq!(Secret::from_text(bad), Err(SecretError));
        }
    }

    #[test]
    fn shows_nothing() {
        assert_eq!(format!("{:?}", Secret::from_bytes([7; 16])), "Secret");
    }

    #[test]
    fn the_digest_is_of_the_bytes() {
        assert_eq!(Secret::from_bytes([0; 16]).digest(), Digest::of(&[0; 16]));
    }
}
