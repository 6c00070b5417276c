//! The contract in Rust: the messages, clients and servers that the build generates from `proto/`, and the
//! descriptors they came from. No logic.
//!
//! Each package `rapport.<name>.v1` is the module `<name>::v1`; `rapport.type.v1` is also [`types`], because `type`
//! is a keyword. The comments of the .proto files are the documentation.

pub mod codec;
pub mod contract;
mod sections;

/// The contract as an encoded `google.protobuf.FileDescriptorSet` with imports, comments and custom options.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rapport.binpb"));

#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    missing_docs,
    rustdoc::all
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/modules.rs"));
}

pub use generated::rapport::r#type as types;
pub use generated::rapport::*;
