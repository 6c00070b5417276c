use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls;

/// What TLS said against a channel's latest connection. A server refuses a client's certificate after the client's own
/// handshake is done, so the refusal comes with the first bytes that are read, and what is above reports no more than a
/// connection that closed. All calls that fail with the connection are told; it is forgotten as soon as something else is
/// known of a newer one: that it failed by itself, or that something was read from it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fault(Arc<Mutex<Option<String>>>);

impl Fault {
    /// What was said.
    pub(crate) fn told(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what was said.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn note(&self, error: &io::Error) {
        if let Some(words) = words(error) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
        }
    }

    fn noted<T>(&self, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &done {
            self.note(error);
        }
        done
    }
}

/// A connection whose faults are noted.
#[derive(Debug)]
pub(super) struct Noted<S> {
    pub(super) stream: S,
    pub(super) fault: Fault,
    /// Whether the other side has said something.
    pub(super) heard: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(cx, buf);
        if !self.heard && buf.filled().len() > before {
            self.heard = true;
            self.fault.forget();
        }
        self.fault.noted(done)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.fault.noted(done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.fault.noted(done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.fault.noted(done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.fault.noted(done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// What TLS has against the other side, if it is TLS that has something: anywhere in the chain of causes.
pub(crate) fn words(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        // The error inside an I/O error is not among its sources.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inner = inner.and_then(|inner| (inner as &(dyn StdError + 'static)).downcast_ref::<Error>());
        if let Some(found) = inner.or_else(|| error.downcast_ref::<Error>()) {
            return Some(said(found));
        }
        next = error.source();
    }
    None
}

/// A sentence about the other side.
fn said(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(wrong) => certificate(wrong),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "it does not speak TLS on this port: use an address that begins with http://".to_owned()
        }
        Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => "it asks for a client certificate, and none was shown".to_owned(),
            AlertDescription::UnknownCA => {
                "it does not trust the authority that signed the client certificate".to_owned()
            }
            AlertDescription::AccessDenied => "it admits no client of the name in the client certificate".to_owned(),
            AlertDescription::CertificateExpired => "the client certificate has expired".to_owned(),
            other => format!("it broke off TLS ({other:?})"),
        },
        other => format!("TLS failed: {other}"),
    }
}

fn certificate(wrong: &CertificateError) -> String {
    match wrong {
        CertificateError::UnknownIssuer => {
            "its certificate is signed by no authority that is trusted here: name its authority as ca".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented = if presented.is_empty() { "no name at all".to_owned() } else { presented.join(", ") };
            format!("its certificate is not for {} but for {presented}", expected.to_str())
        }
        CertificateError::NotValidForName => "its certificate is for another name".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate does not hold yet: is this machine's clock right?".to_owned()
        }
        other => format!("its certificate is not good: {}", Error::InvalidCertificate(other.clone())),
    }
}
