//! One valid request for every method of the contract: the matrices start from them. A new method without one fails
//! `every_method_has_an_example`.

/// What the examples name: resources of one tenant that really exist.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    /// A party with a role and a phone number.
    pub(crate) party: String,
    /// Another party.
    pub(crate) other: String,
    /// A role of `party`.
    pub(crate) role: String,
    /// A relationship between them.
    pub(crate) relationship: String,
    /// An interaction of `party`.
    pub(crate) interaction: String,
    /// A case of `party`.
    pub(crate) case: String,
}

const EXAMPLES: &[(&str, &str)] = &[
    (
        "rapport.stakeholders.v1.PartyService.CreateParty",
        r#"{"party": {"kind": "PARTY_KIND_INDIVIDUAL", "displayName": "Noa Example",
            "names": [{"fullName": "Noa Example", "givenName": "Noa", "familyName": "Example", "usage": "NAME_USAGE_LEGAL"}],
            "contactMedia": [{"kind": "MEDIUM_KIND_PHONE", "value": "+12025550143", "label": "mobile"}],
            "identifiers": [{"scheme": "crm", "value": "matrix-1", "strength": "IDENTIFIER_STRENGTH_WEAK"}],
            "roles": [{"roleType": "customer", "scope": "north"}], "languageCode": "en", "countryCode": "US"}}"#,
    ),
    ("rapport.stakeholders.v1.PartyService.GetParty", r#"{"name": "$party"}"#),
    ("rapport.stakeholders.v1.PartyService.BatchGetParties", r#"{"names": ["$party", "$other"]}"#),
    (
        "rapport.stakeholders.v1.PartyService.UpdateParty",
        r#"{"party": {"name": "$party", "displayName": "Noa Renamed", "languageCode": "pt"}, "updateMask": "displayName,languageCode"}"#,
    ),
    (
        "rapport.stakeholders.v1.PartyService.ListParties",
        r#"{"pageSize": 10, "filter": "display_name != \"nobody\"", "roleType": "customer"}"#,
    ),
    (
        "rapport.stakeholders.v1.PartyService.AssignRole",
        r#"{"party": "$party", "role": {"roleType": "dealer", "scope": "south"}}"#,
    ),
    ("rapport.stakeholders.v1.PartyService.EndRole", r#"{"name": "$role", "reason": "moved on"}"#),
    ("rapport.stakeholders.v1.PartyService.WatchParties", r#"{"parties": ["$party"]}"#),
    (
        "rapport.stakeholders.v1.IdentityService.ResolveParty",
        r#"{"identifiers": [{"scheme": "phone", "value": "(202) 555-0142", "countryCode": "US"}], "maxCandidates": 5}"#,
    ),
    (
        "rapport.stakeholders.v1.IdentityService.ClaimIdentifier",
        r#"{"party": "$party", "identifier": {"scheme": "loyalty-card", "value": "4711", "strength": "IDENTIFIER_STRENGTH_STRONG"}}"#,
    ),
    (
        "rapport.stakeholders.v1.RelationshipService.CreateRelationship",
        r#"{"relationship": {"relationshipType": "knows", "fromParty": "$other", "toParty": "$party", "weight": 0.5, "scope": "golf"}}"#,
    ),
    (
        "rapport.stakeholders.v1.RelationshipService.EndRelationship",
        r#"{"name": "$relationship", "reason": "moved on"}"#,
    ),
    ("rapport.stakeholders.v1.RelationshipService.ListRelationships", r#"{"party": "$party", "pageSize": 10}"#),
    (
        "rapport.stakeholders.v1.RelationshipService.GetNeighborhood",
        r#"{"party": "$party", "depth": 2, "maxNodes": 50, "maxEdges": 50}"#,
    ),
    ("rapport.stakeholders.v1.RelationshipService.ListRelationshipTypes", r#"{"pageSize": 10}"#),
    (
        "rapport.stakeholders.v1.PrivacyService.RecordConsent",
        r#"{"consent": {"party": "$party", "purpose": "marketing", "channel": "phone", "state": "CONSENT_STATE_GRANTED", "evidence": "said so"}}"#,
    ),
    (
        "rapport.stakeholders.v1.PrivacyService.CheckConsent",
        r#"{"party": "$party", "purpose": "marketing", "channel": "phone"}"#,
    ),
    (
        "rapport.interactions.v1.InteractionService.RecordInteraction",
        r#"{"interaction": {"kind": "complaint", "channel": {"medium": "MEDIUM_PHONE"}, "direction": "DIRECTION_INBOUND",
            "participants": [{"party": "$party", "function": "FUNCTION_INITIATOR", "roleType": "customer",
                "identifierUsed": {"scheme": "phone", "value": "+12025550166"}}],
            "topics": ["delivery"], "subjectLine": "late", "body": "it came late",
            "valence": {"value": -0.5, "method": "VALENCE_METHOD_AGENT", "confidence": 0.9}, "effort": 5,
            "amount": {"kind": "AMOUNT_KIND_ORDER", "money": {"currencyCode": "USD", "units": "12", "nanos": 500000000}},
            "occurredTime": "2026-01-05T10:00:00Z", "provenance": {"sourceSystem": "matrix", "sourceRecordId": "1"}}}"#,
    ),
    (
        "rapport.interactions.v1.InteractionService.BatchRecordInteractions",
        r#"{"items": [{"interaction": {"kind": "inquiry", "channel": {"medium": "MEDIUM_EMAIL"}, "direction": "DIRECTION_INBOUND",
            "participants": [{"party": "$party", "function": "FUNCTION_INITIATOR"}], "occurredTime": "2026-01-05T10:00:00Z"}}]}"#,
    ),
    (
        "rapport.interactions.v1.InteractionService.StreamInteractions",
        r#"{"items": [{"sequence": "1", "interaction": {"kind": "inquiry", "channel": {"medium": "MEDIUM_EMAIL"}, "direction": "DIRECTION_INBOUND",
            "participants": [{"party": "$party", "function": "FUNCTION_INITIATOR"}], "occurredTime": "2026-01-05T10:00:00Z"}}], "receipts": true}"#,
    ),
    ("rapport.interactions.v1.InteractionService.GetInteraction", r#"{"name": "$interaction"}"#),
    (
        "rapport.interactions.v1.InteractionService.ListInteractions",
        r#"{"pageSize": 10, "filter": "kind == \"complaint\"", "orderBy": "occurred_time desc"}"#,
    ),
    ("rapport.interactions.v1.InteractionService.GetTimeline", r#"{"party": "$party", "pageSize": 10}"#),
    ("rapport.interactions.v1.InteractionService.WatchInteractions", r#"{"parties": ["$party"]}"#),
    (
        "rapport.interactions.v1.CaseService.OpenCase",
        r#"{"case": {"party": "$party", "type": "complaint", "priority": "CASE_PRIORITY_HIGH", "title": "late", "description": "it came late",
            "interactions": ["$interaction"]}}"#,
    ),
    (
        "rapport.interactions.v1.CaseService.TransitionCase",
        r#"{"name": "$case", "status": "CASE_STATUS_IN_PROGRESS", "note": "on it"}"#,
    ),
    ("rapport.interactions.v1.CaseService.GetCase", r#"{"name": "$case"}"#),
    ("rapport.interactions.v1.CaseService.ListCases", r#"{"party": "$party", "pageSize": 10}"#),
    ("rapport.scoring.v1.ScoreService.GetScores", r#"{"party": "$party"}"#),
    (
        "rapport.scoring.v1.ScoreService.ExplainScore",
        r#"{"party": "$party", "definition": "scoreDefinitions/relationship-health", "lineLimit": 5}"#,
    ),
    ("rapport.scoring.v1.ScoreService.ListScoreDefinitions", r#"{"pageSize": 10}"#),
    ("rapport.events.v1.EventService.Subscribe", r#"{"source": "interactions", "batchSize": 10}"#),
];

/// The example of a method, as JSON, about the resources of `cast`.
pub(crate) fn example(method: &str, cast: &Cast) -> String {
    let (_, json) = EXAMPLES
        .iter()
        .find(|(name, _)| *name == method)
        .unwrap_or_else(|| panic!("{method} has no example in tests/src/examples.rs"));
    json.replace("$party", &cast.party)
        .replace("$other", &cast.other)
        .replace("$role", &cast.role)
        .replace("$relationship", &cast.relationship)
        .replace("$interaction", &cast.interaction)
        .replace("$case", &cast.case)
}

#[test]
fn every_method_has_an_example() {
    let cast = Cast {
        party: String::new(),
        other: String::new(),
        role: String::new(),
        relationship: String::new(),
        interaction: String::new(),
        case: String::new(),
    };
    for method in crate::raw::methods() {
        let json = example(method.full_name(), &cast);
        let _message = crate::raw::dynamic(&method, &json);
    }
}
