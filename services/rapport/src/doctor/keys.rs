//! The key file: there, the right one, and nobody else's to read.

use std::os::unix::fs::PermissionsExt;

use super::{Finding, Patient};

const FILE: &str = "keys.file";
const MATCH: &str = "keys.match";

pub(super) async fn examine(patients: &[Patient]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(first) = patients.iter().find(|patient| patient.migrated) else {
        return findings;
    };
    let path = first.options.key_path();
    let subject = path.display();
    findings.push(match path.metadata() {
        Err(error) => Finding::fail(
            FILE,
            &subject,
            format!("cannot be read: {error}"),
            "put the key file of this installation there: without it nothing sealed can be opened",
        ),
        Ok(found) => {
            let mode = found.permissions().mode() & 0o777;
            if mode & 0o077 == 0 {
                Finding::ok(FILE, &subject, format!("mode {mode:o}"))
            } else {
                let found = format!("others than its owner may read or write it (mode {mode:o})");
                Finding::warn(FILE, &subject, found, "chmod 600, or defaultMode 0400 for a mounted Secret")
            }
        }
    });
    for patient in patients.iter().filter(|patient| patient.migrated) {
        findings.push(match patient.inspector.key(&patient.options, patient.service).await {
            Ok(true) => Finding::ok(MATCH, patient.service, "the database was made with this key"),
            Ok(false) => Finding::ok(MATCH, patient.service, "the database has no key yet"),
            Err(error) => {
                let cure = "put back the key file with which the database was made; a backup of it is kept apart";
                Finding::fail(MATCH, patient.service, error, cure)
            }
        });
    }
    findings
}
