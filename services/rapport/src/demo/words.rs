//! The contract's enumerations in words, made from their own names so that a new value needs nothing here.

use rapport_proto::interactions::v1 as ix;
use rapport_proto::loyalty::v1 as ly;

/// `RESOLUTION_OUTCOME_MATCHED` without `RESOLUTION_OUTCOME_`, in lower case with spaces.
fn words(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', " ")
}

pub(super) fn outcome(value: ix::CallMatch) -> String {
    words(value.as_str_name(), "CALL_MATCH_")
}

pub(super) fn section(value: ix::SectionState) -> String {
    words(value.as_str_name(), "SECTION_STATE_")
}

pub(super) fn action(value: ix::ActionKind) -> String {
    words(value.as_str_name(), "ACTION_KIND_")
}

pub(super) fn category(value: ix::SurveyCategory) -> String {
    words(value.as_str_name(), "SURVEY_CATEGORY_")
}

pub(super) fn invitation(value: ly::InvitationState) -> String {
    words(value.as_str_name(), "INVITATION_STATE_")
}

pub(super) fn gate(value: ly::InvitationGate) -> String {
    words(value.as_str_name(), "INVITATION_GATE_")
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
        assert_eq!(gate(ly::InvitationGate::OpenComplaint), "open complaint");
        assert_eq!(direction(ix::Direction::ThirdParty), "third party");
    }
}
