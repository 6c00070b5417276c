//! Who is who: from identifiers to parties, claims, and parties of whom only a number is known.

use futures::future::join_all;
use rapport_proto::stakeholders::v1::*;
use rapport_testkit::asserts::{error_metadata, is_replayed, position};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};

use super::messages::{DAY, after, email, identifier, now, organization, person, phone, role};
use super::stage::{ACME, AGENT, GLOBEX, READER, Stage, fresh, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn a_caller_is_recognised_safely_or_not_at_all(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        one_number_however_it_is_written(&stage).await;
        each_strength_speaks_for_itself(&stage).await;
        two_holders_are_ranked_and_none_is_taken(&stage).await;
        shared_and_withheld_are_no_match(&stage).await;
        doubts_lower_the_confidence(&stage).await;
        a_unique_identifier_settles_a_disagreement(&stage).await;
        requests_have_bounds(&stage).await;
        stage.close().await;
    }

    async fn identifiers_are_claimed_and_the_unknown_are_provisional(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        a_unique_identifier_has_one_holder(&stage).await;
        a_claim_keeps_the_stronger_strength(&stage).await;
        nobody_is_made_up_unasked(&stage).await;
        a_provisional_party_is_recorded_once(&stage).await;
        recording_needs_the_permission_to_record(&stage).await;
        stage.close().await;
    }
}

fn query(scheme: &str, value: &str, country: &str) -> IdentifierQuery {
    IdentifierQuery { scheme: scheme.into(), value: value.into(), country_code: country.into(), shared: false }
}

fn ask(identifiers: Vec<IdentifierQuery>) -> ResolvePartyRequest {
    ResolvePartyRequest { identifiers, ..Default::default() }
}

async fn resolve(stage: &Stage, request: ResolvePartyRequest) -> ResolvePartyResponse {
    stage.identity(ACME).resolve_party(request).await.expect("resolved").into_inner()
}

fn names(candidates: &[MatchCandidate]) -> Vec<&str> {
    candidates.iter().map(|candidate| candidate.party.as_str()).collect()
}

/// The kinds and weights of a candidate's reasons.
fn reasons(candidate: &MatchCandidate) -> Vec<(MatchReasonKind, i64)> {
    candidate.reasons.iter().map(|reason| (reason.kind(), thousandths(reason.weight))).collect()
}

fn thousandths(share: f64) -> i64 {
    // Shares of one have three decimals.
    #[allow(clippy::cast_possible_truncation)]
    let whole = (share * 1000.0).round() as i64;
    assert!((share * 1000.0 - whole as f64).abs() < 1e-6, "{share}");
    whole
}

async fn one_number_however_it_is_written(stage: &Stage) {
    let mobile = ContactMedium { country_code: "BR".into(), ..phone("(11) 98765-4321") };
    let ana =
        stage.party(Party { contact_media: vec![mobile], roles: vec![role("customer")], ..person("Ana Lima") }).await;
    for (value, country) in [
        ("+5511987654321", ""),
        ("+55 (11) 98765-4321", ""),
        ("11 98765-4321", "BR"),
        ("011 8765-4321", "BR"), // as it was written before mobiles got a ninth digit
        ("tel:+55-11-98765-4321", ""),
        ("0055 11 98765 4321", ""),
        ("sip:+5511987654321@pbx.example.com", "US"),
        ("１１ ９８７６５-４３２１", "BR"),
    ] {
        for scheme in ["tel", "phone"] {
            let found = resolve(stage, ask(vec![query(scheme, value, country)])).await;
            let understood = &found.identifiers[0];
            assert_eq!(understood.normalized_value, "+5511987654321", "{value} in {country:?}");
            assert_eq!((understood.scheme.as_str(), understood.reading()), ("tel", IdentifierReading::Read));
            assert_eq!(understood.holder_count, 1);
            assert_eq!(found.outcome(), ResolutionOutcome::Matched, "{value}");
            assert_eq!(found.party.as_ref(), Some(&ana));
            assert!(!found.truncated);
            let [candidate] = found.candidates.as_slice() else { panic!("{found:?}") };
            assert_eq!((candidate.party.as_str(), candidate.display_name.as_str()), (ana.name.as_str(), "Ana Lima"));
            assert_eq!(thousandths(candidate.confidence), 850);
            assert_eq!(candidate.role_types, ["customer"]);
            assert_eq!(reasons(candidate), [(MatchReasonKind::ContactMedium, 850)]);
            let reason = &candidate.reasons[0];
            assert_eq!((reason.scheme.as_str(), reason.identifier_index), ("tel", 0));
            assert!(!reason.description.is_empty() && !reason.description.contains("98765"), "{}", reason.description);
        }
    }
    // Without its country a national number is no number; with another country it is another one.
    let found = resolve(stage, ask(vec![query("tel", "11 98765-4321", "")])).await;
    assert_eq!(found.identifiers[0].reading(), IdentifierReading::Unreadable);
    assert_eq!((found.outcome(), found.candidates.len()), (ResolutionOutcome::None, 0));
    let found = resolve(stage, ask(vec![query("tel", "202 555 0199", "US")])).await;
    assert_eq!(
        (found.identifiers[0].normalized_value.as_str(), found.outcome()),
        ("+12025550199", ResolutionOutcome::None)
    );
    // Another tenant knows nobody by it.
    let foreign = ask(vec![query("tel", "+5511987654321", "")]);
    let found = stage.identity(GLOBEX).resolve_party(foreign).await.expect("resolved").into_inner();
    assert_eq!((found.outcome(), found.identifiers[0].holder_count), (ResolutionOutcome::None, 0));
}

async fn each_strength_speaks_for_itself(stage: &Stage) {
    let identifiers = vec![
        identifier("crm", "Strength-1", IdentifierStrength::Unique),
        identifier("loyalty-card", "4711", IdentifierStrength::Strong),
        identifier("badge", "blue", IdentifierStrength::Weak),
    ];
    let bea =
        stage.party(Party { identifiers, contact_media: vec![email("Bea@Example.com")], ..person("Bea Strong") }).await;
    for (scheme, value, kind, weight, outcome) in [
        ("crm", "Strength-1", MatchReasonKind::UniqueIdentifier, 990, ResolutionOutcome::Matched),
        ("loyalty-card", "4711", MatchReasonKind::StrongIdentifier, 900, ResolutionOutcome::Matched),
        ("email", "mailto:BEA@EXAMPLE.COM", MatchReasonKind::ContactMedium, 850, ResolutionOutcome::Matched),
        ("badge", "blue", MatchReasonKind::WeakIdentifier, 300, ResolutionOutcome::Candidates),
    ] {
        let found = resolve(stage, ask(vec![query(scheme, value, "")])).await;
        assert_eq!(found.outcome(), outcome, "{scheme}");
        assert_eq!(found.party.is_some(), outcome == ResolutionOutcome::Matched);
        assert_eq!(names(&found.candidates), [bea.name.as_str()]);
        assert_eq!(reasons(&found.candidates[0]), [(kind, weight)], "{scheme}");
        assert_eq!(thousandths(found.candidates[0].confidence), weight);
    }
    // Customer numbers differ by case.
    let found = resolve(stage, ask(vec![query("crm", "strength-1", "")])).await;
    assert_eq!(found.outcome(), ResolutionOutcome::None);
    // Two that agree are surer than one: what stays in doubt is the product of the doubts.
    let both = ask(vec![query("badge", "blue", ""), query("email", "bea@example.com", "")]);
    let found = resolve(stage, both).await;
    assert_eq!(thousandths(found.candidates[0].confidence), 1000 - 700 * 150 / 1000);
    assert_eq!(
        reasons(&found.candidates[0]),
        [(MatchReasonKind::ContactMedium, 850), (MatchReasonKind::WeakIdentifier, 300)],
        "the strongest first"
    );
}

async fn two_holders_are_ranked_and_none_is_taken(stage: &Stage) {
    let home = || vec![phone("+442079460018")];
    let cai = stage.party(Party { contact_media: home(), country_code: "GB".into(), ..person("Cai Jones") }).await;
    let dan = stage.party(Party { contact_media: home(), roles: vec![role("dealer")], ..person("Dan Evans") }).await;
    let number = || ask(vec![query("tel", "020 7946 0018", "GB")]);
    let found = resolve(stage, number()).await;
    assert_eq!((found.outcome(), found.party.is_none()), (ResolutionOutcome::Candidates, true));
    assert_eq!(found.identifiers[0].holder_count, 2);
    let mut by_name = [cai.name.as_str(), dan.name.as_str()];
    by_name.sort_unstable();
    assert_eq!(names(&found.candidates), by_name, "equal ones by name");

    for (hints, likelier, lesser) in [
        (ResolutionHints { display_name: "JONES".into(), ..Default::default() }, &cai, 700),
        (ResolutionHints { display_name: "Mr Evans".into(), ..Default::default() }, &dan, 700),
        (ResolutionHints { role_type: "dealer".into(), ..Default::default() }, &dan, 850),
    ] {
        let found = resolve(stage, ResolvePartyRequest { hints: Some(hints.clone()), ..number() }).await;
        assert_eq!(names(&found.candidates)[0], likelier.name, "{hints:?}");
        let (first, second) = (&found.candidates[0], &found.candidates[1]);
        assert_eq!(thousandths(first.confidence), 850 + 150 * 200 / 1000);
        assert_eq!(reasons(first)[1], (MatchReasonKind::HintAgrees, 200));
        assert_eq!(first.reasons[1].identifier_index, -1);
        assert_eq!(thousandths(second.confidence), 850 * lesser / 1000);
        assert_eq!(reasons(second)[1], (MatchReasonKind::HintDisagrees, lesser));
    }
    // A hint may cast out a rival; a wrong one casts doubt on the only holder too.
    let alone = stage.party(Party { contact_media: vec![phone("+442079460019")], ..person("Only Holder") }).await;
    let doubted = ResolvePartyRequest {
        hints: Some(ResolutionHints { display_name: "Nobody Else".into(), ..Default::default() }),
        ..ask(vec![query("tel", "+442079460019", "")])
    };
    let found = resolve(stage, doubted).await;
    assert_eq!((found.outcome(), names(&found.candidates)[0]), (ResolutionOutcome::Candidates, alone.name.as_str()));
    assert_eq!(thousandths(found.candidates[0].confidence), 850 * 700 / 1000);

    let one = ResolvePartyRequest { max_candidates: 1, ..number() };
    let found = resolve(stage, one).await;
    assert_eq!((found.candidates.len(), found.truncated, found.outcome()), (1, true, ResolutionOutcome::Candidates));
}

async fn shared_and_withheld_are_no_match(stage: &Stage) {
    let switchboard = ContactMedium { shared: true, ..phone("+12025550150") };
    let desk =
        stage.party(Party { contact_media: vec![switchboard, email("info@example.org")], ..person("Eva Desk") }).await;
    for (scheme, value) in [("tel", "+12025550150"), ("email", "info@example.org")] {
        let found = resolve(stage, ask(vec![query(scheme, value, "")])).await;
        assert_eq!((found.outcome(), found.party.is_none()), (ResolutionOutcome::Candidates, true), "{scheme}");
        assert_eq!(reasons(&found.candidates[0]), [(MatchReasonKind::SharedMedium, 200)]);
        assert_eq!(found.candidates[0].party, desk.name);
    }
    // Hints rank, they never make a match.
    let hints =
        ResolutionHints { display_name: "Eva Desk".into(), kind: PartyKind::Individual.into(), ..Default::default() };
    let found =
        resolve(stage, ResolvePartyRequest { hints: Some(hints), ..ask(vec![query("tel", "+12025550150", "")]) }).await;
    assert_eq!(found.outcome(), ResolutionOutcome::Candidates);
    // The caller may know that a number is shared though the record does not.
    let fay = stage.party(Party { contact_media: vec![phone("+12025550151")], ..person("Fay") }).await;
    let direct = query("tel", "+12025550151", "");
    assert_eq!(resolve(stage, ask(vec![direct.clone()])).await.party, Some(fay));
    let found = resolve(stage, ask(vec![IdentifierQuery { shared: true, ..direct }])).await;
    assert_eq!((found.outcome(), found.party), (ResolutionOutcome::Candidates, None));

    for (scheme, value) in [
        ("tel", ""),
        ("tel", "anonymous"),
        ("tel", "Private Number"),
        ("tel", "+266696687"),
        ("email", "anonymous@anonymous.invalid"),
    ] {
        let request = ResolvePartyRequest { create_provisional: true, ..ask(vec![query(scheme, value, "US")]) };
        let found = resolve(stage, request).await;
        assert_eq!(found.identifiers[0].reading(), IdentifierReading::Withheld, "{value:?}");
        assert_eq!((found.identifiers[0].normalized_value.as_str(), found.identifiers[0].holder_count), ("", 0));
        assert_eq!((found.outcome(), found.party), (ResolutionOutcome::None, None), "{value:?} makes nobody up");
    }
}

async fn doubts_lower_the_confidence(stage: &Stage) {
    let over = ContactMedium { valid_to_time: Some(after(now(), -DAY)), ..phone("+12025550160") };
    let bounced = ContactMedium { verification: MediumVerification::Failed.into(), ..email("gil@example.com") };
    stage.party(Party { contact_media: vec![over, bounced], ..person("Gil Doubt") }).await;
    for (scheme, value, doubt) in [
        ("tel", "+12025550160", MatchReasonKind::OutOfValidity),
        ("email", "gil@example.com", MatchReasonKind::FailedVerification),
    ] {
        let found = resolve(stage, ask(vec![query(scheme, value, "")])).await;
        assert_eq!((found.outcome(), found.party), (ResolutionOutcome::Candidates, None), "{scheme}");
        let candidate = &found.candidates[0];
        assert_eq!(reasons(candidate), [(MatchReasonKind::ContactMedium, 850), (doubt, 500)]);
        assert_eq!(thousandths(candidate.confidence), 425);
    }
}

async fn a_unique_identifier_settles_a_disagreement(stage: &Stage) {
    let crm = vec![identifier("crm", "Settle-1", IdentifierStrength::Unique)];
    let owner = stage.party(Party { identifiers: crm, ..person("Hal Owner") }).await;
    let other = stage.party(Party { contact_media: vec![phone("+12025550161")], ..person("Ida Other") }).await;
    let both = ask(vec![query("tel", "+12025550161", ""), query("crm", "Settle-1", "")]);
    let found = resolve(stage, both).await;
    assert_eq!(found.outcome(), ResolutionOutcome::Matched);
    assert_eq!(found.party.as_ref().map(|party| &party.name), Some(&owner.name));
    assert_eq!(names(&found.candidates), [owner.name.as_str(), other.name.as_str()]);
    let lesser = &found.candidates[1];
    assert_eq!(reasons(lesser), [(MatchReasonKind::ContactMedium, 850), (MatchReasonKind::UniqueConflict, 300)]);
    assert_eq!((thousandths(lesser.confidence), lesser.reasons[1].identifier_index), (255, 1));
}

async fn requests_have_bounds(stage: &Stage) {
    let mut identity = stage.identity(ACME);
    refused(identity.resolve_party(ask(vec![])).await, &[("identifiers", "REQUIRED")]);
    let many = ask(vec![query("badge", "x", ""); 11]);
    refused(identity.resolve_party(many).await, &[("identifiers", "TOO_MANY")]);
    let wrong = ResolvePartyRequest {
        hints: Some(ResolutionHints {
            role_type: "wizard".into(),
            kind: 99,
            country_code: "UK".into(),
            ..Default::default()
        }),
        max_candidates: -1,
        provisional_kind: -1,
        ..ask(vec![query("", "x", ""), query("tel", "+12025550143", "UK"), query("email", "a\0b", "")])
    };
    refused(
        identity.resolve_party(wrong).await,
        &[
            ("identifiers[0].scheme", "REQUIRED"),
            ("identifiers[1].country_code", "UNKNOWN_COUNTRY"),
            ("identifiers[2].value", "CONTROL_CHARACTER"),
            ("hints.role_type", "UNKNOWN_TYPE"),
            ("hints.kind", "UNKNOWN_ENUM_VALUE"),
            ("hints.country_code", "UNKNOWN_COUNTRY"),
            ("max_candidates", "OUT_OF_RANGE"),
            ("provisional_kind", "UNKNOWN_ENUM_VALUE"),
        ],
    );
}

fn claim(party: &str, identifier: PartyIdentifier) -> ClaimIdentifierRequest {
    ClaimIdentifierRequest { party: party.into(), identifier: Some(identifier), ..Default::default() }
}

async fn a_unique_identifier_has_one_holder(stage: &Stage) {
    let mut identity = stage.identity(ACME);
    let holder = stage.party(organization("Holder Ltd")).await;
    let rival = stage.party(organization("Rival Ltd")).await;
    let number = || identifier("tax.br.cnpj", "12.345.678/0001-95", IdentifierStrength::Unique);
    let request = ClaimIdentifierRequest { request_id: fresh(), ..claim(&holder.name, number()) };
    let claimed = identity.claim_identifier(request.clone()).await.expect("claimed");
    assert!(position(claimed.metadata(), "stakeholders") > 0);
    let claimed = claimed.into_inner();
    let held = &claimed.identifiers[0];
    assert_eq!((held.value.as_str(), held.normalized_value.as_str()), ("12.345.678/0001-95", "12345678000195"));
    assert_eq!(held.create_time, claimed.update_time);
    assert_ne!(claimed.etag, holder.etag);

    let spelled = identifier("tax.br.cnpj", "12345678000195", IdentifierStrength::Unique);
    let taken = identity.claim_identifier(claim(&rival.name, spelled.clone())).await;
    let status = assert_reason!(taken, Code::AlreadyExists, "IDENTIFIER_TAKEN");
    assert_eq!(error_metadata(&status)["holder"], holder.name);
    assert!(!format!("{status:?}").contains("12345678000195"), "no personal value in an error");
    let born = CreatePartyRequest {
        party: Some(Party { identifiers: vec![spelled.clone()], ..organization("Late Ltd") }),
        ..Default::default()
    };
    let status = assert_reason!(stage.parties(ACME).create_party(born).await, Code::AlreadyExists, "IDENTIFIER_TAKEN");
    assert_eq!(error_metadata(&status)["holder"], holder.name);
    // Another tenant has its own.
    let theirs = CreatePartyRequest {
        party: Some(Party { identifiers: vec![spelled], ..organization("Globex Ltd") }),
        ..Default::default()
    };
    stage.parties(GLOBEX).create_party(theirs).await.expect("another tenant's number is free");
    let replayed = identity.claim_identifier(request).await.expect("replayed");
    assert!(is_replayed(replayed.metadata()));
    assert_eq!(replayed.into_inner(), claimed);

    // Of several who claim at once, one gets it.
    let rivals = join_all((0..8).map(|n| stage.party(person(&format!("Rival {n}"))))).await;
    let calls = rivals.iter().map(|party| {
        let (mut identity, request) =
            (stage.identity(ACME), claim(&party.name, identifier("crm", "race-1", IdentifierStrength::Unique)));
        async move { identity.claim_identifier(request).await }
    });
    let (won, lost): (Vec<_>, Vec<_>) = join_all(calls).await.into_iter().partition(Result::is_ok);
    let [Ok(won)] = won.as_slice() else { panic!("{} got it", won.len()) };
    for answer in lost {
        let status = assert_reason!(answer, Code::AlreadyExists, "IDENTIFIER_TAKEN");
        assert_eq!(error_metadata(&status)["holder"], won.get_ref().name);
    }
    let found = resolve(stage, ask(vec![query("crm", "race-1", "")])).await;
    assert_eq!(found.party.as_ref(), Some(won.get_ref()));
}

async fn a_claim_keeps_the_stronger_strength(stage: &Stage) {
    let mut identity = stage.identity(ACME);
    let party = stage.party(person("Keeper")).await;
    for (asked, kept) in [
        (IdentifierStrength::Unspecified, IdentifierStrength::Strong),
        (IdentifierStrength::Weak, IdentifierStrength::Strong),
        (IdentifierStrength::Unique, IdentifierStrength::Unique),
        (IdentifierStrength::Strong, IdentifierStrength::Unique),
    ] {
        let after =
            identity.claim_identifier(claim(&party.name, identifier("fob", "9", asked))).await.expect("claimed");
        let [held] = after.get_ref().identifiers.as_slice() else { panic!("{after:?}") };
        assert_eq!(held.strength(), kept, "after {asked:?}");
    }
    let nobody =
        identity.claim_identifier(claim(&unknown("parties"), identifier("fob", "8", IdentifierStrength::Weak))).await;
    assert_reason!(nobody, Code::NotFound, "RESOURCE_NOT_FOUND");
    let withheld =
        identity.claim_identifier(claim(&party.name, identifier("tel", "anonymous", IdentifierStrength::Strong))).await;
    refused(withheld, &[("identifier.value", "IDENTIFIER_SHARED")]);
    refused(
        identity.claim_identifier(ClaimIdentifierRequest { request_id: "x".into(), ..Default::default() }).await,
        &[("party", "REQUIRED"), ("identifier", "REQUIRED"), ("request_id", "INVALID_REQUEST_ID")],
    );
}

async fn provisional(stage: &Stage) -> Vec<Party> {
    let request = ListPartiesRequest { filter: r#"lifecycle == "provisional""#.into(), ..Default::default() };
    stage.parties(ACME).list_parties(request).await.expect("listed").into_inner().parties
}

async fn nobody_is_made_up_unasked(stage: &Stage) {
    let answer =
        stage.identity(ACME).resolve_party(ask(vec![query("tel", "202 555 0170", "US")])).await.expect("resolved");
    assert!(rapport_testkit::asserts::positions(answer.metadata()).is_empty(), "nothing was written");
    assert_eq!((answer.get_ref().outcome(), answer.get_ref().party.is_none()), (ResolutionOutcome::None, true));
    assert!(provisional(stage).await.is_empty());
}

async fn a_provisional_party_is_recorded_once(stage: &Stage) {
    let mut identity = stage.identity(ACME);
    let request = ResolvePartyRequest {
        create_provisional: true,
        provisional_kind: PartyKind::Organization.into(),
        request_id: fresh(),
        ..ask(vec![query("tel", "202 555 0171", "US")])
    };
    let answer = identity.resolve_party(request.clone()).await.expect("resolved");
    assert!(position(answer.metadata(), "stakeholders") > 0);
    let found = answer.into_inner();
    assert_eq!(found.outcome(), ResolutionOutcome::ProvisionalCreated);
    let party = found.party.expect("a party");
    assert_eq!((party.lifecycle(), party.kind()), (PartyLifecycle::Provisional, PartyKind::Organization));
    assert_eq!(party.display_name, "");
    let again = identity.resolve_party(request).await.expect("resolved").into_inner();
    assert_eq!(again.party.map(|party| party.name), Some(party.name.clone()), "a retry makes no second one");
    let known = resolve(stage, ask(vec![query("tel", "+1 202-555-0171", "")])).await;
    assert_eq!((known.outcome(), known.party.as_ref()), (ResolutionOutcome::Matched, Some(&party)));
    assert_eq!(provisional(stage).await, [party]);
    // The same unknown caller rings at eight desks at once: one party.
    let calls = (0..8).map(|_| {
        let mut identity = stage.identity(AGENT);
        let request = ResolvePartyRequest { create_provisional: true, ..ask(vec![query("tel", "+12025550172", "")]) };
        async move { identity.resolve_party(request).await.expect("resolved").into_inner() }
    });
    let mut answered: Vec<String> =
        join_all(calls).await.into_iter().filter_map(|found| Some(found.party?.name)).collect();
    assert_eq!(answered.len(), 8, "every desk has a party");
    answered.sort();
    answered.dedup();
    assert_eq!(answered.len(), 1, "and it is the same");
    assert_eq!(provisional(stage).await.len(), 2);
}

async fn recording_needs_the_permission_to_record(stage: &Stage) {
    // A reader may ask who somebody is. To have nobody recorded it may not: whether or not the number is known.
    let known = vec![query("tel", "+12025550171", "")];
    let mut reader = stage.identity(READER);
    let found = reader.resolve_party(ask(known.clone())).await.unwrap().into_inner();
    assert_eq!(found.outcome(), ResolutionOutcome::Matched);
    for identifiers in [known, vec![query("tel", "+12025550173", "")]] {
        let request = ResolvePartyRequest { create_provisional: true, ..ask(identifiers) };
        let status = assert_reason!(reader.resolve_party(request).await, Code::PermissionDenied, "PERMISSION_DENIED");
        assert_eq!(error_metadata(&status)["permission"], "stakeholders.parties.write");
    }
    assert_eq!(provisional(stage).await.len(), 2, "nothing was recorded");
}
