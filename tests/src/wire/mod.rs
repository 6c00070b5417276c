//! What the port speaks besides gRPC: JSON, gRPC-Web, CORS, the OpenAPI document, TLS, and what one tenant may ask for.

mod document;
mod envoy;
mod errors;
pub(crate) mod http;
mod json;
mod limits;
mod streams;
pub(crate) mod tls;
pub(crate) mod tls_files;
mod web;
