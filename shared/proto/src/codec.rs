//! The codec of the generated clients and servers: tonic's, except that bytes which are no such message answer
//! `INVALID_ARGUMENT` with reason `UNDECODABLE_MESSAGE`, where tonic answers `INTERNAL`. That code would blame the
//! server, wake its operators, and make service meshes take the pod out of rotation for a client's fault.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic_types::{ErrorDetails, StatusExt};

/// The `domain` of every `google.rpc.ErrorInfo` of the suite.
pub const ERROR_DOMAIN: &str = "rapport";

const UNDECODABLE: &str = "UNDECODABLE_MESSAGE";

/// Encodes `T` and decodes `U` as protobuf.
pub struct Codec<T, U> {
    types: PhantomData<fn(T) -> U>,
}

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self { types: PhantomData }
    }
}

impl<T, U> Clone for Codec<T, U> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T, U> fmt::Debug for Codec<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codec")
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProtoEncoder<T>;
    type Decoder = ProtoDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProtoEncoder { message: PhantomData }
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProtoDecoder { message: PhantomData }
    }
}

/// Writes messages of type `T`.
#[derive(Debug)]
pub struct ProtoEncoder<T> {
    message: PhantomData<fn(T)>,
}

impl<T: Message> Encoder for ProtoEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        // The buffer grows, so this cannot fail for want of space.
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

/// Reads messages of type `U`.
#[derive(Debug)]
pub struct ProtoDecoder<U> {
    message: PhantomData<fn() -> U>,
}

impl<U: Message + Default> Decoder for ProtoDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(buffer).map(Some).map_err(|error| undecodable(&error))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

/// The answer to bytes that are not the wanted message. prost's text names message and field, never a value.
pub fn undecodable(error: &prost::DecodeError) -> Status {
    let details = ErrorDetails::with_error_info(
        UNDECODABLE,
        ERROR_DOMAIN,
        HashMap::from([("detail".to_owned(), error.to_string())]),
    );
    Status::with_error_details(
        tonic::Code::InvalidArgument,
        "the bytes are not a message of the method's request type",
        details,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::events::v1::SubscribeRequest;

    #[test]
    fn undecodable_bytes_are_the_callers_fault() {
        for bytes in [&b"\xff\xff\xff"[..], b"\x0a\x05ab", b"\x0a\x02\xff\xfe"] {
            let error = SubscribeRequest::decode(bytes).unwrap_err();
            let status = undecodable(&error);
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.reason, rapport_types::reason::UNDECODABLE_MESSAGE);
            assert_eq!(info.domain, ERROR_DOMAIN);
        }
    }
}
