//! Roles of every built-in type, and the watch over parties.

use std::collections::BTreeMap;

use rapport_proto::stakeholders::v1::watch_parties_response::Change;
use rapport_proto::stakeholders::v1::*;
use rapport_proto::types::v1::Provenance;
use rapport_testkit::asserts::{error_metadata, is_replayed};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};
use tonic::Streaming;

use super::messages::{DAY, after, at, identifier, micros, now, organization, person, role};
use super::stage::{ACME, GLOBEX, Stage, end, fresh, next, refused, unknown};

const ROLE_TYPES: [&str; 11] = [
    "after-sales",
    "community",
    "competitor",
    "customer",
    "dealer",
    "employee",
    "government",
    "investor",
    "media",
    "partner",
    "supplier",
];

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn roles_are_assigned_and_ended_and_changes_are_watched(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        every_type_works_for_a_party(&stage).await;
        a_role_is_held_once_in_a_scope_and_time(&stage).await;
        a_role_ends_once(&stage).await;
        wrong_roles_are_refused(&stage).await;
        a_watch_tells_every_change_once(&stage).await;
        a_watch_is_resumed_filtered_and_kept_to_its_tenant(&stage).await;
        stage.close().await;
    }
}

fn assign(party: &str, role: PartyRole) -> AssignRoleRequest {
    AssignRoleRequest { party: party.into(), role: Some(role), ..Default::default() }
}

fn finish(role: &str) -> EndRoleRequest {
    EndRoleRequest { name: role.into(), ..Default::default() }
}

async fn get(stage: &Stage, name: &str) -> Party {
    let request = GetPartyRequest { name: name.to_owned() };
    stage.parties(ACME).get_party(request).await.expect("it is there").into_inner()
}

async fn every_type_works_for_a_party(stage: &Stage) {
    let mut parties = stage.parties(ACME);
    let person = stage.party(person("Of All Trades")).await;
    let mut given = BTreeMap::new();
    for role_type in ROLE_TYPES {
        let role = parties.assign_role(assign(&person.name, role(role_type))).await.expect(role_type).into_inner();
        assert_eq!((role.role_type.as_str(), role.status()), (role_type, RoleStatus::Active));
        assert!(role.name.starts_with(&format!("{}/roles/", person.name)));
        given.insert(role_type, role);
    }
    let holding = get(stage, &person.name).await;
    let newest_first: Vec<&str> = holding.roles.iter().map(|role| role.role_type.as_str()).collect();
    assert_eq!(newest_first, ROLE_TYPES.iter().rev().copied().collect::<Vec<_>>());
    assert_ne!(holding.etag, person.etag, "a role changes the party");
    for role_type in ROLE_TYPES {
        let who = ListPartiesRequest { role_type: role_type.into(), ..Default::default() };
        let holders = parties.list_parties(who.clone()).await.expect("listed").into_inner().parties;
        assert_eq!(holders.iter().map(|party| &party.name).collect::<Vec<_>>(), [&person.name], "{role_type}");
        let request = EndRoleRequest { reason: "moved on".into(), ..finish(&given[role_type].name) };
        let ended = parties.end_role(request).await.expect(role_type).into_inner();
        assert_eq!((ended.status(), ended.end_reason.as_str()), (RoleStatus::Ended, "moved on"));
        assert_eq!((&ended.name, ended.valid_from_time), (&given[role_type].name, given[role_type].valid_from_time));
        assert_eq!(ended.valid_to_time, ended.update_time, "ended at the time of the call");
        let holders = parties.list_parties(who).await.expect("listed").into_inner().parties;
        assert!(holders.is_empty(), "{role_type}");
        assert!(get(stage, &person.name).await.roles.contains(&ended), "the record stays");
    }
    // Only people are employed; every other role is for every kind.
    let firm = stage.party(organization("All Trades Ltd")).await;
    for role_type in ROLE_TYPES {
        let answer = parties.assign_role(assign(&firm.name, role(role_type))).await;
        if role_type == "employee" {
            let status = assert_reason!(answer, Code::FailedPrecondition, "ROLE_NOT_ALLOWED");
            assert_eq!(error_metadata(&status)["kind"], "organization");
        } else {
            assert_eq!(answer.expect(role_type).into_inner().role_type, role_type);
        }
    }
}

async fn a_role_is_held_once_in_a_scope_and_time(stage: &Stage) {
    let mut parties = stage.parties(ACME);
    let party = stage.party(person("Scoped")).await;
    let request = AssignRoleRequest { request_id: fresh(), ..assign(&party.name, role("dealer")) };
    let held = parties.assign_role(request.clone()).await.expect("assigned").into_inner();
    let status = assert_reason!(
        parties.assign_role(assign(&party.name, role("dealer"))).await,
        Code::FailedPrecondition,
        "ROLE_ALREADY_HELD"
    );
    assert_eq!(error_metadata(&status)["role"], held.name);
    let north = PartyRole { scope: "north".into(), ..role("dealer") };
    parties.assign_role(assign(&party.name, north.clone())).await.expect("another scope");
    assert_reason!(
        parties.assign_role(assign(&party.name, north)).await,
        Code::FailedPrecondition,
        "ROLE_ALREADY_HELD"
    );
    let past = PartyRole {
        valid_from_time: Some(at("2020-01-01T00:00:00Z")),
        valid_to_time: Some(at("2021-01-01T00:00:00Z")),
        ..role("dealer")
    };
    parties.assign_role(assign(&party.name, past)).await.expect("another time");
    parties.end_role(finish(&held.name)).await.expect("ended");
    let anew = parties.assign_role(assign(&party.name, role("dealer"))).await.expect("after the end").into_inner();
    assert_ne!(anew.name, held.name);
    // A retry answers what was then, though the role has ended since.
    let replayed = parties.assign_role(request).await.expect("replayed");
    assert!(is_replayed(replayed.metadata()));
    assert_eq!(replayed.into_inner(), held);
    assert_eq!(get(stage, &party.name).await.roles.len(), 4);
}

async fn a_role_ends_once(stage: &Stage) {
    let mut parties = stage.parties(ACME);
    let since = PartyRole { valid_from_time: Some(at("2026-01-05T00:00:00Z")), ..role("supplier") };
    let party = stage.party(Party { roles: vec![since], ..person("Ending") }).await;
    let name = party.roles[0].name.clone();
    let ending = |end_time| EndRoleRequest { end_time: Some(end_time), ..finish(&name) };
    let early = parties.end_role(ending(at("2026-01-04T23:59:59Z"))).await;
    refused(early, &[("end_time", "END_BEFORE_START")]);
    refused(parties.end_role(ending(after(now(), 2 * DAY))).await, &[("end_time", "IN_FUTURE")]);
    let told = Provenance { source_system: "erp".into(), ..Default::default() };
    let request = EndRoleRequest { provenance: Some(told.clone()), ..ending(at("2026-02-01T00:00:00Z")) };
    let ended = parties.end_role(request).await.expect("ended").into_inner();
    assert_eq!(ended.valid_to_time, Some(at("2026-02-01T00:00:00Z")));
    assert_eq!(ended.provenance, Some(told));
    let status = assert_reason!(parties.end_role(finish(&name)).await, Code::FailedPrecondition, "ROLE_ALREADY_ENDED");
    assert_eq!(error_metadata(&status)["role"], name);
    let foreign = stage.parties(GLOBEX).end_role(finish(&name)).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
    let elsewhere = name.replace(&party.name, &unknown("parties"));
    assert_reason!(parties.end_role(finish(&elsewhere)).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    refused(parties.end_role(finish(&party.name)).await, &[("name", "MALFORMED_NAME")]);
}

async fn wrong_roles_are_refused(stage: &Stage) {
    let mut parties = stage.parties(ACME);
    let party = stage.party(person("Refused")).await;
    let nobody = parties.assign_role(assign(&unknown("parties"), role("customer"))).await;
    assert_reason!(nobody, Code::NotFound, "RESOURCE_NOT_FOUND");
    refused(parties.assign_role(AssignRoleRequest::default()).await, &[("party", "REQUIRED"), ("role", "REQUIRED")]);
    let wrong = PartyRole {
        scope: "s".repeat(201),
        status: RoleStatus::Ended.into(),
        valid_from_time: Some(at("2026-01-02T00:00:00Z")),
        valid_to_time: Some(at("2026-01-01T00:00:00Z")),
        ..role("wizard")
    };
    refused(
        parties.assign_role(assign(&party.name, wrong)).await,
        &[
            ("role.role_type", "UNKNOWN_TYPE"),
            ("role.scope", "TOO_LONG"),
            ("role.status", "OUTPUT_ONLY_FIELD"),
            ("role.valid_to_time", "END_BEFORE_START"),
        ],
    );
    assert_eq!(get(stage, &party.name).await, party);
}

async fn watch(stage: &Stage, token: &str, request: WatchPartiesRequest) -> Streaming<WatchPartiesResponse> {
    stage.parties(token).watch_parties(request).await.expect("a watch").into_inner()
}

/// The next message with a change; those that only move the cursor are passed over.
pub(super) async fn change(stream: &mut Streaming<WatchPartiesResponse>) -> WatchPartiesResponse {
    loop {
        let message = next(stream).await;
        assert!(!message.cursor.is_empty());
        if message.change.is_some() {
            return message;
        }
    }
}

/// What happens to one party, in order: six changes, of every kind one.
async fn live(stage: &Stage, name: &str) -> Party {
    let mut parties = stage.parties(ACME);
    let party = stage.party(person(name)).await;
    let renamed = Party { name: party.name.clone(), display_name: format!("{name} II"), ..Default::default() };
    let paths = vec!["display_name".to_owned()];
    let update = UpdatePartyRequest {
        party: Some(renamed),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..Default::default()
    };
    parties.update_party(update).await.expect("updated");
    let role = parties.assign_role(assign(&party.name, role("media"))).await.expect("assigned").into_inner();
    let ending = EndRoleRequest { end_time: role.valid_from_time, ..finish(&role.name) };
    parties.end_role(ending).await.expect("ended");
    let claim = ClaimIdentifierRequest {
        party: party.name.clone(),
        identifier: Some(identifier("badge", "7", IdentifierStrength::Weak)),
        ..Default::default()
    };
    stage.identity(ACME).claim_identifier(claim).await.expect("claimed");
    let consent = Consent {
        party: party.name.clone(),
        purpose: "marketing".into(),
        channel: "email".into(),
        state: ConsentState::Granted.into(),
        occurred_time: Some(at("2026-01-05T10:00:00Z")),
        ..Default::default()
    };
    let consent = RecordConsentRequest { consent: Some(consent), ..Default::default() };
    stage.privacy(ACME).record_consent(consent).await.expect("recorded");
    party
}

async fn a_watch_tells_every_change_once(stage: &Stage) {
    let mut stream = watch(stage, ACME, WatchPartiesRequest::default()).await;
    let first = next(&mut stream).await;
    assert!(!first.cursor.is_empty() && first.change.is_none() && first.party.is_empty(), "a cursor to go on from");
    let party = live(stage, "Watched").await;
    let mut told = Vec::new();
    for _ in 0..6 {
        told.push(change(&mut stream).await);
    }
    assert!(told.iter().all(|message| message.party == party.name));
    let versions: Vec<i64> = told.iter().map(|message| message.version).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5, 0], "a version more with each change; consents do not change the party");
    let recorded: Vec<i64> = told.iter().map(|message| micros(message.recorded_time.expect("a time"))).collect();
    assert!(recorded.is_sorted(), "{recorded:?}");
    assert_eq!(told[0].recorded_time, party.create_time);
    let Some(Change::PartyCreated(created)) = &told[0].change else { panic!("{:?}", told[0]) };
    assert_eq!((&created.party, created.kind()), (&party.name, PartyKind::Individual));
    assert_eq!(created.lifecycle(), PartyLifecycle::Identified);
    let Some(Change::PartyUpdated(updated)) = &told[1].change else { panic!("{:?}", told[1]) };
    assert_eq!((updated.changed_paths.as_slice(), updated.ceased), (&["display_name".to_owned()][..], false));
    let Some(Change::RoleAssigned(assigned)) = &told[2].change else { panic!("{:?}", told[2]) };
    assert_eq!((assigned.role_type.as_str(), assigned.status()), ("media", RoleStatus::Active));
    let Some(Change::RoleEnded(ended)) = &told[3].change else { panic!("{:?}", told[3]) };
    assert_eq!(ended.role, assigned.role);
    let Some(Change::IdentifierClaimed(claimed)) = &told[4].change else { panic!("{:?}", told[4]) };
    assert_eq!((claimed.scheme.as_str(), claimed.strength()), ("badge", IdentifierStrength::Weak));
    let Some(Change::ConsentRecorded(consent)) = &told[5].change else { panic!("{:?}", told[5]) };
    assert_eq!((consent.purpose.as_str(), consent.channel.as_str()), ("marketing", "email"));
    assert_eq!(consent.state(), ConsentState::Granted);
    assert_eq!(told[5].occurred_time, Some(at("2026-01-05T10:00:00Z")), "by the caller's account");
    assert!(!format!("{told:?}").contains("Watched"), "no personal data");

    // From every cursor exactly what followed it.
    for seen in 0..6 {
        let request = WatchPartiesRequest { cursor: told[seen].cursor.clone(), ..Default::default() };
        let mut rest = watch(stage, ACME, request).await;
        for expected in &told[seen + 1..] {
            assert_eq!(change(&mut rest).await, *expected);
        }
    }
}

async fn a_watch_is_resumed_filtered_and_kept_to_its_tenant(stage: &Stage) {
    let from = next(&mut watch(stage, ACME, WatchPartiesRequest::default()).await).await.cursor;
    let mut globex = watch(stage, GLOBEX, WatchPartiesRequest::default()).await;
    next(&mut globex).await;
    let (one, two) = (live(stage, "One").await, live(stage, "Two").await);
    let theirs = CreatePartyRequest { party: Some(person("Theirs")), ..Default::default() };
    let theirs = stage.parties(GLOBEX).create_party(theirs).await.expect("created").into_inner();
    assert_eq!(change(&mut globex).await.party, theirs.name, "nothing of acme was told");

    let of_two = WatchPartiesRequest { cursor: from.clone(), parties: vec![two.name.clone()], ..Default::default() };
    let mut stream = watch(stage, ACME, of_two).await;
    for _ in 0..6 {
        assert_eq!(change(&mut stream).await.party, two.name);
    }
    let change_kinds = vec![PartyChangeKind::RoleEnded.into(), PartyChangeKind::ConsentRecorded.into()];
    let request = WatchPartiesRequest { cursor: from.clone(), change_kinds, ..Default::default() };
    let mut stream = watch(stage, ACME, request).await;
    for expected in [&one, &one, &two, &two] {
        let message = change(&mut stream).await;
        assert_eq!(message.party, expected.name);
        assert!(matches!(message.change, Some(Change::RoleEnded(_) | Change::ConsentRecorded(_))), "{message:?}");
    }

    let mut parties = stage.parties(ACME);
    let junk = WatchPartiesRequest { cursor: "junk".into(), ..Default::default() };
    assert_reason!(parties.watch_parties(junk).await, Code::InvalidArgument, "INVALID_CURSOR");
    let wrong = WatchPartiesRequest { cursor: from, parties: vec!["parties/7".into()], change_kinds: vec![99] };
    refused(
        parties.watch_parties(wrong).await,
        &[("parties[0]", "MALFORMED_NAME"), ("change_kinds[0]", "UNKNOWN_ENUM_VALUE")],
    );
    // A cursor of another feed is of another epoch.
    let mut contacts = stage
        .interactions(ACME)
        .watch_interactions(rapport_proto::interactions::v1::WatchInteractionsRequest::default())
        .await
        .expect("a watch")
        .into_inner();
    let foreign = next(&mut contacts).await.cursor;
    let request = WatchPartiesRequest { cursor: foreign, ..Default::default() };
    let mut refused = match parties.watch_parties(request).await {
        Err(status) => return drop(assert_reason!(Err::<(), _>(status), Code::OutOfRange, "CURSOR_EXPIRED")),
        Ok(stream) => stream.into_inner(),
    };
    assert_reason!(end(&mut refused).await, Code::OutOfRange, "CURSOR_EXPIRED");
}
