//! How those near a party fare, by what each service knows of them, and what of that is not fresh.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rapport_proto::interactions::v1 as proto;
use rapport_store::read_error;
use rapport_types::Uuid;

use super::context::{About, Book};
use super::network_kept::Several;
use super::network_lack::Lack;
use crate::domain::Matters;
use crate::queries::{Asking, HEALTH, InfluenceSection, Section, Standing, hear};
use crate::store::{Counted, Known, SectionKey, matters_count};

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

impl About<'_> {
    /// The relationship health of those whose score rests on facts, why it is not fresh if it is not, and of whom nothing
    /// was kept.
    pub(super) async fn health(
        &self,
        ids: &[Uuid],
        standing: &Standing,
    ) -> (HashMap<Uuid, i64>, Option<Lack>, Vec<Uuid>) {
        let ask = async |asking: &Asking<'_>, ids: &[Uuid]| asking.scores(ids, false).await;
        let Several { sections, lack, cold } = self.several::<proto::ScoreSection>(ids, standing, ask).await;
        let health = sections.into_iter().filter_map(|(party, section)| {
            let score = section.scores.into_iter().find(|score| score.definition == HEALTH)?;
            (score.contribution_count > 0).then_some((party, score.value_micros))
        });
        (health.collect(), lack, cold)
    }

    /// How influential those near are, as scoring said it within the last hour, else as it says it now.
    pub(super) async fn influence(&self, ids: &[Uuid], book: &Book, standing: &Standing) -> Influence {
        if ids.is_empty() {
            return Influence::default();
        }
        // Somebody may be near who was not when it was said.
        let of_all = |section: &InfluenceSection| section.nothing() || ids.iter().all(|id| section.knows(*id));
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
        (HashMap::new(), Some(Lack::new("interactions", reason.to_owned(), None)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use prost::Message;
    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;
    use rapport_types::time::Timestamp;

    use super::super::network_lack::without;
    use super::*;
    use crate::domain::{Medium, SectionKind};
    use crate::fixture::{Keep, call, context, keep, tenant};
    use crate::queries::section_status;
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
            let fresh = section_status("stakeholders", proto::SectionState::Fresh, String::new(), None);
            assert_eq!(without(fresh, unread).state(), proto::SectionState::Stale);
        }
    }
}
