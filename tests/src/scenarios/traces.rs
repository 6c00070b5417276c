//! Traces: a call's spans reach an OTLP collector under the trace of whoever called.

use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use rapport_proto::stakeholders::v1::GetPartyRequest;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_testkit::Code;
use rapport_testkit::sandbox::{Sandbox, Topology};
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::stage::unknown;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A collector that hands on what it is sent.
struct Collector(mpsc::UnboundedSender<Span>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            for scope in resource.scope_spans {
                for span in scope.spans {
                    self.0.send(span).map_err(|_| Status::unavailable("the test is over"))?;
                }
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector on a port of its own, and the spans it is sent.
async fn collector() -> (SocketAddr, mpsc::UnboundedReceiver<Span>) {
    let (sender, spans) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(
        Server::builder()
            .add_service(TraceServiceServer::new(Collector(sender)))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    (address, spans)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn spans_reach_a_collector_under_the_callers_trace() {
    rapport_testkit::block_on(async {
        let (address, mut spans) = collector().await;
        let sandbox = Sandbox::builder(rapport::modules)
            .topology(Topology::Child)
            .setting("telemetry.otlp_endpoint", format!("http://{address}"))
            .start()
            .await;
        let mut parties = PartyServiceClient::new(sandbox.channel("stakeholders"));
        let mut request = Request::new(GetPartyRequest { name: unknown("parties") });
        let traceparent = format!("00-{TRACE}-{CALLER}-01").parse().expect("a header");
        request.metadata_mut().insert("traceparent", traceparent);
        let refused = parties.get_party(request).await.expect_err("nobody of that name");
        assert_eq!(refused.code(), Code::NotFound);
        // What is left is exported when the process stops.
        sandbox.stop().await;
        let span = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let span = spans.recv().await.expect("spans come");
                if span.name == "rapport.stakeholders.v1.PartyService/GetParty" {
                    return span;
                }
            }
        })
        .await
        .expect("the call's span reaches the collector");
        assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.to_owned(), CALLER.to_owned()));
        let code = span.attributes.iter().find(|attribute| attribute.key == "rpc.grpc.status_code");
        let code = code.and_then(|attribute| attribute.value.clone()?.value);
        let not_found = opentelemetry_proto::tonic::common::v1::any_value::Value::IntValue(Code::NotFound as i64);
        assert_eq!(code, Some(not_found));
    });
}
