//! Events: what scoring learns from interactions, and what it publishes.

mod orders;
mod relationships;
mod values;

pub(crate) use orders::Orders;
pub(crate) use relationships::Relationships;
pub(crate) use values::{MovedValue, Teller, tell_values};

use async_trait::async_trait;
use rapport_events::{Consumer, Event};
use rapport_proto::interactions::v1 as interactions;
use rapport_proto::scoring::v1 as proto;
use rapport_rpc::wire;
use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::{Timestamp, Uuid};

use crate::commands::{Arrival, Change, record_contributions};
use crate::domain::{
    Cause, ClvModel, ClvModelName, DefinitionName, Direction, Fact, InteractionName, Move, Participation, PartyName,
    Revision, Subject, Valence,
};
use crate::error::ScoringError;

/// The consumer of the interactions feed, by which scoring learns of everything it knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interactions;

#[async_trait]
impl Consumer for Interactions {
    type Gathered = Vec<Arrival>;

    fn name(&self) -> &'static str {
        "contributions"
    }

    fn source(&self) -> &'static str {
        "interactions"
    }

    /// Nothing is asked of others: events are decoded while no transaction is open.
    async fn gather(&self, events: &[Event]) -> Result<Vec<Arrival>, Error> {
        let mut arrivals = Vec::with_capacity(events.len());
        for event in events {
            let change = if let Some(recorded) = event.decode::<interactions::InteractionRecorded>() {
                Change::Fact(fact(&recorded?, Revision::First)?)
            } else if let Some(amended) = event.decode::<interactions::InteractionAmended>() {
                let after = amended?.after.ok_or(ScoringError::MalformedEvent("after"))?;
                Change::Fact(fact(&after, Revision::Amended)?)
            } else if let Some(retracted) = event.decode::<interactions::InteractionRetracted>() {
                Change::Fact(retraction(&retracted?)?)
            } else if let Some(attributed) = event.decode::<interactions::OriginAttributed>() {
                let attributed = attributed?;
                Change::Attributed { origin: origin(&attributed.origin)?, party: party(&attributed.party)? }
            } else {
                continue;
            };
            arrivals.push(Arrival {
                tenant: event.tenant.clone(),
                position: event.position,
                occurred_at: event.occurred_at,
                traceparent: event.traceparent.clone(),
                change,
            });
        }
        Ok(arrivals)
    }

    async fn apply(&self, tx: &Tx, _: &[Event], arrivals: &Vec<Arrival>, out: &mut Outbox) -> Result<(), StoreError> {
        record_contributions(tx, arrivals, out).await
    }
}

/// The event of a score that moved.
pub(crate) fn score_moved(moved: &Move) -> proto::ScoreMoved {
    let cause = match moved.cause {
        Cause::Recorded => proto::MoveCause::Recorded,
        Cause::Amended => proto::MoveCause::Amended,
        Cause::Attributed => proto::MoveCause::Attributed,
        Cause::Retracted => proto::MoveCause::Retracted,
    };
    proto::ScoreMoved {
        score: moved.score().to_string(),
        party: match moved.subject {
            Subject::Party(party) => PartyName::new(party).to_string(),
            Subject::Origin(_) => String::new(),
        },
        origin: moved.origin.to_string(),
        definition: DefinitionName::of(moved.definition.slug).to_string(),
        interaction: moved.interaction.map(|id| InteractionName::new(id).to_string()).unwrap_or_default(),
        cause: cause.into(),
    }
}

/// The event of a model that was fitted.
pub(crate) fn clv_model_fitted(model: &ClvModel) -> proto::ClvModelFitted {
    proto::ClvModelFitted {
        model: ClvModelName::new(model.id).to_string(),
        version: model.version,
        currency_code: model.fitted.currency.to_string(),
        role_type: model.fitted.role_type.clone().unwrap_or_default(),
        observation_end: model.fitted.end.to_string(),
        customer_count: i64::try_from(model.fitted.customers).unwrap_or(i64::MAX),
    }
}

/// Who began an interaction, received it or was spoken about in it gets a contribution. Agents act for us or for others,
/// observers did nothing.
fn counts(function: i32) -> bool {
    use interactions::Function;
    matches!(Function::try_from(function), Ok(Function::Initiator | Function::Recipient | Function::Subject))
}

fn fact(recorded: &interactions::InteractionRecorded, revision: Revision) -> Result<Fact, Error> {
    let mut participants: Vec<Participation> = Vec::new();
    for participant in recorded.participants.iter().filter(|one| counts(one.function)) {
        let party = if participant.party.is_empty() { None } else { Some(party(&participant.party)?) };
        let participation = Participation { origin: origin(&participant.origin)?, party };
        if !participants.iter().any(|known| known.origin == participation.origin) {
            participants.push(participation);
        }
    }
    let supersedes = match recorded.supersedes.as_str() {
        "" => None,
        name => Some(interaction(name, "supersedes")?),
    };
    let valence = recorded
        .valence
        .as_ref()
        .map(|valence| Valence::parse(valence.value, valence.confidence.unwrap_or(1.0)))
        .transpose()
        .map_err(|_| ScoringError::MalformedEvent("valence"))?;
    Ok(Fact {
        interaction: interaction(&recorded.interaction, "interaction")?,
        version: recorded.version,
        revision,
        supersedes,
        kind: recorded.kind.clone(),
        direction: Direction::from_code(recorded.direction).ok_or(ScoringError::MalformedEvent("direction"))?,
        valence,
        occurred_at: time(recorded.occurred_time, "occurred_time")?,
        recorded_at: time(recorded.recorded_time, "recorded_time")?,
        participants,
    })
}

/// The last version of an interaction: nobody's.
fn retraction(retracted: &interactions::InteractionRetracted) -> Result<Fact, Error> {
    Ok(Fact {
        interaction: interaction(&retracted.interaction, "interaction")?,
        version: retracted.version,
        revision: Revision::Retracted,
        supersedes: None,
        kind: retracted.kind.clone(),
        // Nothing is counted of it, so it does not matter who spoke to whom.
        direction: Direction::from_code(retracted.direction).unwrap_or(Direction::Mutual),
        valence: None,
        occurred_at: time(retracted.occurred_time, "occurred_time")?,
        recorded_at: time(retracted.recorded_time, "recorded_time")?,
        participants: Vec::new(),
    })
}

fn time(time: Option<prost_types::Timestamp>, field: &'static str) -> Result<Timestamp, ScoringError> {
    let time = time.ok_or(ScoringError::MalformedEvent(field))?;
    wire::timestamp(&time).map_err(|_| ScoringError::MalformedEvent(field))
}

fn interaction(name: &str, field: &'static str) -> Result<Uuid, ScoringError> {
    InteractionName::parse(name).map(|name| name.uuid()).map_err(|_| ScoringError::MalformedEvent(field))
}

fn party(name: &str) -> Result<Uuid, ScoringError> {
    PartyName::parse(name).map(|name| name.uuid()).map_err(|_| ScoringError::MalformedEvent("party"))
}

fn origin(text: &str) -> Result<Uuid, ScoringError> {
    Uuid::parse_str(text).map_err(|_| ScoringError::MalformedEvent("origin"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::reason;

    use super::*;

    const INTERACTION: &str = "interactions/0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1";
    const PARTY: &str = "0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f2";
    const OTHER: &str = "0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f3";

    fn participant(origin: &str, party: &str, function: interactions::Function) -> interactions::RecordedParticipant {
        interactions::RecordedParticipant {
            origin: origin.to_owned(),
            party: if party.is_empty() { String::new() } else { format!("parties/{party}") },
            role_type: "customer".to_owned(),
            function: function.into(),
        }
    }

    fn recorded(participants: Vec<interactions::RecordedParticipant>) -> interactions::InteractionRecorded {
        interactions::InteractionRecorded {
            interaction: INTERACTION.to_owned(),
            version: 1,
            kind: "complaint".to_owned(),
            direction: interactions::Direction::Inbound.into(),
            valence: Some(interactions::Valence { value: -0.5, method: 1, confidence: None }),
            participants,
            occurred_time: Some(prost_types::Timestamp { seconds: 1, nanos: 2_000 }),
            recorded_time: Some(prost_types::Timestamp { seconds: 3, nanos: 0 }),
            ..Default::default()
        }
    }

    #[test]
    fn those_who_dealt_with_us_count_once_each() {
        use interactions::Function::{Agent, Initiator, Observer, Subject};
        let fact = fact(
            &recorded(vec![
                participant(PARTY, PARTY, Initiator),
                participant(PARTY, PARTY, Subject),
                participant(OTHER, "", Subject),
                participant(OTHER, "", Agent),
                participant(INTERACTION, "", Observer),
            ]),
            Revision::First,
        )
        .unwrap();
        let id = |text: &str| Uuid::parse_str(text).unwrap();
        assert_eq!(
            fact.participants,
            [
                Participation { origin: id(PARTY), party: Some(id(PARTY)) },
                Participation { origin: id(OTHER), party: None },
            ]
        );
        assert_eq!(fact.valence, Some(Valence { value: -500_000, confidence: 1_000_000 }));
        assert_eq!((fact.occurred_at.as_micros(), fact.recorded_at.as_micros()), (1_000_002, 3_000_000));
        assert_eq!((fact.direction, fact.supersedes), (Direction::Inbound, None));
    }

    #[test]
    fn what_the_contract_excludes_is_refused() {
        let good = || recorded(vec![participant(PARTY, PARTY, interactions::Function::Initiator)]);
        let mut broken: Vec<interactions::InteractionRecorded> = vec![good(); 5];
        broken[0].interaction = "interactions/7".to_owned();
        broken[1].direction = 99;
        broken[2].occurred_time = None;
        broken[3].participants[0].origin = "nobody".to_owned();
        broken[4].valence = Some(interactions::Valence { value: f64::NAN, method: 1, confidence: None });
        assert!(fact(&good(), Revision::First).is_ok());
        for event in broken {
            let error = fact(&event, Revision::First).unwrap_err();
            assert_eq!((error.reason, error.violations[0].reason), (reason::INVALID_FIELDS, reason::MALFORMED));
        }
    }

    #[test]
    fn a_retraction_is_a_version_with_nobody_in_it() {
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let event = interactions::InteractionRetracted {
            interaction: INTERACTION.to_owned(),
            version: 3,
            kind: "complaint".to_owned(),
            participants: vec![participant(PARTY, PARTY, interactions::Function::Initiator)],
            occurred_time: time(1),
            recorded_time: time(3),
            ..Default::default()
        };
        let fact = retraction(&event).unwrap();
        assert_eq!((fact.version, fact.revision, fact.participants.len()), (3, Revision::Retracted, 0));
        assert_eq!(fact.recorded_at.as_micros(), 3_000_000);
        assert!(retraction(&interactions::InteractionRetracted { recorded_time: None, ..event }).is_err());
    }

    #[test]
    fn a_move_tells_whose_score_and_why() {
        let mut moved = Move {
            tenant: rapport_types::TenantId::local(),
            subject: Subject::Party(Uuid::parse_str(PARTY).unwrap()),
            origin: Uuid::parse_str(OTHER).unwrap(),
            definition: crate::domain::Definition::find("relationship-health").unwrap(),
            interaction: None,
            cause: Cause::Attributed,
            position: 3,
            occurred_at: Timestamp::EPOCH,
        };
        let event = score_moved(&moved);
        assert_eq!(event.score, format!("parties/{PARTY}/scores/relationship-health"));
        assert_eq!((event.party.clone(), event.origin.clone()), (format!("parties/{PARTY}"), OTHER.to_owned()));
        assert_eq!((event.interaction.as_str(), event.cause()), ("", proto::MoveCause::Attributed));
        moved.cause = Cause::Retracted;
        assert_eq!(score_moved(&moved).cause(), proto::MoveCause::Retracted);
    }
}
