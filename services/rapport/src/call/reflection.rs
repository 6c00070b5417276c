//! The server's own descriptors, by gRPC reflection.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::stream;
use prost::Message;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;
use rapport_rpc::Transport;
use tonic::Status;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

/// How long the server may take to describe itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server offers.
pub(crate) struct Offer {
    /// Its messages and methods.
    pub(crate) pool: DescriptorPool,
    /// The full names of the services it answers for.
    pub(crate) services: Vec<String>,
}

/// Asks the server. `None` where it does not describe itself.
///
/// # Errors
/// The server is not there.
pub(crate) async fn ask(transport: &Transport) -> Result<Option<Offer>, Status> {
    match asked(transport).await {
        Ok(offer) => Ok(offer),
        Err(status) if matches!(status.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded) => Err(status),
        // Reflection is switched off, or open to others alone: the call itself will tell what is wrong, if anything is.
        Err(_) => Ok(None),
    }
}

async fn asked(transport: &Transport) -> Result<Option<Offer>, Status> {
    let listed = exchange(transport, vec![MessageRequest::ListServices("*".to_owned())]).await?;
    let mut services: Vec<String> = listed
        .into_iter()
        .filter_map(|answer| match answer {
            MessageResponse::ListServicesResponse(list) => Some(list.service),
            _ => None,
        })
        .flatten()
        .map(|service| service.name)
        .collect();
    services.sort();
    let mut files: BTreeMap<String, FileDescriptorProto> = BTreeMap::new();
    let mut wanted: Vec<MessageRequest> = services.iter().cloned().map(MessageRequest::FileContainingSymbol).collect();
    let mut asked_for = BTreeSet::new();
    while !wanted.is_empty() {
        for answer in exchange(transport, std::mem::take(&mut wanted)).await? {
            let MessageResponse::FileDescriptorResponse(found) = answer else { continue };
            for bytes in found.file_descriptor_proto {
                let Ok(file) = FileDescriptorProto::decode(bytes.as_slice()) else { return Ok(None) };
                files.insert(file.name().to_owned(), file);
            }
        }
        let missing: BTreeSet<String> = files
            .values()
            .flat_map(|file| file.dependency.iter().cloned())
            .filter(|name| !files.contains_key(name) && asked_for.insert(name.clone()))
            .collect();
        wanted = missing.into_iter().map(MessageRequest::FileByFilename).collect();
    }
    let mut pool = DescriptorPool::new();
    match pool.add_file_descriptor_protos(files.into_values()) {
        Ok(()) if !services.is_empty() => Ok(Some(Offer { pool, services })),
        _ => Ok(None),
    }
}

/// Questions and answers over one stream.
async fn exchange(transport: &Transport, questions: Vec<MessageRequest>) -> Result<Vec<MessageResponse>, Status> {
    let requests: Vec<ServerReflectionRequest> = questions
        .into_iter()
        .map(|question| ServerReflectionRequest { host: String::new(), message_request: Some(question) })
        .collect();
    let mut request = tonic::Request::new(stream::iter(requests));
    request.set_timeout(PATIENCE);
    let mut client = ServerReflectionClient::new(transport.clone()).max_decoding_message_size(16 << 20);
    let mut answers = client.server_reflection_info(request).await?.into_inner();
    let mut told = Vec::new();
    while let Some(answer) = answers.message().await? {
        told.extend(answer.message_response);
    }
    Ok(told)
}
