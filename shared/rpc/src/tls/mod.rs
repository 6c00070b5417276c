//! TLS on both sides of a connection: what stands in PEM files becomes what handshakes use, and can be exchanged while
//! connections are open, which go on with what they began with.
//!
//! One provider (ring) is named wherever a configuration is built, so that no process-wide default is needed. Nothing
//! here reads files: it gets their bytes and says under which name a fault is told.

mod client;
mod der;
mod fault;
mod names;
mod pem;
mod server;

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use tokio_rustls::rustls;

pub use client::{ClientIdentity, ClientTls, Shown};
pub use der::Validity;
pub use names::is_name;
pub use pem::{Pem, validity};
pub use server::{Greeting, HandshakeError, Handshakes, ServerIdentity, ServerTls};

pub(crate) use client::Channelled;
pub(crate) use fault::{Fault, words};

/// Why a certificate, a key or an address cannot be used. The text names the file, and never what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(String);

impl TlsError {
    fn of(name: &str, what: impl fmt::Display) -> TlsError {
        TlsError(format!("{name}: {what}"))
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// The one provider of cryptography.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
