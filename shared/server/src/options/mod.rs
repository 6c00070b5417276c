//! The configuration: one typed tree. `rapport.default.toml`, which is embedded, is its documentation.

mod document;
mod load;
mod section;
mod tokens;
mod validate;
mod value;

pub(crate) use validate::{address, is_secured};

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use rapport_rpc::QuotaOptions;
use rapport_store::StoreOptions;
use serde::{Deserialize, Serialize};

pub use document::{config_page, config_schema};
pub use load::{OptionsError, Sources};
pub use section::{Section, read_section};
pub use value::{MaybeSpan, Secret, Span};

/// The default configuration with its comments.
pub const DEFAULTS: &str = include_str!("../rapport.default.toml");

/// What a process is told. Every field is explained in [`DEFAULTS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where gRPC is served.
    pub listen: String,
    /// The folder of the embedded databases and of the key file.
    pub data: PathBuf,
    /// The services to host; empty means all.
    pub services: Vec<String>,
    /// Serve beyond loopback without credentials or without TLS.
    pub insecure_bind: bool,
    /// How files that may change are looked after.
    pub reload: ReloadOptions,
    /// What this process shows to its callers, and what it wants of them.
    pub tls: TlsOptions,
    /// The admin port.
    pub admin: AdminOptions,
    /// The databases.
    pub store: DatabaseOptions,
    /// Who may call what.
    pub auth: AuthOptions,
    /// Which web pages may call.
    pub web: WebOptions,
    /// What one tenant may ask for.
    pub quota: TenantQuotaOptions,
    /// The services elsewhere.
    pub peers: PeerOptions,
    /// The services' own options, by service: each [module](crate::Module) reads its own.
    pub service: BTreeMap<String, Section>,
    /// What a caller may use up.
    pub limits: LimitOptions,
    /// How the process stops.
    pub stop: StopOptions,
    /// Logs and traces.
    pub telemetry: TelemetryOptions,
    /// Where these options come from, so that a file which changed can be read again.
    #[serde(skip)]
    pub(crate) sources: Sources,
}

/// How files that may change are looked after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadOptions {
    /// How often they are looked at; 0 is never.
    pub every: Span,
}

/// What this process shows to its callers, and what it wants of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsOptions {
    /// The file with the certificate; empty serves without TLS.
    pub certificate: PathBuf,
    /// The file with its private key.
    pub key: PathBuf,
    /// The file with the authorities that sign clients' certificates; empty asks for none.
    pub client_ca: PathBuf,
    /// The names of which a client's certificate must bear one; any if empty.
    pub client_names: Vec<String>,
    /// How long a handshake may take.
    pub handshake: Span,
    /// TLS ends before this process.
    pub offloaded: bool,
}

/// Whom this process trusts where it calls, and what it shows there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientTlsOptions {
    /// The file with the authorities that sign servers' certificates; empty means those that browsers trust.
    pub ca: PathBuf,
    /// The file with the certificate to show; empty shows none.
    pub certificate: PathBuf,
    /// The file with its private key.
    pub key: PathBuf,
}

/// The admin port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminOptions {
    /// Where it is served; empty turns it off.
    pub listen: String,
}

/// The databases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseOptions {
    /// `sqlite` or a PostgreSQL URL, which may hold a password.
    pub url: Secret,
    /// The file with the key-encryption key; empty means one in the data folder.
    pub key_file: PathBuf,
    /// Connections for reading, per service.
    pub max_readers: u32,
    /// Connections for reading and for writing that are open before a process is ready, on PostgreSQL.
    pub ready_connections: u32,
    /// Batches in flight on PostgreSQL.
    pub batches_in_flight: usize,
    /// Writes that may wait.
    pub queue_limit: usize,
    /// How long to wait for a connection.
    pub acquire_timeout: Span,
    /// How long to wait for a lock.
    pub lock_timeout: Span,
    /// How long a statement may run.
    pub statement_timeout: Span,
    /// How long a request_id is remembered.
    pub request_retention: Span,
    /// How long events are kept.
    pub feed_retention: MaybeSpan,
    /// Faults to inject at commit boundaries, by service: for tests of crashes, as [`rapport_store::Failpoints`] reads them.
    pub failpoints: BTreeMap<String, String>,
}

/// Who may call what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthOptions {
    /// Static credentials.
    pub tokens: Vec<TokenOptions>,
    /// A file with more of them; empty means none.
    pub tokens_file: PathBuf,
    /// Roles besides the built-in ones, as patterns of permissions.
    pub roles: BTreeMap<String, Vec<String>>,
}

/// A static credential.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenOptions {
    /// The secret.
    pub token: Secret,
    /// The tenant whose data it opens.
    pub tenant: String,
    /// Who it is.
    pub principal: String,
    /// What it may do.
    pub roles: Vec<String>,
}

/// Which web pages may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebOptions {
    /// The origins whose pages may read answers; `*` is any.
    pub cors_origins: Vec<String>,
}

/// What one tenant may ask for, in each process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantQuotaOptions {
    /// Calls each second; 0 is as many as it likes.
    pub requests_per_second: u32,
    /// Calls at once after a rest; 0 is those of one second.
    pub burst: u32,
}

impl TenantQuotaOptions {
    /// As the stack wants it, if there is a quota.
    pub(crate) fn for_stack(&self) -> Option<QuotaOptions> {
        let requests_per_second = NonZeroU32::new(self.requests_per_second)?;
        Some(QuotaOptions { requests_per_second, burst: NonZeroU32::new(self.burst).unwrap_or(requests_per_second) })
    }
}

/// The services elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerOptions {
    /// The credential this process calls them with.
    pub token: Secret,
    /// How it calls those whose address begins with `https://`.
    pub tls: ClientTlsOptions,
    /// Service to address.
    #[serde(flatten)]
    pub addresses: BTreeMap<String, String>,
}

/// What a caller may use up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitOptions {
    /// Connections at once.
    pub connections: usize,
    /// How long a connection may take from its acceptance to its first request, or to its settings over HTTP/2.
    pub connection_begin: Span,
    /// Calls and streams at once on one connection.
    pub streams_per_connection: u32,
    /// Unary calls in work at once.
    pub calls: usize,
    /// Streams open at once.
    pub streams: usize,
    /// Streams that one tenant may have open at once; 0 is half of all.
    pub streams_per_tenant: usize,
    /// The default deadline.
    pub deadline: Span,
    /// The longest deadline.
    pub deadline_max: Span,
    /// How often an idle connection is pinged.
    pub keepalive: Span,
    /// How long it may take to answer.
    pub keepalive_timeout: Span,
    /// How old a connection becomes; 0 is any age.
    pub connection_age: Span,
    /// How long its calls may still take then.
    pub connection_age_grace: Span,
    /// The largest header list.
    pub header_bytes: u32,
}

/// How the process stops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopOptions {
    /// How long health says NOT_SERVING before connections are refused.
    pub notice: Span,
    /// How long calls in flight may take to end.
    pub grace: Span,
}

/// Logs and traces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryOptions {
    /// How log lines look.
    pub format: LogFormat,
    /// What is logged.
    pub level: String,
    /// Where traces go; empty turns them off.
    pub otlp_endpoint: String,
    /// The authorities that sign the collector's certificate; empty trusts those that browsers trust.
    pub otlp_ca: PathBuf,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Options {
    /// What the store of a service needs to know.
    pub fn store_options(&self, service: &str) -> StoreOptions {
        let store = &self.store;
        StoreOptions {
            url: store.url.expose().to_owned(),
            data: self.data.clone(),
            key_file: (!store.key_file.as_os_str().is_empty()).then(|| store.key_file.clone()),
            max_readers: store.max_readers,
            ready_connections: store.ready_connections,
            batches_in_flight: store.batches_in_flight,
            queue_limit: store.queue_limit,
            acquire_timeout: store.acquire_timeout.0,
            lock_timeout: store.lock_timeout.0,
            statement_timeout: store.statement_timeout.0,
            request_retention: store.request_retention.0,
            feed_retention: store.feed_retention.0.map(|span| span.0),
            // Checked by `validate`.
            failpoints: store.failpoints.get(service).and_then(|text| text.parse().ok()).unwrap_or_default(),
            ..StoreOptions::default()
        }
    }

    /// The options as TOML with secrets hidden.
    pub fn shown(&self) -> String {
        toml::to_string(self).unwrap_or_else(|error| format!("# {error}\n"))
    }
}
