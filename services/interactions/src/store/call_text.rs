use prost::Message;
use rapport_types::Uuid;
use rapport_types::time::Timestamp;

use super::sealing::{IdentifierText, identifier_text};
use crate::domain::Told;

/// The most handovers of a conversation that are kept.
const MAX_TRANSFERS: usize = 50;

/// What is sealed of a call.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CallText {
    #[prost(string, tag = "1")]
    pub(crate) call_id: String,
    #[prost(string, tag = "2")]
    pub(crate) leg: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) identifier: Option<IdentifierText>,
    #[prost(string, tag = "4")]
    pub(crate) dialled: String,
    #[prost(string, tag = "5")]
    pub(crate) agent: String,
    #[prost(string, tag = "6")]
    pub(crate) source_record_id: String,
    #[prost(string, tag = "7")]
    pub(crate) actor: String,
    #[prost(string, tag = "8")]
    pub(crate) reason: String,
    /// What the end told of this leg.
    #[prost(string, tag = "9")]
    pub(crate) subject_line: String,
    #[prost(string, tag = "10")]
    pub(crate) wrap_up: String,
    /// How the conversation was handed on: that of all its legs.
    #[prost(message, repeated, tag = "11")]
    pub(crate) transfers: Vec<TransferText>,
}

/// What is kept of a handover: all of it says something about somebody.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TransferText {
    /// The leg that was handed on: the id of its call, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    from: Vec<u8>,
    /// The leg that goes on, 16 bytes; empty when it is the same.
    #[prost(bytes = "vec", tag = "2")]
    to: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) from_agent: String,
    #[prost(string, tag = "4")]
    pub(crate) to_agent: String,
    #[prost(string, tag = "5")]
    pub(crate) note: String,
    /// When, in microseconds.
    #[prost(int64, tag = "6")]
    at: i64,
    /// The caller said when.
    #[prost(bool, tag = "7")]
    pub(crate) timed: bool,
}

impl TransferText {
    /// What is kept of a handover from one call to another, or to another agent of the same.
    pub(crate) fn new(from: Uuid, to: Option<Uuid>, at: Timestamp, timed: bool) -> TransferText {
        TransferText {
            from: from.as_bytes().to_vec(),
            to: to.map(|to| to.as_bytes().to_vec()).unwrap_or_default(),
            at: at.as_micros(),
            timed,
            ..TransferText::default()
        }
    }

    /// The call that was handed on.
    pub(crate) fn from(&self) -> Uuid {
        Uuid::from_slice(&self.from).unwrap_or_default()
    }

    /// The call that goes on, where it is another one.
    pub(crate) fn to(&self) -> Option<Uuid> {
        Uuid::from_slice(&self.to).ok()
    }

    /// When.
    pub(crate) fn at(&self) -> Timestamp {
        Timestamp::from_micros(self.at)
    }

    /// Whether both tell of one handover: by the leg that goes on, else by who took it, and when that was said.
    fn same(&self, told: &TransferText) -> bool {
        if self.from != told.from || self.to != told.to {
            return false;
        }
        let untimed = !self.timed || !told.timed;
        !self.to.is_empty() || (self.to_agent == told.to_agent && (untimed || self.at == told.at))
    }

    fn order(&self) -> (i64, &[u8], &[u8], &str) {
        (self.at, &self.from, &self.to, &self.to_agent)
    }
}

impl CallText {
    /// What was told, and what is kept beside it.
    pub(super) fn of(told: &Told, kept: &CallText) -> CallText {
        CallText {
            call_id: told.call_id.expose().clone(),
            leg: told.leg.expose().clone(),
            identifier: told.identifier.as_ref().map(identifier_text),
            dialled: told.dialled.expose().clone(),
            agent: told.agent.expose().clone(),
            source_record_id: told.provenance.source_record_id.clone(),
            actor: told.provenance.actor.clone(),
            reason: told.provenance.reason.clone(),
            subject_line: kept.subject_line.clone(),
            wrap_up: kept.wrap_up.clone(),
            transfers: kept.transfers.clone(),
        }
    }

    /// Takes note of a handover, unless it is known.
    pub(crate) fn hand_on(&mut self, transfer: TransferText) {
        if self.transfers.iter().any(|known| known.same(&transfer)) {
            return;
        }
        self.transfers.push(transfer);
        self.transfers.sort_by(|one, other| one.order().cmp(&other.order()));
        let over = self.transfers.len().saturating_sub(MAX_TRANSFERS);
        self.transfers.drain(..over);
    }

    /// Who of ours has the call: whoever took it over last, else who it was told of.
    pub(crate) fn agent_of(&self, call: Uuid) -> &str {
        let newest = || self.transfers.iter().rev();
        let within = newest().find(|one| one.from() == call && one.to().is_none());
        let into = || newest().find(|one| one.to() == Some(call));
        match (within, self.agent.as_str()) {
            (Some(transfer), _) => &transfer.to_agent,
            (None, "") => into().map_or("", |transfer| &transfer.to_agent),
            (None, agent) => agent,
        }
    }
}
