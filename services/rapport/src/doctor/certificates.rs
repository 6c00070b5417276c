//! Certificates and keys: there, belonging together, and good for a while.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use rapport_rpc::tls::Validity;
use rapport_server::{Options, OptionsError, tls};
use rapport_types::World;
use rapport_types::time::Timestamp;

use super::{Finding, span};

/// A certificate that holds for less than this is to be renewed: the alerts begin here too.
const SOON: Duration = Duration::from_secs(14 * 86_400);

pub(super) fn examine(options: &Options, world: &World) -> Vec<Finding> {
    let now = world.now();
    let mut findings = Vec::new();
    let own = &options.tls;
    if own.is_on() {
        let loaded = own.load(world.clock.as_ref()).map(|tls| tls.map(|tls| tls.validity()));
        findings.push(usable("tls.certificate", &own.certificate, loaded, now));
        authorities("tls.client_ca", &own.client_ca, now, &mut findings);
    }
    let client = &options.peers.tls;
    let shown = !client.certificate.as_os_str().is_empty();
    let trusted = !client.ca.as_os_str().is_empty();
    if shown || trusted {
        let loaded = client.load("peers.tls.", world.clock.as_ref()).map(|tls| tls.validity());
        let subject = if shown { &client.certificate } else { &client.ca };
        findings.push(usable("peers.tls", subject, loaded, now));
        authorities("peers.tls.ca", &client.ca, now, &mut findings);
    }
    findings
}

/// Whether what a start would read can be used, and for how long.
fn usable(check: &'static str, file: &Path, loaded: Result<Option<Validity>, OptionsError>, now: Timestamp) -> Finding {
    match loaded {
        Ok(Some(validity)) => judge(check, file.display(), validity, now),
        Ok(None) => Finding::ok(check, file.display(), "can be read"),
        Err(error) => Finding::fail(
            check,
            file.display(),
            error,
            "put a certificate that is in force and its key there: serve refuses to start",
        ),
    }
}

fn authorities(check: &'static str, file: &Path, now: Timestamp, findings: &mut Vec<Finding>) {
    // What is missing or no certificate was told with the certificate it belongs to.
    if let (false, Ok(validity)) = (file.as_os_str().is_empty(), tls::validity(check, file)) {
        findings.push(judge(check, file.display(), validity, now));
    }
}

/// Judges how long a certificate still holds.
pub(super) fn judge(check: &'static str, subject: impl Display, validity: Validity, now: Timestamp) -> Finding {
    let until = validity.not_after;
    if until < now {
        return Finding::fail(check, subject, format!("expired on {until}"), "renew it: nobody who checks it connects");
    }
    let left = until.since(now);
    let found = format!("holds until {until}, for {}", span(left));
    if left < SOON {
        return Finding::warn(
            check,
            subject,
            found,
            "renew it: the file is read again when it changes, without a restart",
        );
    }
    Finding::ok(check, subject, found)
}
