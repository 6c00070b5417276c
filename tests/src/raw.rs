//! Calls by path and bytes: what the matrices need, since they read their methods off the descriptors.

use bytes::{Buf, BufMut, Bytes};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

/// Hands bytes through as they are.
#[derive(Clone, Copy, Default)]
struct Untouched;

impl Codec for Untouched {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Untouched {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Untouched {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// The contract as descriptors.
pub(crate) fn pool() -> DescriptorPool {
    DescriptorPool::decode(rapport_proto::DESCRIPTORS).expect("the descriptor set decodes")
}

/// Every method of the contract.
pub(crate) fn methods() -> Vec<MethodDescriptor> {
    pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

/// `/rapport.stakeholders.v1.PartyService/GetParty`
pub(crate) fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// Calls any method with the bytes of one message; of a stream, gives the first message.
/// A stream that stays open and silent is an empty answer after `patience`.
pub(crate) async fn call(
    channel: &Channel,
    method: &MethodDescriptor,
    token: Option<&str>,
    body: Bytes,
) -> Result<Bytes, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path: http::uri::PathAndQuery = path(method).parse().expect("a path");
    let patience = std::time::Duration::from_secs(10);
    let answer = async {
        match (method.is_client_streaming(), method.is_server_streaming()) {
            (false, false) => {
                client.unary(with_token(body, token), path, Untouched).await.map(tonic::Response::into_inner)
            }
            (false, true) => {
                let mut stream = client.server_streaming(with_token(body, token), path, Untouched).await?.into_inner();
                first(&mut stream).await
            }
            (_, _) => {
                let request = with_token(tokio_stream::iter([body]), token);
                let mut stream = client.streaming(request, path, Untouched).await?.into_inner();
                first(&mut stream).await
            }
        }
    };
    tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| panic!("{} hangs", method.full_name()))
}

async fn first(stream: &mut tonic::Streaming<Bytes>) -> Result<Bytes, Status> {
    // An open watch with nothing to tell is fine: half a second of silence is its answer.
    match tokio::time::timeout(std::time::Duration::from_millis(500), stream.message()).await {
        Ok(message) => Ok(message?.unwrap_or_default()),
        Err(_) => Ok(Bytes::new()),
    }
}

fn with_token<T>(body: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(body);
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().expect("a header value");
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// The bytes of a message written as JSON.
pub(crate) fn encode(method: &MethodDescriptor, json: &str) -> Bytes {
    dynamic(method, json).encode_to_vec().into()
}

/// A message written as JSON.
pub(crate) fn dynamic(method: &MethodDescriptor, json: &str) -> DynamicMessage {
    let mut reader = serde_json::Deserializer::from_str(json);
    DynamicMessage::deserialize(method.input(), &mut reader).unwrap_or_else(|error| {
        panic!("the example of {} is not a {}: {error}", method.full_name(), method.input().name())
    })
}
