//! A context that was told before, sent again where nothing of it can be otherwise.

use std::time::{Duration, Instant};

use rapport_proto::interactions::v1 as proto;
use rapport_rpc::{Call, Encoded};

use super::context::About;
use super::desk_context::{Composed, Of, Wanted};
use super::desk_service::Desk;
use super::own::{CASE, COMMITMENT, HISTORY};
use super::seen::Seen;
use crate::domain::Medium;
use crate::queries::{Moment, Positions, Ready, ReadyKey, Rests, SOURCES, Section, Standing};

/// What the sections of a context take, which decides what each caller is shown.
const PERMISSIONS: [&str; 9] = [
    proto::CardSection::PERMISSION,
    proto::ScoreSection::PERMISSION,
    proto::ValueSection::PERMISSION,
    proto::LoyaltySection::PERMISSION,
    proto::ConsentSection::PERMISSION,
    proto::NetworkSection::PERMISSION,
    HISTORY,
    CASE,
    COMMITMENT,
];

impl Desk {
    /// What was told of the party before, if nothing of it can be otherwise by now: no feed spoke of it since, all of them
    /// are heard and applied, and nothing in it changes by itself.
    pub(super) async fn again(
        &self,
        call: &Call,
        key: Option<&ReadyKey>,
        budget: Duration,
        started: Instant,
    ) -> Option<Encoded> {
        let key = key?;
        let ready = self.memory.told.get(key)?;
        let about = self.about(call, Some(key.party), Medium::Phone, self.until(started, budget));
        let now = self.cx.world.now();
        let standings = SOURCES.map(|source| about.standing(source));
        let (positions, own) = about.still(ready.at(now)?, &standings).await?;
        let spent_ms = i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX);
        Some(ready.encode(&Moment { now, spent_ms, positions, own }))
    }

    /// Keeps what was told of a party, to tell it again.
    pub(super) fn remember(&self, key: Option<ReadyKey>, composed: &Composed) {
        let (Some(key), Some(rests)) = (key, &composed.rests) else { return };
        if let Some(ready) = Ready::of(&composed.context, rests.clone()) {
            self.memory.told.put(key, ready);
        }
    }
}

impl About<'_> {
    /// Whether what rests on this is all there is, and up to where of the others' feeds and of the own one that is known.
    pub(super) async fn still(&self, rests: &Rests, standings: &[Standing; 3]) -> Option<(Positions, i64)> {
        let heard = |standing: &Standing| {
            !standing.unknown && standing.reached && standing.away.is_empty() && !standing.lagging
        };
        let ahead = SOURCES.into_iter().zip(standings).any(|(source, standing)| self.ahead(source, standing) > 0);
        let positions = std::array::from_fn(|of| standings[of].position);
        if !standings.iter().all(heard) || ahead || !self.silent(rests.positions, positions, self.party?) {
            return None;
        }
        let own = self.memory.touched.reach(self.asked("interactions").position, self.until).await?;
        let touched = !self.memory.touched.untouched(rests.own, rests.concerned.iter().copied());
        (!touched).then_some((positions, own))
    }
}

/// Which context it is; none where it is not asked for by a party: whoever calls is looked up each time. None either where
/// a caller says what they have seen: only the services can say whether they have seen it too.
pub(super) fn key(call: &Call, wanted: &Wanted, seen: &Seen) -> Option<ReadyKey> {
    let Of::Party(party) = &wanted.about else { return None };
    if seen.header().is_some() {
        return None;
    }
    let medium = wanted.medium.unwrap_or(Medium::Phone).code();
    let may = PERMISSIONS.iter().fold(0, |may, permission| may << 1 | u16::from(call.allows(permission)));
    Some(ReadyKey { tenant: call.tenant().clone(), party: party.uuid(), medium, may })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;
    use rapport_types::Uuid;

    use super::*;
    use crate::fixture::{call, context};
    use crate::workers::Memory;

    fn standings(positions: Positions) -> [Standing; 3] {
        let heard =
            |position| Standing { position, unknown: false, away: String::new(), lagging: false, reached: true };
        positions.map(heard)
    }

    each_store! {
        async fn it_is_told_again_while_no_feed_speaks_of_it(place: StorePlace) {
            let cx = context(&place).await;
            let (call, memory) = (call("acme"), Memory::default());
            let (party, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
            let about = About {
                cx: &cx, memory: &memory, call: &call, at_least: None, party: Some(party), medium: Medium::Phone,
                purposes: &[], until: Instant::now() + Duration::from_secs(60),
            };
            let rests = Rests { positions: [7, 11, 5], own: 0, concerned: vec![party, other] };
            let still = async |positions: Positions| about.still(&rests, &standings(positions)).await;
            assert_eq!(still([7, 11, 5]).await, None, "nobody follows the own feed");
            memory.touched.begin(0);
            assert_eq!(still([7, 11, 5]).await, Some(([7, 11, 5], 0)));
            for of in 0..3 {
                let mut on = [7, 11, 5];
                on[of] += 1;
                assert_eq!(still(on).await, None, "nobody listens");
            }
            for feed in [&memory.stakeholders, &memory.scoring, &memory.loyalty] {
                feed.begin(0);
                feed.note(30, vec![other]);
                feed.through(30);
            }
            assert_eq!(still([7, 20, 21]).await, Some(([7, 20, 21], 0)));
            assert_eq!(still([30, 20, 21]).await, Some(([30, 20, 21], 0)));
            memory.scoring.note(19, vec![party]);
            assert_eq!(still([7, 20, 21]).await, None);
            memory.scoring.begin(0);
            memory.scoring.note(31, vec![party]);
            memory.scoring.through(31);
            assert_eq!(still([7, 20, 21]).await, None, "it was heard, and is not applied yet");
            memory.scoring.begin(0);
            memory.scoring.through(31);
            assert!(still([7, 20, 21]).await.is_some());
            // Whoever took part is concerned by what becomes of it.
            memory.touched.note(1, vec![other]);
            memory.touched.through(1);
            assert_eq!(still([7, 20, 21]).await, None);
            cx.store.close().await;
        }

        async fn it_is_put_together_anew_while_a_service_is_not_heard_in_full(place: StorePlace) {
            let cx = context(&place).await;
            let (call, memory) = (call("acme"), Memory::default());
            memory.touched.begin(0);
            let about = About {
                cx: &cx, memory: &memory, call: &call, at_least: None, party: Some(Uuid::from_u128(1)), medium: Medium::Phone,
                purposes: &[], until: Instant::now() + Duration::from_secs(60),
            };
            let rests = Rests { positions: [7, 11, 5], own: 0, concerned: Vec::new() };
            assert!(about.still(&rests, &standings([7, 11, 5])).await.is_some());
            for of in 0..3 {
                let spoil: [fn(&mut Standing); 4] = [
                    |standing| standing.unknown = true,
                    |standing| standing.away = "gone".to_owned(),
                    |standing| standing.lagging = true,
                    |standing| standing.reached = false,
                ];
                for spoil in spoil {
                    let mut standings = standings([7, 11, 5]);
                    spoil(&mut standings[of]);
                    assert_eq!(about.still(&rests, &standings).await, None, "{standings:?}");
                }
            }
            cx.store.close().await;
        }
    }
}
