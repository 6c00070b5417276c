use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use tokio_rustls::rustls;

use super::{Pem, TlsError, provider};

/// Whether this is a name that a certificate can bear: of DNS, or an IP address.
pub fn is_name(text: &str) -> bool {
    ServerName::try_from(text).is_ok()
}

/// Asks every client for a certificate that `authorities` signed and that bears one of `names`, any if there are none.
pub(super) fn verifier(authorities: &Pem, names: &[String]) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = Arc::new(authorities.authorities()?);
    let signed = WebPkiClientVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| authorities.wrong(error))?;
    if names.is_empty() {
        return Ok(signed);
    }
    let names: Result<Vec<_>, _> = names.iter().map(|name| ServerName::try_from(name.clone())).collect();
    let names = names.map_err(|_| TlsError("tls.client_names holds what is no name".to_owned()))?;
    Ok(Arc::new(Named { signed, names }))
}

/// Who signed a certificate says that its bearer is known; its name says who that is.
#[derive(Debug)]
struct Named {
    signed: Arc<dyn ClientCertVerifier>,
    names: Vec<ServerName<'static>>,
}

impl ClientCertVerifier for Named {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signed.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.signed.verify_client_cert(end_entity, intermediates, now)?;
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if self.names.iter().any(|name| verify_server_name(&certificate, name).is_ok()) {
            Ok(verified)
        } else {
            // The client is told access_denied: its certificate is good, its name is not.
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}
