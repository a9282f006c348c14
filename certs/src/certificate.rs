//! Reading certificates.

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::IdentityError;

/// The one URI among a certificate's subject alternative names.
pub(crate) fn uri_of(der: &CertificateDer<'_>) -> Result<String, IdentityError> {
    let certificate = parse_certificate(der)?;
    let names = certificate.subject_alternative_name().map_err(|_| IdentityError::Unreadable)?;
    let mut found = None;
    for name in names.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::URI(_) if found.is_some() => return Err(IdentityError::Several),
            GeneralName::URI(uri) => found = Some((*uri).to_owned()),
            // It may be a second URI that another parser understands.
            GeneralName::Invalid(..) => return Err(IdentityError::Unreadable),
            _ => {}
        }
    }
    found.ok_or(IdentityError::Missing)
}

/// Parses a certificate that must fill its bytes.
pub(crate) fn parse_certificate<'a>(
    der: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, IdentityError> {
    match x509_parser::parse_x509_certificate(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(IdentityError::Unreadable),
    }
}
