//! An answer that is encoded already.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body as HttpBody, Frame};
use tonic::Status;
use tonic::body::Body;

/// What stands before a message: whether it is compressed, and its length.
const HEAD: usize = 5;

/// The bytes of a unary method's answer. Put into the extensions of a response they are sent in place of its message, which
/// is for a handler that keeps answers as they are sent. Only the stack does that: whoever calls a service's handler itself
/// finds them in the extensions.
#[derive(Clone, Debug)]
pub struct Encoded(Bytes);

impl Encoded {
    /// What `write` appends, of about `length` bytes.
    pub fn new(length: usize, write: impl FnOnce(&mut Vec<u8>)) -> Encoded {
        let mut bytes = Vec::with_capacity(HEAD + length);
        bytes.extend([0; HEAD]);
        write(&mut bytes);
        // No message is as long as 4 GiB.
        let length = u32::try_from(bytes.len() - HEAD).unwrap_or(u32::MAX);
        bytes.splice(1..HEAD, length.to_be_bytes());
        Encoded(bytes.into())
    }

    /// The message.
    pub fn message(&self) -> Bytes {
        self.0.slice(HEAD..)
    }

    /// A response as it is sent.
    pub(crate) fn in_place(mut response: Response<Body>) -> Response<Body> {
        match response.extensions_mut().remove::<Encoded>() {
            Some(Encoded(bytes)) => response.map(|_| Body::new(Frames::Message(bytes))),
            None => response,
        }
    }
}

/// What is still to be sent.
enum Frames {
    /// The message, and what follows it.
    Message(Bytes),
    /// That all went well.
    Trailers,
    /// Nothing.
    Over,
}

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (frame, next) = match std::mem::replace(&mut *self, Frames::Over) {
            Frames::Message(bytes) => (Frame::data(bytes), Frames::Trailers),
            Frames::Trailers => {
                let ok = (Status::GRPC_STATUS, HeaderValue::from_static("0"));
                (Frame::trailers(HeaderMap::from_iter([ok])), Frames::Over)
            }
            Frames::Over => return Poll::Ready(None),
        };
        *self = next;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Frames::Over)
    }

    // No size is told: gRPC-Web sends the trailers in the body too, and a length would leave them out.
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn it_is_sent_in_place_of_the_message_as_grpc_has_it() {
        let encoded = Encoded::new(3, |bytes| bytes.extend(b"abc"));
        assert_eq!(&encoded.message()[..], b"abc");
        let mut response = Response::new(Body::new(http_body_util::Full::new(Bytes::from_static(b"other"))));
        response.extensions_mut().insert(encoded);
        let sent = Encoded::in_place(response).into_body();
        assert_eq!(sent.size_hint().exact(), None, "gRPC-Web adds to it");
        let sent = sent.collect().await.unwrap();
        assert_eq!(sent.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(&sent.to_bytes()[..], b"\0\0\0\0\x03abc");
        // Any other answer is as it was.
        let other = Response::new(Body::new(http_body_util::Full::new(Bytes::from_static(b"other"))));
        assert_eq!(&Encoded::in_place(other).into_body().collect().await.unwrap().to_bytes()[..], b"other");
    }
}
