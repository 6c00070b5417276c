//! Scores as they move.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, stream};
use rapport_events::{Cursor, FeedBatch};
use rapport_proto::scoring::v1 as proto;
use rapport_rpc::until_stopped;
use rapport_server::Context;
use rapport_types::error::{Collector, Error};
use rapport_types::{TenantId, Uuid, reason};

use super::convert::{find, to_score};
use super::convert_batch::parties;
use crate::domain::{Definition, DefinitionName, PartyName};
use crate::queries::{Details, Scores};

/// How many scores are read at a time.
const READ: usize = 200;
/// How often a watcher to whom nothing happens is told how far it is.
const CHECKPOINT: Duration = Duration::from_secs(1);
/// Parties that one watcher names at most.
const MOST_PARTIES: usize = 100;
/// Definitions that one watcher names at most.
const MOST_DEFINITIONS: usize = 20;

/// What is wanted. An empty set wants everything.
#[derive(Debug)]
struct Wanted {
    parties: HashSet<String>,
    definitions: HashSet<String>,
}

impl Wanted {
    fn parse(fields: &Collector, request: &proto::WatchScoresRequest) -> (Wanted, Vec<DefinitionName>) {
        let parties = parties(fields, &request.parties, 0, MOST_PARTIES);
        let mut definitions = Vec::new();
        if request.definitions.len() > MOST_DEFINITIONS {
            fields.push("definitions", reason::TOO_MANY, format!("must name at most {MOST_DEFINITIONS} definitions"));
        } else {
            for (place, name) in request.definitions.iter().enumerate() {
                definitions.extend(fields.check(&format!("definitions[{place}]"), DefinitionName::parse(name)));
            }
        }
        let wanted = Wanted {
            parties: parties.into_iter().map(|party| PartyName::new(party).to_string()).collect(),
            definitions: definitions.iter().map(ToString::to_string).collect(),
        };
        (wanted, definitions)
    }

    fn wants(&self, moved: &proto::ScoreMoved) -> bool {
        (self.parties.is_empty() || self.parties.contains(&moved.party))
            && (self.definitions.is_empty() || self.definitions.contains(&moved.definition))
    }
}

/// A tenant's scores as they move, from a cursor on. Ends when the server stops.
///
/// # Errors
/// Invalid; NotFound for a definition that does not exist; OutOfRange `CURSOR_EXPIRED`; Unavailable.
pub(crate) async fn moves(
    cx: &Context,
    scores: &Scores,
    tenant: TenantId,
    request: &proto::WatchScoresRequest,
) -> Result<impl Stream<Item = Result<proto::WatchScoresResponse, Error>> + Send + 'static, Error> {
    let fields = Collector::new();
    let cursor = match request.cursor.as_str() {
        "" => None,
        text => fields.check("cursor", text.parse::<Cursor>()),
    };
    let (wanted, definitions) = Wanted::parse(&fields, request);
    fields.finish()?;
    for name in &definitions {
        find(name)?;
    }
    let after = match cursor {
        Some(cursor) => cursor,
        None => cx.feed.head().await?,
    };
    let batches = cx.feed.subscribe(Some(after.clone()), Some(tenant.clone())).await?;
    let begin = stream::iter([Ok(only(&after))]);
    let watcher = Watcher { scores: scores.clone(), tenant, wanted, told: Instant::now() };
    let rest = batches
        .scan(watcher, |watcher, batch| {
            // The state has to be lent to the future and taken back.
            let selected = batch.and_then(|batch| watcher.select(&batch));
            let (scores, tenant) = (watcher.scores.clone(), watcher.tenant.clone());
            async move {
                Some(match selected {
                    Ok(selected) => show(&scores, &tenant, selected).await,
                    Err(error) => vec![Err(error)],
                })
            }
        })
        .flat_map(stream::iter);
    Ok(until_stopped(begin.chain(rest), cx.stopping.clone()))
}

struct Watcher {
    scores: Scores,
    tenant: TenantId,
    wanted: Wanted,
    told: Instant,
}

/// What is told of a batch: moves with their cursors, and a cursor for the end.
struct Selected {
    moves: Vec<(Cursor, proto::ScoreMoved)>,
    through: Option<Cursor>,
}

impl Watcher {
    fn select(&mut self, batch: &FeedBatch) -> Result<Selected, Error> {
        let mut moves = Vec::new();
        for event in &batch.events {
            if let Some(moved) = event.decode::<proto::ScoreMoved>() {
                let moved = moved?;
                if self.wanted.wants(&moved) {
                    moves.push((event.cursor(), moved));
                }
            }
        }
        let quiet = moves.is_empty() && self.told.elapsed() >= CHECKPOINT;
        if quiet || !moves.is_empty() {
            self.told = Instant::now();
        }
        Ok(Selected { moves, through: quiet.then(|| batch.through.clone()) })
    }
}

async fn show(
    scores: &Scores,
    tenant: &TenantId,
    selected: Selected,
) -> Vec<Result<proto::WatchScoresResponse, Error>> {
    let mut messages = Vec::with_capacity(selected.moves.len() + 1);
    for part in selected.moves.chunks(READ) {
        let current = match current(scores, tenant, part).await {
            Ok(current) => current,
            Err(error) => {
                messages.push(Err(error));
                return messages;
            }
        };
        for (cursor, moved) in part {
            let shown = proto::ScoreMove {
                score: moved.score.clone(),
                cause: moved.cause,
                interaction: moved.interaction.clone(),
                current: current.get(&(moved.party.as_str(), moved.definition.as_str())).cloned(),
            };
            messages.push(Ok(proto::WatchScoresResponse { cursor: cursor.to_string(), r#move: Some(shown) }));
        }
    }
    messages.extend(selected.through.map(|through| Ok(only(&through))));
    messages
}

/// The scores of the parties that moved, as they are now, by the names of party and definition.
async fn current<'a>(
    scores: &Scores,
    tenant: &TenantId,
    moves: &'a [(Cursor, proto::ScoreMoved)],
) -> Result<BTreeMap<(&'a str, &'a str), proto::Score>, Error> {
    let named: BTreeSet<(&str, &str)> =
        moves.iter().map(|(_, moved)| (moved.party.as_str(), moved.definition.as_str())).collect();
    let mut found = BTreeMap::new();
    for definition in Definition::all() {
        let name = DefinitionName::of(definition.slug).to_string();
        let asked: Vec<(&(&str, &str), Uuid)> = named
            .iter()
            .filter(|(_, wanted)| *wanted == name)
            .filter_map(|key| Some((key, PartyName::parse(key.0).ok()?.uuid())))
            .collect();
        if asked.is_empty() {
            continue;
        }
        let parties: Vec<Uuid> = asked.iter().map(|(_, party)| *party).collect();
        let read = scores.summaries(tenant, &parties, &[definition], None, Details::default()).await?;
        for ((key, _), summaries) in asked.into_iter().zip(read) {
            found.extend(summaries.first().map(|summary| (*key, to_score(&summary.score))));
        }
    }
    Ok(found)
}

/// A cursor without a move.
fn only(cursor: &Cursor) -> proto::WatchScoresResponse {
    proto::WatchScoresResponse { cursor: cursor.to_string(), r#move: None }
}
