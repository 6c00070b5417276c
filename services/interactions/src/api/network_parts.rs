//! How those near a party fare, by what each service knows of them, and what of that is not fresh.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;
use rapport_store::read_error;
use rapport_types::Uuid;

use super::context::{About, Book};
use crate::domain::{Matters, SectionKind};
use crate::queries::{Asked, HEALTH, Heard, InfluenceSection, Section, Standing, hear, section_status, serve, why};
use crate::store::{Counted, Known, SectionKey, matters_count, section_held};

/// What is due within so long is waited for.
const SOON: Duration = Duration::from_secs(24 * 3_600);

/// How influential those near are, what that lacks, and what is to be kept or asked for.
#[derive(Default)]
pub(super) struct Influence {
    /// The share of others that each is ahead of, in millionths.
    pub(super) ahead: HashMap<Uuid, i64>,
    /// Why it is not fresh, if it is not.
    pub(super) lack: Option<Lack>,
    /// What is to be kept.
    pub(super) keep: Option<(SectionKey, Known)>,
    /// Nothing was known of it: it is asked for beside the answer.
    pub(super) cold: bool,
}

/// A part of the section that is not fresh.
#[derive(Debug)]
pub(super) struct Lack {
    source: &'static str,
    /// Why, in a sentence.
    reason: String,
    /// When what is shown in its place was said.
    said: Option<Asked>,
}

impl Lack {
    /// What a section of another service lacks; nothing where it is fresh, where there is nothing, and where the caller may not
    /// read it.
    fn of(source: &'static str, status: &proto::SectionStatus) -> Option<Lack> {
        use proto::SectionState::{Pending, Stale};
        let said = status.as_of_time.as_ref().and_then(|time| wire::timestamp(time).ok());
        let said = said.map(|at| Asked { at, position: status.position });
        matches!(status.state(), Pending | Stale).then(|| Lack { source, reason: status.reason.clone(), said })
    }

    /// A part that another service did not say as it is now.
    pub(super) fn new(source: &'static str, reason: String, said: Option<Asked>) -> Lack {
        Lack { source, reason, said }
    }

    /// Of two lacks the one that shows what was said longer ago.
    pub(super) fn older(one: Option<Lack>, other: Lack) -> Lack {
        match one {
            Some(one) if one.said.map(|said| said.at) <= other.said.map(|said| said.at) => one,
            _ => other,
        }
    }

    /// The sections that are kept, whatever happened since, and when the oldest of them was said.
    pub(super) fn last_known<S: Section>(held: &Book, ids: &[Uuid]) -> (HashMap<Uuid, S>, Option<Asked>) {
        let mut sections = HashMap::new();
        let mut oldest: Option<Asked> = None;
        for (key, known) in held.iter().filter_map(|(key, held)| Some((key, held.known.as_ref()?))) {
            let section = S::decode(known.plain.as_slice());
            let (true, Ok(section)) = (ids.contains(&key.party), section) else { continue };
            let said = oldest.unwrap_or(Asked { at: known.as_of, position: known.position });
            oldest = Some(Asked { at: said.at.min(known.as_of), position: said.position.min(known.position) });
            sections.insert(key.party, section);
        }
        (sections, oldest)
    }
}

/// The status of the section without a part of it: what was fresh is no longer, and what was not has one reason more.
pub(super) fn without(status: proto::SectionStatus, lack: Lack) -> proto::SectionStatus {
    match status.state() {
        proto::SectionState::Fresh => section_status(lack.source, proto::SectionState::Stale, lack.reason, lack.said),
        // One service that is not there is told of once.
        _ if status.reason.split("; ").any(|known| known == lack.reason) => status,
        _ => proto::SectionStatus { reason: format!("{}; {}", status.reason, lack.reason), ..status },
    }
}

impl About<'_> {
    /// The relationship health of those whose score rests on facts, why it is not fresh if it is not, and of whom nothing
    /// was kept.
    pub(super) async fn health(
        &self,
        ids: &[Uuid],
        standing: &Standing,
    ) -> (HashMap<Uuid, i64>, Option<Lack>, Vec<Uuid>) {
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
                lack = Some(Lack::older(lack, Lack::new("scoring", status.reason, said)));
            }
            sections.insert(*id, section);
        }
        if !unknown.is_empty() {
            let asking = self.asking();
            let heard = hear(self.until, &asking, Box::pin(asking.scores(&unknown, false))).await;
            let reason = why(&heard, "scoring");
            let (scores, said) = match heard {
                Heard::Said(scores) | Heard::Behind(scores) => (scores, Some(asked)),
                _ => Lack::last_known::<proto::ScoreSection>(&held, &unknown),
            };
            if !reason.is_empty() {
                lack = Some(Lack::older(lack, Lack::new("scoring", reason, said)));
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

    /// How influential those near are, as scoring said it within the last hour, else as it says it now.
    pub(super) async fn influence(&self, ids: &[Uuid], book: &Book, standing: &Standing) -> Influence {
        if ids.is_empty() {
            return Influence::default();
        }
        // Somebody may be near who was not when it was said.
        let of_all = |section: &InfluenceSection| {
            let status = section.status.as_ref();
            status.is_some_and(|status| status.state() == proto::SectionState::Missing)
                || ids.iter().all(|id| section.knows(*id))
        };
        let ask = async || {
            if let Err(unasked) = self.permitted(InfluenceSection::PERMISSION) {
                return unasked.into();
            }
            let asking = self.asking();
            hear(self.until, &asking, asking.influence(ids)).await.and(|influence| influence)
        };
        let told = self.told(book, standing, "", of_all, ask).await;
        let status = told.section.status.clone().unwrap_or_default();
        Influence {
            lack: Lack::of("scoring", &status),
            cold: status.state() == proto::SectionState::Pending && status.as_of_time.is_none(),
            keep: told.keep,
            ahead: told.section.ahead().collect(),
        }
    }

    /// What each waits for, and why that is not known if it is not. It is read now, as it is our own.
    pub(super) async fn matters(&self, ids: &[Uuid]) -> (HashMap<Uuid, Matters>, Option<Lack>) {
        let now = self.cx.world.now();
        let promises = self.call.allows("interactions.commitments.read").then(|| (now, now.saturating_add(SOON)));
        let counted = Counted { cases: self.call.allows("interactions.cases.read"), promises };
        if ids.is_empty() || !(counted.cases || counted.promises.is_some()) {
            return (HashMap::new(), None);
        }
        let counting = matters_count(self.cx.store.reader(), self.call.tenant(), ids, counted);
        let reason = match tokio::time::timeout_at(self.until.into(), counting).await {
            // An answer may win against a deadline that is over; what comes late is late all the same.
            Ok(_) if Instant::now() > self.until => "open cases and promises were not read in time",
            Ok(Ok(matters)) => return (matters, None),
            Ok(Err(error)) => {
                let error = read_error(error);
                tracing::warn!(%error, "what neighbours wait for cannot be read");
                "open cases and promises could not be read"
            }
            Err(_) => "open cases and promises were not read in time",
        };
        (HashMap::new(), Some(Lack { source: "interactions", reason: reason.to_owned(), said: None }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use prost::Message;
    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;
    use rapport_types::time::Timestamp;

    use super::*;
    use crate::domain::Medium;
    use crate::fixture::{Keep, call, context, keep, tenant};
    use crate::store::Tie;
    use crate::workers::Memory;

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
        // Scores and influence are of one service: it is named once.
        assert_eq!(without(worse.clone(), lack(None)).reason, worse.reason);
    }

    each_store! {
        async fn what_is_kept_is_as_old_as_the_oldest_of_it(place: StorePlace) {
            let cx = context(&place).await;
            let call = call("acme");
            let until = Instant::now() + Duration::from_secs(60);
            let memory = Memory::default();
            let about = |until: Instant| About {
                cx: &cx, memory: &memory, call: &call, at_least: None, party: Some(MIDDLE), medium: Medium::Phone, purposes: &[], until,
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
            let told = about(until).network(&Book::new(), &stakeholders, &standing).await;
            assert!(told.keep.is_empty() && told.bonds.is_empty());
            let network = told.section;
            let status = network.status.unwrap();
            assert_eq!((status.state(), status.position, status.as_of_time), (proto::SectionState::Stale, 5, None));
            assert_eq!((network.neighbors.len(), network.looked_at), (2, 2));
            let kinds = |one: &proto::ContextNeighbor| one.reasons.iter().map(|one| one.kind()).collect::<Vec<_>>();
            assert!(network.neighbors.iter().all(|one| kinds(one) == [proto::NeighborReasonKind::Unhappy]));
            assert_eq!(status.reason, "stakeholders is not there; scoring is not there");

            let (counts, unread) = about(until).matters(&[two]).await;
            assert!(counts.is_empty() && unread.is_none(), "{unread:?}");
            // When there is no time left, nobody is taken for glad.
            let (_, unread) = about(Instant::now() - Duration::from_secs(1)).matters(&[two]).await;
            assert_eq!(unread.unwrap().reason, "open cases and promises were not read in time");
            let none = about(Instant::now() - Duration::from_secs(1)).matters(&[]).await;
            assert!(none.1.is_none());
            cx.store.close().await;
        }

        async fn what_cannot_be_read_is_not_none(place: StorePlace) {
            let cx = context(&place).await;
            let call = call("acme");
            let until = Instant::now() + Duration::from_secs(60);
            let about = About {
                cx: &cx, memory: &Memory::default(), call: &call, at_least: None, party: Some(MIDDLE), medium: Medium::Phone, purposes: &[], until,
            };
            cx.store.close().await;
            let (counts, unread) = about.matters(&[Uuid::from_u128(2)]).await;
            let unread = unread.unwrap();
            assert!(counts.is_empty());
            assert_eq!((unread.source, unread.reason.as_str()), ("interactions", "open cases and promises could not be read"));
            let fresh = status(proto::SectionState::Fresh, "");
            assert_eq!(without(fresh, unread).state(), proto::SectionState::Stale);
        }
    }
}
