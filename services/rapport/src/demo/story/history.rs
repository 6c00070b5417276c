//! What the services know of a party's past: who is near, what happened, how it stands and why.

use std::collections::HashMap;

use rapport_proto::interactions::v1 as ix;
use rapport_proto::scoring::v1 as sc;
use rapport_proto::stakeholders::v1 as sh;

use super::PAGE;
use crate::demo::clients::Clients;
use crate::demo::report::{Explained, Happened, Neighbour, Part, Timeline};
use crate::demo::trouble::Trouble;
use crate::demo::{wire, words};

/// How many contributions an explanation spells out.
const LINES: i32 = 6;

/// The definition of relationship health, as the service lists it.
pub(super) async fn definition(clients: &Clients) -> Result<sc::ScoreDefinition, Trouble> {
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
pub(super) async fn neighbours(
    clients: &Clients,
    party: &str,
    definition: &str,
    as_of: i64,
) -> Result<Vec<Neighbour>, Trouble> {
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
    let others: Vec<&sh::NeighborNode> = near.nodes.iter().filter(|node| node.party != party).collect();
    let health = health(clients, others.iter().map(|node| node.party.clone()).collect(), definition, as_of).await?;
    Ok(others
        .into_iter()
        .map(|node| Neighbour {
            party: node.party.clone(),
            display_name: node.display_name.clone(),
            depth: node.depth,
            roles: node.role_types.clone(),
            via: way(node, &near.edges, &depths),
            strength: node.strength,
            health_micros: health.get(&node.party).copied(),
        })
        .collect())
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

/// The health of several parties at a moment; those of whom nothing is known that it could rest on are left out.
async fn health(
    clients: &Clients,
    parties: Vec<String>,
    definition: &str,
    as_of: i64,
) -> Result<HashMap<String, i64>, Trouble> {
    if parties.is_empty() {
        return Ok(HashMap::new());
    }
    let request = sc::BatchGetScoresRequest {
        parties,
        definition: definition.to_owned(),
        as_of: Some(wire::time(as_of)),
        ..Default::default()
    };
    let answer = clients.read("BatchGetScores", request, async |r| clients.scores().batch_get_scores(r).await).await?;
    let known = answer.parties.into_iter().filter_map(|party| {
        let score = party.scores.into_iter().next()?.score?;
        score.evidence.is_some_and(|e| e.contribution_count > 0).then_some((party.party, score.value_micros))
    });
    Ok(known.collect())
}

/// A party's whole timeline at a moment, page by page.
pub(super) async fn timeline(clients: &Clients, party: &str, as_of: i64) -> Result<Timeline, Trouble> {
    let mut rows = Vec::new();
    let mut token = String::new();
    loop {
        let request = ix::GetTimelineRequest {
            party: party.to_owned(),
            page_size: PAGE,
            page_token: token,
            as_of: Some(wire::time(as_of)),
            ..Default::default()
        };
        let page = clients.read("GetTimeline", request, async |r| clients.interactions().get_timeline(r).await).await?;
        rows.extend(page.interactions.iter().map(happened));
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(Timeline { rows });
        }
    }
}

/// An interaction in words.
pub(super) fn happened(row: &ix::Interaction) -> Happened {
    Happened {
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
    }
}

/// The score with its reasons, which must sum exactly.
pub(super) async fn explain(
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
        ..Default::default()
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
