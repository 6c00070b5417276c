//! `rapport doctor`: looks at what the configuration names, changes nothing, and says what is wrong and what to do.
//!
//! One file per family of checks. Each check takes facts and judges them: `ok`, `warn` (works, but not for ever or not
//! safely) or `fail` (does not work, or would lose something).

mod access;
mod certificates;
mod clock;
mod disk;
mod feed;
mod keys;
mod peers;
mod pools;
mod report;
mod schema;
mod store;

use std::path::Path;
use std::time::Duration;

use rapport_server::Options;
use rapport_store::{Inspector, StoreOptions};
use rapport_types::id::World;

pub use report::{json, lines};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but not for ever or not safely.
    Warn,
    /// It does not work, or would lose something.
    Fail,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check: `store.reachable`.
    pub check: &'static str,
    /// What was looked at: a service, a peer, a folder.
    pub subject: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What is so.
    pub found: String,
    /// What to do; empty when nothing is to be done.
    pub cure: String,
}

impl Finding {
    fn ok(check: &'static str, subject: impl ToString, found: impl ToString) -> Finding {
        Finding {
            check,
            subject: subject.to_string(),
            verdict: Verdict::Ok,
            found: found.to_string(),
            cure: String::new(),
        }
    }

    fn warn(check: &'static str, subject: impl ToString, found: impl ToString, cure: impl ToString) -> Finding {
        Finding { verdict: Verdict::Warn, cure: cure.to_string(), ..Finding::ok(check, subject, found) }
    }

    fn fail(check: &'static str, subject: impl ToString, found: impl ToString, cure: impl ToString) -> Finding {
        Finding { verdict: Verdict::Fail, ..Finding::warn(check, subject, found, cure) }
    }
}

/// A database that answers, with what it is for.
struct Patient {
    service: &'static str,
    options: StoreOptions,
    inspector: Inspector,
    migrated: bool,
}

/// Looks at everything the options name. `config` is the file they come from, if there is one.
pub async fn examine(options: &Options, config: Option<&Path>, world: &World) -> Vec<Finding> {
    let mut findings = access::examine(options, config);
    findings.extend(certificates::examine(options, world));
    findings.extend(disk::examine(options));
    findings.extend(pools::files(options));
    let modules: Vec<_> = crate::modules()
        .into_iter()
        .filter(|module| options.services.is_empty() || options.services.iter().any(|name| name == module.name()))
        .collect();
    if let Some(module) = modules.first() {
        findings.extend(pools::sessions(&options.store_options(module.name())).await);
    }
    let mut patients = Vec::new();
    for module in &modules {
        let store = options.store_options(module.name());
        let (mut told, inspector) = store::examine(&store, module.name()).await;
        // The folder is everybody's: once is enough.
        told.retain(|new| !findings.iter().any(|old| (old.check, &old.subject) == (new.check, &new.subject)));
        findings.append(&mut told);
        let Some(inspector) = inspector else {
            if store.is_postgres() {
                // The others are in the same database: asking for each would only take longer.
                break;
            }
            continue;
        };
        let (finding, migrated) = schema::examine(&inspector, module.as_ref()).await;
        findings.push(finding);
        patients.push(Patient { service: module.name(), options: store, inspector, migrated });
    }
    if let Some(patient) = patients.first() {
        findings.extend(pools::connections(&patient.inspector, options, modules.len()).await);
        findings.extend(clock::of_database(&patient.inspector, world).await);
    }
    findings.extend(keys::examine(&patients).await);
    findings.extend(feed::examine(&patients, world).await);
    for patient in patients {
        patient.inspector.close().await;
    }
    findings.extend(peers::examine(options, world).await);
    findings
}

/// Whether something does not work.
#[must_use]
pub fn has_failed(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.verdict == Verdict::Fail)
}

/// A span as people read it.
fn span(span: Duration) -> String {
    match span.as_secs() {
        0 => format!("{} ms", span.as_millis()),
        seconds @ 1..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
