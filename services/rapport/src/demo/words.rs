//! The contract's enumerations in words, made from their own names so that a new value needs nothing here.

use rapport_proto::interactions::v1 as ix;
use rapport_proto::stakeholders::v1 as sh;

/// `RESOLUTION_OUTCOME_MATCHED` without `RESOLUTION_OUTCOME_`, in lower case with spaces.
fn words(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', " ")
}

pub(super) fn outcome(value: sh::ResolutionOutcome) -> String {
    words(value.as_str_name(), "RESOLUTION_OUTCOME_")
}

pub(super) fn reason(value: sh::MatchReasonKind) -> String {
    words(value.as_str_name(), "MATCH_REASON_KIND_")
}

pub(super) fn consent(value: sh::ConsentReason) -> String {
    words(value.as_str_name(), "CONSENT_REASON_")
}

pub(super) fn kind(value: sh::PartyKind) -> String {
    words(value.as_str_name(), "PARTY_KIND_")
}

pub(super) fn lifecycle(value: sh::PartyLifecycle) -> String {
    words(value.as_str_name(), "PARTY_LIFECYCLE_")
}

pub(super) fn medium_kind(value: sh::MediumKind) -> String {
    words(value.as_str_name(), "MEDIUM_KIND_")
}

pub(super) fn medium(value: ix::Medium) -> String {
    words(value.as_str_name(), "MEDIUM_")
}

pub(super) fn direction(value: ix::Direction) -> String {
    words(value.as_str_name(), "DIRECTION_")
}

pub(super) fn status(value: ix::CaseStatus) -> String {
    words(value.as_str_name(), "CASE_STATUS_")
}

pub(super) fn priority(value: ix::CasePriority) -> String {
    words(value.as_str_name(), "CASE_PRIORITY_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words() {
        assert_eq!(outcome(sh::ResolutionOutcome::ProvisionalCreated), "provisional created");
        assert_eq!(direction(ix::Direction::ThirdParty), "third party");
    }
}
