use std::fmt;

use rapport_types::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls;

use super::TlsError;
use super::der::{self, Validity};

/// The content of a PEM file, and the name under which faults of it are told: its option and its path.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem {
    name: String,
    bytes: Vec<u8>,
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pem").field(&self.name).finish()
    }
}

impl Pem {
    /// The content of the file `name`.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Pem {
        Pem { name: name.into(), bytes: bytes.into() }
    }

    pub(super) fn wrong(&self, what: impl fmt::Display) -> TlsError {
        TlsError::of(&self.name, what)
    }

    fn holds(&self, words: &str) -> bool {
        self.bytes.windows(words.len()).any(|window| window == words.as_bytes())
    }

    /// Every certificate in it, at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let mut found = Vec::new();
        for one in CertificateDer::pem_slice_iter(&self.bytes) {
            found.push(one.map_err(|error| self.wrong(malformed(&error)))?);
        }
        match found.is_empty() {
            false => Ok(found),
            true if self.holds("PRIVATE KEY-----") => {
                Err(self.wrong("holds a private key and no certificate: are the two files swapped?"))
            }
            true => Err(self.wrong("holds no certificate: PEM begins with -----BEGIN CERTIFICATE-----")),
        }
    }

    /// The first private key in it.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        match PrivateKeyDer::from_pem_slice(&self.bytes) {
            Ok(key) => Ok(key),
            Err(PemError::NoItemsFound) if self.holds("ENCRYPTED PRIVATE KEY-----") => {
                Err(self.wrong("the private key is locked by a password: openssl pkcs8 -in FILE -out FILE unlocks it"))
            }
            Err(PemError::NoItemsFound) if self.holds("-----BEGIN CERTIFICATE-----") => {
                Err(self.wrong("holds a certificate and no private key: are the two files swapped?"))
            }
            Err(PemError::NoItemsFound) => {
                Err(self.wrong("holds no private key: PEM begins with -----BEGIN PRIVATE KEY-----"))
            }
            Err(error) => Err(self.wrong(malformed(&error))),
        }
    }

    /// Its certificates as authorities that are trusted. One that has expired signs nothing that holds, but the others do.
    pub(super) fn authorities(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|_| self.wrong("holds what is no X.509 certificate of an authority"))?;
        }
        Ok(roots)
    }

    /// The chain to show, whose first certificate must be in force, and how long it is.
    pub(super) fn chain(&self, now: Timestamp) -> Result<(Vec<CertificateDer<'static>>, Validity), TlsError> {
        let chain = self.certificates()?;
        let validity = chain.first().and_then(|leaf| der::validity(leaf));
        let validity = validity.ok_or_else(|| self.wrong("its first certificate is no X.509 certificate"))?;
        if validity.not_after < now {
            return Err(self.wrong(format!("the certificate expired on {}", validity.not_after)));
        }
        if validity.not_before > now {
            return Err(self.wrong(format!("the certificate holds from {} on only", validity.not_before)));
        }
        Ok((chain, validity))
    }
}

/// From when to when the first certificate of a file holds, whether or not it does now.
///
/// # Errors
/// The file holds no certificate.
pub fn validity(pem: &Pem) -> Result<Validity, TlsError> {
    let chain = pem.certificates()?;
    let found = chain.first().and_then(|leaf| der::validity(leaf));
    found.ok_or_else(|| pem.wrong("its first certificate is no X.509 certificate"))
}

/// What is wrong with the form of a file. Its lines are not repeated: they may be those of a key.
fn malformed(error: &PemError) -> &'static str {
    match error {
        PemError::MissingSectionEnd { .. } => "a section has no line -----END …-----: the file is cut off",
        PemError::IllegalSectionStart { .. } => "a line that begins a section is not -----BEGIN …-----",
        PemError::Base64Decode(_) => "what stands between BEGIN and END is no base64",
        _ => "is no PEM file",
    }
}
