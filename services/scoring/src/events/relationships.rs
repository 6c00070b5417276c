//! What scoring learns from stakeholders: who is tied to whom.

use async_trait::async_trait;
use rapport_events::{Consumer, Event};
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_rpc::wire;
use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::Timestamp;
use rapport_types::error::Error;

use super::party;
use crate::commands::record_relationships;
use crate::domain::{RelationshipName, TieChange};
use crate::error::ScoringError;

/// The consumer of the stakeholders feed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relationships;

#[async_trait]
impl Consumer for Relationships {
    type Gathered = Vec<TieChange>;

    fn name(&self) -> &'static str {
        "relationships"
    }

    fn source(&self) -> &'static str {
        "stakeholders"
    }

    /// Nothing is asked of others: events are decoded while no transaction is open.
    async fn gather(&self, events: &[Event]) -> Result<Vec<TieChange>, Error> {
        let mut changes = Vec::new();
        for event in events {
            if let Some(created) = event.decode::<stakeholders::RelationshipCreated>() {
                changes.push(created_tie(event, &created?)?);
            } else if let Some(updated) = event.decode::<stakeholders::RelationshipUpdated>() {
                changes.push(updated_tie(event, &updated?)?);
            } else if let Some(ended) = event.decode::<stakeholders::RelationshipEnded>() {
                changes.push(ended_tie(event, &ended?)?);
            }
        }
        Ok(changes)
    }

    async fn apply(&self, tx: &Tx, _: &[Event], changes: &Vec<TieChange>, _: &mut Outbox) -> Result<(), StoreError> {
        record_relationships(tx, changes).await
    }
}

fn created_tie(event: &Event, created: &stakeholders::RelationshipCreated) -> Result<TieChange, Error> {
    // Events of early versions carry no period: they occurred when it began, and its end was not told.
    let since = time(created.valid_from_time, "valid_from_time")?.unwrap_or(event.occurred_at);
    Ok(TieChange {
        tenant: event.tenant.clone(),
        relationship: relationship(&created.relationship)?,
        version: event.version,
        kind: created.relationship_type.clone(),
        from: party(&created.from_party)?,
        to: party(&created.to_party)?,
        weight_micros: Some(weight(created.weight_micros)?),
        since: Some(since),
        until: time(created.valid_to_time, "valid_to_time")?.unwrap_or(Timestamp::MAX),
        position: event.position,
    })
}

fn updated_tie(event: &Event, updated: &stakeholders::RelationshipUpdated) -> Result<TieChange, Error> {
    Ok(TieChange {
        tenant: event.tenant.clone(),
        relationship: relationship(&updated.relationship)?,
        version: event.version,
        kind: updated.relationship_type.clone(),
        from: party(&updated.from_party)?,
        to: party(&updated.to_party)?,
        weight_micros: Some(weight(updated.weight_micros)?),
        since: time(updated.valid_from_time, "valid_from_time")?.or(Some(Timestamp::MIN)),
        until: time(updated.valid_to_time, "valid_to_time")?.unwrap_or(Timestamp::MAX),
        position: event.position,
    })
}

fn ended_tie(event: &Event, ended: &stakeholders::RelationshipEnded) -> Result<TieChange, Error> {
    Ok(TieChange {
        tenant: event.tenant.clone(),
        relationship: relationship(&ended.relationship)?,
        version: event.version,
        kind: ended.relationship_type.clone(),
        from: party(&ended.from_party)?,
        to: party(&ended.to_party)?,
        weight_micros: match ended.weight_micros {
            0 => None,
            micros => Some(weight(micros)?),
        },
        since: time(ended.valid_from_time, "valid_from_time")?,
        until: time(ended.valid_to_time, "valid_to_time")?.unwrap_or(event.occurred_at),
        position: event.position,
    })
}

/// Above 0, at most 1: what the contract of a relationship says.
fn weight(micros: i64) -> Result<i64, ScoringError> {
    if (1..=1_000_000).contains(&micros) { Ok(micros) } else { Err(ScoringError::MalformedEvent("weight_micros")) }
}

fn time(time: Option<prost_types::Timestamp>, field: &'static str) -> Result<Option<Timestamp>, ScoringError> {
    time.map(|time| wire::timestamp(&time)).transpose().map_err(|_| ScoringError::MalformedEvent(field))
}

fn relationship(name: &str) -> Result<rapport_types::Uuid, ScoringError> {
    RelationshipName::parse(name).map(|name| name.uuid()).map_err(|_| ScoringError::MalformedEvent("relationship"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::TenantId;

    use super::*;

    const ID: &str = "0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1";

    fn event() -> Event {
        Event {
            source: "stakeholders".to_owned(),
            epoch: "1".to_owned(),
            position: 9,
            tenant: TenantId::local(),
            kind: String::new(),
            aggregate: String::new(),
            version: 1,
            occurred_at: Timestamp::from_micros(5_000_000),
            recorded_at: Timestamp::from_micros(6_000_000),
            traceparent: None,
            payload: Vec::new().into(),
        }
    }

    fn created() -> stakeholders::RelationshipCreated {
        stakeholders::RelationshipCreated {
            relationship: format!("relationships/{ID}"),
            relationship_type: "knows".to_owned(),
            from_party: format!("parties/{ID}"),
            to_party: format!("parties/{ID}"),
            weight_micros: 250_000,
            ..Default::default()
        }
    }

    #[test]
    fn events_of_early_versions_are_understood() {
        let early = created_tie(&event(), &created()).unwrap();
        assert_eq!((early.since, early.until), (Some(Timestamp::from_micros(5_000_000)), Timestamp::MAX));
        let dated = stakeholders::RelationshipCreated {
            valid_from_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
            valid_to_time: Some(prost_types::Timestamp { seconds: 2, nanos: 0 }),
            ..created()
        };
        let dated = created_tie(&event(), &dated).unwrap();
        assert_eq!((dated.since, dated.until.as_micros()), (Some(Timestamp::from_micros(1_000_000)), 2_000_000));
        let ended = stakeholders::RelationshipEnded {
            relationship: created().relationship,
            from_party: created().from_party,
            to_party: created().to_party,
            ..Default::default()
        };
        let ended = ended_tie(&event(), &ended).unwrap();
        assert_eq!((ended.weight_micros, ended.since, ended.until.as_micros()), (None, None, 5_000_000));
    }

    #[test]
    fn what_the_contract_excludes_is_refused() {
        for broken in [
            stakeholders::RelationshipCreated { weight_micros: 0, ..created() },
            stakeholders::RelationshipCreated { weight_micros: 1_000_001, ..created() },
            stakeholders::RelationshipCreated { from_party: "parties/7".to_owned(), ..created() },
            stakeholders::RelationshipCreated { relationship: String::new(), ..created() },
        ] {
            assert!(created_tie(&event(), &broken).is_err());
        }
    }
}
