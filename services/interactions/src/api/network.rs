//! Who near a party an agent should know of: the strongest ties, and whoever at their other ends there is a reason to show.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use futures::future::join4;
use prost::Message;
use rapport_proto::interactions::v1 as proto;
use rapport_store::read_error;
use rapport_types::Uuid;

use super::context::{About, Book};
use super::network_bonds::Bonds;
use super::network_lack::{Lack, without};
use super::network_parts::Influence;
use crate::domain::{Bond, Matters, Neighbor, PartyName, SectionKind, choose};
use crate::queries::{Asked, Positions, Section, Standing, TIES, Unasked, hear, nameless, section_status, why};
use crate::store::{Held, Known, SectionKey, tie_list};

/// Why who is near is not all as it is now.
const OLD_NAMES: &str = "the names of some are the last that were known";

/// Who is near, and how far that can be trusted.
struct Near {
    neighbors: Vec<proto::ContextNeighbor>,
    truncated: bool,
    status: proto::SectionStatus,
    /// What is to be kept of it.
    keep: Option<(SectionKey, Known)>,
}

/// Who is near, as it is told.
#[derive(Default)]
pub(super) struct Network {
    pub(super) section: proto::NetworkSection,
    /// What is to be kept of it.
    pub(super) keep: Vec<(SectionKey, Known)>,
    /// What was missing, and up to where it is wanted.
    pub(super) want: Vec<(SectionKey, i64)>,
    /// The ties that bind the party to others.
    pub(super) bonds: Vec<Bond>,
}

/// The id of a neighbour; nobody's where its name is none, which stakeholders does not say.
pub(super) fn id(neighbor: &proto::ContextNeighbor) -> Uuid {
    PartyName::parse(&neighbor.party).map(|name| name.uuid()).unwrap_or_default()
}

/// A neighbour as it is shown, with every reason there is.
fn told(neighbor: &proto::ContextNeighbor, known: &Neighbor) -> proto::ContextNeighbor {
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let Matters { complaints, cases, late, due } = known.matters;
    let reasons: Vec<proto::NeighborReason> = known
        .concerns()
        .into_iter()
        .map(|(concern, text)| proto::NeighborReason { kind: i32::from(concern.code()), text })
        .collect();
    let texts: Vec<&str> = reasons.iter().map(|reason| reason.text.as_str()).collect();
    proto::ContextNeighbor {
        health_micros: known.health,
        open_complaints: count(complaints),
        open_cases: count(cases),
        due_promises: count(late.saturating_add(due)),
        influence_percentile_micros: known.influence,
        reason: texts.join("; "),
        reasons,
        ..neighbor.clone()
    }
}

impl About<'_> {
    /// Who near the party is unhappy, waits for us, or is influential. The strongest ties are looked at, as the stakeholders
    /// service tells them, else as its feed told them.
    pub(super) async fn network(&self, book: &Book, stakeholders: &Standing, scoring: &Standing) -> Network {
        let party = match self.permitted("stakeholders.relationships.read") {
            Ok(party) => party,
            Err(unasked) => {
                let state = match unasked {
                    Unasked::Forbidden(_) => proto::SectionState::Redacted,
                    Unasked::Nobody => proto::SectionState::Missing,
                };
                let reason = why::<()>(&unasked.into(), "stakeholders");
                let status = section_status("stakeholders", state, reason, None);
                let section = proto::NetworkSection { status: Some(status), ..proto::NetworkSection::default() };
                return Network { section, ..Network::default() };
            }
        };
        let Near { neighbors, truncated, mut status, keep } = self.near(party, book, stakeholders).await;
        let ids: Vec<Uuid> = neighbors.iter().map(id).collect();
        let looked_at = i32::try_from(ids.len()).unwrap_or(i32::MAX);
        let (health, matters, influence, bound) = join4(
            self.health(&ids, scoring),
            self.matters(&ids),
            self.influence(&ids, book, scoring),
            self.bonds(&neighbors, stakeholders),
        )
        .await;
        let ((health, late, cold), (matters, unread)) = (health, matters);
        let Influence { ahead, lack, keep: influence, cold: unheard } = influence;
        let Bonds { bonds, lack: unknown, cold: strangers } = bound;
        // Who is near may be fresh where how they fare is not.
        for lack in [late, lack, unread, unknown].into_iter().flatten() {
            status = without(status, lack);
        }
        let known: Vec<Neighbor> = neighbors
            .iter()
            .map(|one| Neighbor {
                health: health.get(&id(one)).copied(),
                matters: matters.get(&id(one)).copied().unwrap_or_default(),
                influence: ahead.get(&id(one)).copied(),
                weight: one.weight,
            })
            .collect();
        let (order, more) = choose(&known);
        let shown = order.into_iter().filter_map(|at| Some(told(neighbors.get(at)?, known.get(at)?)));
        let mut shown: Vec<proto::ContextNeighbor> = shown.collect();
        if self.name(&mut shown).await {
            status = without(status, Lack::new("stakeholders", OLD_NAMES.to_owned(), None));
        }
        // Who was asked about in passing is known in full the next time.
        let mut want: Vec<(SectionKey, i64)> =
            cold.into_iter().map(|id| (self.key(id, SectionKind::Scores, ""), scoring.position.max(1))).collect();
        want.extend(
            strangers.into_iter().map(|id| (self.key(id, SectionKind::Card, ""), stakeholders.position.max(1))),
        );
        let influences = self.key(party, SectionKind::Influence, "");
        if unheard && !book.contains_key(&influences) {
            want.push((influences, scoring.position.max(1)));
        }
        let truncated = truncated || more;
        let section = proto::NetworkSection { status: Some(status), neighbors: shown, looked_at, truncated };
        Network { section, keep: keep.into_iter().chain(influence).collect(), want, bonds }
    }

    /// The strongest ties, as they are kept. A service that is asked has somewhat more than half of the time, so that
    /// there is time left to ask how its answer fares.
    async fn near(&self, party: Uuid, book: &Book, standing: &Standing) -> Near {
        let now = Instant::now();
        let until = now + self.until.saturating_duration_since(now).mul_f64(0.6);
        let reason = Mutex::new(String::new());
        let ask = async || {
            let asking = self.asking();
            let heard = hear(until, &asking, asking.near(party)).await;
            if let Ok(mut reason) = reason.lock() {
                *reason = why(&heard, "stakeholders");
            }
            heard.and(|near| Ok(nameless(near)))
        };
        let told = self.told(book, standing, "", |_: &proto::NetworkSection| true, ask).await;
        let reason = reason.into_inner().unwrap_or_default();
        let status = told.section.status.unwrap_or_default();
        if status.as_of_time.is_none() || told.nothing {
            let asked = Asked { at: self.cx.world.now(), position: standing.position };
            return Box::pin(self.ties(party, asked, reason)).await;
        }
        let proto::NetworkSection { neighbors, truncated, .. } = told.section;
        Near { neighbors, truncated, status, keep: told.keep }
    }

    /// The ties that the feed told of.
    async fn ties(&self, party: Uuid, asked: Asked, reason: String) -> Near {
        let read = tie_list(self.cx.store.reader(), self.call.tenant(), party, asked.at, TIES + 1);
        let Ok(mut ties) = read.await.map_err(read_error) else {
            let status = section_status("stakeholders", proto::SectionState::Pending, reason, None);
            return Near { neighbors: Vec::new(), truncated: false, status, keep: None };
        };
        let truncated = ties.len() > TIES;
        ties.truncate(TIES);
        let mut neighbors: Vec<proto::ContextNeighbor> = Vec::with_capacity(ties.len());
        for tie in ties {
            let name = PartyName::new(tie.neighbor).to_string();
            if let Some(known) = neighbors.iter_mut().find(|known| known.party == name) {
                let label = tie.relationship_type.clone();
                known.more_ties.push(proto::ContextTie {
                    party: name,
                    relationship_type: tie.relationship_type,
                    label,
                });
                continue;
            }
            neighbors.push(proto::ContextNeighbor {
                party: name,
                label: tie.relationship_type.clone(),
                relationship_type: tie.relationship_type,
                weight: tie.weight_micros as f64 / 1_000_000.0,
                ..proto::ContextNeighbor::default()
            });
        }
        let status = section_status("stakeholders", proto::SectionState::Stale, reason, Some(asked));
        // The feed tells of each tie at a moment of its own.
        let status = proto::SectionStatus { as_of_time: None, ..status };
        Near { neighbors, truncated, status, keep: None }
    }

    /// Fills in names that the feed does not carry, from the cards that are kept. Says whether one of them may be another by
    /// now.
    async fn name(&self, shown: &mut [proto::ContextNeighbor]) -> bool {
        let nameless: Vec<Uuid> = shown
            .iter()
            .filter(|one| one.display_name.is_empty())
            .filter_map(|one| Some(PartyName::parse(&one.party).ok()?.uuid()))
            .collect();
        let cards = self.cards(&nameless).await;
        for one in shown.iter_mut().filter(|one| one.display_name.is_empty()) {
            if let Some((card, _)) = PartyName::parse(&one.party).ok().and_then(|name| cards.get(&name.uuid())) {
                one.display_name.clone_from(&card.display_name);
            }
        }
        cards.values().any(|(_, behind)| *behind)
    }

    /// The cards that are kept of parties, for a caller who may read them; and of each whether something is known to have
    /// happened that is not in it.
    async fn cards(&self, parties: &[Uuid]) -> HashMap<Uuid, (proto::CardSection, bool)> {
        if parties.is_empty() || !self.call.allows(proto::CardSection::PERMISSION) {
            return HashMap::new();
        }
        let card = |party: Uuid, held: &Held| {
            let card = proto::CardSection::decode(held.known.as_ref()?.plain.as_slice()).ok()?;
            Some((party, (card, held.behind())))
        };
        let now = self.standing(proto::CardSection::SOURCE).position;
        let (mut cards, mut unread) = (HashMap::with_capacity(parties.len()), Vec::new());
        for party in parties {
            let hold = |read: Positions| self.memory.stakeholders.silent(read[0], now, *party);
            match self.memory.shelf.get(self.call.tenant(), *party, hold) {
                Some(rows) => {
                    let held = rows.get(&self.key(*party, SectionKind::Card, ""));
                    cards.extend(held.and_then(|held| card(*party, held)));
                }
                None => unread.push(*party),
            }
        }
        if !unread.is_empty() {
            let kept = self.all_kept::<proto::CardSection>(&unread).await;
            cards.extend(kept.iter().filter_map(|(key, held)| card(key.party, held)));
        }
        cards
    }

    /// Says who candidates are: by what came with the search, else by the cards that are kept. Says whether what it says of
    /// one of them may be otherwise by now.
    pub(super) async fn introduce(
        &self,
        resolution: &mut proto::CallResolution,
        named: &HashMap<Uuid, (String, Vec<String>)>,
    ) -> bool {
        if !self.call.allows(proto::CardSection::PERMISSION) {
            return false;
        }
        let id = |candidate: &proto::CallCandidate| Some(PartyName::parse(&candidate.party).ok()?.uuid());
        let nameless: Vec<Uuid> =
            resolution.candidates.iter().filter_map(id).filter(|party| !named.contains_key(party)).collect();
        let cards = self.cards(&nameless).await;
        for candidate in &mut resolution.candidates {
            let Some(party) = id(candidate) else { continue };
            if let Some((display_name, role_types)) = named.get(&party) {
                candidate.display_name.clone_from(display_name);
                candidate.role_types.clone_from(role_types);
            } else if let Some((card, _)) = cards.get(&party) {
                candidate.display_name.clone_from(&card.display_name);
                candidate.role_types = card.roles.iter().map(|role| role.role_type.clone()).collect();
            }
        }
        cards.values().any(|(_, behind)| *behind)
    }
}
