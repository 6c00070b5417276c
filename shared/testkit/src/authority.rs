//! Certificates and keys, made where they are needed: no file with a key lies in the repository, and none expires.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// Somebody who signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, both in PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// A new one, whom nobody trusts yet.
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Authority { issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate") }
    }

    /// Its own certificate, in PEM.
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these names (of DNS, or IP addresses), for servers and clients, good for long.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_until(names, 2999)
    }

    /// A certificate that ends with the beginning of a year.
    pub fn issue_until(&self, names: &[&str], year: i32) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Issued {
    /// Writes both into a folder, as `NAME.pem` and `NAME.key`, each whole or not at all.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        (write(folder, &format!("{name}.pem"), &self.certificate), write(folder, &format!("{name}.key"), &self.key))
    }
}

/// Writes a file of a folder in one step, so that nobody reads half of it.
pub fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let (part, whole) = (folder.join(format!("{name}.part")), folder.join(name));
    fs::write(&part, text).expect("written");
    fs::rename(&part, &whole).expect("renamed");
    whole
}
