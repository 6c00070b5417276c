//! Documents say what there is: what was never set takes no room in a row, in its history, and in the answer that is kept for
//! a retry, each of which holds the whole party.

/// Whether a part of a document is as if nobody had set it.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::time::Timestamp;
    use serde_json::{Value, json};

    use crate::domain::medium::{Medium, MediumContext, MediumKind};
    use crate::domain::party::Party;
    use crate::domain::party::tests::draft;

    fn party() -> Party {
        let mut draft = draft("Ana");
        draft.profile.media =
            vec![Medium::parse(MediumKind::Phone, "+351912345678", MediumContext::default()).unwrap()];
        draft.record(Timestamp::from_micros(7)).unwrap()
    }

    #[test]
    fn what_was_never_set_is_not_written() {
        let document = serde_json::to_value(party()).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&document["profile"]), ["display_name", "media"]);
        assert_eq!(keys(&document["profile"]["media"][0]), ["kind", "normalized", "value"]);
        assert_eq!(serde_json::from_value::<Party>(document).unwrap(), party());
    }

    #[test]
    fn a_document_that_says_everything_reads_alike() {
        let mut document = serde_json::to_value(party()).unwrap();
        let all = json!({
            "names": [], "attributes": {}, "language_code": "", "country_code": "", "time_zone": "", "cessation": null,
            "provenance": {"source_system": ""}, "restriction": null,
        });
        document["profile"].as_object_mut().unwrap().extend(all.as_object().unwrap().clone());
        let all = json!({
            "label": "", "network": "", "shared": false, "preferred": false, "verification": "unverified",
            "verified_at": null, "validity": {"from": Timestamp::MIN, "until": Timestamp::MAX},
            "postal": {"lines": [], "locality": "", "region": "", "postal_code": "", "country_code": ""},
        });
        document["profile"]["media"][0].as_object_mut().unwrap().extend(all.as_object().unwrap().clone());
        for none in ["identifiers", "roles"] {
            document[none] = json!([]);
        }
        assert_eq!(serde_json::from_value::<Party>(document).unwrap(), party());
    }
}
