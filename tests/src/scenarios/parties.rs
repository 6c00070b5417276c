//! Parties: written, read, changed; and what a retry answers.

use std::collections::BTreeMap;

use futures::future::join_all;
use prost_types::{FieldMask, Struct, Value, value::Kind};
use rapport_proto::stakeholders::v1::*;
use rapport_proto::types::v1::Provenance;
use rapport_testkit::asserts::{error_metadata, is_replayed, position};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};
use tonic::Status;

use super::messages::{at, email, identifier, organization, person, phone, role, set_apart};
use super::stage::{ACME, AGENT, GLOBEX, Stage, fresh, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn parties_are_written_read_and_changed(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        a_party_comes_back_as_it_was_understood(&stage).await;
        everything_wrong_is_told_at_once(&stage).await;
        several_are_recorded_at_once(&stage).await;
        several_are_read_at_once(&stage).await;
        an_update_changes_what_its_mask_names(&stage).await;
        a_party_is_set_apart_from_the_start_or_not_recorded(&stage).await;
        a_mask_names_what_may_change(&stage).await;
        a_stale_etag_aborts(&stage).await;
        a_retry_answers_what_the_first_call_answered(&stage).await;
        twins_in_flight_are_one(&stage).await;
        stage.close().await;
    }
}

fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.into())) }
}

fn attributes(pairs: &[(&str, &str)]) -> Option<Struct> {
    let fields: BTreeMap<String, Value> = pairs.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect();
    Some(Struct { fields })
}

fn create(party: Party) -> CreatePartyRequest {
    CreatePartyRequest { party: Some(party), ..Default::default() }
}

fn update(party: Party, paths: &[&str]) -> UpdatePartyRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    UpdatePartyRequest { party: Some(party), update_mask: Some(FieldMask { paths }), ..Default::default() }
}

async fn get(stage: &Stage, name: &str) -> Result<Party, Status> {
    let request = GetPartyRequest { name: name.to_owned() };
    Ok(stage.parties(ACME).get_party(request).await?.into_inner())
}

fn noa() -> Party {
    Party {
        kind: PartyKind::Individual.into(),
        names: vec![
            PartyName {
                given_name: "Noa".into(),
                family_name: "Lima".into(),
                usage: NameUsage::Legal.into(),
                ..Default::default()
            },
            PartyName { full_name: "Нoа Л.".into(), usage: NameUsage::Preferred.into(), ..Default::default() },
        ],
        contact_media: vec![
            ContactMedium { label: "mobile".into(), preferred: true, ..phone("(202) 555-0143") },
            email("Noa.Lima@Example.COM"),
        ],
        identifiers: vec![identifier("crm", "C-1", IdentifierStrength::Unique)],
        roles: vec![PartyRole { scope: "north".into(), ..role("customer") }],
        attributes: attributes(&[("segment", "gold"), ("shoe", "42")]),
        language_code: "pt-BR".into(),
        country_code: "US".into(),
        time_zone: "America/Sao_Paulo".into(),
        provenance: Some(Provenance {
            source_system: "shop".into(),
            source_record_id: "17".into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn a_party_comes_back_as_it_was_understood(stage: &Stage) {
    let answer = stage.parties(ACME).create_party(create(noa())).await.expect("created");
    assert!(position(answer.metadata(), "stakeholders") > 0);
    assert!(!is_replayed(answer.metadata()));
    let party = answer.into_inner();
    let id = party.name.strip_prefix("parties/").expect("a resource name");
    uuid::Uuid::parse_str(id).expect("a UUID");
    assert_eq!(party.kind(), PartyKind::Individual);
    assert_eq!(party.lifecycle(), PartyLifecycle::Identified);
    assert_eq!(party.display_name, "Нoа Л.", "the preferred name is shown");
    assert_eq!(party.names[0].full_name, "Noa Lima", "put together from its parts");
    assert_eq!(party.names[0].script, "Latn");
    let (number, address) = (&party.contact_media[0], &party.contact_media[1]);
    assert_eq!((number.value.as_str(), number.normalized_value.as_str()), ("(202) 555-0143", "+12025550143"));
    assert_eq!((number.label.as_str(), number.preferred, number.shared), ("mobile", true, false));
    assert_eq!(number.verification(), MediumVerification::Unverified);
    assert_eq!(
        (address.value.as_str(), address.normalized_value.as_str()),
        ("Noa.Lima@Example.COM", "noa.lima@example.com")
    );
    let held = &party.identifiers[0];
    assert_eq!((held.scheme.as_str(), held.normalized_value.as_str()), ("crm", "C-1"));
    assert_eq!((held.strength(), held.create_time), (IdentifierStrength::Unique, party.create_time));
    let role = &party.roles[0];
    assert!(role.name.starts_with(&format!("{}/roles/", party.name)), "{}", role.name);
    assert_eq!(
        (role.role_type.as_str(), role.scope.as_str(), role.status()),
        ("customer", "north", RoleStatus::Active)
    );
    assert_eq!(role.valid_from_time, party.create_time, "from the time of the call on");
    assert_eq!(party.attributes, attributes(&[("segment", "gold"), ("shoe", "42")]));
    assert_eq!((party.language_code.as_str(), party.country_code.as_str()), ("pt-BR", "US"));
    assert_eq!(party.time_zone, "America/Sao_Paulo");
    assert_eq!(party.provenance, noa().provenance);
    assert_eq!(party.create_time, party.update_time);
    assert!(!party.etag.is_empty());
    assert_eq!(get(stage, &party.name).await.expect("it is there"), party, "read as it was answered");

    let provisional = stage
        .party(Party { display_name: String::new(), contact_media: vec![phone("+442079460018")], ..person("") })
        .await;
    assert_eq!((provisional.lifecycle(), provisional.display_name.as_str()), (PartyLifecycle::Provisional, ""));

    // What is another tenant's is not there, and what has no name is no name.
    let foreign = stage.parties(GLOBEX).get_party(GetPartyRequest { name: party.name.clone() }).await;
    let status = assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
    assert_eq!(error_metadata(&status)["name"], party.name);
    assert_reason!(get(stage, &unknown("parties")).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    for junk in ["parties/7", "relationships/018f0000-0000-7000-8000-00000000dead", "parties/", "018f"] {
        let request = GetPartyRequest { name: junk.into() };
        refused(stage.parties(ACME).get_party(request).await, &[("name", "MALFORMED_NAME")]);
    }
}

async fn everything_wrong_is_told_at_once(stage: &Stage) {
    let mut parties = stage.parties(ACME);
    refused(parties.create_party(CreatePartyRequest::default()).await, &[("party", "REQUIRED")]);
    let nothing = create(Party::default());
    refused(parties.create_party(nothing).await, &[("party.kind", "REQUIRED"), ("party.display_name", "REQUIRED")]);
    let wrong = Party {
        kind: 9,
        display_name: "a\0b".into(),
        names: vec![PartyName { full_name: "evil \u{202e}name".into(), ..Default::default() }, PartyName::default()],
        contact_media: vec![
            phone("+12025550143"),
            phone("12"),
            ContactMedium { value: "x".into(), ..Default::default() },
        ],
        identifiers: vec![
            identifier("Not A Slug", "v", IdentifierStrength::Weak),
            identifier("tel", "anonymous", IdentifierStrength::Weak),
        ],
        roles: vec![role("wizard"), role("")],
        language_code: "x_".into(),
        country_code: "UK".into(),
        time_zone: "Mars//Olympus".into(),
        ..Default::default()
    };
    let request = CreatePartyRequest { request_id: "order-17".into(), ..create(wrong) };
    refused(
        parties.create_party(request).await,
        &[
            ("party.kind", "UNKNOWN_ENUM_VALUE"),
            ("party.display_name", "CONTROL_CHARACTER"),
            ("party.names[0].full_name", "BIDI_CONTROL"),
            ("party.names[1].full_name", "REQUIRED"),
            ("party.contact_media[1].value", "MALFORMED"),
            ("party.contact_media[2].kind", "REQUIRED"),
            ("party.identifiers[0].scheme", "MALFORMED"),
            ("party.identifiers[1].value", "IDENTIFIER_SHARED"),
            ("party.roles[0].role_type", "UNKNOWN_TYPE"),
            ("party.roles[1].role_type", "REQUIRED"),
            ("party.language_code", "MALFORMED"),
            ("party.country_code", "UNKNOWN_COUNTRY"),
            ("party.time_zone", "MALFORMED"),
            ("request_id", "INVALID_REQUEST_ID"),
        ],
    );
    let long = create(person(&"n".repeat(301)));
    refused(parties.create_party(long).await, &[("party.display_name", "TOO_LONG")]);
    let many = create(Party { contact_media: vec![email("a@example.com"); 51], ..person("Many") });
    refused(parties.create_party(many).await, &[("party.contact_media", "TOO_MANY")]);
    let died = Cessation { kind: CessationKind::Deceased.into(), ..Default::default() };
    let dead = create(Party { cessation: Some(died), ..organization("Dead Ltd") });
    refused(parties.create_party(dead).await, &[("party.cessation.kind", "MALFORMED")]);
}

async fn several_are_recorded_at_once(stage: &Stage) {
    use create_party_result::Result::{Error, Receipt};
    let mut parties = stage.parties(ACME);
    let keyed = |name: &str, key: &str| Party {
        identifiers: vec![identifier("batch", key, IdentifierStrength::Unique)],
        ..person(name)
    };
    let id = fresh();
    let requests = vec![
        CreatePartyRequest { party: Some(keyed("Ida", "1")), request_id: id.clone() },
        CreatePartyRequest {
            party: Some(Party { country_code: "Brazil".into(), ..person("Bad") }),
            ..Default::default()
        },
        create(keyed("Twin", "1")),
        create(keyed("Olu", "2")),
    ];
    let answer = parties
        .batch_create_parties(BatchCreatePartiesRequest { requests: requests.clone(), ..Default::default() })
        .await
        .expect("answered");
    assert!(position(answer.metadata(), "stakeholders") > 0);
    let results: Vec<_> =
        answer.into_inner().results.into_iter().map(|result| result.result.expect("one or the other")).collect();
    let (Receipt(ida), Error(bad), Error(twin), Receipt(_)) = (&results[0], &results[1], &results[2], &results[3])
    else {
        panic!("each for itself: {results:?}");
    };
    assert_eq!(
        (bad.code, bad.violations[0].field.as_str()),
        (Code::InvalidArgument as i32, "requests[1].party.country_code")
    );
    assert_eq!((twin.reason.as_str(), &twin.metadata["holder"]), ("IDENTIFIER_TAKEN", &ida.name));
    assert_eq!(get(stage, &ida.name).await.expect("it is there").display_name, "Ida");
    // A request id is one request, whether it comes alone or in a batch.
    let alone = parties.create_party(requests[0].clone()).await.expect("replayed");
    assert!(is_replayed(alone.metadata()) && alone.get_ref().name == ida.name);
    let again = parties
        .batch_create_parties(BatchCreatePartiesRequest { requests: requests[..1].to_vec(), ..Default::default() })
        .await
        .expect("answered");
    let receipt = CreatePartyReceipt { name: ida.name.clone(), replayed: true };
    assert_eq!(again.into_inner().results[0].result, Some(Receipt(receipt)));
    refused(parties.batch_create_parties(BatchCreatePartiesRequest::default()).await, &[("requests", "REQUIRED")]);
    let many = BatchCreatePartiesRequest { requests: vec![CreatePartyRequest::default(); 501], ..Default::default() };
    refused(parties.batch_create_parties(many).await, &[("requests", "TOO_MANY")]);
}

async fn several_are_read_at_once(stage: &Stage) {
    let (ana, bo) = (stage.party(person("Ana")).await, stage.party(person("Bo")).await);
    let mut parties = stage.parties(ACME);
    let nobody = unknown("parties");
    let names = vec![bo.name.clone(), nobody.clone(), ana.name.clone(), bo.name.clone()];
    let found = parties.batch_get_parties(BatchGetPartiesRequest { names }).await.expect("read").into_inner();
    assert_eq!(found.parties, [bo, ana.clone()], "in the order they were asked for, each once");
    assert_eq!(found.missing_names, [nobody]);
    let foreign = BatchGetPartiesRequest { names: vec![ana.name.clone()] };
    let found = stage.parties(GLOBEX).batch_get_parties(foreign).await.expect("read").into_inner();
    assert_eq!((found.parties.len(), found.missing_names), (0, vec![ana.name.clone()]));
    refused(parties.batch_get_parties(BatchGetPartiesRequest::default()).await, &[("names", "REQUIRED")]);
    let many = BatchGetPartiesRequest { names: vec![ana.name.clone(); 501] };
    refused(parties.batch_get_parties(many).await, &[("names", "TOO_MANY")]);
    let junk = BatchGetPartiesRequest { names: vec![ana.name, "parties/7".into()] };
    refused(parties.batch_get_parties(junk).await, &[("names[1]", "MALFORMED_NAME")]);
}

async fn an_update_changes_what_its_mask_names(stage: &Stage) {
    let mut parties = stage.parties(ACME);
    let before = stage.party(Party { attributes: attributes(&[("a", "1"), ("b", "2")]), ..named("Bea", "Sol") }).await;
    let mut change = async |party: Party, paths: &[&str]| {
        parties.update_party(update(party, paths)).await.expect("updated").into_inner()
    };
    let name = before.name.clone();
    // Fields that the mask does not name are ignored, whatever they say.
    let new = Party { name: name.clone(), language_code: "de".into(), country_code: "XX".into(), ..Default::default() };
    let after = change(new, &["language_code"]).await;
    assert_eq!(after.language_code, "de");
    assert_ne!(after.etag, before.etag);
    assert!(after.update_time.expect("a time").seconds >= before.update_time.expect("a time").seconds);
    let expected = Party {
        language_code: "de".into(),
        etag: after.etag.clone(),
        update_time: after.update_time,
        ..before.clone()
    };
    assert_eq!(after, expected, "nothing else changed");
    assert_eq!(get(stage, &name).await.expect("read"), after);

    let one = Party { name: name.clone(), attributes: attributes(&[("a", "9"), ("c", "3")]), ..Default::default() };
    let after = change(one, &["attributes.a", "attributes.b"]).await;
    assert_eq!(after.attributes, attributes(&[("a", "9")]), "a set, b removed, c not asked for");

    // The name that is shown follows the names while nobody gives it.
    let names = vec![PartyName { full_name: "Beatriz Sol".into(), ..Default::default() }];
    let after = change(Party { name: name.clone(), names, ..Default::default() }, &["names"]).await;
    assert_eq!(after.display_name, "Beatriz Sol");
    let given = Party { name: name.clone(), display_name: "Bia".into(), ..Default::default() };
    assert_eq!(change(given, &["display_name"]).await.display_name, "Bia");
    let cleared = change(Party { name: name.clone(), ..Default::default() }, &["display_name"]).await;
    assert_eq!(cleared.display_name, "Beatriz Sol");

    // Who is new may be said to be known well, if there is a name to know.
    let known = |party: Party| Party { lifecycle: PartyLifecycle::Curated.into(), ..party };
    assert_eq!(stage.party(known(person("Known Well"))).await.lifecycle(), PartyLifecycle::Curated);
    let mut unnamed = known(person(""));
    unnamed.identifiers = vec![identifier("crm", "known-well", IdentifierStrength::Unique)];
    refused(stage.parties(ACME).create_party(create(unnamed)).await, &[("party.display_name", "REQUIRED")]);

    let curated = Party { name: name.clone(), lifecycle: PartyLifecycle::Curated.into(), ..Default::default() };
    assert_eq!(change(curated, &["lifecycle"]).await.lifecycle(), PartyLifecycle::Curated);
    // Set apart, and no longer: with a reason each time, which is kept.
    let mut parties = stage.parties(ACME);
    let restricted = |why: &str| set_apart(&name, PartyLifecycle::Restricted, why);
    refused(parties.update_party(restricted("")).await, &[("party.provenance.reason", "REQUIRED")]);
    let apart = parties.update_party(restricted("a letter of May")).await.expect("set apart").into_inner();
    let why = apart.provenance.as_ref().map(|from| from.reason.as_str());
    assert_eq!((apart.lifecycle(), why), (PartyLifecycle::Restricted, Some("a letter of May")));
    // Whoever may write parties may correct it, and its reason stays.
    let provenance = Some(Provenance { reason: "moved house".into(), ..Default::default() });
    let moved = update(Party { name: name.clone(), provenance, ..Default::default() }, &["provenance"]);
    let moved = stage.parties(AGENT).update_party(moved).await.expect("corrected").into_inner();
    assert_eq!(moved.provenance.as_ref().map(|from| from.reason.as_str()), Some("moved house"));
    assert!(moved.restriction.is_some() && moved.restriction == apart.restriction, "{:?}", moved.restriction);
    let kept = moved.restriction.clone().expect("kept");
    assert_eq!(kept.provenance.expect("said").reason, "a letter of May");
    assert_eq!((kept.principal.as_str(), kept.restricted_time), ("users/ana", apart.update_time));
    // But not lift it, nor set anybody apart.
    let lift = set_apart(&name, PartyLifecycle::Identified, "enough");
    assert_reason!(stage.parties(AGENT).update_party(lift).await, Code::PermissionDenied, "PERMISSION_DENIED");
    let other = stage.party(person("Not Set Apart")).await;
    let denied = set_apart(&other.name, PartyLifecycle::Restricted, "a rumour");
    assert_reason!(stage.parties(AGENT).update_party(denied).await, Code::PermissionDenied, "PERMISSION_DENIED");
    let read = stage.parties(ACME).get_party(GetPartyRequest { name: other.name.clone() }).await.expect("read");
    assert_eq!(read.into_inner(), other, "refused, it changes nothing");
    let apart = moved;
    assert_eq!(
        stage.parties(ACME).get_party(GetPartyRequest { name: name.clone() }).await.expect("read").into_inner(),
        apart
    );
    let filter = format!("lifecycle == \"restricted\" && display_name == \"{}\"", apart.display_name);
    let listed = parties.list_parties(ListPartiesRequest { filter, ..Default::default() }).await.expect("listed");
    assert_eq!(listed.into_inner().parties.len(), 1);
    let back = set_apart(&name, PartyLifecycle::Identified, "taken back in June");
    let lifted = parties.update_party(back).await.expect("lifted").into_inner();
    assert_eq!((lifted.lifecycle(), lifted.restriction), (PartyLifecycle::Identified, None));
    let died = Cessation { kind: CessationKind::Deceased.into(), occurred_time: Some(at("2026-01-05T10:00:00Z")) };
    let after = change(Party { name: name.clone(), cessation: Some(died), ..Default::default() }, &["cessation"]).await;
    assert_eq!(after.cessation, Some(died));
    let late = parties.update_party(restricted("too late")).await;
    assert_reason!(late, Code::FailedPrecondition, "INVALID_TRANSITION");
    assert_eq!(change(Party { name, ..Default::default() }, &["cessation"]).await.cessation, None);
}

fn named(given: &str, family: &str) -> Party {
    let name = PartyName { given_name: given.into(), family_name: family.into(), ..Default::default() };
    Party { names: vec![name], ..person("") }
}

async fn a_mask_names_what_may_change(stage: &Stage) {
    let mut parties = stage.parties(ACME);
    let party = stage.party(named("Cai", "Mask")).await;
    let this = || Party { name: party.name.clone(), ..Default::default() };
    for (path, reason) in [
        ("nickname", "UNKNOWN_FIELD"),
        ("contact_media.value", "UNKNOWN_FIELD"),
        ("create_time", "OUTPUT_ONLY_FIELD"),
        ("identifiers", "OUTPUT_ONLY_FIELD"),
        ("roles", "OUTPUT_ONLY_FIELD"),
        ("kind", "IMMUTABLE_FIELD"),
        ("name", "OUTPUT_ONLY_FIELD"),
    ] {
        refused(
            parties.update_party(update(this(), &["language_code", path])).await,
            &[("update_mask.paths[1]", reason)],
        );
    }
    refused(parties.update_party(update(this(), &[])).await, &[("update_mask", "REQUIRED")]);
    refused(
        parties.update_party(update(this(), &["language_code", "language_code"])).await,
        &[("update_mask.paths[1]", "DUPLICATE")],
    );
    let provisional = Party { lifecycle: PartyLifecycle::Provisional.into(), ..this() };
    let answer = parties.update_party(update(provisional, &["lifecycle"])).await;
    assert_reason!(answer, Code::FailedPrecondition, "INVALID_TRANSITION");
    let nothing_left = parties.update_party(update(this(), &["names", "display_name"])).await;
    refused(nothing_left, &[("party.display_name", "REQUIRED")]);
    let nobody = Party { name: unknown("parties"), language_code: "de".into(), ..Default::default() };
    let answer = parties.update_party(update(nobody, &["language_code"])).await;
    assert_reason!(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    assert_eq!(get(stage, &party.name).await.expect("read"), party, "a refused update changes nothing");
}

async fn a_stale_etag_aborts(stage: &Stage) {
    let mut parties = stage.parties(ACME);
    let before = stage.party(person("Dana")).await;
    let renamed = |name: &str, etag: &str| {
        let party =
            Party { name: before.name.clone(), display_name: name.into(), etag: etag.into(), ..Default::default() };
        update(party, &["display_name"])
    };
    let after = parties.update_party(renamed("Dana B", &before.etag)).await.expect("current").into_inner();
    let status =
        assert_reason!(parties.update_party(renamed("Dana C", &before.etag)).await, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(error_metadata(&status)["name"], before.name);
    assert_reason!(parties.update_party(renamed("Dana C", "junk")).await, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(get(stage, &before.name).await.expect("read"), after);
    parties.update_party(renamed("Dana D", &after.etag)).await.expect("current again");
    // Of several who have seen the same version exactly one is served.
    let seen = get(stage, &before.name).await.expect("read").etag;
    let rivals = (0..6).map(|n| {
        let (mut parties, request) = (stage.parties(ACME), renamed(&format!("Dana {n}"), &seen));
        async move { parties.update_party(request).await }
    });
    let (won, lost): (Vec<_>, Vec<_>) = join_all(rivals).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for answer in lost {
        assert_reason!(answer, Code::Aborted, "ETAG_MISMATCH");
    }
}

async fn a_retry_answers_what_the_first_call_answered(stage: &Stage) {
    let mut parties = stage.parties(ACME);
    let request = CreatePartyRequest { request_id: fresh(), ..create(person("Once Only")) };
    let first = parties.create_party(request.clone()).await.expect("created");
    let again = parties.create_party(request.clone()).await.expect("replayed");
    assert!(!is_replayed(first.metadata()) && is_replayed(again.metadata()));
    assert_eq!(position(first.metadata(), "stakeholders"), position(again.metadata(), "stakeholders"));
    let (first, again) = (first.into_inner(), again.into_inner());
    assert_eq!(first, again);

    // The answer is that of the first call, not the state of today.
    let renamed = Party { name: first.name.clone(), display_name: "Renamed".into(), ..Default::default() };
    let rename = UpdatePartyRequest { request_id: fresh(), ..update(renamed, &["display_name"]) };
    let once = parties.update_party(rename.clone()).await.expect("updated").into_inner();
    let back = Party { name: first.name.clone(), display_name: "And Back".into(), ..Default::default() };
    parties.update_party(update(back, &["display_name"])).await.expect("updated");
    let replayed = parties.update_party(rename).await.expect("replayed");
    assert!(is_replayed(replayed.metadata()));
    assert_eq!(replayed.into_inner(), once);
    assert_eq!(parties.create_party(request.clone()).await.expect("replayed").into_inner(), first);
    assert_eq!(get(stage, &first.name).await.expect("read").display_name, "And Back", "nothing was done twice");

    let other = CreatePartyRequest { party: Some(person("Somebody Else")), ..request.clone() };
    assert_reason!(parties.create_party(other).await, Code::AlreadyExists, "REQUEST_ID_REUSED");
    // An id belongs to a principal, a tenant and a method.
    for token in [AGENT, GLOBEX] {
        let others = stage.parties(token).create_party(request.clone()).await.expect("created");
        assert!(!is_replayed(others.metadata()));
        assert_ne!(others.into_inner().name, first.name);
    }
    let role = AssignRoleRequest { party: first.name, role: Some(role("supplier")), request_id: request.request_id };
    assert!(!is_replayed(parties.assign_role(role).await.expect("assigned").metadata()));
}

async fn twins_in_flight_are_one(stage: &Stage) {
    let request = CreatePartyRequest { request_id: fresh(), ..create(person("Twin")) };
    let calls = (0..8).map(|_| {
        let (mut parties, request) = (stage.parties(ACME), request.clone());
        async move { parties.create_party(request).await.expect("answered") }
    });
    let answers = join_all(calls).await;
    let firsts = answers.iter().filter(|answer| !is_replayed(answer.metadata())).count();
    assert_eq!(firsts, 1);
    let one = answers[0].get_ref();
    assert!(answers.iter().all(|answer| answer.get_ref() == one));
    let filter = ListPartiesRequest { filter: r#"display_name == "Twin""#.into(), ..Default::default() };
    let listed = stage.parties(ACME).list_parties(filter).await.expect("listed").into_inner();
    assert_eq!(listed.parties, std::slice::from_ref(one));
}

/// By whoever may, with a reason; by nobody else, of whom no half is left.
async fn a_party_is_set_apart_from_the_start_or_not_recorded(stage: &Stage) {
    let apart = |reason: &str| Party {
        lifecycle: PartyLifecycle::Restricted.into(),
        identifiers: vec![identifier("crm", "apart-1", IdentifierStrength::Unique)],
        provenance: Some(Provenance { reason: reason.into(), ..Default::default() }),
        ..person("Left Alone")
    };
    let batch = |validate_only| BatchCreatePartiesRequest {
        requests: vec![create(apart("a letter of May")), create(person("Anybody Else"))],
        validate_only,
    };
    let there = async || {
        let filter = r#"display_name == "Left Alone""#.to_owned();
        let request = ListPartiesRequest { filter, ..Default::default() };
        stage.parties(ACME).list_parties(request).await.expect("listed").into_inner().parties
    };
    for validate_only in [true, false] {
        let answer = stage.parties(AGENT).batch_create_parties(batch(validate_only)).await.expect("answered");
        let results = answer.into_inner().results;
        let [refused, other] = results.as_slice() else { panic!("{results:?}") };
        let Some(create_party_result::Result::Error(error)) = &refused.result else { panic!("{refused:?}") };
        assert_eq!((error.code, error.reason.as_str()), (Code::PermissionDenied as i32, "PERMISSION_DENIED"));
        assert_eq!(error.metadata["permission"], "stakeholders.parties.restrict");
        assert!(matches!(other.result, Some(create_party_result::Result::Receipt(_))), "{other:?}");
        assert_eq!(there().await, []);
    }
    let alone = stage.parties(AGENT).create_party(create(apart("a letter of May"))).await;
    assert_reason!(alone, Code::PermissionDenied, "PERMISSION_DENIED");
    assert_eq!(there().await, []);
    let mut parties = stage.parties(ACME);
    refused(parties.create_party(create(apart(""))).await, &[("party.provenance.reason", "REQUIRED")]);
    let died = Cessation { kind: CessationKind::Deceased.into(), occurred_time: None };
    let dead = Party { cessation: Some(died), ..apart("too late") };
    refused(parties.create_party(create(dead)).await, &[("party.lifecycle", "CONFLICTING_FIELDS")]);

    let party = parties.create_party(create(apart("a letter of May"))).await.expect("recorded").into_inner();
    let kept = party.restriction.clone().expect("kept");
    assert_eq!((party.lifecycle(), kept.principal.as_str()), (PartyLifecycle::Restricted, "users/ana"));
    assert_eq!(
        (kept.provenance.expect("said").reason.as_str(), kept.restricted_time),
        ("a letter of May", party.create_time)
    );
    assert_eq!(there().await, [party]);
    // Who is there already is told to whoever may record parties.
    let again = stage.parties(AGENT).create_party(create(apart("a letter of May"))).await;
    assert_reason!(again, Code::AlreadyExists, "IDENTIFIER_TAKEN");
}
