use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use rapport_events::{Consumer, Event};
use rapport_proto::stakeholders::v1 as proto;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_rpc::{error_of, outgoing, wire};
use rapport_server::Context;
use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::produced::origin_attributed;
use crate::domain::{Identifier, PartyName, next};
use crate::store::{HolderRow, holder_replace, identifier_find, identifier_move};

/// How many parties are asked for at once: their answer has to fit into one message, however much is known of them.
const ASK: usize = 50;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Learns from the stakeholders service whose an identifier is: keeps the index that resolves participants who are
/// named by an identifier alone, and tells when an origin came to belong to a party.
pub(crate) struct Identity {
    cx: Context,
}

impl Identity {
    /// The consumer over its parts.
    pub(crate) fn new(cx: Context) -> Identity {
        Identity { cx }
    }

    async fn ask(
        &self,
        tenant: &TenantId,
        names: Vec<String>,
        trace: Option<&str>,
    ) -> Result<Vec<proto::Party>, Error> {
        let mut parties = PartyServiceClient::new(self.cx.peers.transport("stakeholders"));
        let request = outgoing(tenant, PATIENCE, trace, proto::BatchGetPartiesRequest { names });
        let answer = parties.batch_get_parties(request).await.map_err(error_of)?;
        Ok(answer.into_inner().parties)
    }
}

/// What the parties of a batch hold now.
pub(crate) struct Holdings {
    /// The parties that were asked for; one that no longer exists holds nothing.
    parties: HashSet<(TenantId, Uuid)>,
    rows: Vec<HolderRow>,
}

#[async_trait]
impl Consumer for Identity {
    type Gathered = Holdings;

    fn name(&self) -> &'static str {
        "identity"
    }

    fn source(&self) -> &'static str {
        "stakeholders"
    }

    async fn gather(&self, events: &[Event]) -> Result<Holdings, Error> {
        let mut wanted: BTreeMap<TenantId, BTreeSet<Uuid>> = BTreeMap::new();
        for event in events {
            if let Some(party) = concerned(event) {
                let party = PartyName::parse(&party?).map_err(|error| error.at("party"))?;
                wanted.entry(event.tenant.clone()).or_default().insert(party.uuid());
            }
        }
        let trace = events.last().and_then(|event| event.traceparent.as_deref());
        let now = self.cx.world.now();
        let mut holdings = Holdings { parties: HashSet::new(), rows: Vec::new() };
        for (tenant, parties) in wanted {
            let all: Vec<Uuid> = parties.into_iter().collect();
            for some in all.chunks(ASK) {
                let names = some.iter().map(|party| PartyName::new(*party).to_string()).collect();
                for party in self.ask(&tenant, names, trace).await? {
                    holdings.rows.extend(held_by(&self.cx, &tenant, &party, now)?);
                }
                holdings.parties.extend(some.iter().map(|party| (tenant.clone(), *party)));
            }
        }
        Ok(holdings)
    }

    async fn apply(&self, tx: &Tx, _events: &[Event], holdings: &Holdings, out: &mut Outbox) -> Result<(), StoreError> {
        if holdings.parties.is_empty() {
            return Ok(());
        }
        let touched = holder_replace(tx, &holdings.parties, &holdings.rows).await?;
        let keys: HashSet<(TenantId, Uuid)> = touched.keys().cloned().collect();
        let known = identifier_find(tx.db(), &keys).await?;
        // In one order, so that the same batch writes the same rows whoever applies it.
        let touched: BTreeMap<_, _> = touched.into_iter().collect();
        let mut states = Vec::new();
        let mut attributed = Vec::new();
        for (key, holders) in touched {
            let held = known.get(&key).copied();
            let Some(moved) = next(held, &holders, key.1, || self.cx.world.next_id()) else {
                continue;
            };
            if let Some(party) = moved.attributed {
                let origin = moved.held.origin;
                out.event(&key.0, format!("origins/{origin}"), 1, tx.now(), &origin_attributed(origin, party));
                attributed.push((key.0.clone(), origin, party));
            }
            states.push((key, moved.held));
        }
        identifier_move(tx, &states, &attributed).await?;
        Ok(())
    }
}

/// The name of the party whose identifiers an event may have changed.
fn concerned(event: &Event) -> Option<Result<String, Error>> {
    if let Some(created) = event.decode::<proto::PartyCreated>() {
        return Some(created.map(|event| event.party));
    }
    if let Some(updated) = event.decode::<proto::PartyUpdated>() {
        return Some(updated.map(|event| event.party));
    }
    event.decode::<proto::IdentifierClaimed>().map(|claimed| claimed.map(|event| event.party))
}

/// What a party holds: its identifiers, and its media while they are valid. A shared medium and a weak identifier are
/// held too, but point to nobody.
fn held_by(cx: &Context, tenant: &TenantId, party: &proto::Party, now: Timestamp) -> Result<Vec<HolderRow>, Error> {
    let id = PartyName::parse(&party.name).map_err(|error| error.at("parties.name"))?.uuid();
    let mut held: BTreeMap<Uuid, bool> = BTreeMap::new();
    let mut hold = |scheme: &str, value: &str, own: bool| {
        let identifier = Identifier::scheme(scheme)
            .and_then(|scheme| Identifier::new(scheme, Identifier::value(value)?))
            .ok()
            .filter(|identifier| !identifier.withheld());
        if let Some(identifier) = identifier {
            let index = crate::api::index(&cx.store, tenant, &identifier.comparable());
            held.entry(index).and_modify(|before| *before &= own).or_insert(own);
        }
    };
    for identifier in &party.identifiers {
        let own = identifier.strength() != proto::IdentifierStrength::Weak;
        hold(&identifier.scheme, &identifier.normalized_value, own);
    }
    for medium in party.contact_media.iter().filter(|medium| in_force(medium, now)) {
        let scheme = match medium.kind() {
            proto::MediumKind::Phone => "tel".to_owned(),
            proto::MediumKind::Email => "email".to_owned(),
            proto::MediumKind::Social => format!("social.{}", medium.network),
            proto::MediumKind::Web => "web".to_owned(),
            proto::MediumKind::Postal | proto::MediumKind::Unspecified => continue,
        };
        hold(&scheme, &medium.normalized_value, !medium.shared);
    }
    let row = |(index, own)| HolderRow { tenant: tenant.clone(), party: id, index, own };
    Ok(held.into_iter().map(row).collect())
}

/// Whether a medium reaches the party now.
fn in_force(medium: &proto::ContactMedium, now: Timestamp) -> bool {
    let time = |time: &Option<prost_types::Timestamp>| time.as_ref().and_then(|time| wire::timestamp(time).ok());
    medium.verification() != proto::MediumVerification::Failed
        && time(&medium.valid_from_time).is_none_or(|from| from <= now)
        && time(&medium.valid_to_time).is_none_or(|to| now < to)
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_proto::interactions::v1 as interactions;
    use rapport_proto::interactions::v1::interaction_service_server::InteractionService;
    use rapport_store::{Committed, Work};
    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;

    use super::*;
    use crate::api::Interactions;
    use crate::fixture::{by_tel, complaint, context, party, request, tenant};
    use crate::options::InteractionOptions;

    /// Learns what parties hold now, as a batch of the feed would.
    struct Learn {
        identity: Identity,
        holdings: Holdings,
    }

    #[async_trait]
    impl Work for Learn {
        type Output = ();

        async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<(), StoreError> {
            self.identity.apply(tx, &[], &self.holdings, out).await
        }
    }

    /// A party that holds numbers, each its own or shared.
    pub(crate) fn holder(id: u128, numbers: &[(&str, bool)]) -> proto::Party {
        let media = numbers.iter().map(|(number, shared)| proto::ContactMedium {
            kind: proto::MediumKind::Phone.into(),
            normalized_value: (*number).to_owned(),
            shared: *shared,
            ..proto::ContactMedium::default()
        });
        proto::Party { name: party(id), contact_media: media.collect(), ..proto::Party::default() }
    }

    /// Learns what parties hold now, and nothing else.
    pub(crate) async fn learn(cx: &Context, parties: &[proto::Party]) -> Committed<()> {
        let acme = tenant("acme");
        let mut holdings = Holdings { parties: HashSet::new(), rows: Vec::new() };
        for party in parties {
            holdings.rows.extend(held_by(cx, &acme, party, cx.world.now()).unwrap());
            let name = PartyName::parse(&party.name).unwrap();
            holdings.parties.insert((acme.clone(), name.uuid()));
        }
        cx.store.run(Learn { identity: Identity::new(cx.clone()), holdings }).await.unwrap()
    }

    async fn call_from(cx: &Context, number: &str, seconds: i64) -> interactions::Participant {
        let message = interactions::RecordInteractionRequest {
            interaction: Some(complaint(by_tel(number), seconds)),
            request_id: String::new(),
        };
        let told = Interactions::new(cx.clone(), InteractionOptions::default())
            .record_interaction(request("acme", message))
            .await
            .unwrap();
        told.into_inner().participants.remove(0)
    }

    /// When the interactions on a party's timeline occurred, newest first.
    async fn timeline(cx: &Context, id: u128) -> Vec<i64> {
        let message = interactions::GetTimelineRequest { party: party(id), ..Default::default() };
        let page = Interactions::new(cx.clone(), InteractionOptions::default())
            .get_timeline(request("acme", message))
            .await
            .unwrap()
            .into_inner();
        for interaction in &page.interactions {
            assert_eq!(interaction.participants[0].party, party(id));
        }
        let seconds = page.interactions.iter().map(|one| one.occurred_time.as_ref().unwrap().seconds - 1_700_000_000);
        seconds.collect()
    }

    each_store! {
        async fn a_number_takes_its_calls_to_whoever_claims_it_and_no_further(place: StorePlace) {
            let cx = context(&place).await;
            let number = "+351912345678";
            let stranger = call_from(&cx, number, 1).await;
            assert_eq!(stranger.attribution(), interactions::Attribution::Unattributed);
            assert_eq!(timeline(&cx, 1).await, [0i64; 0]);

            let before = *cx.store.position().borrow();
            let learned = learn(&cx, &[holder(1, &[(number, false)])]).await;
            assert_eq!(learned.position, before + 1, "one OriginAttributed");
            assert_eq!(timeline(&cx, 1).await, [1]);
            let known = call_from(&cx, "+351 912 345 678", 2).await;
            assert_eq!((known.party.as_str(), known.attribution()), (party(1).as_str(), interactions::Attribution::Resolved));
            assert_eq!(known.origin, stranger.origin);
            // Learning the same again says nothing new.
            let again = learn(&cx, &[holder(1, &[(number, false)])]).await;
            assert_eq!(*cx.store.position().borrow(), again.position.max(before + 2));

            // The number goes to somebody else: what was stays, what comes is theirs.
            learn(&cx, &[holder(1, &[]), holder(2, &[(number, false)])]).await;
            let recycled = call_from(&cx, number, 3).await;
            assert_eq!(recycled.party, party(2));
            assert_eq!(timeline(&cx, 1).await, [2, 1]);
            assert_eq!(timeline(&cx, 2).await, [3]);

            // Two hold it: it points to nobody.
            learn(&cx, &[holder(3, &[(number, false)])]).await;
            let unclear = call_from(&cx, number, 4).await;
            assert_eq!(unclear.attribution(), interactions::Attribution::Unattributed);
            assert_eq!(timeline(&cx, 2).await, [3]);
            assert_eq!(timeline(&cx, 3).await, [0i64; 0]);
            cx.store.close().await;
        }

        async fn a_switchboard_and_a_withheld_number_belong_to_nobody(place: StorePlace) {
            let cx = context(&place).await;
            learn(&cx, &[holder(1, &[("+351210000000", true)])]).await;
            assert_eq!(call_from(&cx, "+351210000000", 1).await.party, "");
            let one = call_from(&cx, "anonymous", 2).await;
            let two = call_from(&cx, "anonymous", 3).await;
            assert_ne!(one.origin, two.origin);
            assert_eq!(timeline(&cx, 1).await, [0i64; 0]);
            cx.store.close().await;
        }
    }
}
