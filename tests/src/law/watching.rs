//! Documents, rules and dashboard speak of metrics and keys that there are.

use std::collections::BTreeSet;

use rapport_server::METRICS;

use super::{files, read, root};

#[test]
fn metrics_and_configuration_are_documented() {
    for (page, file, example) in [
        (rapport_server::metrics_page(), "docs/metrics.md", "metrics"),
        (rapport_server::config_page(), "docs/config.md", "config"),
    ] {
        let kept = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        assert!(
            kept == page,
            "{file} is not what the source says: cargo run -q -p rapport-server --example {example} > {file}"
        );
    }
}

#[test]
fn metrics_are_named_alike() {
    let mut names = BTreeSet::new();
    for metric in METRICS {
        assert!(names.insert(metric.name), "{} stands twice", metric.name);
        assert_eq!(metric.kind == "counter", metric.name.ends_with("_total"), "{}", metric.name);
        for unit in ["seconds", "bytes"] {
            let named = metric.name.trim_end_matches("_total").ends_with(unit);
            assert_eq!(metric.unit == unit, named, "{} is in {}", metric.name, metric.unit);
        }
        assert!(metric.help.ends_with('.'), "{}", metric.name);
    }
}

/// Words that look like a metric of ours or a label of one.
fn words(text: &str) -> BTreeSet<String> {
    let ours = ["rapport_", "rpc_", "db_client_", "process_", "system_filesystem_"];
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| ours.iter().any(|start| word.starts_with(start)))
        .map(str::to_owned)
        .collect()
}

fn is_known(word: &str) -> bool {
    METRICS.iter().any(|metric| {
        let histogram = metric.kind == "histogram"
            && ["_bucket", "_sum", "_count"].iter().any(|part| word.strip_suffix(part) == Some(metric.name));
        histogram || metric.name == word || metric.labels.contains(&word)
    })
}

#[test]
fn rules_dashboard_and_runbooks_name_metrics_that_exist() {
    let watching = ["deploy/prometheus", "deploy/grafana", "docs/runbooks", "docs/guide"];
    let mut named = 0;
    for path in watching.iter().flat_map(|folder| files(folder, "")) {
        let words = words(&read(&path));
        let unknown: Vec<&String> = words.iter().filter(|word| !is_known(word)).collect();
        assert!(unknown.is_empty(), "{} names {unknown:?}", path.display());
        named += words.len();
    }
    assert!(named > 60, "{named}");
}

#[test]
fn every_alert_has_a_test_and_a_runbook() {
    let rules = read("deploy/prometheus/alerts.yaml".as_ref());
    let tests = read("deploy/prometheus/alerts.test.yaml".as_ref());
    let index = read("docs/runbooks/README.md".as_ref());
    let mut alerts = 0;
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().expect("a name").trim();
        let runbook =
            rule.split("runbook_url: ").nth(1).and_then(|rest| rest.lines().next()).expect("a runbook").trim();
        assert!(read(runbook.as_ref()).contains(name), "{runbook} does not speak of {name}");
        assert!(index.contains(name), "docs/runbooks/README.md does not speak of {name}");
        let fires = tests.contains(&format!("alertname: {name}\n        exp_alerts:\n          - "));
        let rests = tests.contains(&format!("alertname: {name}, exp_alerts: []"));
        assert!(fires && rests, "alerts.test.yaml does not show when {name} fires and when not");
        alerts += 1;
    }
    assert!(alerts >= 10, "{alerts}");
}

#[test]
fn the_dashboard_is_one() {
    let text = read("deploy/grafana/rapport.json".as_ref());
    let board: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let panels = board["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64()), "two panels have one id");
        let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(panel["type"] == "row", targets.is_empty(), "{}", panel["title"]);
        assert!(targets.iter().all(|target| target["expr"].as_str().is_some_and(|expr| expr.contains("$job"))));
    }
    assert!(panels.len() > 15);
}

/// Who is woken by an alert finds on the dashboard what it watches.
#[test]
fn what_alerts_watch_is_on_the_dashboard() {
    let shown = words(&read("deploy/grafana/rapport.json".as_ref()));
    for rule in read("deploy/prometheus/alerts.yaml".as_ref()).split("- alert: ").skip(1) {
        let (name, rest) = rule.split_once('\n').expect("a rule");
        let expr = rest.split("labels:\n").next().expect("an expression");
        let watched = words(expr);
        let metrics =
            watched.iter().filter(|word| !METRICS.iter().any(|metric| metric.labels.contains(&word.as_str())));
        let hidden: Vec<&String> = metrics.clone().filter(|word| !shown.contains(*word)).collect();
        assert!(metrics.count() > hidden.len(), "the dashboard shows nothing of {hidden:?}, which {name} watches");
    }
}
