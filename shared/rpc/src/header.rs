//! The names of the headers (gRPC metadata) that carry what is not in a message.

/// Names a request in logs: taken from the caller when it is short and plain, made here otherwise; always echoed.
pub const REQUEST_ID: &str = "x-request-id";
/// The W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// The caller's remaining time, as gRPC defines it.
pub const GRPC_TIMEOUT: &str = "grpc-timeout";
/// The credential: `Bearer TOKEN`.
pub const AUTHORIZATION: &str = "authorization";
/// The tenant on whose behalf a service principal calls; ignored from anybody else.
pub const TENANT: &str = "rapport-tenant";
/// In the reply to a write: `service@position`, the place of its events in the service's feed.
pub const POSITION: &str = "rapport-position";
/// In the reply to a write: `true` if the answer is that of an earlier request with the same request_id.
pub const REPLAYED: &str = "rapport-replayed";
/// In a request: `service@position`, what the answer must know of at least. Several are separated by commas.
pub const AT_LEAST: &str = "rapport-at-least";
/// In a reply: `service@position`, the newest position known when `rapport-at-least` was not reached in time.
pub const STALE: &str = "rapport-stale";
/// In an INTERNAL error: the number under which the fault is in the server's log.
pub const ERROR_ID: &str = "rapport-error-id";
