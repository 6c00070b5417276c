use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use rapport_proto::contract;
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use tonic::body::Body;
use tonic::{Code, Status};

use super::{Unspoken, fault, lines, parse};
use crate::limits;
use crate::stack::Stack;
use crate::status::status;

/// What stands before every message of gRPC: whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

/// Answers a call in JSON.
pub(super) async fn answer(stack: &Stack, request: Request<Body>) -> Response<Body> {
    let method = contract::method(request.uri().path());
    let request = translated(request, method);
    let response = match stack.answer(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let output = match method {
        Some(method) if method.server_streaming => Output::Lines(method.output.clone()),
        Some(method) => Output::One(method.output.clone()),
        // Nothing but a refusal can come.
        None => Output::None,
    };
    told(response, output).await
}

/// The gRPC request for a JSON one. Its body is read and parsed when the handler asks for it and not before: whoever may
/// not call costs no parsing.
fn translated(request: Request<Body>, method: Option<&'static contract::Method>) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    parts.version = Version::HTTP_2;
    let packed = parts.headers.remove(CONTENT_ENCODING).is_some_and(|value| value != "identity");
    parts.headers.remove(CONTENT_LENGTH);
    for name in ["grpc-encoding", "grpc-accept-encoding"] {
        parts.headers.remove(name);
    }
    parts.headers.remove(ACCEPT_ENCODING);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    parts.headers.insert(TE, HeaderValue::from_static("trailers"));
    let body = match method {
        Some(method) if !method.client_streaming && !packed => {
            let input = method.input.clone();
            let read = async move { read(body, &input).await.map(Frame::data).map_err(status) };
            Body::new(StreamBody::new(stream::once(Box::pin(read))))
        }
        Some(_) if packed => {
            parts.extensions.insert(Unspoken(Error::new(
                Kind::Invalid,
                reason::UNDECODABLE_MESSAGE,
                "the body is compressed, which this server does not read: send it without a content-encoding",
            )));
            Body::empty()
        }
        _ => {
            parts.extensions.insert(Unspoken(
                Error::new(
                    Kind::Unimplemented,
                    reason::NEEDS_GRPC,
                    "this method cannot be called in JSON: it takes a stream, or is one of gRPC itself; use a gRPC client",
                )
                .with("method", parts.uri.path()),
            ));
            Body::empty()
        }
    };
    Request::from_parts(parts, body)
}

async fn read(body: Body, input: &MessageDescriptor) -> Result<Bytes, Error> {
    let text = match Limited::new(body, limits::MESSAGE_BYTES).collect().await {
        Ok(text) => text.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(Error::new(
                Kind::Exhausted,
                reason::MESSAGE_TOO_LARGE,
                format!("the body is larger than {} bytes", limits::MESSAGE_BYTES),
            ));
        }
        Err(_) => return Err(Error::new(Kind::Cancelled, reason::CANCELLED, "the caller left")),
    };
    Ok(framed(&parse::message(&text, input)?))
}

fn framed(message: &DynamicMessage) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    // JSON is bounded, and what it says takes less room in binary: u32 holds it.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    bytes.put_slice(&message.encode_to_vec());
    bytes.freeze()
}

enum Output {
    One(MessageDescriptor),
    Lines(MessageDescriptor),
    None,
}

async fn told(response: Response<Body>, output: Output) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let refused = Status::from_header_map(&parts.headers).filter(|status| status.code() != Code::Ok);
    let own: Vec<HeaderName> =
        parts.headers.keys().filter(|name| name.as_str().starts_with("grpc-")).cloned().collect();
    for name in own {
        parts.headers.remove(name);
    }
    if let Some(status) = refused {
        return fault::response(parts.headers, &status);
    }
    match output {
        Output::One(output) => match one(body, output).await {
            Ok(text) => with_body(parts, "application/json", Body::new(Full::from(text))),
            Err(status) => fault::response(parts.headers, &status),
        },
        Output::Lines(output) => with_body(parts, "application/x-ndjson", lines::body(body, output)),
        Output::None => fault::response(parts.headers, &status(unwritable())),
    }
}

fn with_body(mut parts: http::response::Parts, kind: &'static str, body: Body) -> Response<Body> {
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Response::from_parts(parts, body)
}

/// The one message of a unary answer, as JSON.
async fn one(body: Body, output: MessageDescriptor) -> Result<Vec<u8>, Status> {
    let collected = body.collect().await?;
    if let Some(status) = refusal(collected.trailers()) {
        return Err(status);
    }
    let bytes = collected.to_bytes();
    let message = bytes.get(PREFIX..).unwrap_or_default();
    written(message, output).map_err(status)
}

/// What the trailers say, unless it is OK.
pub(super) fn refusal(trailers: Option<&HeaderMap>) -> Option<Status> {
    trailers.and_then(Status::from_header_map).filter(|status| status.code() != Code::Ok)
}

/// A message of ours as JSON.
pub(super) fn written(message: &[u8], output: MessageDescriptor) -> Result<Vec<u8>, Error> {
    let message = DynamicMessage::decode(output, message).map_err(|_| unwritable())?;
    serde_json::to_vec(&message).map_err(|_| unwritable())
}

fn unwritable() -> Error {
    Error::new(Kind::Internal, reason::INTERNAL, "an answer could not be written as JSON")
}
