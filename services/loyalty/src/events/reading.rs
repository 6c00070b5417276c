//! Reading the events of interactions: what their contract excludes is refused, and parked.

use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;
use rapport_types::error::Error;
use rapport_types::{Timestamp, Uuid, resource_name};

use crate::domain::{CaseName, PartyName, ResponseName};
use crate::error::malformed_event;

resource_name!(pub(crate) InteractionName, "interactions", "interaction");

/// One who took part, and who that was known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Speaker {
    /// The id that the fact keeps for ever.
    pub(crate) origin: Uuid,
    /// The party that it belonged to.
    pub(crate) party: Option<Uuid>,
}

pub(crate) fn time(time: Option<prost_types::Timestamp>, field: &'static str) -> Result<Timestamp, Error> {
    let time = time.ok_or_else(|| malformed_event(field))?;
    wire::timestamp(&time).map_err(|_| malformed_event(field))
}

pub(crate) fn origin(text: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text).map_err(|_| malformed_event("origin"))
}

/// A party, where one is named.
pub(crate) fn party(name: &str) -> Result<Option<Uuid>, Error> {
    if name.is_empty() {
        return Ok(None);
    }
    PartyName::parse(name).map(|name| Some(name.uuid())).map_err(|_| malformed_event("party"))
}

pub(crate) fn interaction(name: &str) -> Result<Uuid, Error> {
    InteractionName::parse(name).map(|name| name.uuid()).map_err(|_| malformed_event("interaction"))
}

pub(crate) fn case(name: &str) -> Result<Uuid, Error> {
    CaseName::parse(name).map(|name| name.uuid()).map_err(|_| malformed_event("case"))
}

pub(crate) fn response(name: &str) -> Result<ResponseName, Error> {
    ResponseName::parse(name).map_err(|_| malformed_event("response"))
}

/// Whether an answer makes its respondent a promoter.
pub(crate) fn promoted(answered: &proto::SurveyResponseRecorded) -> bool {
    answered.category() == proto::SurveyCategory::Promoter
}

/// Those whose act an interaction is: who began it; where nobody of them is known to have begun it, who received it.
/// Each origin once.
pub(crate) fn speakers(recorded: &proto::InteractionRecorded) -> Result<Vec<Speaker>, Error> {
    let acting = |function: proto::Function| -> Result<Vec<Speaker>, Error> {
        let mut found: Vec<Speaker> = Vec::new();
        for one in recorded.participants.iter().filter(|one| one.function() == function) {
            let speaker = Speaker { origin: origin(&one.origin)?, party: party(&one.party)? };
            if !found.iter().any(|known| known.origin == speaker.origin) {
                found.push(speaker);
            }
        }
        Ok(found)
    };
    let began = acting(proto::Function::Initiator)?;
    if began.is_empty() { acting(proto::Function::Recipient) } else { Ok(began) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::reason;

    use super::*;

    fn participant(id: u128, function: proto::Function) -> proto::RecordedParticipant {
        let id = Uuid::from_u128(id);
        proto::RecordedParticipant {
            origin: id.to_string(),
            party: format!("parties/{id}"),
            role_type: String::new(),
            function: function.into(),
        }
    }

    #[test]
    fn an_act_is_of_who_began_it() {
        use proto::Function::{Agent, Initiator, Recipient};
        let of = |participants: Vec<proto::RecordedParticipant>| {
            let recorded = proto::InteractionRecorded { participants, ..Default::default() };
            speakers(&recorded).unwrap().iter().map(|one| one.origin.as_u128()).collect::<Vec<_>>()
        };
        let customer = participant(1, Initiator);
        assert_eq!(of(vec![customer.clone(), participant(2, Recipient), customer.clone()]), [1]);
        assert_eq!(of(vec![participant(3, Agent), participant(2, Recipient)]), [2]);
        assert_eq!(of(vec![participant(3, Agent)]), [0u128; 0]);
    }

    #[test]
    fn what_the_contract_excludes_is_refused() {
        for error in [
            time(None, "occurred_time").unwrap_err(),
            time(Some(prost_types::Timestamp { seconds: 0, nanos: -1 }), "occurred_time").unwrap_err(),
            origin("nobody").unwrap_err(),
            party("parties/7").unwrap_err(),
            interaction("").unwrap_err(),
            case("interactions/0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1").unwrap_err(),
            response("surveys/0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1").unwrap_err(),
        ] {
            assert_eq!((error.reason, error.violations[0].reason), (reason::INVALID_FIELDS, reason::MALFORMED));
        }
        assert_eq!(party("").unwrap(), None);
    }
}
