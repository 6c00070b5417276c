//! The services elsewhere: there, of the same contract, with the same time.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use futures::stream;
use prost::Message;
use prost_types::FileDescriptorProto;
use rapport_rpc::Transport;
use rapport_rpc::tls::ClientTls;
use rapport_server::Options;
use rapport_types::id::World;
use rapport_types::time::Timestamp;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::{Finding, certificates, clock};

const REACHABLE: &str = "peers.reachable";
const HANDSHAKE: &str = "peers.certificate";
const CONTRACT: &str = "peers.contract";
/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn examine(options: &Options, world: &World) -> Vec<Finding> {
    let mut findings = Vec::new();
    let elsewhere = options
        .peers
        .addresses
        .iter()
        .filter(|(service, _)| !options.services.is_empty() && !options.services.contains(service));
    // What is wrong with the files is told where they are looked at.
    let tls = options.peers.tls.load("peers.tls.", world.clock.as_ref()).ok();
    for (service, address) in elsewhere {
        let secured = address.starts_with("https://");
        match (secured, &tls) {
            (true, None) => {
                let found = format!("{address} cannot be called: peers.tls is not usable");
                findings.push(Finding::fail(REACHABLE, service, found, "mend the files of peers.tls"));
            }
            (true, Some(tls)) => {
                findings.push(shown(tls, service, address, world).await);
                findings.extend(peer(options, service, Transport::secured(address, tls), address, world).await);
            }
            (false, _) => {
                findings.extend(peer(options, service, Transport::network(address), address, world).await);
            }
        }
    }
    findings
}

/// What a peer shows in a handshake.
async fn shown(tls: &ClientTls, service: &str, address: &str, world: &World) -> Finding {
    match tls.handshake(address).await.map(|shown| shown.validity) {
        Ok(Some(validity)) => certificates::judge(HANDSHAKE, service, validity, world.now()),
        Ok(None) => Finding::ok(HANDSHAKE, service, format!("{address} speaks TLS")),
        Err(error) => {
            let cure =
                "see that its certificate is for the host of peers' address and signed by an authority of peers.tls.ca";
            Finding::fail(HANDSHAKE, service, format!("{address}: {error}"), cure)
        }
    }
}

async fn peer(
    options: &Options,
    service: &str,
    transport: Result<Transport, impl Display>,
    address: &str,
    world: &World,
) -> Vec<Finding> {
    let mut transport = match transport {
        Ok(transport) => transport,
        Err(error) => {
            return vec![Finding::fail(REACHABLE, service, error, format!("set peers.{service} to http://host:port"))];
        }
    };
    if !options.peers.token.is_empty() {
        transport = transport.with_token(options.peers.token.expose());
    }
    let before = world.now();
    let described = tokio::time::timeout(PATIENCE, described(transport, service)).await;
    let after = world.now();
    let described = match described {
        Ok(Ok(described)) => described,
        Ok(Err(status)) => {
            let cure = match status.code() {
                tonic::Code::Unauthenticated | tonic::Code::PermissionDenied => {
                    "set peers.token to one of its tokens with the role service".to_owned()
                }
                _ => format!("see that the service runs at {address} and that the network lets this machine in"),
            };
            let found = format!("{address}: {:?}: {}", status.code(), status.message());
            return vec![Finding::fail(REACHABLE, service, found, cure)];
        }
        Err(_) => {
            let cure = format!("see that the service runs at {address} and that the network lets this machine in");
            return vec![Finding::fail(REACHABLE, service, format!("{address} does not answer"), cure)];
        }
    };
    let mut findings = vec![Finding::ok(REACHABLE, service, address)];
    findings.push(contract(service, &described.methods));
    // The header knows seconds only: what it says holds until the next one.
    findings.extend(described.date.map(|date| {
        clock::judge(&format!("peer {service}"), before.saturating_sub(Duration::from_secs(1)), date, after)
    }));
    findings
}

struct Described {
    methods: BTreeSet<String>,
    date: Option<Timestamp>,
}

/// The methods of a service as its process describes them.
async fn described(transport: Transport, service: &str) -> Result<Described, tonic::Status> {
    let mut client = ServerReflectionClient::new(transport);
    let ask = |what| ServerReflectionRequest { host: String::new(), message_request: Some(what) };
    let symbols: BTreeSet<String> =
        ours(service).iter().filter_map(|method| Some(method.rsplit_once('/')?.0.to_owned())).collect();
    // A process knows the whole contract; which services it hosts the list says.
    let mut questions = vec![ask(MessageRequest::ListServices(String::new()))];
    questions.extend(symbols.into_iter().map(|symbol| ask(MessageRequest::FileContainingSymbol(symbol))));
    let answer = client.server_reflection_info(stream::iter(questions)).await?;
    let date = answer.metadata().get("date").and_then(|date| date.to_str().ok()).and_then(|date| {
        let date = jiff::fmt::rfc2822::parse(date).ok()?;
        Some(Timestamp::from_micros(date.timestamp().as_microsecond()))
    });
    let mut methods = BTreeSet::new();
    let mut hosted = BTreeSet::new();
    let mut answers = answer.into_inner();
    while let Some(answer) = answers.message().await? {
        let files = match answer.message_response {
            Some(MessageResponse::ListServicesResponse(list)) => {
                hosted.extend(list.service.into_iter().map(|service| service.name));
                continue;
            }
            Some(MessageResponse::FileDescriptorResponse(files)) => files,
            _ => continue,
        };
        for bytes in files.file_descriptor_proto {
            let Ok(file) = FileDescriptorProto::decode(bytes.as_slice()) else { continue };
            for described in &file.service {
                methods.extend(
                    described
                        .method
                        .iter()
                        .map(|method| format!("{}.{}/{}", file.package(), described.name(), method.name())),
                );
            }
        }
    }
    let package = format!("rapport.{service}.v1.");
    methods.retain(|method: &String| {
        method.starts_with(&package) && method.rsplit_once('/').is_some_and(|(service, _)| hosted.contains(service))
    });
    Ok(Described { methods, date })
}

/// The methods of a service as this build knows them.
fn ours(service: &str) -> BTreeSet<String> {
    let package = format!("rapport.{service}.v1.");
    let methods = rapport_proto::contract::methods().iter();
    methods
        .filter(|method| method.service.starts_with(&package))
        .map(|method| format!("{}/{}", method.service, method.name))
        .collect()
}

fn contract(service: &str, theirs: &BTreeSet<String>) -> Finding {
    let ours = ours(service);
    let names = |methods: Vec<&String>| {
        let list: Vec<&str> = methods.iter().filter_map(|method| method.rsplit('.').next()).collect();
        list.join(", ")
    };
    let missing: Vec<&String> = ours.difference(theirs).collect();
    let beyond: Vec<&String> = theirs.difference(&ours).collect();
    if !missing.is_empty() {
        let found = format!("it lacks {}", names(missing));
        return Finding::fail(CONTRACT, service, found, "upgrade the peer, or see that it hosts this service at all");
    }
    if !beyond.is_empty() {
        let found = format!("it is newer: it has {} besides", names(beyond));
        return Finding::warn(CONTRACT, service, found, "upgrade this binary: one version apart they may run together");
    }
    Finding::ok(CONTRACT, service, format!("the same {} methods", ours.len()))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn another_contract_is_told() {
        let mut theirs = ours("scoring");
        assert!(theirs.len() > 5);
        assert_eq!(contract("scoring", &theirs).verdict, Verdict::Ok);
        theirs.insert("rapport.scoring.v1.ScoreService/Foretell".to_owned());
        assert_eq!(contract("scoring", &theirs).verdict, Verdict::Warn);
        let first = theirs.pop_first();
        assert!(first.is_some());
        assert_eq!(contract("scoring", &theirs).verdict, Verdict::Fail);
    }
}
