//! What this service itself says of a party, as the projection keeps it.
//!
//! Unlike what other services say, no consumer marks it: it was read at a position of the own feed, and holds as long as
//! the feed names nobody of it after that ([`super::Touched`]).

use prost::Message;
use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;
use rapport_types::Uuid;
use rapport_types::time::Timestamp;

/// A party's last interactions, open cases and open promises, without texts of others.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OwnSections {
    /// Its last interactions.
    #[prost(message, optional, tag = "1")]
    pub(crate) history: Option<proto::HistorySection>,
    /// Its open cases.
    #[prost(message, optional, tag = "2")]
    pub(crate) cases: Option<proto::CaseSection>,
    /// Its open promises.
    #[prost(message, optional, tag = "3")]
    pub(crate) promises: Option<proto::CommitmentSection>,
    /// The party, its origins, and those of whoever else took part: 16 bytes each.
    #[prost(bytes = "vec", repeated, tag = "4")]
    concerned: Vec<Vec<u8>>,
}

impl OwnSections {
    /// What was read of a party with these origins, itself among them; none where something was sealed for somebody else,
    /// which nobody keeps for them here.
    pub(crate) fn of(
        origins: &[Uuid],
        history: proto::HistorySection,
        cases: proto::CaseSection,
        promises: proto::CommitmentSection,
    ) -> Option<OwnSections> {
        let mut concerned = origins.to_vec();
        for interaction in &history.interactions {
            let texts = [&interaction.subject_line, &interaction.body].into_iter().any(|text| !text.is_empty())
                || interaction.provenance.as_ref().is_some_and(|one| {
                    [&one.source_record_id, &one.actor, &one.reason].into_iter().any(|text| !text.is_empty())
                });
            for (position, participant) in interaction.participants.iter().enumerate() {
                let origin = Uuid::try_parse(&participant.origin).ok()?;
                let sealed = participant.identifier_used.is_some() || (position == 0 && texts);
                if sealed && !origins.contains(&origin) {
                    return None;
                }
                concerned.push(origin);
            }
        }
        concerned.sort_unstable();
        concerned.dedup();
        let concerned = concerned.into_iter().map(|id| id.as_bytes().to_vec()).collect();
        Some(OwnSections { history: Some(history), cases: Some(cases), promises: Some(promises), concerned })
    }

    /// Whoever an event has to name for this to be no longer all there is.
    pub(crate) fn concerned(&self) -> impl Iterator<Item = Uuid> {
        self.concerned.iter().filter_map(|id| Uuid::from_slice(id).ok())
    }

    /// As it is at a moment: a promise is late once it was due.
    pub(crate) fn at(mut self, now: Timestamp) -> OwnSections {
        for promise in self.promises.iter_mut().flat_map(|section| &mut section.commitments) {
            let due = promise.due_time.as_ref().and_then(|time| wire::timestamp(time).ok());
            promise.late = promise.fell_due_time.is_some() || due.is_some_and(|due| due < now);
        }
        self
    }
}
