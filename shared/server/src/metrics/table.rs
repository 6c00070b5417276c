//! Every metric of /metrics: what docs/metrics.md, the alert rules and the dashboard are held against.

/// A metric's name, type, labels and meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name as Prometheus sees it.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The unit of its values.
    pub unit: &'static str,
    /// The labels of each of its series, in order; `le` of histograms is not among them.
    pub labels: &'static [&'static str],
    /// When it is shown.
    pub when: When,
    /// What it says.
    pub help: &'static str,
}

/// When a metric is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// Once there is something to tell: a call has ended, a consumer runs here.
    Something,
    /// While the database answers.
    Store,
    /// Where there is a certificate.
    Tls,
    /// Where there is a file that can be read again.
    Files,
    /// Where the operating system tells (Linux).
    System,
}

const METHOD: &[&str] = &["rpc_method"];
const CALL: &[&str] = &["rpc_system_name", "rpc_method", "rpc_response_status_code"];
const SERVICE: &[&str] = &["rapport_service"];
const POOL: &[&str] = &["db_client_connection_pool_name", "db_client_connection_state"];
const POOL_MAX: &[&str] = &["db_client_connection_pool_name"];
const CACHE: &[&str] = &["rapport_service", "rapport_result"];
const CONSUMER: &[&str] = &["rapport_service", "rapport_consumer", "rapport_source"];
const CERTIFICATE: &[&str] = &["rapport_certificate"];
const RESULT: &[&str] = &["rapport_result"];
const FILES_OF: &[&str] = &["rapport_files"];
const FILES_RESULT: &[&str] = &["rapport_files", "rapport_result"];
const DISK: &[&str] = &["system_filesystem_state"];

const fn metric(
    name: &'static str,
    kind: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    when: When,
    help: &'static str,
) -> Metric {
    Metric { name, kind, unit, labels, when, help }
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal $unit:literal $labels:expr, $when:ident, $help:literal;)+) => {
        $(pub(crate) const $constant: Metric =
            metric($name, stringify!($kind), $unit, $labels, When::$when, $help);)+

        /// Every metric of /metrics, in the order they are written.
        pub const METRICS: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    CALLS = histogram "rpc_server_call_duration_seconds" "seconds" CALL, Something,
        "How long calls took, streams until their end, by method and gRPC code. Semantic convention rpc.server.call.duration.";
    OPEN = gauge "rapport_rpc_server_open_calls" "calls" METHOD, Something, "Calls and streams open now, by method.";
    ACTIVE = gauge "rapport_calls_active" "calls" &[], Always, "Unary calls at work that count against the limit.";
    ACTIVE_LIMIT = gauge "rapport_calls_limit" "calls" &[], Always, "Unary calls that may be at work at once: limits.calls.";
    STREAMS = gauge "rapport_streams_active" "streams" &[], Always, "Streams open that count against the limit.";
    STREAMS_LIMIT = gauge "rapport_streams_limit" "streams" &[], Always, "Streams that may be open at once: limits.streams.";
    SHED = counter "rapport_calls_shed_total" "calls" &[], Always, "Calls refused with RESOURCE_EXHAUSTED because a limit was reached.";
    UNKNOWN = counter "rapport_calls_unknown_total" "calls" &[], Always, "Calls of methods that do not exist here.";
    REFUSED = counter "rapport_requests_refused_total" "requests" &[], Always, "Requests that were no calls.";
    PANICS = counter "rapport_panics_total" "panics" &[], Always, "Panics in handlers: each is a bug.";
    STALE = counter "rapport_stale_replies_total" "replies" &[], Always, "Replies that were behind the position their caller asked for.";
    UP = gauge "rapport_store_up" "1 or 0" SERVICE, Always, "1 while the database of a hosted service answers.";
    CONNECTIONS = gauge "db_client_connection_count" "connections" POOL, Always,
        "Connections to the database by pool and state (idle, used). Semantic convention db.client.connection.count.";
    CONNECTIONS_MAX = gauge "db_client_connection_max" "connections" POOL_MAX, Always,
        "Connections a pool may open. Semantic convention db.client.connection.max.";
    WAITING = gauge "rapport_writes_waiting" "writes" SERVICE, Always, "Writes in the committer's queue that wait for a batch.";
    OPEN_WRITES = gauge "rapport_writes_open" "writes" SERVICE, Always, "Writes that are not answered yet, the waiting ones included.";
    WRITE_LIMIT = gauge "rapport_writes_limit" "writes" SERVICE, Always, "Writes that may be open before more are refused: store.queue_limit.";
    BATCHES = counter "rapport_write_batches_total" "batches" SERVICE, Always, "Batches of writes that were committed or tried.";
    WRITES = counter "rapport_batched_writes_total" "writes" SERVICE, Always, "Writes in those batches.";
    REDONE = counter "rapport_write_retries_total" "batches" SERVICE, Always, "Batches that failed and were made again, whole or in parts.";
    KEYS = gauge "rapport_key_cache_keys" "keys" SERVICE, Always, "Data keys of sealed columns held in memory.";
    KEYS_ASKED = counter "rapport_key_cache_requests_total" "requests" CACHE, Always,
        "How often a data key was looked for in memory, by result (hit, miss).";
    FEED = gauge "rapport_feed_position" "position" SERVICE, Always, "The newest event of a hosted service known here.";
    FEED_OLDEST = gauge "rapport_feed_oldest_position" "position" SERVICE, Store,
        "The oldest event that is still kept: readers behind it have lost their place.";
    OUTBOX = gauge "rapport_outbox_unsequenced_batches" "batches" SERVICE, Store,
        "Committed batches whose events have no position yet, so that no consumer sees them; counted up to 10,000.";
    OUTBOX_AGE = gauge "rapport_outbox_lag_seconds" "seconds" SERVICE, Store,
        "How long the oldest of those has been waiting; 0 when none is.";
    APPLIED = gauge "rapport_consumer_position" "position" CONSUMER, Something, "The newest event a consumer has applied or put aside.";
    BEHIND = gauge "rapport_consumer_lag_events" "events" CONSUMER, Something,
        "Events of the source that a consumer has not applied yet, as far as is known here.";
    LAG = gauge "rapport_consumer_lag_seconds" "seconds" CONSUMER, Something,
        "How long ago the event was recorded that a consumer has to apply next; 0 when nothing is left to do.";
    PARKED = gauge "rapport_consumer_parked_events" "events" CONSUMER, Something,
        "Events put aside because they cannot be applied, with the later events of their resources: each needs somebody.";
    RETRIES = counter "rapport_consumer_retries_total" "batches" CONSUMER, Something, "Batches of events that failed and were tried again.";
    FENCED = counter "rapport_consumer_fenced_total" "batches" CONSUMER, Something, "Batches that another replica had applied first.";
    CONNECTED = gauge "rapport_consumer_connected" "1 or 0" CONSUMER, Something, "1 while the stream from the source is open.";
    SPANS = counter "rapport_trace_spans_total" "spans" RESULT, Always,
        "Spans for the collector of telemetry.otlp_endpoint by result: done, and those that are lost: failed (an export of them failed), dropped (too many waited).";
    SPANS_FAILING = gauge "rapport_trace_export_failing" "1 or 0" &[], Always,
        "1 while traces do not reach that collector: when that begins and ends is in the log.";
    NOT_AFTER = gauge "rapport_tls_not_after_timestamp_seconds" "seconds" CERTIFICATE, Tls,
        "When a certificate in use expires, in seconds since 1970: that of the port (server), that which is shown to peers (peers).";
    HANDSHAKES = counter "rapport_tls_handshakes_total" "handshakes" RESULT, Tls,
        "Connections to the port by how their handshake ended: done, failed (refused or broken off), late, plain (no TLS was spoken).";
    RELOADS = counter "rapport_reloads_total" "reloads" FILES_RESULT, Files,
        "How often files were read again because they had changed, by what they hold (tls, peers.tls, auth.tokens) and result (done, failed).";
    RELOAD_FAILING = gauge "rapport_reload_failing" "1 or 0" FILES_OF, Files,
        "1 while what stands in these files cannot be used, so that what was read before is in use.";
    DISK_USAGE = gauge "system_filesystem_usage_bytes" "bytes" DISK, System,
        "Space of the file system of the data folder by state (used, free, reserved). Semantic convention system.filesystem.usage.";
    DISK_LIMIT = gauge "system_filesystem_limit_bytes" "bytes" &[], System,
        "Size of that file system. Semantic convention system.filesystem.limit.";
    CPU = counter "process_cpu_time_seconds_total" "seconds" &[], System, "CPU time of the process. Semantic convention process.cpu.time.";
    MEMORY = gauge "process_memory_usage_bytes" "bytes" &[], System, "Resident memory of the process. Semantic convention process.memory.usage.";
    THREADS = gauge "process_thread_count" "threads" &[], System, "Threads of the process. Semantic convention process.thread.count.";
    FILES = gauge "process_unix_file_descriptor_count" "descriptors" &[], System,
        "Open file descriptors, connections among them. Semantic convention process.unix.file_descriptor.count.";
    FILES_LIMIT = gauge "rapport_file_descriptor_limit" "descriptors" &[], System, "Open file descriptors the process may have (RLIMIT_NOFILE).";
    UPTIME = gauge "process_uptime_seconds" "seconds" &[], Always, "Time since the process began to serve. Semantic convention process.uptime.";
}

/// The page of all metrics, as docs/metrics.md has it.
pub fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\nWritten from `shared/server/src/metrics/table.rs`: `cargo run -q -p rapport-server --example metrics > \
         docs/metrics.md`.\n\nThe admin port (`admin.listen`) answers `/metrics` in Prometheus' text format. Names follow the \
         OpenTelemetry semantic conventions where there is one; what is Rapport's own begins with `rapport_`. The values of every \
         label come from the contract and the configuration (methods, codes, services, consumers), never from callers, so the \
         number of series is bounded. Nothing personal is among them. Scraping asks each hosted service's database two small \
         questions and waits for at most a second.\n\n| Metric | Type | Unit | Labels | Meaning |\n|---|---|---|---|---|\n",
    );
    for metric in METRICS {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let when = match metric.when {
            When::Always => "",
            When::Something => " Shown once there is something to tell.",
            When::Store => " Shown while the database answers.",
            When::Tls => " Shown where a certificate is configured.",
            When::Files => " Shown where there are such files.",
            When::System => " On Linux.",
        };
        page.push_str(&format!(
            "| `{}` | {} | {} | {} | {}{when} |\n",
            metric.name,
            metric.kind,
            metric.unit,
            labels.join(" "),
            metric.help
        ));
    }
    page.push_str(
        "\nOpen connections show in `process_unix_file_descriptor_count`. Alert rules are in \
         [deploy/prometheus/alerts.yaml](../deploy/prometheus/alerts.yaml), each with a runbook in [runbooks](runbooks/README.md); \
         a dashboard is in [deploy/grafana/rapport.json](../deploy/grafana/rapport.json).\n",
    );
    page
}
