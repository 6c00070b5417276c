//! What waits: events that nobody can see yet, consumers that are behind, events that were put aside.

use std::collections::BTreeMap;
use std::time::Duration;

use rapport_store::{Backlog, ConsumerCursor};
use rapport_types::id::World;
use rapport_types::time::Timestamp;

use super::{Finding, Patient, span};

const OUTBOX: &str = "feed.outbox";
const LAG: &str = "feed.lag";
const PARKED: &str = "feed.parked";
/// An event is numbered within milliseconds and applied within a second or so, while processes run.
const LATE: Duration = Duration::from_secs(60);
const STUCK: Duration = Duration::from_secs(3600);

pub(super) async fn examine(patients: &[Patient], world: &World) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut backlogs = BTreeMap::new();
    for patient in patients.iter().filter(|patient| patient.migrated) {
        match patient.inspector.backlog().await {
            Ok(backlog) => {
                findings.push(outbox(patient.service, &backlog, world.now()));
                findings.push(parked(patient.service, &backlog));
                backlogs.insert(patient.service, (patient, backlog));
            }
            Err(error) => findings.push(Finding::fail(OUTBOX, patient.service, error, "see that the database answers")),
        }
    }
    for (patient, _) in backlogs.values() {
        let Ok(cursors) = patient.inspector.cursors().await else { continue };
        for cursor in cursors {
            let subject = format!("{} {} of {}", patient.service, cursor.consumer, cursor.source);
            let Some((source, backlog)) = backlogs.get(cursor.source.as_str()) else {
                let found = format!("stands at {}; the feed is not in this configuration's database", cursor.position);
                findings.push(Finding::ok(LAG, subject, found));
                continue;
            };
            let since = source.inspector.recorded_after(cursor.position).await.ok().flatten();
            findings.push(lag(&subject, &cursor, backlog, since, world.now()));
        }
    }
    findings
}

fn outbox(service: &str, backlog: &Backlog, now: Timestamp) -> Finding {
    let Some(since) = backlog.unnumbered_since else {
        return Finding::ok(OUTBOX, service, format!("nothing waits, the newest event is {}", backlog.newest));
    };
    let age = now.since(since);
    let found = format!("{} batches wait for their positions, the oldest for {}", backlog.unnumbered, span(age));
    let cure = "start a process that hosts the service: any replica numbers what another left behind";
    if age > STUCK {
        Finding::fail(OUTBOX, service, found, cure)
    } else if age > LATE {
        Finding::warn(OUTBOX, service, found, cure)
    } else {
        Finding::ok(OUTBOX, service, found)
    }
}

fn parked(service: &str, backlog: &Backlog) -> Finding {
    if backlog.parked.is_empty() {
        return Finding::ok(PARKED, service, "none");
    }
    let list: Vec<String> =
        backlog.parked.iter().map(|(consumer, source, count)| format!("{count} of {source} by {consumer}")).collect();
    let cure = format!(
        "rapport events parked --service {service} says why; mend it, then rapport events retry --service {service}"
    );
    Finding::fail(PARKED, service, format!("events were put aside: {}", list.join(", ")), cure)
}

fn lag(subject: &str, cursor: &ConsumerCursor, backlog: &Backlog, since: Option<Timestamp>, now: Timestamp) -> Finding {
    let behind = (backlog.newest - cursor.position).max(0);
    if cursor.position + 1 < backlog.oldest {
        let found = format!("stands at {}, the oldest event kept is {}", cursor.position, backlog.oldest);
        return Finding::fail(
            LAG,
            subject,
            found,
            "rebuild it from a backup of the source, and raise store.feed_retention",
        );
    }
    let Some(since) = since.filter(|_| behind > 0) else {
        return Finding::ok(LAG, subject, format!("has applied everything, up to {}", cursor.position));
    };
    let age = now.since(since);
    let found = format!("{behind} events behind, the next was recorded {} ago", span(age));
    let cure = "see that the process runs and what it logs of this consumer";
    if age > STUCK {
        Finding::fail(LAG, subject, found, cure)
    } else if age > LATE {
        Finding::warn(LAG, subject, found, cure)
    } else {
        Finding::ok(LAG, subject, found)
    }
}
