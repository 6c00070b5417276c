//! What was found, for people and for programs.

use serde_json::{Value, json as value};

use super::{Finding, Verdict, has_failed};

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warn => "warn",
        Verdict::Fail => "fail",
    }
}

/// A line per finding, its cure below it, and a sum at the end.
#[must_use]
pub fn lines(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        text.push_str(&format!(
            "{:<4}  {:<19} {}: {}\n",
            word(finding.verdict),
            finding.check,
            finding.subject,
            finding.found
        ));
        if !finding.cure.is_empty() {
            text.push_str(&format!("      -> {}\n", finding.cure));
        }
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    text.push_str(&format!(
        "{} checks: {} ok, {} warn, {} fail\n",
        findings.len(),
        count(Verdict::Ok),
        count(Verdict::Warn),
        count(Verdict::Fail)
    ));
    text
}

/// The same as one JSON object: `healthy`, and `findings` with `check`, `subject`, `verdict`, `found`, `cure`.
#[must_use]
pub fn json(findings: &[Finding]) -> String {
    let list: Vec<Value> = findings
        .iter()
        .map(|finding| {
            value!({
                "check": finding.check,
                "subject": finding.subject,
                "verdict": word(finding.verdict),
                "found": finding.found,
                "cure": finding.cure,
            })
        })
        .collect();
    format!("{:#}\n", value!({ "healthy": !has_failed(findings), "findings": list }))
}
