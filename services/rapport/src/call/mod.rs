//! `rapport call`: any RPC, from the descriptors of the server that answers it.

mod input;
mod reflection;
pub(crate) mod refusal;
mod wire;

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use futures::stream;
use http::uri::PathAndQuery;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use rapport_proto::contract;
use rapport_rpc::{Transport, header};
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::{Request, Streaming};

use crate::connection::{Connection, span};
use crate::failure::Failure;
use crate::naming;
use input::Source;

/// The largest message that is read.
const MESSAGE_MAX: usize = 64 << 20;

/// `rapport call`.
#[derive(Debug, Args)]
pub(crate) struct Call {
    /// The method: rapport.interactions.v1.DeskService/GetAgentContext, or an end of it that only one method has.
    #[arg(value_name = "SERVICE/METHOD")]
    method: String,
    /// The request as proto3 JSON, @FILE, or - for standard input; {} when left out. A method that takes a stream reads one message a line.
    #[arg(value_name = "JSON")]
    json: Option<String>,
    #[command(flatten)]
    connection: Connection,
    /// A header to send; may be repeated.
    #[arg(long = "header", value_name = "KEY=VALUE", value_parser = pair)]
    headers: Vec<(String, String)>,
    /// Give up after this time: 500ms, 2s, 3m.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    timeout: Option<Duration>,
    /// What the answer must know of at least, as a write's rapport-position said it: stakeholders@57.
    #[arg(long, value_name = "POSITION")]
    at_least: Option<String>,
    /// Print each answer on one line.
    #[arg(long)]
    compact: bool,
    /// Print the answer's headers (rapport-position among them) on standard error.
    #[arg(long, short)]
    verbose: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_ascii_lowercase(), value.to_owned())),
        _ => Err("valid is KEY=VALUE".to_owned()),
    }
}

/// Calls and prints what comes back.
pub(crate) async fn call(arguments: &Call) -> Result<(), Failure> {
    let address = arguments.connection.address.as_str();
    let transport = arguments.connection.open()?;
    let headers = headers(arguments)?;
    let method = match reflection::ask(&transport).await {
        Ok(Some(offer)) => method(&offer.pool, &offer.services, &arguments.method)?,
        Ok(None) => {
            let services: Vec<String> =
                contract::pool().services().map(|service| service.full_name().to_owned()).collect();
            method(contract::pool(), &services, &arguments.method)?
        }
        Err(status) => {
            // A wrong name is wrong though nobody answers.
            let services: Vec<String> =
                contract::pool().services().map(|service| service.full_name().to_owned()).collect();
            method(contract::pool(), &services, &arguments.method)?;
            return Err(refusal::failure(&status, address));
        }
    };
    Caller { arguments, transport, method, headers }.call().await
}

/// The method that is meant.
fn method(pool: &DescriptorPool, services: &[String], query: &str) -> Result<MethodDescriptor, Failure> {
    let methods: Vec<MethodDescriptor> = pool
        .services()
        .filter(|service| services.iter().any(|name| name == service.full_name()))
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect();
    let path = |method: &MethodDescriptor| format!("{}/{}", method.parent_service().full_name(), method.name());
    let names: Vec<String> = methods.iter().map(path).collect();
    let name = naming::find("method", query, &names)?;
    let found = methods.into_iter().find(|method| path(method) == name);
    found.ok_or_else(|| Failure::failed(format!("{name} has no descriptor")))
}

fn headers(arguments: &Call) -> Result<MetadataMap, Failure> {
    let mut map = MetadataMap::new();
    let at_least = arguments.at_least.iter().map(|position| (header::AT_LEAST.to_owned(), position.clone()));
    for (key, value) in arguments.headers.iter().cloned().chain(at_least) {
        let wrong = |what: &str| Failure::invalid(format!("--header {key}: {what}"));
        if key.ends_with("-bin") {
            return Err(wrong("binary headers cannot be given; valid are keys without -bin"));
        }
        let name: MetadataKey<Ascii> =
            key.parse().map_err(|_| wrong("the key is no header; valid are letters, digits, -, _ and ."))?;
        let value: MetadataValue<Ascii> =
            value.parse().map_err(|_| wrong("the value has characters that no header carries"))?;
        map.append(name, value);
    }
    Ok(map)
}

struct Caller<'a> {
    arguments: &'a Call,
    transport: Transport,
    method: MethodDescriptor,
    headers: MetadataMap,
}

impl Caller<'_> {
    async fn call(self) -> Result<(), Failure> {
        let name = format!("/{}/{}", self.method.parent_service().full_name(), self.method.name());
        let path = PathAndQuery::try_from(name).map_err(|error| Failure::failed(format!("no path: {error}")))?;
        let mut grpc = tonic::client::Grpc::new(self.transport.clone()).max_decoding_message_size(MESSAGE_MAX);
        let refused = |status: tonic::Status| refusal::failure(&status, &self.arguments.connection.address);
        let source = Source::of(self.arguments.json.as_deref());
        let (input, output) = (self.method.input(), self.method.output());
        let pretty = !self.arguments.compact && !self.method.is_server_streaming();

        if !self.method.is_client_streaming() {
            let message = source.message(&input)?;
            grpc.ready().await.map_err(|error| Failure::failed(format!("not ready: {error}")))?;
            let request = self.request(stream::iter([message]));
            let response = grpc.streaming(request, path, wire::Raw).await.map_err(refused)?;
            return self.print(response, &output, pretty, refused).await;
        }
        let (failed, mut failure) = tokio::sync::oneshot::channel();
        let messages = source.messages(input, failed)?;
        grpc.ready().await.map_err(|error| Failure::failed(format!("not ready: {error}")))?;
        let response = grpc.streaming(self.request(messages), path, wire::Raw).await.map_err(refused)?;
        self.print(response, &output, pretty, refused).await?;
        // What the lines before it brought is printed; then the line that could not be read is told.
        failure.try_recv().map_or(Ok(()), Err)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.headers.clone();
        if let Some(timeout) = self.arguments.timeout {
            request.set_timeout(timeout);
        }
        request
    }

    async fn print(
        &self,
        response: tonic::Response<Streaming<Bytes>>,
        kind: &MessageDescriptor,
        pretty: bool,
        refused: impl Fn(tonic::Status) -> Failure,
    ) -> Result<(), Failure> {
        self.told(response.metadata());
        let mut answers = response.into_inner();
        while let Some(bytes) = answers.message().await.map_err(&refused)? {
            let message = DynamicMessage::decode(kind.clone(), bytes)
                .map_err(|error| Failure::failed(format!("the answer is no {}: {error}", kind.full_name())))?;
            let text = if pretty { serde_json::to_string_pretty(&message) } else { serde_json::to_string(&message) };
            let text =
                text.map_err(|error| Failure::failed(format!("the answer cannot be written as JSON: {error}")))?;
            let mut out = std::io::stdout().lock();
            writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| Failure::output(&error))?;
        }
        Ok(())
    }

    /// The headers of the answer, for those who want them.
    fn told(&self, headers: &MetadataMap) {
        if !self.arguments.verbose {
            return;
        }
        let mut lines: Vec<String> = headers
            .iter()
            .filter_map(|entry| match entry {
                tonic::metadata::KeyAndValueRef::Ascii(key, value) => Some(format!("{key}: {}", value.to_str().ok()?)),
                tonic::metadata::KeyAndValueRef::Binary(..) => None,
            })
            .collect();
        lines.sort();
        for line in lines {
            // Nothing is left to do if standard error is closed.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
}
