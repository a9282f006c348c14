//! The certificate authority: one key, one self-signed certificate, and what it signs.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData};
use rustls_pki_types::CertificateDer;
use sealift_types::{Digest, Name};
use x509_parser::certificate::X509Certificate;
use zeroize::Zeroizing;

use crate::certificate::parse_certificate;
use crate::date::to_date;
use crate::leaf::{Leaf, common_name_only, serial_number, uri};
use crate::pem::{KeyPem, certificate_to_pem, one_certificate, private_key};
use crate::{CertError, IdentityError, TrustDomain, Validity, fingerprint, request, validity};

/// How long an authority is valid: ten years.
const AUTHORITY_VALIDITY: Duration = Duration::from_secs(3650 * 24 * 3600);

/// The longest common name (RFC 5280, appendix A.1: ub-common-name), in characters.
const MAX_COMMON_NAME: usize = 64;

/// A certificate authority, which signs the certificates of one trust domain.
pub struct Authority {
    trust_domain: TrustDomain,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    validity: Validity,
    key: Zeroizing<KeyPair>,
    key_pem: KeyPem,
}

/// A certificate that was just signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate as PEM text, without the authority's.
    pub pem: String,
    /// The same certificate as DER, which is what TLS sends.
    pub der: CertificateDer<'static>,
    /// The SHA-256 of [`der`](Self::der), by which the server knows it.
    pub fingerprint: Digest,
    /// From when to when it is valid, as written in it.
    pub validity: Validity,
}

impl Authority {
    /// Makes a new authority with a P-256 key, valid for ten years from `now` on.
    ///
    /// It may sign leaves only (path length 0) and carries `spiffe://<trust domain>` as its one URI. It has no name
    /// constraints: rustls-webpki refuses those on URIs.
    ///
    /// # Errors
    /// Fails when `now` is not a time that X.509 can write, or the cryptographic library fails.
    pub fn generate(trust_domain: TrustDomain, now: SystemTime) -> Result<Self, CertError> {
        let key = request::new_key()?;
        let key_pem = request::key_pem(&key);
        let validity = Validity::starting(now, AUTHORITY_VALIDITY);
        let certificate = authority_params(&trust_domain, validity)?.self_signed(&*key)?.into();
        Self::new(trust_domain, certificate, key, key_pem)
    }

    /// Reads an authority back, be it made by [`generate`](Self::generate) or elsewhere.
    ///
    /// # Errors
    /// Fails when either text is unreadable, the key is not the certificate's, the certificate may not sign others,
    /// or its one URI is not `spiffe://<trust domain>`.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, CertError> {
        let certificate = one_certificate(certificate, "CA certificate")?;
        let key = private_key(key)?;
        let key_pem = KeyPem::encode(&key);
        let key = KeyPair::try_from(&key).map_err(|_| CertError::Pem { what: "CA's private key" })?;
        check_authority(&certificate)?;
        if parse_certificate(&certificate)?.public_key().raw != key.subject_public_key_info() {
            return Err(CertError::KeyMismatch);
        }
        let trust_domain = TrustDomain::of_authority(&certificate)?;
        Self::new(trust_domain, certificate, Zeroizing::new(key), key_pem)
    }

    /// The trust domain that the authority signs for.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The authority's certificate: what clients trust, and nothing else.
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The authority's certificate as PEM text.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's private key as PEM text.
    pub fn key_pem(&self) -> &KeyPem {
        &self.key_pem
    }

    /// The SHA-256 of the authority's certificate, which join tokens carry.
    pub fn fingerprint(&self) -> Digest {
        fingerprint(&self.certificate)
    }

    /// Refuses a time at which nobody would accept what the authority signs.
    ///
    /// # Errors
    /// Fails with [`CertError::AuthorityNotYetValid`] or [`CertError::AuthorityExpired`].
    pub fn check_time(&self, now: SystemTime) -> Result<(), CertError> {
        let Validity { not_before, not_after } = self.validity;
        if now < not_before {
            return Err(CertError::AuthorityNotYetValid { from: not_before.into(), now: now.into() });
        }
        if now > not_after {
            return Err(CertError::AuthorityExpired { until: not_after.into(), now: now.into() });
        }
        Ok(())
    }

    /// From when to when the authority is valid. Nothing that it signs outlives it.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Signs the certificate of the user `name` for the key of a request.
    ///
    /// Of the request only the public key counts. The certificate is for client authentication alone and ends with
    /// the authority's own at the latest.
    ///
    /// # Errors
    /// Fails with [`CertError::Request`] when the request is unreadable, not signed by its own key, or its key is
    /// not one of P-256, P-384 and Ed25519; with [`CertError::Validity`] when no time is left.
    pub fn issue_user(&self, csr_pem: &str, name: &Name, validity: Validity) -> Result<Issued, CertError> {
        self.issue_client(csr_pem, name, None, validity)
    }

    /// The same for a certificate that renews another. `origin` is the fingerprint of the first certificate in the row
    /// of renewals, which the new one names: see [`origin`](crate::origin).
    ///
    /// # Errors
    /// As those of [`issue_user`](Self::issue_user).
    pub fn renew_user(
        &self,
        csr_pem: &str,
        name: &Name,
        origin: &Digest,
        validity: Validity,
    ) -> Result<Issued, CertError> {
        self.issue_client(csr_pem, name, Some(origin), validity)
    }

    /// Makes a P-256 key for the server and signs its certificate.
    ///
    /// The certificate is for server authentication alone. It is valid for the trust domain as a host name, which is
    /// what Sealift clients verify, and for `hosts` (DNS names and IP addresses, without ports or brackets), for the
    /// sake of everybody else's.
    ///
    /// # Errors
    /// Fails with [`CertError::Host`] when a host is neither a DNS name nor an IP address, with
    /// [`CertError::Validity`] when no time is left.
    pub fn issue_server(&self, hosts: &[String], validity: Validity) -> Result<(Issued, KeyPem), CertError> {
        let leaf = Leaf::server(&self.trust_domain, hosts)?;
        let key = request::new_key()?;
        let issued = self.issue(leaf, &*key, validity)?;
        Ok((issued, request::key_pem(&key)))
    }

    fn new(
        trust_domain: TrustDomain,
        certificate: CertificateDer<'static>,
        key: Zeroizing<KeyPair>,
        key_pem: KeyPem,
    ) -> Result<Self, CertError> {
        let certificate_pem = certificate_to_pem(&certificate);
        let validity = validity(&certificate)?;
        Ok(Self { trust_domain, certificate, certificate_pem, validity, key, key_pem })
    }

    fn issue_client(
        &self,
        csr_pem: &str,
        name: &Name,
        origin: Option<&Digest>,
        validity: Validity,
    ) -> Result<Issued, CertError> {
        let key = request::public_key(csr_pem)?;
        self.issue(Leaf::user(&self.trust_domain, name, origin)?, &key, validity)
    }

    fn issue(&self, leaf: Leaf, key: &impl PublicKeyData, wanted: Validity) -> Result<Issued, CertError> {
        // Verifiers differ on whether an expired root invalidates what it signed; so that never arises.
        let wanted = wanted.ending_by(self.validity.not_after)?;
        let issuer = Issuer::from_ca_cert_der(&self.certificate, &*self.key)?;
        let der = leaf.sign(key, wanted, &issuer)?;
        let pem = certificate_to_pem(&der);
        Ok(Issued { pem, fingerprint: fingerprint(&der), validity: validity(&der)?, der })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = self.fingerprint();
        f.debug_struct("Authority")
            .field("trust_domain", &self.trust_domain)
            .field("fingerprint", &fingerprint)
            .finish_non_exhaustive()
    }
}

/// Whether a certificate may sign others (RFC 5280, sections 4.2.1.3 and 4.2.1.9).
///
/// Trust anchors must be asked: webpki takes any certificate for one.
pub(crate) fn check_authority(der: &CertificateDer<'_>) -> Result<(), CertError> {
    let certificate = parse_certificate(der)?;
    if may_sign(&certificate).map_err(|_| IdentityError::Unreadable)? {
        Ok(())
    } else {
        Err(CertError::NotAuthority)
    }
}

fn may_sign(certificate: &X509Certificate<'_>) -> Result<bool, x509_parser::error::X509Error> {
    let is_ca = certificate.basic_constraints()?.is_some_and(|constraints| constraints.value.ca);
    let may_sign = certificate.key_usage()?.is_none_or(|usage| usage.value.key_cert_sign());
    Ok(is_ca && may_sign)
}

fn authority_params(trust_domain: &TrustDomain, validity: Validity) -> Result<CertificateParams, CertError> {
    let mut common_name = format!("Sealift CA {trust_domain}");
    common_name.truncate(MAX_COMMON_NAME);

    let mut params = CertificateParams::default();
    params.serial_number = Some(serial_number());
    params.distinguished_name = common_name_only(&common_name);
    params.not_before = to_date(validity.not_before).ok_or(CertError::Validity)?;
    params.not_after = to_date(validity.not_after).ok_or(CertError::Validity)?;
    params.subject_alt_names = vec![uri(&format!("spiffe://{trust_domain}"))?];
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
