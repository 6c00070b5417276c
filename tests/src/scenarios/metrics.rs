//! /metrics: what is shown is what the table says, and the figures follow what happens.

use std::collections::{BTreeMap, BTreeSet};

use rapport_proto::interactions::v1::ListCasesRequest;
use rapport_server::{METRICS, Metric, When};
use rapport_testkit::asserts::at_least;
use rapport_testkit::sandbox::SandboxBuilder;

use super::messages::person;
use super::ports::http;
use super::stage::{ACME, Stage};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn metrics_are_those_of_the_table(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        let (_, seen) = stage.party_at(person("Measured")).await;
        // Its consumers have applied it once this answers.
        let request = at_least(ListCasesRequest::default(), &seen);
        stage.cases(ACME).list_cases(request).await.expect("read");
        let mut shown = BTreeSet::new();
        for service in stage.sandbox.services() {
            let (code, _, text) = http(stage.sandbox.admin_address(&service), "GET /metrics").await;
            assert_eq!(code, 200);
            let samples = samples(&text);
            for (metric, sample) in &samples {
                the_labels_are_bounded(metric, sample);
                shown.insert(metric.name);
            }
            what_is_idle_says_so(&samples);
        }
        let (_, _, text) = http(stage.sandbox.admin_address("stakeholders"), "GET /metrics").await;
        calls_are_counted(&text);
        // What TLS has to tell is asserted where there is TLS: in `wire/tls`.
        let told = METRICS.iter().filter(|metric| metric.when != When::Tls);
        let missing: Vec<&str> = told.map(|metric| metric.name).filter(|name| !shown.contains(name)).collect();
        assert!(missing.is_empty(), "in the table and never shown: {missing:?}");
        stage.close().await;
    }
}

/// One line of the text.
struct Sample {
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Every sample with the table's entry of its metric.
fn samples(text: &str) -> Vec<(&'static Metric, Sample)> {
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and a type");
            let metric = METRICS.iter().find(|metric| metric.name == name);
            assert_eq!(metric.map(|metric| metric.kind), Some(kind), "{name} is not in the table so");
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a series and its value");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| {
            let name = name.strip_suffix(part)?;
            METRICS.iter().find(|metric| metric.name == name && metric.kind == "histogram")
        });
        let metric = base.or_else(|| METRICS.iter().find(|metric| metric.name == name));
        let metric = metric.unwrap_or_else(|| panic!("{name} is not in the table"));
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
        let labels = labels.map(|label| {
            let (name, value) = label.split_once('=').expect("a label");
            (name.to_owned(), value.trim_matches('"').to_owned())
        });
        let value = value.parse().unwrap_or_else(|_| panic!("{line} has no number"));
        samples.push((metric, Sample { labels: labels.collect(), value }));
    }
    assert!(samples.len() > 50, "{text}");
    samples
}

/// Labels are those of the table; their values are of the contract or of the configuration, never of a caller.
fn the_labels_are_bounded(metric: &Metric, sample: &Sample) {
    let mut names: Vec<&str> = sample.labels.keys().map(String::as_str).filter(|name| *name != "le").collect();
    let mut expected = metric.labels.to_vec();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected, "{}", metric.name);
    for (label, value) in &sample.labels {
        let known = match label.as_str() {
            "rpc_method" => {
                let ours = rapport_proto::contract::method(&format!("/{value}")).is_some();
                ours || value.starts_with("grpc.health.") || value.starts_with("grpc.reflection.")
            }
            "rpc_system_name" => value == "grpc",
            "rpc_response_status_code" => value.chars().all(|c| c.is_ascii_uppercase() || c == '_'),
            "rapport_service" | "rapport_source" => rapport::SERVICES.contains(&value.as_str()),
            "rapport_consumer" => value.chars().all(|c| c.is_ascii_lowercase()),
            "rapport_result" => ["hit", "miss", "done", "failed", "late", "plain", "dropped"].contains(&value.as_str()),
            "rapport_certificate" => ["server", "peers"].contains(&value.as_str()),
            "rapport_files" => ["tls", "peers.tls", "auth.tokens"].contains(&value.as_str()),
            "db_client_connection_state" => ["idle", "used"].contains(&value.as_str()),
            "db_client_connection_pool_name" => {
                value.split_once('.').is_some_and(|(service, _)| rapport::SERVICES.contains(&service))
            }
            "system_filesystem_state" => ["free", "reserved", "used"].contains(&value.as_str()),
            "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
            other => panic!("{other} is no known label"),
        };
        assert!(known, "{}: {label}={value}", metric.name);
    }
}

fn what_is_idle_says_so(samples: &[(&'static Metric, Sample)]) {
    let all = |name: &str| -> Vec<f64> {
        let found: Vec<f64> =
            samples.iter().filter(|(metric, _)| metric.name == name).map(|(_, sample)| sample.value).collect();
        assert!(!found.is_empty(), "{name} is not shown");
        found
    };
    for (name, value) in [
        ("rapport_store_up", 1.0),
        ("rapport_panics_total", 0.0),
        ("rapport_calls_shed_total", 0.0),
        ("rapport_reload_failing", 0.0),
        ("rapport_calls_limit", 1024.0),
        ("rapport_writes_limit", 16384.0),
    ] {
        assert!(all(name).iter().all(|found| *found == value), "{name}: {:?}", all(name));
    }
    // A batch may be on its way to its position just now.
    assert!(all("rapport_outbox_lag_seconds").iter().all(|lag| *lag < 5.0));
    for name in [
        "process_memory_usage_bytes",
        "system_filesystem_limit_bytes",
        "db_client_connection_max",
        "rapport_file_descriptor_limit",
    ] {
        assert!(all(name).iter().all(|found| *found > 0.0), "{name}");
    }
    let of_state = |state: &str| {
        let found =
            samples.iter().find(|(_, sample)| sample.labels.get("system_filesystem_state").is_some_and(|s| s == state));
        found.map(|(_, sample)| sample.value).expect("told")
    };
    let size = all("system_filesystem_limit_bytes")[0];
    assert!((of_state("free") + of_state("used") + of_state("reserved") - size).abs() < 1.0);
}

fn calls_are_counted(text: &str) {
    let of = |part: &str| {
        let samples = samples(text);
        let found = text.lines().filter(|line| {
            line.starts_with(&format!("rpc_server_call_duration_seconds{part}{{"))
                && line.contains("rpc_method=\"rapport.stakeholders.v1.PartyService/CreateParty\"")
                && line.contains("rpc_response_status_code=\"OK\"")
        });
        assert!(!samples.is_empty());
        found.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).collect::<Vec<f64>>()
    };
    assert_eq!(of("_count"), [1.0]);
    let buckets = of("_bucket");
    assert!(buckets.len() == 15 && buckets.is_sorted() && buckets.last() == Some(&1.0), "{buckets:?}");
    assert!(of("_sum")[0] > 0.0);
}
