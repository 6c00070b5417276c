//! The files of TLS: read into what handshakes use, at the start and whenever they change.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rapport_rpc::tls::{ClientIdentity, ClientTls, Pem, ServerIdentity, ServerTls, TlsError, Validity};
use rapport_types::Clock;
use tokio_util::sync::CancellationToken;

use crate::options::{ClientTlsOptions, OptionsError, TlsOptions};
use crate::reload::{Reload, Watched};

fn given(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

fn read(option: &str, path: &Path) -> Result<Pem, OptionsError> {
    let name = format!("{option} {}", path.display());
    match fs::read(path) {
        Ok(bytes) => Ok(Pem::new(name, bytes)),
        Err(error) => Err(OptionsError::one(format!("{name}: cannot be read: {error}"))),
    }
}

fn wrong(error: TlsError) -> OptionsError {
    OptionsError::one(error.to_string())
}

impl TlsOptions {
    /// Whether this process speaks TLS itself.
    pub fn is_on(&self) -> bool {
        given(&self.certificate)
    }

    fn identity(&self) -> Result<ServerIdentity, OptionsError> {
        Ok(ServerIdentity {
            certificate: read("tls.certificate", &self.certificate)?,
            key: read("tls.key", &self.key)?,
            client_ca: given(&self.client_ca).then(|| read("tls.client_ca", &self.client_ca)).transpose()?,
            client_names: self.client_names.clone(),
        })
    }

    /// Reads the files, if there are any.
    ///
    /// # Errors
    /// A file cannot be read, holds something else, has expired, or does not belong to the others.
    pub fn load(&self, clock: &dyn Clock) -> Result<Option<ServerTls>, OptionsError> {
        if !self.is_on() {
            return Ok(None);
        }
        ServerTls::new(&self.identity()?, clock.now()).map(Some).map_err(wrong)
    }

    /// Keeps what was loaded as its files are.
    pub(crate) fn watched(&self, tls: &ServerTls, clock: Arc<dyn Clock>) -> Watched {
        let files = [&self.certificate, &self.key, &self.client_ca];
        let (options, tls) = (self.clone(), tls.clone());
        Watched::new("tls", files, move || {
            let identity = options.identity()?;
            tls.replace(&identity, clock.now()).map_err(wrong)?;
            Ok(format!("the certificate in use holds until {}", tls.validity().not_after))
        })
    }
}

impl ClientTlsOptions {
    fn identity(&self, table: &str) -> Result<ClientIdentity, OptionsError> {
        let read = |key: &str, path: &PathBuf| read(&format!("{table}{key}"), path);
        let shown = given(&self.certificate) || given(&self.key);
        Ok(ClientIdentity {
            ca: given(&self.ca).then(|| read("ca", &self.ca)).transpose()?,
            certificate: match shown {
                false => None,
                true => Some((read("certificate", &self.certificate)?, read("key", &self.key)?)),
            },
        })
    }

    /// Reads the files; `table` stands before the names of the keys in what is told of them: `peers.tls.`, `--`.
    ///
    /// # Errors
    /// A file cannot be read, holds something else, has expired, or does not belong to the others.
    pub fn load(&self, table: &str, clock: &dyn Clock) -> Result<ClientTls, OptionsError> {
        ClientTls::new(&self.identity(table)?, clock.now()).map_err(wrong)
    }

    /// Keeps what was loaded as its files are.
    pub(crate) fn watched(&self, table: &'static str, tls: &ClientTls, clock: Arc<dyn Clock>) -> Watched {
        let files = [&self.ca, &self.certificate, &self.key];
        let (options, tls) = (self.clone(), tls.clone());
        Watched::new(table.trim_end_matches('.'), files, move || {
            let identity = options.identity(table)?;
            tls.replace(&identity, clock.now()).map_err(wrong)?;
            Ok(match tls.validity() {
                Some(validity) => format!("the certificate in use holds until {}", validity.not_after),
                None => "the authorities in use are those of the file".to_owned(),
            })
        })
    }

    /// Keeps what was loaded as its files are, looking at them every so often until `cancel`: for processes that only
    /// call, and are not started by [`start`](crate::start).
    pub async fn keep(
        &self,
        table: &'static str,
        tls: &ClientTls,
        every: Duration,
        clock: Arc<dyn Clock>,
        cancel: CancellationToken,
    ) {
        let reload = Reload::new(vec![self.watched(table, tls, clock)]);
        reload.watch(every, cancel).await;
    }
}

/// From when to when the first certificate of a file holds, whether or not it does now.
///
/// # Errors
/// The file cannot be read or holds no certificate.
pub fn validity(option: &str, path: &Path) -> Result<Validity, OptionsError> {
    rapport_rpc::tls::validity(&read(option, path)?).map_err(wrong)
}
