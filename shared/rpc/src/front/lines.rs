use bytes::{Buf, Bytes, BytesMut};
use futures::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use prost_reflect::MessageDescriptor;
use tonic::Status;
use tonic::body::Body;

use super::fault;
use super::json::{PREFIX, refusal, written};
use crate::status::status;

/// A stream of messages as JSON lines. One that ends with an error has it as its last line: `{"error": {...}}`.
pub(super) fn body(body: Body, output: MessageDescriptor) -> Body {
    let lines = Lines { body, buffer: BytesMut::new(), output, over: false };
    let lines = stream::unfold(lines, |mut lines| async move {
        let line = lines.next().await?;
        Some((Ok::<_, Status>(Frame::data(line)), lines))
    });
    Body::new(StreamBody::new(Box::pin(lines)))
}

struct Lines {
    body: Body,
    buffer: BytesMut,
    output: MessageDescriptor,
    over: bool,
}

impl Lines {
    async fn next(&mut self) -> Option<Bytes> {
        while !self.over {
            if let Some(message) = self.message() {
                return Some(match written(&message, self.output.clone()) {
                    Ok(line) => ended(line),
                    Err(error) => self.end(&status(error)),
                });
            }
            match self.body.frame().await {
                None => self.over = true,
                Some(Err(status)) => return Some(self.end(&status)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(frame) => {
                        self.over = true;
                        let refusal = refusal(frame.trailers_ref());
                        return refusal.map(|status| self.end(&status));
                    }
                },
            }
        }
        None
    }

    /// The next whole message, if it has arrived.
    fn message(&mut self) -> Option<Bytes> {
        let length = self.buffer.get(1..PREFIX)?;
        let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
        if self.buffer.len() < PREFIX + length {
            return None;
        }
        self.buffer.advance(PREFIX);
        Some(self.buffer.split_to(length).freeze())
    }

    fn end(&mut self, status: &Status) -> Bytes {
        self.over = true;
        ended(serde_json::json!({ "error": fault::json(status) }).to_string().into_bytes())
    }
}

fn ended(mut line: Vec<u8>) -> Bytes {
    line.push(b'\n');
    line.into()
}
