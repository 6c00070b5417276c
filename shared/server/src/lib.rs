//! From options to a running process: which services it hosts, how it starts, listens, answers probes and stops.
//!
//! * [`Options`]: one typed tree from defaults, file, environment and flags; unknown keys are refused by name.
//! * [`Module`]: what a service gives: its migrations, its servers, its consumers and workers. It gets a [`Context`].
//! * [`Job`]: what a service does for its operations, the long jobs.
//! * [`start`]: opens the stores, builds the one stack, listens; returns a [`Running`], which stops in an order that
//!   loses nothing.
//! * [`tls`]: the files of TLS, read at the start and whenever they change.
//! * [`METRICS`]: everything that /metrics of the admin port tells; [`system`]: what the operating system says.
//! * [`telemetry`]: logs and traces, installed by the binary alone.
//!
//! Nothing here is global but telemetry: a test hosts as many differently configured processes as it likes.
#![forbid(unsafe_code)]

mod admin;
mod exported;
mod guard;
mod jobs;
mod metrics;
mod module;
mod opening;
mod options;
mod reload;
mod running;
mod serve;
mod spans;
mod start;
mod supervisor;
pub mod system;
pub mod telemetry;
pub mod tls;
mod traced;

pub use jobs::{Job, Task};
pub use metrics::{METRICS, Metric, When, metrics_page};
pub use module::{Consumers, Context, Module, Workers};
pub use options::{
    AdminOptions, AuthOptions, ClientTlsOptions, DEFAULTS, DatabaseOptions, LimitOptions, LogFormat, MaybeSpan,
    Options, OptionsError, PeerOptions, ReloadOptions, Secret, Section, Sources, Span, StopOptions, TelemetryOptions,
    TlsOptions, TokenOptions, config_page, config_schema, read_section,
};
pub use rapport_rpc::Services;
pub use running::Running;
pub use start::{StartError, start};
