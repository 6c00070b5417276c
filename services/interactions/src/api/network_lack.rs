//! What of the section of those near a party is not fresh, and what that does to its status.

use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;

use crate::queries::{Asked, section_status};

/// A part of the section that is not fresh.
#[derive(Debug)]
pub(super) struct Lack {
    /// The service that did not say it.
    pub(super) source: &'static str,
    /// Why, in a sentence.
    pub(super) reason: String,
    /// When what is shown in its place was said.
    pub(super) said: Option<Asked>,
}

impl Lack {
    /// What a section of another service lacks; nothing where it is fresh, where there is nothing, and where the caller may not
    /// read it.
    pub(super) fn of(source: &'static str, status: &proto::SectionStatus) -> Option<Lack> {
        use proto::SectionState::{Pending, Stale};
        let said = status.as_of_time.as_ref().and_then(|time| wire::timestamp(time).ok());
        let said = said.map(|at| Asked { at, position: status.position });
        matches!(status.state(), Pending | Stale).then(|| Lack { source, reason: status.reason.clone(), said })
    }

    /// A part that another service did not say as it is now.
    pub(super) fn new(source: &'static str, reason: String, said: Option<Asked>) -> Lack {
        Lack { source, reason, said }
    }

    /// Of two lacks the one that shows what was said longer ago.
    pub(super) fn older(one: Option<Lack>, other: Lack) -> Lack {
        match one {
            Some(one) if one.said.map(|said| said.at) <= other.said.map(|said| said.at) => one,
            _ => other,
        }
    }
}

/// The status of the section without a part of it: what was fresh is no longer, and what was not has one reason more.
pub(super) fn without(status: proto::SectionStatus, lack: Lack) -> proto::SectionStatus {
    match status.state() {
        proto::SectionState::Fresh => section_status(lack.source, proto::SectionState::Stale, lack.reason, lack.said),
        // One service that is not there is told of once.
        _ if status.reason.split("; ").any(|known| known == lack.reason) => status,
        _ => proto::SectionStatus { reason: format!("{}; {}", status.reason, lack.reason), ..status },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::time::Timestamp;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros((1_700_000_000 + seconds) * 1_000_000)
    }

    fn status(state: proto::SectionState, reason: &str) -> proto::SectionStatus {
        section_status("stakeholders", state, reason.to_owned(), Some(Asked { at: at(9), position: 9 }))
    }

    #[test]
    fn what_lacks_a_part_is_not_fresh_and_says_why() {
        let lack = |said| Lack { source: "scoring", reason: "scoring is not there".to_owned(), said };
        let lacking = without(status(proto::SectionState::Fresh, ""), lack(Some(Asked { at: at(3), position: 2 })));
        assert_eq!(
            (lacking.source.as_str(), lacking.state(), lacking.position),
            ("scoring", proto::SectionState::Stale, 2)
        );
        assert_eq!(lacking.as_of_time, Some(wire::to_timestamp(at(3))));
        let worse = without(status(proto::SectionState::Stale, "stakeholders is not there"), lack(None));
        assert_eq!((worse.source.as_str(), worse.position), ("stakeholders", 9));
        assert_eq!(worse.reason, "stakeholders is not there; scoring is not there");
        // Scores and influence are of one service: it is named once.
        assert_eq!(without(worse.clone(), lack(None)).reason, worse.reason);
    }
}
