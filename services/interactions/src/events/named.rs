//! Whom the events of this service speak of.

use rapport_events::Event;
use rapport_proto::interactions::v1 as proto;
use rapport_types::Uuid;

use crate::domain::PartyName;

/// The origins and parties that an event of the own feed names; none where it is not known whom it speaks of: another
/// version of this service wrote it.
pub(crate) fn named(event: &Event) -> Option<Vec<Uuid>> {
    let mut ids = Vec::new();
    let mut add = |origin: &str, party: &str| {
        ids.extend(Uuid::try_parse(origin).ok());
        ids.extend(PartyName::parse(party).ok().map(|name| name.uuid()));
    };
    if let Some(recorded) = event.decode::<proto::InteractionRecorded>() {
        recorded.ok()?.participants.iter().for_each(|one| add(&one.origin, &one.party));
    } else if let Some(amended) = event.decode::<proto::InteractionAmended>() {
        let amended = amended.ok()?;
        let after = amended.after.unwrap_or_default();
        amended.replaced.iter().chain(&after.participants).for_each(|one| add(&one.origin, &one.party));
    } else if let Some(retracted) = event.decode::<proto::InteractionRetracted>() {
        retracted.ok()?.participants.iter().for_each(|one| add(&one.origin, &one.party));
    } else if let Some(reassigned) = event.decode::<proto::CaseReassigned>() {
        let reassigned = reassigned.ok()?;
        add(&reassigned.origin, &reassigned.party);
        add(&reassigned.previous_origin, "");
    } else if let Some(reassigned) = event.decode::<proto::CommitmentReassigned>() {
        let reassigned = reassigned.ok()?;
        add(&reassigned.origin, &reassigned.party);
        add(&reassigned.previous_origin, "");
    } else {
        macro_rules! of {
            ($($kind:ident $(.$party:ident)?),+) => {$(
                if let Some(told) = event.decode::<proto::$kind>() {
                    let told = told.ok()?;
                    add(&told.origin, of!(party of told $(.$party)?));
                    return Some(ids);
                }
            )+};
            (party of $told:ident) => { "" };
            (party of $told:ident .$party:ident) => { &$told.$party };
        }
        of!(
            OriginAttributed.party,
            CaseOpened.party,
            CaseTransitioned,
            CaseAssigned,
            CaseLinked.party,
            CommitmentMade.party,
            CommitmentFellDue.party,
            CommitmentKept.party,
            CommitmentBroken.party,
            CommitmentWaived.party
        );
        // A survey is nobody's; what a response says of a party is an interaction of its own.
        let survey = event.decode::<proto::SurveyCreated>().is_some();
        if !survey && event.decode::<proto::SurveyResponseRecorded>().is_none() {
            return None;
        }
    }
    Some(ids)
}
