//! The story: a customer calls, is known at once, complains, and the relationship is seen to suffer.
//!
//! Everything goes through the public API and every word shown comes from its answers, so the same story runs against
//! any topology and store, and a test can change the world ([`Change`]) and see the story change with it.

use std::collections::HashMap;

use futures::future::try_join_all;
use rapport_proto::interactions::v1 as ix;
use rapport_proto::scoring::v1 as sc;
use rapport_proto::stakeholders::v1 as sh;

use super::cast::CHECKS;
use super::clients::Clients;
use super::load::{self, Setting};
use super::people::request_id;
use super::purchases::Purchases;
use super::report::{
    Explained, Happened, Neighbour, Opened, Part, Permission, Profile, Report, Resolved, RoleHeld, Timeline,
};
use super::screen::Show;
use super::trouble::Trouble;
use super::{cards, wire, words};

/// Rows of one page.
const PAGE: i32 = 500;
/// How many contributions an explanation spells out.
const LINES: i32 = 6;
/// The record keys of what the call leaves behind.
const COMPLAINT: &str = "call/complaint";
const CASE: &str = "call/case";
/// What the caller says.
const SAID: &str = "Second order in a row with broken discs, nobody wrote back";

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

    let (resolved, name) = resolve(clients, setting).await?;
    report.resolved = resolved;
    show.card(&cards::resolved(&report.resolved, &name))?;
    let party = report.resolved.party.clone();

    // A call that was played before is told again as of its own time.
    let whole = timeline(clients, &party, None).await?;
    let earlier = whole.iter().find(|row| is(row.provenance.as_ref(), setting, COMPLAINT));
    let at = earlier.map_or(options.now, |row| wire::micros(row.occurred_time.as_ref()));
    let just_before = at - 1;
    report.replayed = earlier.is_some();

    report.profile = profile(clients, &party, at).await?;
    show.card(&cards::profile(&report.profile))?;

    let definition = definition(clients).await?;
    report.definition.clone_from(&definition.name);
    report.neighbours = neighbours(clients, &party, &definition.name, just_before).await?;
    show.card(&cards::neighbours(&report.neighbours))?;

    report.before = shown(&timeline(clients, &party, Some(just_before)).await?);
    show.card(&cards::timeline(&report.before))?;

    report.health_before = explain(clients, &party, &definition, just_before).await?;
    show.card(&cards::health("Relationship health before the call", &report.health_before))?;

    report.complaint = match earlier {
        Some(row) => row.name.clone(),
        None => complain(clients, setting, &report.resolved, at).await?,
    };
    report.case = open_case(clients, setting, &party, &report.complaint, &name, at).await?;
    show.card(&cards::complaint(SAID, &report.complaint, &report.case, report.replayed))?;

    report.health_after = explain(clients, &party, &definition, at).await?;
    show.card(&cards::health("Relationship health after the call", &report.health_after))?;
    report.after = shown(&timeline(clients, &party, None).await?);
    show.card(&cards::outcome(&report))?;
    Ok(report)
}

/// Lets a change happen.
async fn happen(
    clients: &Clients,
    options: &Options,
    setting: &Setting,
    n: usize,
    change: &Change,
) -> Result<(), Trouble> {
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
                        end_time: Some(wire::time(options.now - 1_000_000)),
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
                    occurred_time: Some(wire::time(options.now - 1_000_000)),
                    ..Default::default()
                }),
                request_id: id,
            };
            clients.write("RecordConsent", request, async |r| clients.privacy().record_consent(r).await).await?;
        }
    }
    Ok(())
}

/// Finds who calls, from the number as the telephone shows it.
async fn resolve(clients: &Clients, setting: &Setting) -> Result<(Resolved, String), Trouble> {
    let phone = &setting.phone;
    let request = sh::ResolvePartyRequest {
        identifiers: vec![sh::IdentifierQuery {
            scheme: "tel".to_owned(),
            value: phone.national.clone(),
            country_code: phone.country.to_owned(),
            shared: false,
        }],
        ..Default::default()
    };
    let answer = clients.read("ResolveParty", request, async |r| clients.identities().resolve_party(r).await).await?;
    let outcome = words::outcome(answer.outcome());
    let Some(party) = answer.party else {
        return Err(Trouble::Answer {
            method: "ResolveParty",
            what: format!("{outcome} for the caller's number, with {} candidates", answer.candidates.len()),
        });
    };
    let candidate = answer.candidates.iter().find(|candidate| candidate.party == party.name);
    let resolved = Resolved {
        dialled: phone.national.clone(),
        country: phone.country.to_owned(),
        understood: answer
            .identifiers
            .first()
            .map(|identifier| identifier.normalized_value.clone())
            .unwrap_or_default(),
        party: party.name,
        outcome,
        confidence: candidate.map_or(0.0, |candidate| candidate.confidence),
        reasons: candidate
            .map(|candidate| {
                candidate
                    .reasons
                    .iter()
                    .map(|reason| (words::reason(reason.kind()), reason.description.clone()))
                    .collect()
            })
            .unwrap_or_default(),
    };
    Ok((resolved, party.display_name))
}

/// The caller's card: party, roles, consents.
async fn profile(clients: &Clients, party: &str, at: i64) -> Result<Profile, Trouble> {
    let request = sh::GetPartyRequest { name: party.to_owned() };
    let card = clients.read("GetParty", request, async |r| clients.parties().get_party(r).await).await?;
    let consents = try_join_all(CHECKS.iter().map(|(purpose, channel)| async move {
        let request = sh::CheckConsentRequest {
            party: party.to_owned(),
            purpose: (*purpose).to_owned(),
            channel: (*channel).to_owned(),
            as_of: Some(wire::time(at)),
            as_known_at: None,
        };
        let answer = clients.read("CheckConsent", request, async |r| clients.privacy().check_consent(r).await).await?;
        Ok::<_, Trouble>(Permission {
            purpose: (*purpose).to_owned(),
            channel: (*channel).to_owned(),
            allowed: answer.allowed,
            reason: words::consent(answer.reason()),
            decided: answer.deciding_consent.map(|consent| wire::micros(consent.occurred_time.as_ref())),
        })
    }))
    .await?;
    Ok(Profile {
        party: card.name.clone(),
        display_name: card.display_name.clone(),
        standing: format!("{}, {}", words::kind(card.kind()), words::lifecycle(card.lifecycle())),
        place: format!("{}, {}", card.country_code, card.time_zone),
        media: card
            .contact_media
            .iter()
            .map(|medium| (words::medium_kind(medium.kind()), medium.normalized_value.clone()))
            .collect(),
        roles: card
            .roles
            .iter()
            .filter(|role| role.status() == sh::RoleStatus::Active)
            .map(|role| RoleHeld {
                role_type: role.role_type.clone(),
                scope: role.scope.clone(),
                since: wire::micros(role.valid_from_time.as_ref()),
            })
            .collect(),
        consents,
    })
}

/// The definition of relationship health, as the service lists it.
async fn definition(clients: &Clients) -> Result<sc::ScoreDefinition, Trouble> {
    let request = sc::ListScoreDefinitionsRequest::default();
    let answer = clients
        .read("ListScoreDefinitions", request, async |r| clients.scores().list_score_definitions(r).await)
        .await?;
    let mut definitions = answer.score_definitions;
    let place = definitions.iter().position(|d| d.name.contains("health")).unwrap_or(0);
    if definitions.is_empty() {
        return Err(Trouble::Answer { method: "ListScoreDefinitions", what: "without any definition".to_owned() });
    }
    Ok(definitions.swap_remove(place))
}

/// Who is within two steps, and how each of them feels about us.
async fn neighbours(clients: &Clients, party: &str, definition: &str, as_of: i64) -> Result<Vec<Neighbour>, Trouble> {
    let request = sh::GetNeighborhoodRequest {
        party: party.to_owned(),
        depth: 2,
        as_of: Some(wire::time(as_of)),
        ..Default::default()
    };
    let near =
        clients.read("GetNeighborhood", request, async |r| clients.relationships().get_neighborhood(r).await).await?;
    let depths: HashMap<&str, (i32, &str)> =
        near.nodes.iter().map(|node| (node.party.as_str(), (node.depth, node.display_name.as_str()))).collect();
    let others = near.nodes.iter().filter(|node| node.party != party);
    try_join_all(others.map(|node| {
        let via = way(node, &near.edges, &depths);
        async move {
            Ok(Neighbour {
                party: node.party.clone(),
                display_name: node.display_name.clone(),
                depth: node.depth,
                roles: node.role_types.clone(),
                via,
                strength: node.strength,
                health_micros: health(clients, &node.party, definition, as_of).await?,
            })
        }
    }))
    .await
}

/// How a neighbour is tied to the strongest of those one step nearer: `knows (played in one band)`.
fn way(node: &sh::NeighborNode, edges: &[sh::NeighborEdge], depths: &HashMap<&str, (i32, &str)>) -> String {
    let nearer = |edge: &sh::NeighborEdge| -> Option<(i32, String)> {
        let other = if edge.from_party == node.party {
            &edge.to_party
        } else if edge.to_party == node.party {
            &edge.from_party
        } else {
            return None;
        };
        let (depth, name) = depths.get(other.as_str())?;
        (*depth == node.depth - 1).then(|| (*depth, (*name).to_owned()))
    };
    let mut best: Option<(&sh::NeighborEdge, i32, String)> = None;
    for edge in edges {
        if let Some((depth, name)) = nearer(edge)
            && best.as_ref().is_none_or(|(so_far, ..)| edge.weight > so_far.weight)
        {
            best = Some((edge, depth, name));
        }
    }
    best.map(|(edge, depth, name)| {
        let scope = if edge.scope.is_empty() { String::new() } else { format!(" ({})", edge.scope) };
        let over = if depth == 0 { "caller".to_owned() } else { name };
        format!("{over} {}{scope}", edge.label)
    })
    .unwrap_or_default()
}

/// A party's health at a moment; none when nothing is known that it could rest on.
async fn health(clients: &Clients, party: &str, definition: &str, as_of: i64) -> Result<Option<i64>, Trouble> {
    let request = sc::GetScoresRequest {
        party: party.to_owned(),
        definition: definition.to_owned(),
        as_of: Some(wire::time(as_of)),
    };
    let answer = clients.read("GetScores", request, async |r| clients.scores().get_scores(r).await).await?;
    Ok(answer
        .scores
        .first()
        .filter(|score| score.evidence.as_ref().is_some_and(|e| e.contribution_count > 0))
        .map(|score| score.value_micros))
}

/// A party's whole timeline, page by page.
async fn timeline(clients: &Clients, party: &str, as_of: Option<i64>) -> Result<Vec<ix::Interaction>, Trouble> {
    let mut rows = Vec::new();
    let mut token = String::new();
    loop {
        let request = ix::GetTimelineRequest {
            party: party.to_owned(),
            page_size: PAGE,
            page_token: token,
            as_of: as_of.map(wire::time),
            ..Default::default()
        };
        let page = clients.read("GetTimeline", request, async |r| clients.interactions().get_timeline(r).await).await?;
        rows.extend(page.interactions);
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(rows);
        }
    }
}

fn shown(rows: &[ix::Interaction]) -> Timeline {
    Timeline {
        rows: rows
            .iter()
            .map(|row| Happened {
                interaction: row.name.clone(),
                at: wire::micros(row.occurred_time.as_ref()),
                kind: row.kind.clone(),
                way: format!(
                    "{}, {}",
                    row.channel.as_ref().map(|c| words::medium(c.medium())).unwrap_or_default(),
                    words::direction(row.direction())
                ),
                subject: row.subject_line.clone(),
                cents: row.amount.as_ref().and_then(|amount| amount.money.as_ref()).map(wire::hundredths),
                valence: row.valence.as_ref().map(|valence| valence.value),
            })
            .collect(),
    }
}

/// The score with its reasons, which must sum exactly.
async fn explain(
    clients: &Clients,
    party: &str,
    definition: &sc::ScoreDefinition,
    as_of: i64,
) -> Result<Explained, Trouble> {
    const METHOD: &str = "ExplainScore";
    let request = sc::ExplainScoreRequest {
        party: party.to_owned(),
        definition: definition.name.clone(),
        as_of: Some(wire::time(as_of)),
        line_limit: LINES,
    };
    let answer = clients.read(METHOD, request, async |r| clients.scores().explain_score(r).await).await?;
    let score = answer.score.unwrap_or_default();
    let sum: i64 = answer.lines.iter().map(|line| line.effect_micros).sum();
    if sum != score.value_micros {
        return Err(Trouble::Answer {
            method: METHOD,
            what: format!("lines that sum to {sum} for a score of {}", score.value_micros),
        });
    }
    Ok(Explained {
        title: definition.display_name.clone(),
        as_of,
        value_micros: score.value_micros,
        facts: score.evidence.map_or(0, |evidence| evidence.contribution_count),
        parts: answer
            .lines
            .into_iter()
            .map(|line| Part {
                reason: line.reason,
                effect_micros: line.effect_micros,
                facts: line.contribution_count,
                interaction: line.contribution.map(|c| c.interaction).unwrap_or_default(),
            })
            .collect(),
    })
}

/// Records the complaint under the identifier it came by.
async fn complain(clients: &Clients, setting: &Setting, resolved: &Resolved, at: i64) -> Result<String, Trouble> {
    let participant = |party: &str, role: &str, function: ix::Function, number: Option<&str>| ix::Participant {
        party: party.to_owned(),
        identifier_used: number.map(|value| ix::Identifier { scheme: "tel".to_owned(), value: value.to_owned() }),
        role_type: role.to_owned(),
        function: function.into(),
        ..Default::default()
    };
    let agent = setting.names.get("agent").cloned().unwrap_or_default();
    let request = ix::RecordInteractionRequest {
        interaction: Some(ix::Interaction {
            kind: "complaint".to_owned(),
            channel: Some(ix::Channel { medium: ix::Medium::Phone.into(), online: None }),
            direction: ix::Direction::Inbound.into(),
            participants: vec![
                participant(&resolved.party, "customer", ix::Function::Initiator, Some(&resolved.understood)),
                participant(&agent, "employee", ix::Function::Agent, None),
            ],
            topics: vec!["quality".to_owned(), "service".to_owned()],
            subject_line: SAID.to_owned(),
            body: "The last two orders came with broken discs. The e-mail about the first one was never answered. \
                   Wants a replacement this week, otherwise the money back."
                .to_owned(),
            valence: Some(ix::Valence { value: -0.9, method: ix::ValenceMethod::Stated.into(), confidence: None }),
            effort: Some(6),
            occurred_time: Some(wire::time(at)),
            provenance: wire::provenance(&setting.system, COMPLAINT),
            ..Default::default()
        }),
        request_id: request_id(&[COMPLAINT, &setting.system, &at.to_string()]).to_string(),
    };
    let recorded = clients
        .write("RecordInteraction", request, async |r| clients.interactions().record_interaction(r).await)
        .await?;
    Ok(recorded.name)
}

/// Opens a case for the complaint and takes it on; finds it again in a second run.
async fn open_case(
    clients: &Clients,
    setting: &Setting,
    party: &str,
    complaint: &str,
    name: &str,
    at: i64,
) -> Result<Opened, Trouble> {
    let there = cases(clients, party).await?;
    let case = match there.into_iter().find(|case| is(case.provenance.as_ref(), setting, CASE)) {
        Some(case) => case,
        None => {
            let request = ix::OpenCaseRequest {
                case: Some(ix::Case {
                    party: party.to_owned(),
                    role_type: "customer".to_owned(),
                    r#type: "complaint".to_owned(),
                    priority: ix::CasePriority::High.into(),
                    title: format!("Broken discs twice: replacement for {name}"),
                    interactions: vec![complaint.to_owned()],
                    opened_time: Some(wire::time(at)),
                    provenance: wire::provenance(&setting.system, CASE),
                    ..Default::default()
                }),
                request_id: request_id(&[CASE, &setting.system, &at.to_string()]).to_string(),
            };
            clients.write("OpenCase", request, async |r| clients.cases().open_case(r).await).await?
        }
    };
    let case = if case.status() == ix::CaseStatus::New {
        let request = ix::TransitionCaseRequest {
            name: case.name.clone(),
            status: ix::CaseStatus::InProgress.into(),
            note: "replacement promised for this week".to_owned(),
            occurred_time: Some(wire::time(at)),
            etag: case.etag.clone(),
            request_id: request_id(&["call/take-on", &setting.system, &case.name]).to_string(),
            ..Default::default()
        };
        clients.write("TransitionCase", request, async |r| clients.cases().transition_case(r).await).await?
    } else {
        case
    };
    let open = cases(clients, party)
        .await?
        .iter()
        .filter(|case| !matches!(case.status(), ix::CaseStatus::Resolved | ix::CaseStatus::Closed))
        .count();
    Ok(Opened {
        status: words::status(case.status()),
        priority: words::priority(case.priority()),
        case: case.name,
        title: case.title,
        interactions: case.interactions,
        open,
    })
}

/// The party's cases; the demo never makes more than a page of them.
async fn cases(clients: &Clients, party: &str) -> Result<Vec<ix::Case>, Trouble> {
    let request = ix::ListCasesRequest { party: party.to_owned(), page_size: PAGE, ..Default::default() };
    let page = clients.read("ListCases", request, async |r| clients.cases().list_cases(r).await).await?;
    Ok(page.cases)
}

/// Whether a fact is the one the call recorded under `record`.
fn is(provenance: Option<&rapport_proto::types::v1::Provenance>, setting: &Setting, record: &str) -> bool {
    provenance.is_some_and(|p| p.source_system == setting.system && p.source_record_id == record)
}
