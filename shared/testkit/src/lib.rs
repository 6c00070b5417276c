//! What tests share, never linked into a product.
//!
//! * [`postgres`]: a database per test on the server that `tests/run` starts or was given, and private clusters that a
//!   test may stop and start;
//! * [`place`]: where a store of a test lives, on either back end ([`each_store!`] runs a test on both);
//! * [`plan`]: how SQLite would run a statement;
//! * [`port`]: a port of one's own;
//! * [`sandbox`]: the whole system, in the test's process or as processes of the real binary ([`each_world!`] runs a
//!   test on both back ends times both topologies);
//! * [`authority`]: certificates and keys, made where they are needed;
//! * [`asserts`]: reasons, violations and positions of replies;
//! * [`size`]: the one knob that makes fault tests small or full.
#![forbid(unsafe_code)]
// A test that cannot be set up has failed: there is nobody to hand an error to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

pub mod asserts;
pub mod authority;
pub mod clock;
pub mod cluster;
mod each;
pub mod place;
pub mod plan;
pub mod port;
pub mod postgres;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod size;

pub use each::block_on;
pub use tonic::Code;
