//! The reads on both stores.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rapport_testkit::each_store;
use rapport_testkit::place::StorePlace;
use rapport_types::{TenantId, Timestamp, Uuid, reason};

use super::{Details, Networks, Scores, When};
use crate::commands::Change;
use crate::domain::{Definition, Fact, Line, Participation, PointCause, Revision, TieChange};
use crate::fixture::{CALLER, DAY, House, OTHER, PARTY, at, fact, health, recorded};
use crate::options::ScoringOptions;

fn engagement() -> &'static Definition {
    Definition::find("engagement").unwrap()
}

/// Known since a day.
fn since(day: i64, fact: Fact) -> Fact {
    Fact { recorded_at: at(day), ..fact }
}

fn retraction(of: &Fact, day: i64) -> Fact {
    Fact {
        version: of.version + 1,
        revision: Revision::Retracted,
        recorded_at: at(day),
        participants: Vec::new(),
        ..of.clone()
    }
}

fn tie(relationship: u128, version: i64, (from, to): (u128, u128), since: i64, until: Timestamp) -> TieChange {
    TieChange {
        tenant: TenantId::local(),
        relationship: Uuid::from_u128(relationship),
        version,
        kind: "knows".to_owned(),
        from: Uuid::from_u128(from),
        to: Uuid::from_u128(to),
        weight_micros: Some(1_000_000),
        since: Some(at(since)),
        until,
        position: i64::try_from(relationship).unwrap() * 10 + version,
    }
}

each_store! {
    async fn what_was_somebody_elses_counts_for_them(place: StorePlace) {
        let house = House::new(&place).await;
        let by = |origin: Uuid, party: Option<Uuid>| vec![Participation { origin, party }];
        let to = |of: &Fact, version: i64, origin: Uuid, party: Option<Uuid>| Fact {
            version,
            revision: Revision::Amended,
            recorded_at: at(20_000 + version),
            participants: by(origin, party),
            ..of.clone()
        };
        let first = fact(1, 19_990, "complaint", PARTY);
        house.learn(vec![(1, Change::Fact(first.clone())), (2, recorded(2, 19_980, "order", PARTY))]).await;
        let before = house.score_as_of(PARTY, None).await.reading;
        // It was somebody else's: neither more nor less than what counted for the one counts for the other.
        let moved = to(&first, 2, OTHER, Some(OTHER));
        house.learn(vec![(3, Change::Fact(moved.clone()))]).await;
        let (one, other) = (house.score_as_of(PARTY, None).await.reading, house.score_as_of(OTHER, None).await.reading);
        assert_eq!((one.count, other.count), (1, 1));
        assert!(one.value_micros > before.value_micros && other.value_micros < 50_000_000);
        // As it was known before that.
        let then = When { as_of: None, known_at: Some(at(20_001)) };
        assert_eq!(house.score_when(PARTY, health(), then).await.reading.count, 2);
        assert_eq!(house.score_when(OTHER, health(), then).await.reading.count, 0);
        // By an origin that is nobody's, and to whom that is given.
        house.learn(vec![(4, Change::Fact(to(&first, 3, CALLER, None)))]).await;
        assert_eq!(house.score_as_of(OTHER, None).await.reading.count, 0);
        house.learn(vec![(5, Change::Attributed { origin: CALLER, party: OTHER })]).await;
        assert_eq!(house.score_as_of(OTHER, None).await.reading, other);
        // Back: as if nothing had been.
        house.learn(vec![(6, Change::Fact(to(&first, 4, PARTY, Some(PARTY))))]).await;
        assert_eq!(house.score_as_of(PARTY, None).await.reading, before);
        assert_eq!(house.score_as_of(OTHER, None).await.reading.count, 0);
        for party in [PARTY, OTHER] {
            let explained = house.scores.explain(&house.tenant, party, health(), When::default(), 10).await.unwrap();
            let value = house.score_as_of(party, None).await.reading.value_micros;
            assert_eq!(explained.score.reading.value_micros, value, "the lines are what is left");
        }
        // A version that comes late changes nothing.
        house.learn(vec![(7, Change::Fact(moved))]).await;
        assert_eq!(house.score_as_of(PARTY, None).await.reading, before);
    }

    async fn many_are_told_as_one_by_one(place: StorePlace) {
        let house = House::new(&place).await;
        let both = [CALLER, OTHER].map(|origin| Participation { origin, party: None });
        let stranger = Uuid::from_u128(77);
        house.learn(vec![
            (1, recorded(1, 19_990, "order", PARTY)),
            (2, recorded(2, 19_500, "complaint", PARTY)),
            (3, recorded(3, 20_500, "praise", PARTY)),
            (4, Change::Fact(Fact { participants: both.to_vec(), ..fact(4, 19_999, "complaint", CALLER) })),
            (5, recorded(5, 19_950, "inquiry", stranger)),
            (6, Change::Attributed { origin: CALLER, party: OTHER }),
        ]).await;
        // Named twice, by an alias and by the party, and one of whom nothing is known.
        let asked = [PARTY, CALLER, Uuid::from_u128(99), OTHER, PARTY, stranger];
        let definitions: Vec<&'static Definition> = Definition::all().iter().collect();
        let window = 30 * DAY;
        let details = Details { window: Some(window), reasons: 1 };
        for as_of in [None, Some(at(19_995)), Some(at(19_000)), Some(at(21_000))] {
            for details in [Details::default(), details] {
                let found = house.scores.summaries(&house.tenant, &asked, &definitions, as_of, details).await.unwrap();
                assert_eq!(found.len(), asked.len());
                for (party, summaries) in asked.iter().zip(&found) {
                    for (definition, summary) in definitions.iter().copied().zip(summaries) {
                        let alone = house.score_when(*party, definition, When { as_of, known_at: None }).await;
                        assert_eq!((summary.score.reading, summary.score.party), (alone.reading, alone.party));
                        assert_eq!((summary.score.as_of, summary.score.definition.key), (alone.as_of, definition.key));
                        assert!(!summary.omitted);
                        if details == Details::default() {
                            assert!(summary.change.is_none() && summary.reasons.is_empty());
                            continue;
                        }
                        let then = Timestamp::from_micros(alone.as_of.as_micros() - window);
                        let then = house.score_when(*party, definition, When { as_of: Some(then), known_at: None }).await;
                        assert_eq!(summary.change, Some(alone.reading.value_micros - then.reading.value_micros));
                        let explained =
                            house.scores.explain(&house.tenant, *party, definition, When { as_of, known_at: None }, 1).await.unwrap();
                        let lines: Vec<_> = explained.explanation.lines.into_iter().filter(|line| line.effect != 0).collect();
                        assert_eq!(summary.reasons.iter().map(|(line, _)| *line).collect::<Vec<_>>(), lines);
                    }
                }
            }
        }
        let foreign = house.next_door();
        let found = foreign.scores.summaries(&foreign.tenant, &asked, &definitions, None, details).await.unwrap();
        assert!(found.iter().flatten().all(|summary| summary.score.reading.count == 0));
    }

    async fn details_are_left_out_rather_than_read_without_end(place: StorePlace) {
        let house = House::new(&place).await;
        house.learn((1..=3).map(|n| (n, recorded(n as u128, 19_000 + n, "order", PARTY))).collect()).await;
        house.learn(vec![(4, recorded(4, 19_000, "order", OTHER))]).await;
        let narrow = Scores::new(house.store.clone(), ScoringOptions { log_limit: 2, ..ScoringOptions::default() });
        let details = Details { window: None, reasons: 5 };
        let found = narrow.summaries(&house.tenant, &[PARTY, OTHER], &[health()], None, details).await.unwrap();
        assert_eq!((found[0][0].omitted, found[0][0].reasons.len()), (true, 0));
        assert_eq!((found[1][0].omitted, found[1][0].reasons.len()), (false, 1));
        assert_eq!(found[0][0].score.reading, house.score_as_of(PARTY, None).await.reading);
        // As of the past there is no other way than the log.
        let past = narrow.summaries(&house.tenant, &[PARTY], &[health()], Some(at(19_001)), Details::default()).await;
        assert!(past.is_ok(), "what occurred later is not read");
        let past = narrow.summaries(&house.tenant, &[PARTY], &[health()], Some(at(19_002)), Details::default()).await;
        assert!(past.is_ok());
        house.learn(vec![(5, recorded(5, 20_500, "order", PARTY))]).await;
        let error = narrow.summaries(&house.tenant, &[PARTY], &[health()], None, Details::default()).await.unwrap_err();
        assert_eq!(error.reason, reason::BUDGET_EXCEEDED);
    }

    async fn what_is_taken_back_is_as_if_it_had_never_been_and_what_was_known_stays_known(place: StorePlace) {
        let house = House::new(&place).await;
        let order = since(19_901, fact(1, 19_900, "order", PARTY));
        let complaint = since(19_911, fact(2, 19_910, "complaint", PARTY));
        let amended = Fact { version: 2, revision: Revision::Amended, ..since(19_920, fact(1, 19_890, "praise", PARTY)) };
        house.learn(vec![(1, Change::Fact(order))]).await;
        let one = house.value(PARTY).await;
        // The retraction comes first, and the amendment is told twice.
        house.learn(vec![(2, Change::Fact(retraction(&complaint, 19_915)))]).await;
        assert_eq!(house.value(PARTY).await, one);
        house.learn(vec![(3, Change::Fact(complaint))]).await;
        assert_eq!(house.value(PARTY).await, one);
        house.learn(vec![(4, Change::Fact(amended.clone())), (5, Change::Fact(amended))]).await;
        let praised = house.next_door();
        praised.learn(vec![(1, recorded(1, 19_890, "praise", PARTY))]).await;
        for definition in Definition::all() {
            let (here, there) =
                (house.score_when(PARTY, definition, When::default()).await, praised.score_when(PARTY, definition, When::default()).await);
            assert_eq!(here.reading, there.reading, "{}", definition.slug);
        }
        let known = async |day| {
            let when = When { as_of: None, known_at: Some(at(day)) };
            house.score_when(PARTY, health(), when).await.reading
        };
        assert_eq!(known(19_900).await.count, 0);
        assert_eq!(known(19_901).await.value_micros, one);
        assert!(known(19_911).await.count == 2 && known(19_911).await.value_micros < one);
        assert_eq!(known(19_915).await.value_micros, one);
        assert_eq!(known(19_919).await.value_micros, one);
        assert_eq!(known(19_920).await, house.score_as_of(PARTY, None).await.reading);
    }

    async fn a_history_is_the_scores_of_its_moments(place: StorePlace) {
        let house = House::new(&place).await;
        house.learn((1..=4).map(|n| (n, recorded(n as u128, 19_000 + 100 * n, "order", PARTY))).collect()).await;
        let line = Line { start: at(19_150), end: at(20_000), step: None };
        let history = house.scores.history(&house.tenant, PARTY, engagement(), None, &line, (None, 10)).await.unwrap();
        let told: Vec<_> = history.points.iter().map(|point| (point.cause, point.at)).collect();
        use PointCause::{Contributions, End, Start};
        assert_eq!(
            told,
            [(Start, at(19_150)), (Contributions, at(19_200)), (Contributions, at(19_300)), (Contributions, at(19_400)), (End, at(20_000))]
        );
        for point in &history.points {
            let when = When { as_of: Some(point.at), known_at: None };
            assert_eq!(house.score_when(PARTY, engagement(), when).await.reading, point.reading);
        }
        assert!(history.points[1].effect > 0 && history.points[4].effect == 0);
        let unknown = house.scores.history(&house.tenant, PARTY, engagement(), Some(at(19_999)), &line, (None, 10)).await.unwrap();
        assert_eq!(unknown.points.iter().map(|point| point.reading.count).max(), Some(0));
    }

    async fn influence_follows_relationships(place: StorePlace) {
        let house = House::new(&place).await;
        let party = Uuid::from_u128(1);
        let now = at(20_000);
        let of = async |party: Uuid, moment: Timestamp| {
            let (_, standing, computed) = house.networks.influence(&house.tenant, party, moment).await.unwrap();
            (standing.map(|standing| (standing.place.rank, standing.ties)), computed.network.len(), computed.position)
        };
        assert_eq!(of(party, now).await, (None, 0, 0), "nothing is known");
        house.tie(vec![
            tie(1, 1, (1, 2), 19_000, Timestamp::MAX),
            tie(2, 1, (1, 3), 19_000, Timestamp::MAX),
            tie(3, 1, (4, 1), 19_000, at(19_500)),
        ]).await;
        assert_eq!(of(party, now).await, (Some((1, 2)), 3, 31));
        assert_eq!(of(party, at(19_499)).await, (Some((1, 3)), 4, 31), "as of then");
        assert_eq!(of(Uuid::from_u128(4), now).await, (None, 3, 31), "its relationship has ended");
        let first = house.networks.get(&house.tenant, now).await.unwrap();
        assert!(std::sync::Arc::ptr_eq(&first, &house.networks.get(&house.tenant, at(20_001)).await.unwrap()), "kept");
        // One ends, told by an event of an early version; and once more.
        let ended = TieChange { weight_micros: None, since: None, ..tie(2, 2, (1, 3), 0, at(19_999)) };
        house.tie(vec![ended.clone()]).await;
        house.tie(vec![TieChange { position: 99, ..ended }]).await;
        assert_eq!(of(party, now).await, (Some((1, 1)), 2, 22));
        assert_eq!(of(party, at(19_998)).await, (Some((1, 2)), 3, 22));
        // The origin of a party's relationship is read through the map.
        house.learn(vec![(9, Change::Attributed { origin: Uuid::from_u128(2), party: Uuid::from_u128(5) })]).await;
        house.tie(vec![tie(7, 1, (2, 6), 19_000, Timestamp::MAX)]).await;
        assert_eq!(of(Uuid::from_u128(2), now).await, of(Uuid::from_u128(5), now).await);
        assert_eq!(of(Uuid::from_u128(5), now).await.0, Some((1, 2)));
        let next_door = house.next_door();
        assert_eq!(next_door.networks.get(&next_door.tenant, now).await.unwrap().network.len(), 0);
        let narrow = Networks::new(house.store.clone(), ScoringOptions { relationship_limit: 3, ..ScoringOptions::default() });
        assert_eq!(narrow.get(&house.tenant, now).await.unwrap_err().reason, reason::BUDGET_EXCEEDED);
    }
}
