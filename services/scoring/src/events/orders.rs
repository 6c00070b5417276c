//! What scoring learns about orders and returns.

use async_trait::async_trait;
use jiff::tz::TimeZone;
use rapport_events::{Consumer, Event};
use rapport_proto::interactions::v1 as interactions;
use rapport_rpc::wire;
use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::Uuid;
use rapport_types::error::Error;

use super::{interaction, origin, party, time};
use crate::commands::{OrderNews, record_orders};
use crate::domain::{Day, Purchase, PurchaseKind, Version};
use crate::error::ScoringError;

/// The kind of interaction that is an order, if it has such an amount.
const ORDER: &str = "order";
/// The kind of interaction that is a return, if it has such an amount.
const RETURN: &str = "return";

/// The second consumer of the interactions feed, apart from the one of contributions: neither waits for the other, and what one
/// cannot apply does not stop the other.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    /// Whose days count.
    pub(crate) zone: TimeZone,
}

#[async_trait]
impl Consumer for Orders {
    type Gathered = Vec<OrderNews>;

    fn name(&self) -> &'static str {
        "orders"
    }

    fn source(&self) -> &'static str {
        "interactions"
    }

    /// Nothing is asked of others: events are decoded while no transaction is open.
    async fn gather(&self, events: &[Event]) -> Result<Vec<OrderNews>, Error> {
        let mut news = Vec::new();
        for event in events {
            let of = |parties, attributed, version| OrderNews {
                tenant: event.tenant.clone(),
                position: event.position,
                occurred_at: event.occurred_at,
                traceparent: event.traceparent.clone(),
                parties,
                attributed,
                version,
            };
            if let Some(attributed) = event.decode::<interactions::OriginAttributed>() {
                let attributed = attributed?;
                let whose = (origin(&attributed.origin)?, party(&attributed.party)?);
                news.push(of(vec![whose], Some(whose.0), None));
                continue;
            }
            let mut parties = Vec::new();
            let version = if let Some(recorded) = event.decode::<interactions::InteractionRecorded>() {
                let recorded = recorded?;
                whose(&recorded.participants, &mut parties)?;
                recorded_version(&recorded, &self.zone)?
            } else if let Some(amended) = event.decode::<interactions::InteractionAmended>() {
                let amended = amended?;
                let after = amended.after.ok_or(ScoringError::MalformedEvent("after"))?;
                whose(&amended.replaced, &mut parties)?;
                whose(&after.participants, &mut parties)?;
                recorded_version(&after, &self.zone)?
            } else if let Some(retracted) = event.decode::<interactions::InteractionRetracted>() {
                let retracted = retracted?;
                whose(&retracted.participants, &mut parties)?;
                Version {
                    interaction: interaction(&retracted.interaction, "interaction")?,
                    number: retracted.version,
                    supersedes: None,
                    purchase: None,
                }
            } else {
                continue;
            };
            // A first version that is about something else changes nothing.
            if version.number > 1 || version.purchase.is_some() || version.supersedes.is_some() {
                news.push(of(parties, None, Some(version)));
            }
        }
        Ok(news)
    }

    async fn apply(&self, tx: &Tx, _: &[Event], news: &Vec<OrderNews>, out: &mut Outbox) -> Result<(), StoreError> {
        if news.is_empty() { Ok(()) } else { record_orders(tx, news, out).await }
    }
}

/// Whose the origins of participants were when the event was told, where that was known.
fn whose(participants: &[interactions::RecordedParticipant], into: &mut Vec<(Uuid, Uuid)>) -> Result<(), Error> {
    for one in participants.iter().filter(|one| !one.party.is_empty()) {
        into.push((origin(&one.origin)?, party(&one.party)?));
    }
    Ok(())
}

fn recorded_version(recorded: &interactions::InteractionRecorded, zone: &TimeZone) -> Result<Version, Error> {
    let supersedes = match recorded.supersedes.as_str() {
        "" => None,
        name => Some(interaction(name, "supersedes")?),
    };
    let id = interaction(&recorded.interaction, "interaction")?;
    Ok(Version {
        interaction: id,
        number: recorded.version,
        // A version of the same record is told by its number.
        supersedes: supersedes.filter(|older| *older != id),
        purchase: purchase(recorded, zone)?,
    })
}

fn purchase(recorded: &interactions::InteractionRecorded, zone: &TimeZone) -> Result<Option<Purchase>, Error> {
    let Some(amount) = &recorded.amount else {
        return Ok(None);
    };
    let kind = match (recorded.kind.as_str(), amount.kind()) {
        (ORDER, interactions::AmountKind::Order) => PurchaseKind::Order,
        (RETURN, interactions::AmountKind::Return) => PurchaseKind::Return,
        _ => return Ok(None),
    };
    let Some(buyer) = buyer(&recorded.participants) else {
        return Ok(None);
    };
    let money = amount.money.as_ref().ok_or(ScoringError::MalformedEvent("amount"))?;
    let money = wire::money(money).map_err(|_| ScoringError::MalformedEvent("amount"))?;
    if money.is_negative() {
        return Err(ScoringError::MalformedEvent("amount").into());
    }
    Ok(Some(Purchase {
        kind,
        origin: origin(&buyer.origin)?,
        role_type: buyer.role_type.clone(),
        day: Day::of(time(recorded.occurred_time, "occurred_time")?, zone),
        currency: money.currency(),
        nanos: money.total(),
    }))
}

/// Whose order it is: who began it; where nobody did (we sold, an agent of theirs ordered), who received it; else who it is about.
/// One party only, so that money counts once.
fn buyer(participants: &[interactions::RecordedParticipant]) -> Option<&interactions::RecordedParticipant> {
    use interactions::Function;
    [Function::Initiator, Function::Recipient, Function::Subject]
        .into_iter()
        .find_map(|function| participants.iter().find(|one| one.function() == function))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_proto::types::v1::Money;
    use rapport_types::{Uuid, reason};

    use super::*;

    const BUYER: &str = "0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f2";
    const OTHER: &str = "0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f3";

    fn participant(origin: &str, function: interactions::Function) -> interactions::RecordedParticipant {
        interactions::RecordedParticipant {
            origin: origin.to_owned(),
            role_type: "dealer".to_owned(),
            function: function.into(),
            ..Default::default()
        }
    }

    fn order() -> interactions::InteractionRecorded {
        interactions::InteractionRecorded {
            interaction: "interactions/0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1".to_owned(),
            version: 1,
            kind: "order".to_owned(),
            participants: vec![participant(BUYER, interactions::Function::Initiator)],
            amount: Some(interactions::Amount {
                kind: interactions::AmountKind::Order.into(),
                money: Some(Money { units: 12, nanos: 500_000_000, currency_code: "EUR".to_owned() }),
            }),
            // 23:30 in UTC.
            occurred_time: Some(prost_types::Timestamp { seconds: 84_600, nanos: 0 }),
            ..Default::default()
        }
    }

    fn read(recorded: &interactions::InteractionRecorded) -> Option<Purchase> {
        recorded_version(recorded, &TimeZone::UTC).unwrap().purchase
    }

    #[test]
    fn an_order_is_read() {
        let found = read(&order()).unwrap();
        assert_eq!((found.kind, found.nanos, found.day.number()), (PurchaseKind::Order, 12_500_000_000, 0));
        assert_eq!((found.origin, found.role_type.as_str()), (Uuid::parse_str(BUYER).unwrap(), "dealer"));
        let east = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(recorded_version(&order(), &east).unwrap().purchase.unwrap().day.number(), 1);
    }

    #[test]
    fn it_belongs_to_one_party() {
        use interactions::Function::{Agent, Initiator, Observer, Recipient, Subject};
        for (functions, whose) in [
            (vec![(OTHER, Agent), (BUYER, Recipient)], Some(BUYER)),
            (vec![(OTHER, Recipient), (BUYER, Initiator)], Some(BUYER)),
            (vec![(BUYER, Subject), (OTHER, Observer)], Some(BUYER)),
            (vec![(OTHER, Agent)], None),
        ] {
            let participants = functions.iter().map(|(origin, function)| participant(origin, *function)).collect();
            let found = read(&interactions::InteractionRecorded { participants, ..order() });
            assert_eq!(found.map(|found| found.origin.to_string()).as_deref(), whose);
        }
    }

    #[test]
    fn what_is_no_order_and_no_return_is_none() {
        let mut complaint = order();
        complaint.kind = "complaint".to_owned();
        let mut of_another_kind = order();
        of_another_kind.kind = "return".to_owned();
        let mut without = order();
        without.amount = None;
        for recorded in [complaint, of_another_kind, without] {
            assert_eq!(read(&recorded), None);
        }
        let mut negative = order();
        negative.amount.as_mut().unwrap().money.as_mut().unwrap().units = -12;
        negative.amount.as_mut().unwrap().money.as_mut().unwrap().nanos = 0;
        let error = recorded_version(&negative, &TimeZone::UTC).unwrap_err();
        assert_eq!(error.violations[0].reason, reason::MALFORMED);
    }
}
