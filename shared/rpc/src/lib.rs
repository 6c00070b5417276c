//! The RPC layer: everything between the bytes of a call and the domain values of a service, written once.
//!
//! * **Errors.** This is the only crate that makes a [`tonic::Status`]: [`status`] turns a domain
//!   [`Error`](rapport_types::error::Error) into one with its details, [`error_of`] turns it back on the other side.
//! * **Handlers.** [`handle`] gives a handler its [`Call`] (who asks, for which tenant, until when) and maps its error;
//!   [`written`] answers a write with its position in the feed; [`wire`] parses the shared messages; [`Encoded`] is an answer
//!   that is kept as it is sent.
//! * **The stack.** [`Stack`] is the one chain of layers every call passes, in one asserted order (see `stack`),
//!   whether it comes over the network or from a service of the same process.
//! * **The port.** [`Front`] stands before the stack and translates JSON and gRPC-Web into gRPC.
//! * **Clients.** A [`Transport`] is either a network channel or the stack of this process, and generated clients run
//!   unchanged over both; [`Peers`] finds the one for a service.
//! * **TLS.** [`tls`] is what both sides need of it: certificates that can be exchanged, handshakes, faults in words.
//! * **Operations.** [`OperationService`] serves the long jobs of the hosted services.
//! * **The feed.** [`FeedService`] serves the events of the hosted services, [`GrpcSource`] reads those of any service.
#![forbid(unsafe_code)]

mod access;
mod authentication;
mod call;
mod encoded;
mod feed;
mod front;
pub mod header;
pub mod limits;
mod mask;
mod method;
mod metrics;
mod operations;
mod parked;
mod peers;
mod services;
mod source;
mod stack;
mod status;
mod stream;
pub mod tls;
mod transport;
pub mod wire;

pub use access::{Access, Pattern};
pub use authentication::{Authentication, Token};
pub use call::{Call, Reply, handle, outgoing, written};
pub use encoded::Encoded;
pub use feed::FeedService;
pub use front::{DOCUMENT, Front, needs_tls, openapi};
pub use mask::masked;
pub use method::{Method, Methods, Requirement, UnguardedMethod};
pub use metrics::{BUCKETS_MICROS, CodeCounts, MethodCounts, Metrics, Saturation};
pub use operations::{OperationService, to_operation};
pub use peers::Peers;
pub use services::Services;
pub use source::GrpcSource;
pub use stack::{QuotaOptions, Spans, Stack, StackOptions};
pub use status::{DOMAIN, error_of, received, status};
pub use stream::{reply_stream, until_stopped};
pub use transport::{Local, Transport};
