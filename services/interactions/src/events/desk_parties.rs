use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use prost::Message;
use rapport_events::{Consumer, Event};
use rapport_proto::interactions::v1 as desk;
use rapport_proto::stakeholders::v1 as proto;
use rapport_rpc::wire;
use rapport_server::Context;
use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::error::{Error, Kind};
use rapport_types::time::Timestamp;
use rapport_types::{FieldError, TenantId, Uuid};

use crate::domain::{PartyName, SectionKind};
use crate::queries::Asking;
use crate::store::{Known, SectionKey, Tie, TieKey, section_drop, section_put, tie_change};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many parties are asked about at once, where each takes a question of its own.
const SIDE_BY_SIDE: usize = 8;
/// The channel that a consent for every channel is looked at on: the one that a desk shows unless told otherwise. What
/// is kept of the others is forgotten then, and learned again when somebody asks.
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

impl DeskParties {
    async fn consents(
        &self,
        (tenant, party, channel): &Consented,
        position: i64,
        trace: Option<&str>,
    ) -> Result<(SectionKey, Known), Error> {
        let as_of = self.cx.world.now();
        let asking = Asking::new(&self.cx, tenant, PATIENCE, trace);
        let section = match asking.consents(*party, channel, &self.purposes).await {
            Ok(section) => section,
            // Somebody who is no longer there consents to nothing.
            Err(error) if error.kind == Kind::NotFound => desk::ConsentSection::default(),
            Err(error) => return Err(error),
        };
        let (tenant, facet) = (tenant.clone(), channel.clone());
        let key = SectionKey { tenant, party: *party, kind: SectionKind::Consents, facet };
        Ok((key, Known { position, as_of, plain: section.encode_to_vec() }))
    }
}

/// Whose consents changed, on which channel.
type Consented = (TenantId, Uuid, String);

/// What a batch changes.
#[derive(Default)]
pub(crate) struct Learned {
    sections: BTreeMap<SectionKey, Known>,
    /// Those whose consents changed on every channel.
    everywhere: BTreeSet<(TenantId, Uuid)>,
    ties: BTreeMap<TieKey, Option<Tie>>,
}

/// What a batch speaks of.
#[derive(Default)]
struct Spoken {
    cards: BTreeMap<TenantId, BTreeSet<Uuid>>,
    consents: BTreeSet<Consented>,
    /// Those whose consents changed on every channel.
    everywhere: BTreeSet<(TenantId, Uuid)>,
    ties: BTreeMap<TieKey, Option<Tie>>,
}

fn micros(time: Option<&prost_types::Timestamp>) -> Option<i64> {
    time.and_then(|time| wire::timestamp(time).ok()).map(Timestamp::as_micros)
}

fn party(name: &str) -> Result<Uuid, FieldError> {
    PartyName::parse(name).map(|name| name.uuid())
}

impl Spoken {
    fn of(events: &[Event]) -> Result<Spoken, Error> {
        let mut spoken = Spoken::default();
        for event in events {
            if let Some(consent) = event.decode::<proto::ConsentRecorded>() {
                let consent = consent?;
                let party = party(&consent.party).map_err(|error| error.at("party"))?;
                let channel = if consent.channel.is_empty() {
                    spoken.everywhere.insert((event.tenant.clone(), party));
                    ANY_CHANNEL.to_owned()
                } else {
                    consent.channel
                };
                spoken.consents.insert((event.tenant.clone(), party, channel));
            } else if let Some(changed) = card_of(event) {
                let party = party(&changed?).map_err(|error| error.at("party"))?;
                spoken.cards.entry(event.tenant.clone()).or_default().insert(party);
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
        Ok(())
    }
}

rapport_types::resource_name!(RelationshipName, "relationships", "relationship");

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
        "desk"
    }

    fn source(&self) -> &'static str {
        "stakeholders"
    }

    async fn gather(&self, events: &[Event]) -> Result<Learned, Error> {
        let spoken = Spoken::of(events)?;
        let position = events.last().map_or(0, |event| event.position);
        let trace = events.last().and_then(|event| event.traceparent.as_deref());
        let mut learned = Learned { sections: BTreeMap::new(), everywhere: spoken.everywhere, ties: spoken.ties };
        for (tenant, parties) in spoken.cards {
            let as_of = self.cx.world.now();
            let asking = Asking::new(&self.cx, &tenant, PATIENCE, trace);
            let parties: Vec<Uuid> = parties.into_iter().collect();
            for (party, card) in asking.cards(&parties).await? {
                let key = SectionKey { tenant: tenant.clone(), party, kind: SectionKind::Card, facet: String::new() };
                learned.sections.insert(key, Known { position, as_of, plain: card.encode_to_vec() });
            }
        }
        let consents: Vec<Consented> = spoken.consents.into_iter().collect();
        for some in consents.chunks(SIDE_BY_SIDE) {
            let mut asked = Vec::with_capacity(some.len());
            for consented in some {
                asked.push(self.consents(consented, position, trace));
            }
            learned.sections.extend(try_join_all(asked).await?);
        }
        Ok(learned)
    }

    async fn apply(&self, tx: &Tx, events: &[Event], learned: &Learned, _out: &mut Outbox) -> Result<(), StoreError> {
        let position = events.last().map_or(0, |event| event.position);
        section_drop(tx, &learned.everywhere, SectionKind::Consents, position).await?;
        section_put(tx, &learned.sections).await?;
        tie_change(tx, &learned.ties).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use prost::Name;
    use proto::privacy_service_server::{PrivacyService, PrivacyServiceServer};
    use rapport_rpc::Transport;
    use rapport_store::Work;
    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;
    use tonic::transport::server::{Server, TcpIncoming};
    use tonic::{Request, Response, Status};

    use super::*;
    use crate::fixture::{Keep, context_among, keep, tenant};
    use crate::store::section_find;

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
        let spoken = Spoken::of(&events).unwrap();
        assert_eq!(spoken.cards.values().map(BTreeSet::len).sum::<usize>(), 1);
        assert_eq!(spoken.ties.len(), 2);
        assert!(spoken.ties.values().all(Option::is_some));
        assert_eq!(spoken.consents.first().unwrap().2, "phone");
        events.push(event(5, &ended));
        assert!(Spoken::of(&events).unwrap().ties.values().all(Option::is_none));
    }

    /// A stakeholders service where everybody refuses everything.
    struct Refusing;

    #[tonic::async_trait]
    impl PrivacyService for Refusing {
        async fn record_consent(
            &self,
            _: Request<proto::RecordConsentRequest>,
        ) -> Result<Response<proto::Consent>, Status> {
            Ok(Response::new(proto::Consent::default()))
        }

        async fn check_consent(
            &self,
            _: Request<proto::CheckConsentRequest>,
        ) -> Result<Response<proto::CheckConsentResponse>, Status> {
            let reason = proto::ConsentReason::Withdrawn.into();
            Ok(Response::new(proto::CheckConsentResponse { reason, ..proto::CheckConsentResponse::default() }))
        }
    }

    /// Where it is.
    fn refusing() -> Transport {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = format!("http://{}", incoming.local_addr().unwrap());
        tokio::spawn(Server::builder().add_service(PrivacyServiceServer::new(Refusing)).serve_with_incoming(incoming));
        Transport::network(&address).unwrap()
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
        let found = section_find(&cx.store, &tenant(of), &[Uuid::from_u128(id)], Some(SectionKind::Consents)).await;
        let allows = |known: &Known| {
            let section = desk::ConsentSection::decode(known.plain.as_slice()).unwrap();
            section.consents.iter().any(|one| one.allowed)
        };
        found.unwrap().into_iter().map(|(key, known)| (key.facet, allows(&known))).collect()
    }

    each_store! {
        async fn a_consent_on_every_channel_leaves_nothing_kept_that_says_otherwise(place: StorePlace) {
            let cx = context_among(&place, [("stakeholders".to_owned(), refusing())].into()).await;
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
            let cards = section_find(&cx.store, &card.tenant, &[card.party], Some(SectionKind::Card)).await.unwrap();
            assert_eq!(cards.len(), 1);
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
