//! Why a key, a certificate or a request is not usable, by cause.

use crate::date::Date;

/// Why something of the PKI failed.
///
/// The first variants blame what the caller handed in (files, configuration), [`Request`](Self::Request) blames the
/// peer, the last two the system. Each message is one sentence and names the mend where there is one.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A PEM text does not hold what it should.
    #[error("the {what} is not readable: restore the file from a backup, or make a new one")]
    Pem {
        /// What was looked for, such as "CA certificate".
        what: &'static str,
    },
    /// A private key and a certificate are not a pair.
    #[error("the private key does not belong to the certificate: restore both from the same backup")]
    KeyMismatch,
    /// A certificate that should sign others must not.
    #[error(
        "the certificate is not that of a certificate authority: it must say CA:TRUE and allow keyCertSign, \
         so check that the CA and the server certificate were not exchanged"
    )]
    NotAuthority,
    /// A certificate does not name who it belongs to.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A certificate is not one that clients would accept from this server.
    #[error("clients would refuse this server certificate ({reason}): let the server's CA issue a new one")]
    ServerCertificate {
        /// What a client's verification says.
        reason: String,
    },
    /// A server certificate was asked for a host that is no host.
    #[error("{host:?} is neither a host name nor an IP address: correct it in the server's list of names")]
    Host {
        /// The text that is wrong.
        host: String,
    },
    /// No certificate can be valid for the time asked for.
    #[error(
        "a certificate cannot be valid for the time asked for: check the clock, and that the CA has not expired"
    )]
    Validity,
    /// The authority's time has not begun.
    #[error(
        "the certificate authority (CA) is valid from {from} on, and this machine's clock says {now}: set the clock \
         right; if the clock was wrong when the CA was made, restore a backup or begin with a new data directory"
    )]
    AuthorityNotYetValid {
        /// The first day on which the authority is valid.
        from: Date,
        /// The day that this computer's clock shows.
        now: Date,
    },
    /// The authority's time is over.
    #[error(
        "the certificate authority (CA) was valid until {until}, and this machine's clock says {now}: if the clock is \
         right, begin with a new data directory and invite everybody again"
    )]
    AuthorityExpired {
        /// The last day on which the authority was valid.
        until: Date,
        /// The day that this computer's clock shows.
        now: Date,
    },
    /// The peer's certificate request is refused.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The cryptographic library failed.
    #[error("making a key or a certificate failed: {0}")]
    Library(#[from] rcgen::Error),
    /// The TLS library refused a configuration.
    #[error("the TLS configuration is not usable: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why a peer's certificate request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is not one PEM block with a PKCS #10 request in it.
    #[error("the certificate request is not a readable PKCS #10 request in PEM")]
    Unreadable,
    /// It is longer than any request with an accepted key.
    #[error("the certificate request is longer than {limit} bytes")]
    TooLong {
        /// The most bytes that a request may have.
        limit: usize,
    },
    /// Whoever sent it does not hold its key.
    #[error("the certificate request is not signed by its own key")]
    Signature,
    /// Its key is of another kind than those accepted.
    #[error("the certificate request's key is not accepted: use ECDSA P-256, ECDSA P-384 or Ed25519")]
    Key,
}

/// Why a certificate or a text does not name an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not X.509.
    #[error("the certificate is not readable X.509")]
    Unreadable,
    /// No URI among the subject alternative names.
    #[error("the certificate names no identity: it has no URI among its subject alternative names")]
    Missing,
    /// More than one URI, so nobody can say which one counts.
    #[error("the certificate names more than one URI, so it names no identity")]
    Several,
    /// One URI, of another form.
    #[error(
        "{0:?} is not a Sealift identity: spiffe://<trust domain>/user/<name> or spiffe://<trust domain>/server"
    )]
    Malformed(String),
}
