use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use futures::future::join;
use prost::Message;
use rapport_proto::interactions::v1 as proto;
use rapport_store::read_error;
use rapport_types::Uuid;

use super::context::{About, Book};
use crate::domain::{PartyName, SectionKind, unhappy};
use crate::queries::{Asked, HEALTH, Heard, Standing, TIES, Unasked, hear, nameless, section_status, serve, why};
use crate::store::{Known, SectionKey, complaint_count, section_find, section_held, tie_list};

/// How many unhappy neighbours are shown.
const SHOWN: usize = 5;

/// Who is near, and how far that can be trusted.
struct Near {
    neighbors: Vec<proto::ContextNeighbor>,
    truncated: bool,
    status: proto::SectionStatus,
    /// What is to be kept of it.
    keep: Option<(SectionKey, Known)>,
}

/// A part of the section that is not fresh.
#[derive(Debug)]
struct Lack {
    source: &'static str,
    /// Why, in a sentence.
    reason: String,
    /// When what is shown in its place was said.
    said: Option<Asked>,
}

/// The status of the section without a part of it: what was fresh is no longer, and what was not has one reason more.
fn without(status: proto::SectionStatus, lack: Lack) -> proto::SectionStatus {
    match status.state() {
        proto::SectionState::Fresh => section_status(lack.source, proto::SectionState::Stale, lack.reason, lack.said),
        _ => proto::SectionStatus { reason: format!("{}; {}", status.reason, lack.reason), ..status },
    }
}

/// Of two lacks the one that shows what was said longer ago.
fn older(one: Option<Lack>, other: Lack) -> Lack {
    match one {
        Some(one) if one.said.map(|said| said.at) <= other.said.map(|said| said.at) => one,
        _ => other,
    }
}

/// The scores that are kept, whatever happened since, and when the oldest of them was said.
fn last_known(held: &Book, ids: &[Uuid]) -> (HashMap<Uuid, proto::ScoreSection>, Option<Asked>) {
    let mut scores = HashMap::new();
    let mut oldest: Option<Asked> = None;
    for (key, known) in held.iter().filter_map(|(key, held)| Some((key, held.known.as_ref()?))) {
        let section = proto::ScoreSection::decode(known.plain.as_slice());
        let (true, Ok(section)) = (ids.contains(&key.party), section) else { continue };
        let said = oldest.unwrap_or(Asked { at: known.as_of, position: known.position });
        oldest = Some(Asked { at: said.at.min(known.as_of), position: said.position.min(known.position) });
        scores.insert(key.party, section);
    }
    (scores, oldest)
}

impl About<'_> {
    /// Who near the party is unhappy. The strongest ties are looked at, as the stakeholders service tells them, else as
    /// its feed told them; a neighbour is unhappy by its score or by a complaint that is not solved.
    pub(super) async fn network(
        &self,
        book: &Book,
        stakeholders: &Standing,
        scoring: &Standing,
    ) -> (proto::NetworkSection, Vec<(SectionKey, Known)>, Vec<(SectionKey, i64)>) {
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
                return (section, Vec::new(), Vec::new());
            }
        };
        let Near { neighbors, truncated, mut status, keep } = self.near(party, book, stakeholders).await;
        let ids: Vec<Uuid> =
            neighbors.iter().filter_map(|one| Some(PartyName::parse(&one.party).ok()?.uuid())).collect();
        let looked_at = i32::try_from(ids.len()).unwrap_or(i32::MAX);
        let ((health, late, cold), (complaints, unread)) =
            join(self.health(&ids, scoring), self.complaints(&ids)).await;
        // Who is near may be fresh where how they fare is not.
        for lack in [late, unread].into_iter().flatten() {
            status = without(status, lack);
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
        // Who was asked about in passing is known in full the next time.
        let want = cold.into_iter().map(|id| (self.key(id, SectionKind::Scores, ""), scoring.position.max(1)));
        let section = proto::NetworkSection { status: Some(status), neighbors: shown, looked_at, truncated };
        (section, keep.into_iter().collect(), want.collect())
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
            heard.and(|(neighbors, truncated)| Ok(nameless(neighbors, truncated)))
        };
        let told = self.told(book, standing, "", |_: &proto::NetworkSection| true, ask).await;
        let reason = reason.into_inner().unwrap_or_default();
        let status = told.section.status.unwrap_or_default();
        if status.as_of_time.is_none() || told.nothing {
            return self.ties(party, Asked { at: self.cx.world.now(), position: standing.position }, reason).await;
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
        // The feed tells of each tie at a moment of its own.
        let status = proto::SectionStatus { as_of_time: None, ..status };
        Near { neighbors, truncated, status, keep: None }
    }

    /// The relationship health of those whose score rests on facts, why it is not fresh if it is not, and of whom nothing
    /// was kept.
    async fn health(&self, ids: &[Uuid], standing: &Standing) -> (HashMap<Uuid, i64>, Option<Lack>, Vec<Uuid>) {
        if ids.is_empty() || !self.call.allows("scoring.scores.read") {
            return (HashMap::new(), None, Vec::new());
        }
        let held = section_held(&self.cx.store, self.call.tenant(), ids, Some(SectionKind::Scores)).await;
        let held = held.unwrap_or_else(|error| {
            tracing::warn!(%error, "what is kept of scores cannot be read");
            Book::new()
        });
        let asked = Asked { at: self.cx.world.now(), position: standing.position };
        let mut lack: Option<Lack> = None;
        let (mut sections, mut unknown) = (HashMap::with_capacity(ids.len()), Vec::new());
        for id in ids {
            let row = held.get(&self.key(*id, SectionKind::Scores, ""));
            let Some(mut section) = serve::<proto::ScoreSection>(row, 0, standing, asked.at) else {
                unknown.push(*id);
                continue;
            };
            let status = section.status.take().unwrap_or_default();
            if status.state() != proto::SectionState::Fresh {
                let said = row.and_then(|row| row.known.as_ref());
                let said = said.map(|known| Asked { at: known.as_of, position: known.position });
                lack = Some(older(lack, Lack { source: "scoring", reason: status.reason, said }));
            }
            sections.insert(*id, section);
        }
        if !unknown.is_empty() {
            let asking = self.asking();
            let heard = hear(self.until, &asking, asking.scores(&unknown, false)).await;
            let reason = why(&heard, "scoring");
            let (scores, said) = match heard {
                Heard::Said(scores) | Heard::Behind(scores) => (scores, Some(asked)),
                _ => last_known(&held, &unknown),
            };
            if !reason.is_empty() {
                lack = Some(older(lack, Lack { source: "scoring", reason, said }));
            }
            sections.extend(scores);
        }
        let health = sections.into_iter().filter_map(|(party, section)| {
            let score = section.scores.into_iter().find(|score| score.definition == HEALTH)?;
            (score.contribution_count > 0).then_some((party, score.value_micros))
        });
        unknown.retain(|id| !held.contains_key(&self.key(*id, SectionKind::Scores, "")));
        (health.collect(), lack, unknown)
    }

    /// How many complaints of each are open, and why that is not known if it is not.
    async fn complaints(&self, ids: &[Uuid]) -> (HashMap<Uuid, usize>, Option<Lack>) {
        if ids.is_empty() || !self.call.allows("interactions.cases.read") {
            return (HashMap::new(), None);
        }
        let counted = complaint_count(self.cx.store.reader(), self.call.tenant(), ids);
        let reason = match tokio::time::timeout_at(self.until.into(), counted).await {
            // An answer may win against a deadline that is over; what comes late is late all the same.
            Ok(_) if Instant::now() > self.until => "open complaints were not read in time",
            Ok(Ok(counts)) => return (counts, None),
            Ok(Err(error)) => {
                let error = read_error(error);
                tracing::warn!(%error, "open complaints of neighbours cannot be read");
                "open complaints could not be read"
            }
            Err(_) => "open complaints were not read in time",
        };
        (HashMap::new(), Some(Lack { source: "interactions", reason: reason.to_owned(), said: None }))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Duration;

    use rapport_rpc::wire;
    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;
    use rapport_types::time::Timestamp;

    use super::*;
    use crate::domain::Medium;
    use crate::fixture::{Keep, call, context, keep, tenant};
    use crate::store::Tie;

    const MIDDLE: Uuid = Uuid::from_u128(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros((1_700_000_000 + seconds) * 1_000_000)
    }

    fn scores(id: u128, position: i64, seconds: i64) -> (SectionKey, Known) {
        let score = proto::ContextScore {
            definition: HEALTH.to_owned(),
            value_micros: 10_000_000,
            contribution_count: 2,
            ..proto::ContextScore::default()
        };
        let section = proto::ScoreSection { status: None, scores: vec![score] };
        let party = Uuid::from_u128(id);
        let key = SectionKey { tenant: tenant("acme"), party, kind: SectionKind::Scores, facet: String::new() };
        (key, Known { position, as_of: at(seconds), plain: section.encode_to_vec() })
    }

    fn status(state: proto::SectionState, reason: &str) -> proto::SectionStatus {
        section_status("stakeholders", state, reason.to_owned(), Some(Asked { at: at(9), position: 9 }))
    }

    #[test]
    fn what_lacks_a_part_is_not_fresh_and_says_why() {
        let lack = |said| Lack { source: "scoring", reason: "scoring is not there".to_owned(), said };
        let lacking = without(status(proto::SectionState::Fresh, ""), lack(Some(Asked { at: at(3), position: 2 })));
        assert_eq!(
            (lacking.source.as_str(), lacking.state(), lacking.position),
            ("scoring", proto::SectionState::Stale, 2)
        );
        assert_eq!(lacking.as_of_time, Some(wire::to_timestamp(at(3))));
        let worse = without(status(proto::SectionState::Stale, "stakeholders is not there"), lack(None));
        assert_eq!((worse.source.as_str(), worse.position), ("stakeholders", 9));
        assert_eq!(worse.reason, "stakeholders is not there; scoring is not there");
    }

    each_store! {
        async fn what_is_kept_is_as_old_as_the_oldest_of_it(place: StorePlace) {
            let cx = context(&place).await;
            let call = call("acme");
            let until = Instant::now() + Duration::from_secs(60);
            let about = |until: Instant| About {
                cx: &cx, call: &call, at_least: None, party: Some(MIDDLE), medium: Medium::Phone, purposes: &[], until,
            };
            let (two, three) = (Uuid::from_u128(2), Uuid::from_u128(3));
            // Nobody answers, and nothing is kept.
            let standing = about(until).standing("scoring");
            let (health, late, cold) = about(until).health(&[two, three], &standing).await;
            let late = late.unwrap();
            assert!(health.is_empty() && late.said.is_none(), "{late:?}");
            assert_eq!(cold, [two, three]);

            let tie = |neighbor: Uuid| Some(Tie {
                neighbor, relationship_type: "knows".to_owned(), weight_micros: 500_000, valid_from: None, valid_to: None,
            });
            let key = |id: u128| (tenant("acme"), MIDDLE, Uuid::from_u128(id));
            let ties = [(key(20), tie(two)), (key(30), tie(three))];
            let sections = [scores(2, 7, 20), scores(3, 4, 10), scores(9, 1, 1)];
            keep(&cx, Keep { sections: sections.into(), ties: ties.into() }).await;
            let (health, late, cold) = about(until).health(&[two, three], &standing).await;
            let late = late.unwrap();
            assert!(cold.is_empty());
            assert_eq!((health.len(), late.source, late.reason.as_str()), (2, "scoring", "scoring is not there"));
            let said = late.said.unwrap();
            assert_eq!((said.at, said.position), (at(10), 4));

            // Of ties it is not known when they were told.
            let stakeholders = Standing { position: 5, ..about(until).standing("stakeholders") };
            let (network, keep, _) = about(until).network(&Book::new(), &stakeholders, &standing).await;
            assert!(keep.is_empty());
            let status = network.status.unwrap();
            assert_eq!((status.state(), status.position, status.as_of_time), (proto::SectionState::Stale, 5, None));
            assert_eq!((network.neighbors.len(), network.looked_at), (2, 2));
            assert_eq!(status.reason, "stakeholders is not there; scoring is not there");

            let (counts, unread) = about(until).complaints(&[two]).await;
            assert!(counts.is_empty() && unread.is_none(), "{unread:?}");
            // When there is no time left, nobody is taken for glad.
            let (_, unread) = about(Instant::now() - Duration::from_secs(1)).complaints(&[two]).await;
            assert_eq!(unread.unwrap().reason, "open complaints were not read in time");
            let none = about(Instant::now() - Duration::from_secs(1)).complaints(&[]).await;
            assert!(none.1.is_none());
            cx.store.close().await;
        }

        async fn complaints_that_cannot_be_read_are_not_none(place: StorePlace) {
            let cx = context(&place).await;
            let call = call("acme");
            let until = Instant::now() + Duration::from_secs(60);
            let about = About {
                cx: &cx, call: &call, at_least: None, party: Some(MIDDLE), medium: Medium::Phone, purposes: &[], until,
            };
            cx.store.close().await;
            let (counts, unread) = about.complaints(&[Uuid::from_u128(2)]).await;
            let unread = unread.unwrap();
            assert!(counts.is_empty());
            assert_eq!((unread.source, unread.reason.as_str()), ("interactions", "open complaints could not be read"));
            let fresh = status(proto::SectionState::Fresh, "");
            assert_eq!(without(fresh, unread).state(), proto::SectionState::Stale);
        }
    }
}
