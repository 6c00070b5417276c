//! The story: a customer calls, is known at once, complains, and the relationship is seen to suffer; the complaint is
//! solved, she is asked, and one who is glad is invited to say so.
//!
//! Everything goes through the public API and every word shown comes from its answers, so the same story runs against
//! any topology and store, and a test can change the world ([`Change`]) and see the story change with it.

mod aftermath;
mod call;
mod context;
mod history;

use rapport_proto::interactions::v1 as ix;
use rapport_proto::stakeholders::v1 as sh;

use super::clients::Clients;
use super::load::{self, Setting};
use super::people::request_id;
use super::purchases::Purchases;
use super::report::Report;
use super::screen::Show;
use super::trouble::Trouble;
use super::{cards, model, wire};

/// Rows of one page.
const PAGE: i32 = 500;

/// How the story is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The purchases to load.
    pub purchases: Purchases,
    /// The moment of the call, in microseconds since 1970; the data is moved to end the day before.
    pub now: i64,
    /// Which customer calls; otherwise one who bought often and lately.
    pub caller: Option<String>,
    /// How many parties are recorded at a time.
    pub in_flight: usize,
    /// What happens between the load and the call.
    pub changes: Vec<Change>,
}

impl Options {
    /// The story as `rapport demo` tells it.
    #[must_use]
    pub fn new(purchases: Purchases, now: i64) -> Self {
        Self { purchases, now, caller: None, in_flight: 64, changes: Vec::new() }
    }
}

/// Something that happens between the load and the call, and which the story has to reflect.
#[derive(Debug, Clone)]
pub enum Change {
    /// All ties between these two members of the cast end ([`CALLER`](super::cast::CALLER) is the caller).
    EndTies(&'static str, &'static str),
    /// The caller withdraws a consent.
    Withdraw {
        /// What for.
        purpose: &'static str,
        /// On what channel.
        channel: &'static str,
    },
}

/// Loads the data and plays the call, showing both.
///
/// # Errors
/// When a call is refused for good, or an answer lacks what the contract promises.
pub async fn run(clients: &Clients, options: &Options, show: &mut dyn Show) -> Result<Report, Trouble> {
    let setting = load::run(clients, options, show).await?;
    show.card(&cards::loaded(&setting.loaded))?;
    for (n, change) in options.changes.iter().enumerate() {
        happen(clients, options, &setting, n, change).await?;
    }
    play(clients, options, &setting, show).await
}

/// Plays the call on what has been loaded.
///
/// # Errors
/// As [`run`].
pub async fn play(
    clients: &Clients,
    options: &Options,
    setting: &Setting,
    show: &mut dyn Show,
) -> Result<Report, Trouble> {
    let mut report = Report { loaded: setting.loaded.clone(), caller: setting.caller.clone(), ..Report::default() };
    report.model = model::fit(clients, &setting.system, &setting.loaded.days.1).await?;
    show.card(&cards::model(report.model.as_ref()))?;

    // A call that was played before is told again as of its own time.
    let call = call::begin(clients, setting, options.now).await?;
    report.call.clone_from(&call.name);
    report.replayed = call.state() == ix::CallState::Ended;
    let rang = wire::micros(call.started_time.as_ref());
    let ended = if report.replayed { wire::micros(call.ended_time.as_ref()) } else { rang + call::LENGTH };
    let (resolved, context) = call::context(clients, setting, &call).await?;
    report.resolved = resolved;
    show.card(&cards::resolved(&report.resolved, &context.display_name))?;
    let party = report.resolved.party.clone();
    let name = context.display_name.clone();
    if !report.replayed {
        show.card(&cards::context("The agent sees", &context))?;
        report.context_before = Some(context);
    }

    let definition = history::definition(clients).await?;
    report.definition.clone_from(&definition.name);
    report.neighbours = history::neighbours(clients, &party, &definition.name, rang - 1).await?;
    show.card(&cards::neighbours(&report.neighbours))?;

    report.before = history::timeline(clients, &party, rang - 1).await?;
    show.card(&cards::timeline(&report.before))?;

    report.health_before = history::explain(clients, &party, &definition, rang - 1).await?;
    show.card(&cards::health("Relationship health before the call", &report.health_before))?;

    let call = if report.replayed { call } else { call::end(clients, setting, &call, &name, ended).await? };
    report.complaint.clone_from(&call.interaction);
    report.case = call::case(clients, setting, &call, ended).await?;
    show.card(&cards::complaint(call::SAID, &report.complaint, &report.case, report.replayed))?;

    report.health_after = history::explain(clients, &party, &definition, ended).await?;
    show.card(&cards::health("Relationship health after the call", &report.health_after))?;
    report.after = history::timeline(clients, &party, ended).await?;
    show.card(&cards::outcome(&report))?;

    report.aftermath = aftermath::play(clients, setting, &party, &call, ended).await?;
    show.card(&cards::aftermath(&report.aftermath))?;
    report.context_after = call::context(clients, setting, &call).await?.1;
    show.card(&cards::context("The agent sees now", &report.context_after))?;
    Ok(report)
}

/// Lets a change happen, a second before it rings.
async fn happen(
    clients: &Clients,
    options: &Options,
    setting: &Setting,
    n: usize,
    change: &Change,
) -> Result<(), Trouble> {
    let before = options.now - call::AGO - 1_000_000;
    let name = |key: &str| setting.names.get(key).cloned().unwrap_or_default();
    let id = request_id(&["change", &setting.system, &n.to_string(), &format!("{change:?}")]).to_string();
    match change {
        Change::EndTies(one, other) => {
            let (one, other) = (name(one), name(other));
            let request = sh::ListRelationshipsRequest { party: one.clone(), page_size: PAGE, ..Default::default() };
            let ties = clients
                .read("ListRelationships", request, async |r| clients.relationships().list_relationships(r).await)
                .await?;
            for tie in ties.relationships {
                let ends = [tie.from_party.as_str(), tie.to_party.as_str()];
                if ends.contains(&one.as_str()) && ends.contains(&other.as_str()) {
                    let request = sh::EndRelationshipRequest {
                        name: tie.name.clone(),
                        end_time: Some(wire::time(before)),
                        reason: "they parted".to_owned(),
                        request_id: request_id(&[&id, &tie.name]).to_string(),
                        ..Default::default()
                    };
                    clients
                        .write("EndRelationship", request, async |r| clients.relationships().end_relationship(r).await)
                        .await?;
                }
            }
        }
        Change::Withdraw { purpose, channel } => {
            let request = sh::RecordConsentRequest {
                consent: Some(sh::Consent {
                    party: name(super::cast::CALLER),
                    purpose: (*purpose).to_owned(),
                    channel: (*channel).to_owned(),
                    state: sh::ConsentState::Withdrawn.into(),
                    occurred_time: Some(wire::time(before)),
                    ..Default::default()
                }),
                request_id: id,
            };
            clients.write("RecordConsent", request, async |r| clients.privacy().record_consent(r).await).await?;
        }
    }
    Ok(())
}

/// Whether a fact is the one the story recorded under `record`.
fn is(provenance: Option<&rapport_proto::types::v1::Provenance>, setting: &Setting, record: &str) -> bool {
    provenance.is_some_and(|p| p.source_system == setting.system && p.source_record_id == record)
}
