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
    /// A promise to `party`.
    pub(crate) commitment: String,
    /// A loyalty programme in force, and what belongs to it.
    pub(crate) club: Club,
    /// An operation of scoring.
    pub(crate) operation: String,
    /// A survey.
    pub(crate) survey: String,
    /// A response of `party` to it.
    pub(crate) response: String,
    /// An invitation of `party`, made or not.
    pub(crate) invitation: String,
}

/// A loyalty programme and what belongs to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Club {
    /// The programme, in force.
    pub(crate) program: String,
    /// Another one, complete and not yet in force.
    pub(crate) draft: String,
    /// A unit type of `program` that can be spent.
    pub(crate) points: String,
    /// A unit type of `program` that leads to tiers.
    pub(crate) credits: String,
    /// A rule of `program` that gives points for money.
    pub(crate) rule: String,
    /// The party of the cast as a member of `program`, with points.
    pub(crate) member: String,
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
    (
        "rapport.stakeholders.v1.PartyService.BatchCreateParties",
        r#"{"requests": [{"party": {"kind": "PARTY_KIND_INDIVIDUAL", "displayName": "Noa Batch", "countryCode": "US"}}]}"#,
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
        "rapport.stakeholders.v1.RelationshipService.UpdateRelationship",
        r#"{"relationship": {"name": "$relationship", "weight": 0.25, "scope": "tennis"}, "updateMask": "weight,scope"}"#,
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
    ("rapport.stakeholders.v1.PrivacyService.ListConsents", r#"{"party": "$party", "pageSize": 10}"#),
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
    (
        "rapport.interactions.v1.InteractionService.AmendInteraction",
        r#"{"interaction": {"name": "$interaction", "kind": "complaint", "topics": ["price"], "body": "it was dear",
            "valence": {"value": -0.25, "method": "VALENCE_METHOD_AGENT"}, "effort": 3, "occurredTime": "2026-01-04T10:00:00Z",
            "channel": {"medium": "MEDIUM_CHAT"}, "direction": "DIRECTION_INBOUND", "subjectLine": "dear",
            "amount": {"kind": "AMOUNT_KIND_RETURN", "money": {"currencyCode": "USD", "units": "3"}}},
            "updateMask": "kind,topics,body,valence,effort,occurredTime,channel,direction,subjectLine,amount",
            "reason": "corrected", "provenance": {"sourceSystem": "matrix"}}"#,
    ),
    (
        "rapport.interactions.v1.InteractionService.RetractInteraction",
        r#"{"name": "$interaction", "reason": "entered-twice", "provenance": {"sourceSystem": "matrix", "reason": "twice"}}"#,
    ),
    (
        "rapport.interactions.v1.InteractionService.ReassignInteraction",
        r#"{"name": "$interaction", "participant": 0, "party": "$other", "reason": "wrong-party",
            "provenance": {"sourceSystem": "matrix", "reason": "the other one called"}}"#,
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
    (
        "rapport.interactions.v1.CaseService.AssignCase",
        r#"{"name": "$case", "assignee": {"team": "service-desk"}, "note": "they know it", "provenance": {"sourceSystem": "matrix"}}"#,
    ),
    ("rapport.interactions.v1.CaseService.GetCase", r#"{"name": "$case"}"#),
    ("rapport.interactions.v1.CaseService.ListCases", r#"{"party": "$party", "pageSize": 10}"#),
    ("rapport.interactions.v1.CaseService.ListCaseEvents", r#"{"case": "$case", "pageSize": 10}"#),
    (
        "rapport.interactions.v1.CommitmentService.MakeCommitment",
        r#"{"commitment": {"party": "$party", "roleType": "customer", "side": "COMMITMENT_SIDE_OURS", "promise": "an answer",
            "description": "by letter", "madeTime": "2026-01-05T10:00:00Z", "dueTime": "2030-01-05T10:00:00Z",
            "identifierUsed": {"scheme": "email", "value": "noa@example.com"}, "case": "$case", "interaction": "$interaction",
            "owner": {"user": "users/ana"}, "provenance": {"sourceSystem": "matrix", "sourceRecordId": "1"}}}"#,
    ),
    (
        "rapport.interactions.v1.CommitmentService.FulfilCommitment",
        r#"{"name": "$commitment", "occurredTime": "2026-11-05T10:00:00Z", "note": "by letter", "provenance": {"sourceSystem": "matrix"}}"#,
    ),
    (
        "rapport.interactions.v1.CommitmentService.BreakCommitment",
        r#"{"name": "$commitment", "reason": "forgotten", "provenance": {"sourceSystem": "matrix"}}"#,
    ),
    (
        "rapport.interactions.v1.CommitmentService.WaiveCommitment",
        r#"{"name": "$commitment", "reason": "not needed any more", "provenance": {"sourceSystem": "matrix"}}"#,
    ),
    ("rapport.interactions.v1.CommitmentService.GetCommitment", r#"{"name": "$commitment"}"#),
    (
        "rapport.interactions.v1.CommitmentService.ListCommitments",
        r#"{"party": "$party", "case": "$case", "pageSize": 10, "filter": "state == \"open\"", "orderBy": "due_time asc"}"#,
    ),
    (
        "rapport.interactions.v1.DeskService.BeginCall",
        r#"{"call": {"callId": "matrix-1", "leg": "a", "direction": "DIRECTION_INBOUND",
            "identifierUsed": {"scheme": "tel", "value": "(202) 555-0167"}, "countryCode": "US", "dialledNumber": "100",
            "medium": "MEDIUM_PHONE", "agent": "users/ana", "startedTime": "2026-01-05T10:00:00Z",
            "provenance": {"sourceSystem": "pbx", "sourceRecordId": "1"}}, "budgetMs": 2000}"#,
    ),
    (
        "rapport.interactions.v1.DeskService.GetAgentContext",
        r#"{"party": "$party", "countryCode": "US", "medium": "MEDIUM_PHONE", "budgetMs": 5000}"#,
    ),
    (
        "rapport.interactions.v1.DeskService.WatchAgentContext",
        r#"{"party": "$party", "countryCode": "US", "medium": "MEDIUM_PHONE", "budgetMs": 5000}"#,
    ),
    (
        "rapport.interactions.v1.DeskService.TransferCall",
        r#"{"callId": "matrix-3", "leg": "a", "toAgent": "users/rea", "toLeg": "b", "note": "has waited for a week",
            "transferredTime": "2026-01-05T10:02:00Z"}"#,
    ),
    (
        "rapport.interactions.v1.DeskService.EndCall",
        r#"{"call": {"callId": "matrix-2", "leg": "a", "direction": "DIRECTION_INBOUND",
            "identifierUsed": {"scheme": "tel", "value": "+12025550168"}, "startedTime": "2026-01-05T10:00:00Z"},
            "disposition": "CALL_DISPOSITION_COMPLAINT", "subjectLine": "late", "wrapUp": "it came late",
            "valence": {"value": -0.5, "method": "VALENCE_METHOD_AGENT", "confidence": 0.9}, "effort": 5, "topics": ["delivery"],
            "endedTime": "2026-01-05T10:05:00Z", "roleType": "customer",
            "openCase": {"type": "complaint", "title": "late", "description": "it came late", "priority": "CASE_PRIORITY_HIGH"}}"#,
    ),
    (
        "rapport.interactions.v1.SurveyService.CreateSurvey",
        r#"{"survey": {"measure": "SURVEY_MEASURE_NPS", "question": "How likely is it that you would recommend us?",
            "languageCode": "en", "purpose": "relationship"}}"#,
    ),
    ("rapport.interactions.v1.SurveyService.GetSurvey", r#"{"name": "$survey"}"#),
    ("rapport.interactions.v1.SurveyService.ListSurveys", r#"{"pageSize": 10}"#),
    (
        "rapport.interactions.v1.SurveyService.RecordSurveyResponse",
        r#"{"survey": "$survey", "response": {"party": "$party", "roleType": "customer", "score": 9, "comment": "well done",
            "identifierUsed": {"scheme": "email", "value": "noa@example.com"}, "channel": {"medium": "MEDIUM_EMAIL"},
            "case": "$case", "about": "$interaction", "occurredTime": "2026-01-05T10:00:00Z",
            "provenance": {"sourceSystem": "matrix", "sourceRecordId": "1"}}}"#,
    ),
    ("rapport.interactions.v1.SurveyService.GetSurveyResponse", r#"{"name": "$response"}"#),
    ("rapport.interactions.v1.SurveyService.ListSurveyResponses", r#"{"survey": "$survey", "pageSize": 10}"#),
    (
        "rapport.interactions.v1.SurveyService.GetSurveyStats",
        r#"{"survey": "$survey", "startTime": "2020-01-01T00:00:00Z", "roleType": "customer", "confidenceLevel": 0.9}"#,
    ),
    (
        "rapport.scoring.v1.ScoreService.GetScores",
        r#"{"party": "$party", "asOf": "2026-01-05T10:00:00Z", "asKnownAt": "2026-01-05T10:00:00Z"}"#,
    ),
    (
        "rapport.scoring.v1.ScoreService.BatchGetScores",
        r#"{"parties": ["$party", "$other"], "definition": "scoreDefinitions/engagement", "asOf": "2026-01-05T10:00:00Z",
            "changeWindow": "2592000s", "reasonLimit": 3}"#,
    ),
    (
        "rapport.scoring.v1.ScoreService.ListScoreHistory",
        r#"{"party": "$party", "definition": "scoreDefinitions/relationship-health", "startTime": "2025-01-05T10:00:00Z",
            "endTime": "2026-01-05T10:00:00Z", "step": "604800s", "asKnownAt": "2026-01-05T10:00:00Z", "pageSize": 10}"#,
    ),
    (
        "rapport.scoring.v1.ScoreService.WatchScores",
        r#"{"parties": ["$party"], "definitions": ["scoreDefinitions/engagement"]}"#,
    ),
    ("rapport.scoring.v1.NetworkService.GetInfluence", r#"{"party": "$party", "asOf": "2026-01-05T10:00:00Z"}"#),
    ("rapport.scoring.v1.NetworkService.BatchGetInfluence", r#"{"parties": ["$party", "$other"], "maxAge": "3600s"}"#),
    ("rapport.scoring.v1.NetworkService.RankInfluencers", r#"{"asOf": "2026-01-05T10:00:00Z", "pageSize": 10}"#),
    (
        "rapport.scoring.v1.ScoreService.ExplainScore",
        r#"{"party": "$party", "definition": "scoreDefinitions/relationship-health", "lineLimit": 5}"#,
    ),
    ("rapport.scoring.v1.ScoreService.ListScoreDefinitions", r#"{"pageSize": 10}"#),
    (
        "rapport.scoring.v1.ValueService.FitClvModel",
        r#"{"family": "CLV_MODEL_FAMILY_MBG_NBD", "observationEnd": "2026-01-05", "currencyCode": "USD", "roleType": "customer",
            "displayName": "customers"}"#,
    ),
    ("rapport.scoring.v1.ValueService.GetClvModel", r#"{"name": "clvModels/018f0000-0000-7000-8000-00000000dead"}"#),
    ("rapport.scoring.v1.ValueService.ListClvModels", r#"{"pageSize": 10}"#),
    (
        "rapport.scoring.v1.ValueService.GetClv",
        r#"{"party": "$party", "horizon": "31449600s", "discountRate": 0.1, "asOf": "2026-01-05T10:00:00Z"}"#,
    ),
    ("rapport.operations.v1.OperationService.GetOperation", r#"{"name": "$operation"}"#),
    (
        "rapport.operations.v1.OperationService.ListOperations",
        r#"{"parent": "services/scoring", "state": "OPERATION_STATE_FAILED", "pageSize": 10}"#,
    ),
    ("rapport.operations.v1.OperationService.WaitOperation", r#"{"name": "$operation", "timeout": "1s"}"#),
    ("rapport.operations.v1.OperationService.CancelOperation", r#"{"name": "$operation"}"#),
    (
        "rapport.loyalty.v1.AdvocacyService.InviteAdvocate",
        r#"{"party": "$party", "channel": "email", "purpose": "advocacy", "ask": "review", "reason": "met at the fair"}"#,
    ),
    (
        "rapport.loyalty.v1.AdvocacyService.RespondToInvitation",
        r#"{"name": "$invitation", "answer": "INVITATION_ANSWER_ACCEPTED", "note": "with pleasure"}"#,
    ),
    ("rapport.loyalty.v1.AdvocacyService.GetInvitation", r#"{"name": "$invitation"}"#),
    (
        "rapport.loyalty.v1.AdvocacyService.ListInvitations",
        r#"{"party": "$party", "state": "INVITATION_STATE_SUPPRESSED", "pageSize": 10}"#,
    ),
    (
        "rapport.loyalty.v1.AdvocacyService.GetAdvocacyFunnel",
        r#"{"fromTime": "2026-01-05T10:00:00Z", "toTime": "2027-01-05T10:00:00Z"}"#,
    ),
    (
        "rapport.loyalty.v1.ProgramService.CreateProgram",
        r#"{"program": {"displayName": "Matrix club", "timeZone": "Europe/Lisbon", "tierWindow": "TIER_WINDOW_QUARTER"}}"#,
    ),
    ("rapport.loyalty.v1.ProgramService.GetProgram", r#"{"name": "$program"}"#),
    ("rapport.loyalty.v1.ProgramService.ListPrograms", r#"{"pageSize": 10}"#),
    ("rapport.loyalty.v1.ProgramService.PublishProgram", r#"{"name": "$draft", "validateOnly": true}"#),
    (
        "rapport.loyalty.v1.ProgramService.CreateUnitType",
        r#"{"program": "$program", "unitType": {"displayName": "miles", "kind": "UNIT_KIND_REDEEMABLE", "minorDigits": 2,
            "expiry": {"kind": "EXPIRY_KIND_MONTHS", "count": 12}, "pendingDays": 14}}"#,
    ),
    ("rapport.loyalty.v1.ProgramService.ListUnitTypes", r#"{"program": "$program", "pageSize": 10}"#),
    (
        "rapport.loyalty.v1.ProgramService.CreateEarningRule",
        r#"{"program": "$program", "earningRule": {"displayName": "orders", "unitType": "$points", "maxUnits": "1000",
            "trigger": {"kind": "TRIGGER_KIND_INTERACTION", "interactionKind": "matrix"},
            "perAmount": {"units": "5", "amount": {"currencyCode": "USD", "units": "2"}, "rounding": "ROUNDING_HALF_EVEN"}}}"#,
    ),
    ("rapport.loyalty.v1.ProgramService.ListEarningRules", r#"{"program": "$program", "pageSize": 10}"#),
    (
        "rapport.loyalty.v1.MemberService.EnrollMember",
        r#"{"program": "$program", "member": {"party": "$other", "roleType": "dealer", "number": "M-4711",
            "joinedTime": "2026-01-05T10:00:00Z"}}"#,
    ),
    ("rapport.loyalty.v1.MemberService.GetMember", r#"{"name": "$member"}"#),
    ("rapport.loyalty.v1.MemberService.ListMembers", r#"{"program": "$program", "party": "$party", "pageSize": 10}"#),
    (
        "rapport.loyalty.v1.TierService.CreateTier",
        r#"{"program": "$program", "tier": {"displayName": "gold", "unitType": "$credits", "entryThreshold": "1000", "keepThreshold": "800"}}"#,
    ),
    ("rapport.loyalty.v1.TierService.ListTiers", r#"{"program": "$program", "pageSize": 10}"#),
    ("rapport.loyalty.v1.TierService.GetTierStatus", r#"{"name": "$member", "asOf": "2026-01-05T10:00:00Z"}"#),
    (
        "rapport.loyalty.v1.LedgerService.PostAccrual",
        r#"{"member": "$member", "rule": "$rule", "money": {"currencyCode": "USD", "units": "12", "nanos": 500000000},
            "source": "matrix-1", "occurredTime": "2026-01-05T10:00:00Z"}"#,
    ),
    (
        "rapport.loyalty.v1.LedgerService.AdjustBalance",
        r#"{"member": "$member", "unitType": "$points", "amount": "-1", "reason": "given twice", "source": "matrix"}"#,
    ),
    (
        "rapport.loyalty.v1.LedgerService.GetBalances",
        r#"{"name": "$member", "asOf": "2026-01-05T10:00:00Z", "expiringWithin": "86400s"}"#,
    ),
    ("rapport.loyalty.v1.LedgerService.ListEntries", r#"{"member": "$member", "unitType": "$points", "pageSize": 10}"#),
    (
        "rapport.loyalty.v1.LedgerService.ListLots",
        r#"{"member": "$member", "unitType": "$points", "showClosed": true, "pageSize": 10}"#,
    ),
    (
        "rapport.events.v1.EventService.ListParkedEvents",
        r#"{"parent": "services/interactions/consumers/-", "pageSize": 5}"#,
    ),
    (
        "rapport.events.v1.EventService.RetryParkedEvents",
        r#"{"parent": "services/interactions/consumers/desk", "aggregate": "garbage/none"}"#,
    ),
    (
        "rapport.events.v1.EventService.DiscardParkedEvent",
        r#"{"name": "services/interactions/consumers/desk/parkedEvents/stakeholders-0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1-1"}"#,
    ),
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
        .replace("$commitment", &cast.commitment)
        .replace("$program", &cast.club.program)
        .replace("$draft", &cast.club.draft)
        .replace("$points", &cast.club.points)
        .replace("$credits", &cast.club.credits)
        .replace("$rule", &cast.club.rule)
        .replace("$member", &cast.club.member)
        .replace("$invitation", &cast.invitation)
        .replace("$operation", &cast.operation)
        .replace("$survey", &cast.survey)
        .replace("$response", &cast.response)
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
        commitment: String::new(),
        club: Club::default(),
        invitation: String::new(),
        operation: String::new(),
        survey: String::new(),
        response: String::new(),
    };
    for method in crate::raw::methods() {
        let json = example(method.full_name(), &cast);
        let _message = crate::raw::dynamic(&method, &json);
    }
}
