//! The first words of a connection. Until they are said nobody has shown a credential, so nobody may hold a place for long.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// How a connection over HTTP/2 begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The head of a frame of HTTP/2.
const FRAME: usize = 9;
/// The type of the frame that must follow the preface.
const SETTINGS: u8 = 4;
/// The longest frame as long as no settings allow longer ones.
const FRAME_MAX: usize = 16_384;
/// Room for what most clients say at first.
const ROOM: usize = 1024;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// It is no HTTP/2; the head of its request may not be there yet.
    Http1,
    /// Its preface and its settings are there.
    Http2,
}

/// A connection whose first words were heard. They can be read from it again.
#[derive(Debug)]
pub(crate) struct Opened<S> {
    said: Vec<u8>,
    /// How much of that was read again.
    read: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> Opened<S> {
    /// Listens until it is clear what the connection speaks, however long that takes.
    ///
    /// # Errors
    /// It was closed or broke before.
    pub(crate) async fn hear(mut stream: S) -> io::Result<(Opened<S>, Language)> {
        let mut said = Vec::with_capacity(ROOM);
        loop {
            if stream.read_buf(&mut said).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(language) = language(&said) {
                return Ok((Opened { said, read: 0, stream }, language));
            }
        }
    }
}

/// What is spoken by somebody who said this so far, if that is clear.
fn language(said: &[u8]) -> Option<Language> {
    if !PREFACE.starts_with(&said[..said.len().min(PREFACE.len())]) {
        return Some(Language::Http1);
    }
    let frame = said.get(PREFACE.len()..)?;
    let &[high, middle, low, kind, ..] = frame.get(..FRAME)? else { return None };
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    // What breaks the rules of HTTP/2 is left to those who know how to refuse it.
    let broken = kind != SETTINGS || length > FRAME_MAX;
    (broken || frame.len() >= FRAME + length).then_some(Language::Http2)
}

impl<S: AsyncRead + Unpin> AsyncRead for Opened<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.said.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let again = &self.said[self.read..];
        let count = again.len().min(buf.remaining());
        buf.put_slice(&again[..count]);
        self.read += count;
        if self.read == self.said.len() {
            // The memory is not held as long as the connection is.
            self.said = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opened<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[test]
    fn it_is_clear_as_soon_as_it_can_be() {
        let settings = [PREFACE, &[0, 0, 6, SETTINGS, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 9]].concat();
        for heard in 1..settings.len() {
            assert_eq!(language(&settings[..heard]), None, "{heard}");
        }
        assert_eq!(language(&settings), Some(Language::Http2));
        assert_eq!(language(b"P"), None);
        assert_eq!(language(b"PO"), Some(Language::Http1));
        assert_eq!(language(b"GET / HT"), Some(Language::Http1));
        // No settings, and settings that are too long: HTTP/2 knows what to say to that.
        for wrong in [[0, 0, 8, 6, 0, 0, 0, 0, 0], [255, 255, 255, SETTINGS, 0, 0, 0, 0, 0]] {
            assert_eq!(language(&[PREFACE, &wrong].concat()), Some(Language::Http2));
        }
    }

    #[tokio::test]
    async fn what_was_heard_is_read_again_in_pieces_of_any_size() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"POST / HTTP/1.1\r\n").await.unwrap();
        let (mut opened, language) = Opened::hear(server).await.unwrap();
        assert_eq!(language, Language::Http1);
        client.write_all(b"host: x\r\n\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        let mut read = Vec::new();
        let mut piece = [0; 5];
        loop {
            match opened.read(&mut piece).await.unwrap() {
                0 => break,
                count => read.extend_from_slice(&piece[..count]),
            }
        }
        assert_eq!(read, b"POST / HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(Opened::hear(tokio::io::empty()).await.is_err(), "closed before a word");
    }
}
