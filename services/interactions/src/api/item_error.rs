use rapport_proto::interactions::v1 as proto;
use rapport_types::error::Error;

/// An error as an item of a batch or a stream tells it: what the status of a unary call would say. A fault of ours is
/// masked and logged there too.
pub(crate) fn item_error(error: Error) -> proto::ItemError {
    let status = rapport_rpc::status(error);
    let code = status.code().into();
    let shown = rapport_rpc::error_of(status);
    proto::ItemError {
        code,
        reason: shown.reason.to_owned(),
        message: shown.message,
        metadata: shown.metadata,
        violations: shown
            .violations
            .into_iter()
            .map(|violation| proto::ItemViolation {
                field: violation.field,
                reason: violation.reason.to_owned(),
                description: violation.description,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::reason;

    use super::*;

    #[test]
    fn it_says_what_a_status_says() {
        let told = item_error(Error::field("items[2].interaction.kind", reason::REQUIRED, "must be given"));
        assert_eq!((told.code, told.reason.as_str()), (3, reason::INVALID_FIELDS));
        assert_eq!(told.violations[0].field, "items[2].interaction.kind");
        assert_eq!(told.violations[0].reason, reason::REQUIRED);
    }

    #[test]
    fn a_fault_of_ours_is_masked() {
        let told = item_error(Error::bug("the table is upside down"));
        assert_eq!((told.code, told.reason.as_str()), (13, reason::INTERNAL));
        assert!(!format!("{told:?}").contains("upside"));
        assert!(told.metadata.contains_key("error_id"));
    }
}
