//! `rapport clv fit` as a user runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const CDNOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/cdnow_sample_transactions.csv");

fn fit(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rapport"))
        .args(["clv", "fit"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// One JSON object on standard output and nothing on standard error.
fn object(arguments: &[&str]) -> Value {
    let output = fit(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// One line on standard error, nothing on standard output.
#[track_caller]
fn assert_refused(output: &Output, part: &str) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(part), "{stderr}");
    assert!(output.stdout.is_empty() && !stderr.contains("panicked"), "{stderr}");
}

fn file(folder: &Path, content: &[u8]) -> String {
    let path = folder.join("purchases.csv");
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[track_caller]
fn near(got: &Value, want: f64, relative: f64) {
    let got = got.as_f64().unwrap();
    assert!((got - want).abs() <= relative * want.abs(), "{got} is not {want}");
}

#[test]
fn the_sample_is_fitted_as_published() {
    for (model, likelihood, parameters) in [
        ("nbd", -9_763.657_6, &[("r", 0.384_766), ("alpha", 12.072_022)][..]),
        ("bg-nbd", -9_582.429_2, &[("r", 0.242_595), ("alpha", 4.413_602), ("a", 0.792_922), ("b", 2.425_907)]),
        ("mbg-nbd", -9_582.135_7, &[("r", 0.524_843), ("alpha", 6.183_085), ("a", 0.891_359), ("b", 1.614_002)]),
        (
            "pareto-nbd",
            -9_594.976_2,
            &[("r", 0.553_277), ("alpha", 10.577_682), ("s", 0.606_240), ("beta", 11.668_735)],
        ),
    ] {
        let got = object(&["--transactions", CDNOW, "--until", "1997-09-30", "--model", model]);
        assert_eq!(got["model"], model);
        let found = got["log_likelihood"].as_f64().unwrap();
        assert!(found >= likelihood - 1e-3 && found <= likelihood + 1e-3, "{model}: {found}");
        for (name, want) in parameters {
            near(&got["parameters"][name], *want, 2e-3);
        }
        assert_eq!(got["customers"], 2_357);
        assert_eq!(got["repeat_purchases"], 2_457);
        assert_eq!(got["rows"], 6_919);
        let spend = &got["spend"];
        near(&spend["log_likelihood"], -4_055.917_695, 1e-7);
        assert_eq!(spend["customers"], 946);
        for (name, want) in [("p", 6.249_573), ("q", 3.744_225), ("v", 15.443_519)] {
            near(&spend["parameters"][name], want, 2e-3);
        }
        assert!(got.get("compared").is_none());
    }
}

#[test]
fn auto_compares_all_and_takes_the_best() {
    let got = object(&["--transactions", CDNOW, "--until", "19970930"]);
    assert_eq!(got["model"], "mbg-nbd");
    let models: Vec<_> = got["compared"]["models"].as_array().unwrap().iter().map(|m| m["model"].clone()).collect();
    assert_eq!(models, ["nbd", "bg-nbd", "mbg-nbd", "pareto-nbd"]);

    let told = text(&fit(&["--transactions", CDNOW, "--until", "1997-09-30", "--model", "auto"]).stdout);
    for part in
        ["model                 mbg-nbd", "log_likelihood        -9582.1357", "pareto-nbd", "least AIC", "(left out)"]
    {
        assert!(told.contains(part), "{part} is missing in\n{told}");
    }
    assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
}

#[test]
fn how_a_file_is_written_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let plain = std::fs::read_to_string(CDNOW).unwrap();
    let mut other = String::from("\u{feff}\"date\",\"note\",\"SALES\",\"cust\"\r\n");
    for line in plain.lines().skip(1).collect::<Vec<_>>().into_iter().rev() {
        let cells: Vec<&str> = line.split(',').collect();
        other.push_str(&format!("{},\"a, b\",\"{}\",\"{}\"\r\n", cells[1].replace('-', ""), cells[2], cells[0]));
    }
    let path = file(folder.path(), other.as_bytes());
    let ask = |path: &str| object(&["--transactions", path, "--until", "1997-09-30", "--model", "bg-nbd"]);
    assert_eq!(ask(CDNOW), ask(&path), "to the last bit");
}

#[test]
fn without_amounts_there_is_no_spend_and_a_day_is_one_purchase() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(
        folder.path(),
        b"cust,date\na,2020-01-01\na,2020-01-15\na,2020-01-15\nb,2020-01-03\nb,2020-02-01\nb,2020-02-20\nc,2020-01-05\nc,2020-03-02\n",
    );
    let got = object(&["--transactions", &path, "--until", "2020-03-01", "--model", "nbd"]);
    assert_eq!(got["spend"], Value::Null);
    assert_eq!(
        (&got["repeat_purchases"], &got["rows_after_until"], &got["customers"]),
        (&3.into(), &1.into(), &3.into())
    );
}

#[test]
fn what_the_data_do_not_determine_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), b"cust,date,sales\na,2020-01-01,1\na,2020-01-15,2\n");
    let got = object(&["--transactions", &path, "--until", "2020-03-01"]);
    assert!(!got["limits"].as_array().unwrap().is_empty(), "{got}");
    assert!(!got["notes"].as_array().unwrap().is_empty(), "{got}");
    assert!(got["log_likelihood"].as_f64().unwrap().is_finite());
}

#[test]
fn what_cannot_be_fitted_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |content: &[u8]| {
        fit(&["--transactions", &file(folder.path(), content), "--until", "2020-03-01", "--model", "bg-nbd"])
    };
    assert_refused(
        &ask(b"cust,date\n1,2020-01-01\n1,soon\n"),
        "purchases.csv:3: column `date`: \"soon\" found; valid is a day",
    );
    assert_refused(&ask(b"cust,date,sales\n1,2020-01-01,-1\n"), "purchases.csv:2: column `sales`: \"-1\" found");
    assert_refused(&ask(b"customer,date\n1,2020-01-01\n"), "purchases.csv:1: column `cust`: the column is missing");
    assert_refused(&ask(b"cust,date\n1,2020-01-01\n2,2020-01-02\n"), "none of the 2 customers bought again");
    assert_refused(&ask(b"cust,date\n1,2021-01-01\n"), "all 1 purchases are later than 2020-03-01");
    assert_refused(&ask(b"cust,date\n"), "no purchase found");
    assert_refused(&fit(&["--transactions", "/nowhere.csv", "--until", "2020-03-01"]), "/nowhere.csv");
    assert_refused(&fit(&["--transactions", CDNOW, "--until", "1997-02-30"]), "YYYY-MM-DD");
    assert_refused(&fit(&["--transactions", CDNOW, "--until", "1997-09-30", "--model", "arima"]), "pareto-nbd");
}
