use std::collections::HashMap;
use std::time::Instant;

use futures::future::join;
use prost::Message;
use rapport_proto::interactions::v1 as proto;
use rapport_store::read_error;
use rapport_types::Uuid;

use super::context::About;
use crate::domain::{PartyName, SectionKind, unhappy};
use crate::queries::{Asked, HEALTH, Heard, TIES, Unasked, hear, section_status, why};
use crate::store::{complaint_count, section_find, tie_list};

/// How many unhappy neighbours are shown.
const SHOWN: usize = 5;

/// Who is near, and how far that can be trusted.
struct Near {
    neighbors: Vec<proto::ContextNeighbor>,
    truncated: bool,
    status: proto::SectionStatus,
}

impl About<'_> {
    /// Who near the party is unhappy. The strongest ties are looked at, as the stakeholders service tells them, else as
    /// its feed told them; a neighbour is unhappy by its score or by a complaint that is not solved.
    pub(super) async fn network(&self, asked: Asked) -> proto::NetworkSection {
        let party = match self.permitted("stakeholders.relationships.read") {
            Ok(party) => party,
            Err(unasked) => {
                let state = match unasked {
                    Unasked::Forbidden(_) => proto::SectionState::Redacted,
                    Unasked::Nobody => proto::SectionState::Missing,
                };
                let reason = why::<()>(&unasked.into(), "stakeholders");
                let status = section_status("stakeholders", state, reason, None);
                return proto::NetworkSection { status: Some(status), ..proto::NetworkSection::default() };
            }
        };
        let Near { neighbors, truncated, mut status } = self.near(party, asked).await;
        let ids: Vec<Uuid> =
            neighbors.iter().filter_map(|one| Some(PartyName::parse(&one.party).ok()?.uuid())).collect();
        let looked_at = i32::try_from(ids.len()).unwrap_or(i32::MAX);
        let ((health, late), complaints) = join(self.health(&ids), self.complaints(&ids)).await;
        if let (Some(late), proto::SectionState::Fresh) = (late, status.state()) {
            // Who is near is fresh; how they fare is not.
            let scoring = Some(self.asked("scoring"));
            status = section_status("scoring", proto::SectionState::Stale, late, scoring);
        }
        let mut shown: Vec<proto::ContextNeighbor> = neighbors
            .into_iter()
            .filter_map(|mut one| {
                let id = PartyName::parse(&one.party).ok()?.uuid();
                one.health_micros = health.get(&id).copied();
                let open = complaints.get(&id).copied().unwrap_or_default();
                one.open_complaints = i32::try_from(open).unwrap_or(i32::MAX);
                one.reason = unhappy(one.health_micros, open)?;
                Some(one)
            })
            .collect();
        // The unhappiest first; equal ones by the strength of the tie.
        shown.sort_by(|one, two| {
            let rank = |n: &proto::ContextNeighbor| (n.health_micros.unwrap_or(i64::MAX), -n.open_complaints);
            rank(one)
                .cmp(&rank(two))
                .then_with(|| two.weight.total_cmp(&one.weight))
                .then_with(|| one.party.cmp(&two.party))
        });
        let truncated = truncated || shown.len() > SHOWN;
        shown.truncate(SHOWN);
        self.name(&mut shown).await;
        proto::NetworkSection { status: Some(status), neighbors: shown, looked_at, truncated }
    }

    /// The strongest ties. The stakeholders service has somewhat more than half of the time, so that there is time left
    /// to ask how its answer fares.
    async fn near(&self, party: Uuid, asked: Asked) -> Near {
        let now = Instant::now();
        let until = now + self.until.saturating_duration_since(now).mul_f64(0.6);
        let asking = self.asking();
        let heard = hear(until, &asking, asking.near(party)).await;
        let reason = why(&heard, "stakeholders");
        match heard {
            Heard::Said((neighbors, truncated)) => {
                let status = section_status("stakeholders", proto::SectionState::Fresh, reason, Some(asked));
                Near { neighbors, truncated, status }
            }
            Heard::Behind((neighbors, truncated)) => {
                let status = section_status("stakeholders", proto::SectionState::Stale, reason, Some(asked));
                Near { neighbors, truncated, status }
            }
            _ => self.ties(party, asked, reason).await,
        }
    }

    /// The ties that the feed told of.
    async fn ties(&self, party: Uuid, asked: Asked, reason: String) -> Near {
        let read = tie_list(self.cx.store.reader(), self.call.tenant(), party, asked.at, TIES + 1);
        let Ok(mut ties) = read.await.map_err(read_error) else {
            let status = section_status("stakeholders", proto::SectionState::Pending, reason, None);
            return Near { neighbors: Vec::new(), truncated: false, status };
        };
        let truncated = ties.len() > TIES;
        ties.truncate(TIES);
        let mut neighbors: Vec<proto::ContextNeighbor> = Vec::with_capacity(ties.len());
        for tie in ties {
            let name = PartyName::new(tie.neighbor).to_string();
            if neighbors.iter().any(|known| known.party == name) {
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
        Near { neighbors, truncated, status }
    }

    /// The relationship health of those whose score rests on facts, and why it is not fresh if it is not.
    async fn health(&self, ids: &[Uuid]) -> (HashMap<Uuid, i64>, Option<String>) {
        if ids.is_empty() || !self.call.allows("scoring.scores.read") {
            return (HashMap::new(), None);
        }
        let asking = self.asking();
        let heard = hear(self.until, &asking, asking.scores(ids, false)).await;
        let late = why(&heard, "scoring");
        let late = (!late.is_empty()).then_some(late);
        let sections: HashMap<Uuid, proto::ScoreSection> = match heard {
            Heard::Said(scores) | Heard::Behind(scores) => scores,
            _ => {
                let kept = section_find(&self.cx.store, self.call.tenant(), ids, Some(SectionKind::Scores)).await;
                let decoded = kept.unwrap_or_default().into_iter().filter_map(|(key, known)| {
                    Some((key.party, proto::ScoreSection::decode(known.plain.as_slice()).ok()?))
                });
                decoded.collect()
            }
        };
        let health = sections.into_iter().filter_map(|(party, section)| {
            let score = section.scores.into_iter().find(|score| score.definition == HEALTH)?;
            (score.contribution_count > 0).then_some((party, score.value_micros))
        });
        (health.collect(), late)
    }

    async fn complaints(&self, ids: &[Uuid]) -> HashMap<Uuid, usize> {
        if !self.call.allows("interactions.cases.read") {
            return HashMap::new();
        }
        let counted = complaint_count(self.cx.store.reader(), self.call.tenant(), ids);
        match tokio::time::timeout_at(self.until.into(), counted).await {
            Ok(Ok(counts)) => counts,
            Ok(Err(_)) | Err(_) => HashMap::new(),
        }
    }

    /// Fills in names that the feed does not carry, from the cards that are kept.
    async fn name(&self, shown: &mut [proto::ContextNeighbor]) {
        let nameless: Vec<Uuid> = shown
            .iter()
            .filter(|one| one.display_name.is_empty())
            .filter_map(|one| Some(PartyName::parse(&one.party).ok()?.uuid()))
            .collect();
        if nameless.is_empty() {
            return;
        }
        let cards = self.cards(&nameless).await;
        for one in shown.iter_mut().filter(|one| one.display_name.is_empty()) {
            if let Some(card) = PartyName::parse(&one.party).ok().and_then(|name| cards.get(&name.uuid())) {
                one.display_name.clone_from(&card.display_name);
            }
        }
    }

    /// The cards that are kept of parties, for a caller who may read them.
    pub(super) async fn cards(&self, parties: &[Uuid]) -> HashMap<Uuid, proto::CardSection> {
        if parties.is_empty() || !self.call.allows("stakeholders.parties.read") {
            return HashMap::new();
        }
        let kept = section_find(&self.cx.store, self.call.tenant(), parties, Some(SectionKind::Card)).await;
        let cards = kept
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(key, known)| Some((key.party, proto::CardSection::decode(known.plain.as_slice()).ok()?)));
        cards.collect()
    }

    /// Says who candidates are: by what came with the search, else by the cards that are kept.
    pub(super) async fn introduce(
        &self,
        resolution: &mut proto::CallResolution,
        named: &HashMap<Uuid, (String, Vec<String>)>,
    ) {
        if !self.call.allows("stakeholders.parties.read") {
            return;
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
            } else if let Some(card) = cards.get(&party) {
                candidate.display_name.clone_from(&card.display_name);
                candidate.role_types = card.roles.iter().map(|role| role.role_type.clone()).collect();
            }
        }
    }
}
