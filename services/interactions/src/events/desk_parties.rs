use std::collections::BTreeMap;

use async_trait::async_trait;
use rapport_events::{Consumer, Event};
use rapport_proto::stakeholders::v1 as proto;
use rapport_rpc::wire;
use rapport_server::Context;
use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{FieldError, TenantId, Uuid};

use super::desk::{DESK, key, learn_few};
use crate::domain::{PartyName, SectionKind};
use crate::store::{Known, SectionKey, Tie, TieKey, section_mark, section_mark_kept, section_put, tie_change};

/// The channel that a consent for every channel is looked at on: the one that a desk shows unless told otherwise. What
/// is kept of the others is behind then.
const ANY_CHANNEL: &str = "phone";

/// Learns what the desk shows of a party: its card when it changes, its consents when they do, and who is near it.
/// However many events a batch holds of a party, it is asked about once.
pub(crate) struct DeskParties {
    cx: Context,
    purposes: Vec<String>,
}

impl DeskParties {
    /// The consumer over its parts.
    pub(crate) fn new(cx: Context, purposes: Vec<String>) -> DeskParties {
        DeskParties { cx, purposes }
    }
}

/// What a batch speaks of, and what was learned of it.
#[derive(Default)]
pub(crate) struct Learned {
    /// The last event that spoke of each section.
    wanted: BTreeMap<SectionKey, i64>,
    /// Those whose consents changed on every channel, also as they live no longer or are set apart; and the last event that said so.
    everywhere: BTreeMap<(TenantId, Uuid), i64>,
    ties: BTreeMap<TieKey, Option<Tie>>,
    sections: BTreeMap<SectionKey, Known>,
}

fn micros(time: Option<&prost_types::Timestamp>) -> Option<i64> {
    time.and_then(|time| wire::timestamp(time).ok()).map(Timestamp::as_micros)
}

fn party(name: &str) -> Result<Uuid, FieldError> {
    PartyName::parse(name).map(|name| name.uuid())
}

impl Learned {
    fn spoken(events: &[Event]) -> Result<Learned, Error> {
        let mut spoken = Learned::default();
        for event in events {
            if let Some(consent) = event.decode::<proto::ConsentRecorded>() {
                let consent = consent?;
                let party = party(&consent.party).map_err(|error| error.at("party"))?;
                let channel = if consent.channel.is_empty() {
                    spoken.everywhere.insert((event.tenant.clone(), party), event.position);
                    ANY_CHANNEL.to_owned()
                } else {
                    consent.channel
                };
                let key = SectionKey { facet: channel, ..key(&event.tenant, party, SectionKind::Consents) };
                spoken.wanted.insert(key, event.position);
            } else if let Some(changed) = card_of(event) {
                let party = party(&changed?).map_err(|error| error.at("party"))?;
                spoken.wanted.insert(key(&event.tenant, party, SectionKind::Card), event.position);
                if event.decode::<proto::PartyUpdated>().is_some_and(|told| told.is_ok_and(|told| addressed(&told))) {
                    spoken.everywhere.insert((event.tenant.clone(), party), event.position);
                }
            } else if let Some(created) = event.decode::<proto::RelationshipCreated>() {
                let created = created?;
                spoken.tie(event, &created.relationship, &created.from_party, &created.to_party, |neighbor| {
                    Some(Tie {
                        neighbor,
                        relationship_type: created.relationship_type.clone(),
                        weight_micros: created.weight_micros,
                        valid_from: micros(created.valid_from_time.as_ref()),
                        valid_to: micros(created.valid_to_time.as_ref()),
                    })
                })?;
            } else if let Some(updated) = event.decode::<proto::RelationshipUpdated>() {
                let updated = updated?;
                let valid_to = micros(updated.valid_to_time.as_ref());
                let over = valid_to.is_some_and(|end| end <= event.recorded_at.as_micros());
                spoken.tie(event, &updated.relationship, &updated.from_party, &updated.to_party, |neighbor| {
                    let tie = Tie {
                        neighbor,
                        relationship_type: updated.relationship_type.clone(),
                        weight_micros: updated.weight_micros,
                        valid_from: micros(updated.valid_from_time.as_ref()),
                        valid_to,
                    };
                    (!over).then_some(tie)
                })?;
            } else if let Some(ended) = event.decode::<proto::RelationshipEnded>() {
                let ended = ended?;
                // One that is to end later holds until then.
                let valid_to = micros(ended.valid_to_time.as_ref()).filter(|end| *end > event.recorded_at.as_micros());
                spoken.tie(event, &ended.relationship, &ended.from_party, &ended.to_party, |neighbor| {
                    Some(Tie {
                        neighbor,
                        relationship_type: ended.relationship_type.clone(),
                        weight_micros: ended.weight_micros,
                        valid_from: micros(ended.valid_from_time.as_ref()),
                        valid_to: Some(valid_to?),
                    })
                })?;
            }
        }
        Ok(spoken)
    }

    /// Both ends of a relationship. The last event of a batch says what holds.
    fn tie(
        &mut self,
        event: &Event,
        relationship: &str,
        from: &str,
        to: &str,
        tie: impl Fn(Uuid) -> Option<Tie>,
    ) -> Result<(), Error> {
        let relationship = RelationshipName::parse(relationship).map_err(|error| error.at("relationship"))?.uuid();
        let from = party(from).map_err(|error| error.at("from_party"))?;
        let to = party(to).map_err(|error| error.at("to_party"))?;
        self.ties.insert((event.tenant.clone(), from, relationship), tie(to));
        self.ties.insert((event.tenant.clone(), to, relationship), tie(from));
        for party in [from, to] {
            self.wanted.insert(key(&event.tenant, party, SectionKind::Near), event.position);
        }
        Ok(())
    }
}

rapport_types::resource_name!(RelationshipName, "relationships", "relationship");

/// The parties that an event speaks of as far as the desk shows them: no row of anybody else says anything else after it.
///
/// # Errors
/// A bug, where the event cannot be read.
pub(super) fn of_parties(event: &Event) -> Result<Vec<Uuid>, Error> {
    let spoken = Learned::spoken(std::slice::from_ref(event))?;
    Ok(spoken.wanted.into_keys().map(|key| key.party).collect())
}

/// Whether an update may change how a party may be addressed, on whatever channel.
fn addressed(told: &proto::PartyUpdated) -> bool {
    told.ceased || told.changed_paths.iter().any(|path| path == "cessation" || path == "lifecycle")
}

/// The name of the party whose card an event may have changed.
fn card_of(event: &Event) -> Option<Result<String, Error>> {
    if let Some(created) = event.decode::<proto::PartyCreated>() {
        return Some(created.map(|event| event.party));
    }
    if let Some(updated) = event.decode::<proto::PartyUpdated>() {
        return Some(updated.map(|event| event.party));
    }
    if let Some(assigned) = event.decode::<proto::RoleAssigned>() {
        return Some(assigned.map(|event| event.party));
    }
    event.decode::<proto::RoleEnded>().map(|ended| ended.map(|event| event.party))
}

#[async_trait]
impl Consumer for DeskParties {
    type Gathered = Learned;

    fn name(&self) -> &'static str {
        DESK
    }

    fn source(&self) -> &'static str {
        "stakeholders"
    }

    async fn gather(&self, events: &[Event]) -> Result<Learned, Error> {
        let spoken = Learned::spoken(events)?;
        let kinds = [SectionKind::Card, SectionKind::Consents, SectionKind::Near];
        let sections = learn_few(&self.cx, &self.purposes, events, &spoken.wanted, &kinds).await?;
        Ok(Learned { sections, ..spoken })
    }

    async fn apply(&self, tx: &Tx, _events: &[Event], learned: &Learned, _out: &mut Outbox) -> Result<(), StoreError> {
        section_mark(tx, &learned.wanted).await?;
        section_mark_kept(tx, &learned.everywhere, SectionKind::Consents).await?;
        section_put(tx, &learned.sections).await?;
        tie_change(tx, &learned.ties).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use prost::{Message, Name};
    use rapport_proto::interactions::v1 as desk;
    use rapport_rpc::Transport;
    use rapport_store::Work;
    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;

    use super::*;
    use crate::fixture::{Keep, consents, context_among, keep, tenant};
    use crate::store::section_held;

    fn event<P: Name>(position: i64, payload: &P) -> Event {
        Event {
            source: "stakeholders".to_owned(),
            epoch: "e".to_owned(),
            position,
            tenant: TenantId::parse("acme").unwrap(),
            kind: P::full_name(),
            aggregate: String::new(),
            version: 1,
            occurred_at: Timestamp::from_micros(0),
            recorded_at: Timestamp::from_micros(0),
            traceparent: None,
            payload: payload.encode_to_vec().into(),
        }
    }

    fn name(id: u128) -> String {
        PartyName::new(Uuid::from_u128(id)).to_string()
    }

    #[test]
    fn a_party_is_asked_about_once_and_the_last_word_on_a_tie_counts() {
        let relationship = format!("relationships/{}", Uuid::from_u128(9));
        let created = proto::RelationshipCreated {
            relationship: relationship.clone(),
            relationship_type: "knows".to_owned(),
            from_party: name(1),
            to_party: name(2),
            weight_micros: 500_000,
            ..proto::RelationshipCreated::default()
        };
        let ended = proto::RelationshipEnded {
            relationship,
            from_party: name(1),
            to_party: name(2),
            ..proto::RelationshipEnded::default()
        };
        let role = proto::RoleAssigned { party: name(1), ..proto::RoleAssigned::default() };
        let consent = proto::ConsentRecorded { party: name(1), ..proto::ConsentRecorded::default() };
        let mut events = vec![event(1, &role), event(2, &role), event(3, &created), event(4, &consent)];
        let spoken = Learned::spoken(&events).unwrap();
        let of = |kind: SectionKind| -> Vec<(&SectionKey, i64)> {
            spoken.wanted.iter().filter(|(key, _)| key.kind == kind).map(|(key, at)| (key, *at)).collect()
        };
        assert_eq!(of(SectionKind::Card).iter().map(|(_, at)| *at).collect::<Vec<_>>(), [2]);
        assert_eq!(of(SectionKind::Near).iter().map(|(_, at)| *at).collect::<Vec<_>>(), [3, 3]);
        assert_eq!(spoken.ties.len(), 2);
        assert!(spoken.ties.values().all(Option::is_some));
        assert_eq!(of(SectionKind::Consents)[0].0.facet, "phone");
        for (at, parties) in [(0, &[1][..]), (2, &[1, 2]), (3, &[1])] {
            assert_eq!(
                of_parties(&events[at]).unwrap(),
                parties.iter().map(|id| Uuid::from_u128(*id)).collect::<Vec<_>>()
            );
        }
        events.push(event(5, &ended));
        assert!(Learned::spoken(&events).unwrap().ties.values().all(Option::is_none));
    }

    /// Everybody refuses everything.
    fn refusing() -> BTreeMap<String, Transport> {
        consents(|_| {
            let reason = proto::ConsentReason::Withdrawn.into();
            Ok(proto::CheckConsentResponse { reason, ..proto::CheckConsentResponse::default() })
        })
    }

    /// A batch of the feed.
    struct Batch {
        consumer: DeskParties,
        events: Vec<Event>,
        learned: Learned,
    }

    #[async_trait]
    impl Work for Batch {
        type Output = ();

        async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<(), StoreError> {
            self.consumer.apply(tx, &self.events, &self.learned, out).await
        }
    }

    async fn hand(cx: &Context, events: Vec<Event>) {
        let consumer = DeskParties::new(cx.clone(), vec!["marketing".to_owned()]);
        let learned = consumer.gather(&events).await.unwrap();
        cx.store.run(Batch { consumer, events, learned }).await.unwrap();
    }

    fn kept(of: &str, id: u128, facet: &str, position: i64) -> (SectionKey, Known) {
        let consent = desk::ContextConsent { purpose: "marketing".to_owned(), allowed: true, ..Default::default() };
        let section = desk::ConsentSection { status: None, consents: vec![consent] };
        let (tenant, party, facet) = (tenant(of), Uuid::from_u128(id), facet.to_owned());
        let key = SectionKey { tenant, party, kind: SectionKind::Consents, facet };
        (key, Known { position, as_of: Timestamp::from_micros(0), plain: section.encode_to_vec() })
    }

    /// The channels whose consents are kept of a party, and whether they allow anything.
    async fn channels(cx: &Context, of: &str, id: u128) -> Vec<(String, bool)> {
        let found = section_held(&cx.store, &tenant(of), &[Uuid::from_u128(id)], Some(SectionKind::Consents)).await;
        let allows = |known: &Known| {
            let section = desk::ConsentSection::decode(known.plain.as_slice()).unwrap();
            section.consents.iter().any(|one| one.allowed)
        };
        let found = found.unwrap().into_iter().filter(|(_, held)| !held.behind());
        found.map(|(key, held)| (key.facet, allows(&held.known.unwrap()))).collect()
    }

    each_store! {
        async fn a_consent_on_every_channel_leaves_nothing_that_says_otherwise(place: StorePlace) {
            let cx = context_among(&place, refusing()).await;
            let card = SectionKey { kind: SectionKind::Card, ..kept("acme", 1, "", 3).0 };
            let sections = [
                kept("acme", 1, "email", 3),
                kept("acme", 1, "phone", 3),
                kept("acme", 1, "sms", 3),
                kept("acme", 2, "email", 3),
                kept("other", 1, "email", 3),
                (card.clone(), kept("acme", 1, "", 3).1),
            ];
            keep(&cx, Keep { sections: sections.into(), ..Keep::default() }).await;
            let consent = |id: u128, channel: &str| proto::ConsentRecorded {
                party: name(id), channel: channel.to_owned(), ..proto::ConsentRecorded::default()
            };
            let shown = |channels: &[(&str, bool)]| -> Vec<(String, bool)> {
                channels.iter().map(|(channel, allowed)| ((*channel).to_owned(), *allowed)).collect()
            };
            // On one channel: the others stand.
            hand(&cx, vec![event(4, &consent(1, "sms"))]).await;
            assert_eq!(channels(&cx, "acme", 1).await, shown(&[("email", true), ("phone", true), ("sms", false)]));
            // On all of them: what was learned of one stays, and nobody says anything of the others.
            hand(&cx, vec![event(5, &consent(1, ""))]).await;
            assert_eq!(channels(&cx, "acme", 1).await, shown(&[("phone", false)]));
            assert_eq!(channels(&cx, "acme", 2).await, shown(&[("email", true)]));
            assert_eq!(channels(&cx, "other", 1).await, shown(&[("email", true)]));
            let cards = section_held(&cx.store, &card.tenant, &[card.party], Some(SectionKind::Card)).await.unwrap();
            assert!(cards.len() == 1 && cards[&card].known.is_some());
            // Two in a batch: both are learned.
            hand(&cx, vec![event(6, &consent(2, "email")), event(7, &consent(2, ""))]).await;
            assert_eq!(channels(&cx, "acme", 2).await, shown(&[("email", false), ("phone", false)]));
            // What somebody heard after it stays, though the batch comes again.
            keep(&cx, Keep { sections: [kept("acme", 1, "email", 8)].into(), ..Keep::default() }).await;
            hand(&cx, vec![event(5, &consent(1, ""))]).await;
            assert_eq!(channels(&cx, "acme", 1).await, shown(&[("email", true), ("phone", false)]));
            cx.store.close().await;
        }
    }
}
