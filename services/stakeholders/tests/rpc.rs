//! The service through its own API, on both stores: what commands, statements and conversions make of each other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use prost_types::value::Kind;
use prost_types::{FieldMask, Struct, Value};
use rapport_proto::stakeholders::v1::identity_service_client::IdentityServiceClient;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::privacy_service_client::PrivacyServiceClient;
use rapport_proto::stakeholders::v1::relationship_service_client::RelationshipServiceClient;
use rapport_proto::stakeholders::v1::*;
use rapport_server::Module;
use rapport_testkit::asserts::{Bearer, error_metadata, is_replayed, reason, violated_fields};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::Sandbox;
use rapport_testkit::{Code, each_store};
use tonic::transport::Channel;
use uuid::Uuid;

fn modules() -> Vec<Box<dyn Module>> {
    vec![rapport_stakeholders::module()]
}

struct Desk {
    parties: PartyServiceClient<Channel>,
    identity: IdentityServiceClient<Channel>,
    ties: RelationshipServiceClient<Channel>,
    privacy: PrivacyServiceClient<Channel>,
    // Dropped last: the system stops with it.
    _sandbox: Sandbox,
}

async fn desk(place: StorePlace) -> Desk {
    let sandbox = Sandbox::builder(modules).place(place).start().await;
    let channel = sandbox.channel("stakeholders");
    Desk {
        parties: PartyServiceClient::new(channel.clone()),
        identity: IdentityServiceClient::new(channel.clone()),
        ties: RelationshipServiceClient::new(channel.clone()),
        privacy: PrivacyServiceClient::new(channel),
        _sandbox: sandbox,
    }
}

fn person(name: &str) -> Party {
    Party { kind: PartyKind::Individual.into(), display_name: name.into(), ..Party::default() }
}

fn company(name: &str) -> Party {
    Party { kind: PartyKind::Organization.into(), display_name: name.into(), ..Party::default() }
}

fn phone(value: &str, shared: bool) -> ContactMedium {
    ContactMedium {
        kind: MediumKind::Phone.into(),
        value: value.into(),
        country_code: "US".into(),
        shared,
        ..ContactMedium::default()
    }
}

fn role(role_type: &str) -> PartyRole {
    PartyRole { role_type: role_type.into(), ..PartyRole::default() }
}

fn crm(value: &str, strength: IdentifierStrength) -> PartyIdentifier {
    PartyIdentifier {
        scheme: "crm".into(),
        value: value.into(),
        strength: strength.into(),
        ..PartyIdentifier::default()
    }
}

fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.into())) }
}

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

impl Desk {
    async fn create(&mut self, party: Party) -> Party {
        let request = CreatePartyRequest { party: Some(party), ..CreatePartyRequest::default() };
        self.parties.create_party(request).await.unwrap().into_inner()
    }

    async fn tie(&mut self, kind: &str, from: &Party, to: &Party, weight: f64) -> Relationship {
        let relationship = Relationship {
            relationship_type: kind.into(),
            from_party: from.name.clone(),
            to_party: to.name.clone(),
            weight: Some(weight),
            ..Relationship::default()
        };
        let request =
            CreateRelationshipRequest { relationship: Some(relationship), ..CreateRelationshipRequest::default() };
        self.ties.create_relationship(request).await.unwrap().into_inner()
    }

    async fn resolve(&mut self, value: &str, create: bool) -> ResolvePartyResponse {
        let query = IdentifierQuery {
            scheme: "tel".into(),
            value: value.into(),
            country_code: "US".into(),
            ..IdentifierQuery::default()
        };
        let request = ResolvePartyRequest {
            identifiers: vec![query],
            create_provisional: create,
            ..ResolvePartyRequest::default()
        };
        self.identity.resolve_party(request).await.unwrap().into_inner()
    }
}

each_store! {
    async fn a_party_is_kept_as_it_was_written(place: StorePlace) {
        let mut desk = desk(place).await;
        let mut given = person("Ana Lima");
        given.names = vec![PartyName { full_name: "Ана Лима".into(), ..PartyName::default() }];
        given.contact_media = vec![
            phone("(202) 555-0143", false),
            ContactMedium { kind: MediumKind::Email.into(), value: "Ana@Example.com".into(), ..ContactMedium::default() },
        ];
        given.identifiers = vec![crm("A-1", IdentifierStrength::Unique)];
        given.roles = vec![role("customer"), role("media")];
        given.attributes = Some(Struct { fields: [("tier".to_owned(), text("gold"))].into() });
        let request_id = Uuid::now_v7().to_string();
        let request = CreatePartyRequest { party: Some(given), request_id };
        let made = desk.parties.create_party(request.clone()).await.unwrap();
        assert!(!is_replayed(made.metadata()));
        let made = made.into_inner();
        assert_eq!(made.contact_media[0].normalized_value, "+12025550143");
        assert_eq!(made.names[0].script, "Cyrl");
        assert_eq!(made.lifecycle(), PartyLifecycle::Identified);
        let read = desk.parties.get_party(GetPartyRequest { name: made.name.clone() }).await.unwrap().into_inner();
        assert_eq!(read, made);
        let again = desk.parties.create_party(request).await.unwrap();
        assert!(is_replayed(again.metadata()));
        assert_eq!(again.into_inner(), made);

        let unknown = format!("parties/{}", Uuid::now_v7());
        let names = vec![unknown.clone(), made.name.clone(), made.name.clone()];
        let batch = desk.parties.batch_get_parties(BatchGetPartiesRequest { names }).await.unwrap().into_inner();
        assert_eq!((batch.parties, batch.missing_names), (vec![made.clone()], vec![unknown.clone()]));
        let missing = desk.parties.get_party(GetPartyRequest { name: unknown }).await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);

        let mut taken = person("Bea");
        taken.identifiers = vec![crm("A-1", IdentifierStrength::Strong)];
        let request = CreatePartyRequest { party: Some(taken), ..CreatePartyRequest::default() };
        let error = desk.parties.create_party(request).await.unwrap_err();
        assert_eq!((error.code(), reason(&error).as_deref()), (Code::AlreadyExists, Some("IDENTIFIER_TAKEN")));
        assert_eq!(error_metadata(&error)["holder"], made.name);
    }

    async fn an_update_changes_what_its_mask_names(place: StorePlace) {
        let mut desk = desk(place).await;
        let mut given = company("Acme");
        given.contact_media = vec![phone("202-555-0101", false)];
        let made = desk.create(given).await;
        let mut next = made.clone();
        next.display_name = "Acme Ltd".into();
        next.contact_media = vec![phone("202-555-0102", true)];
        next.language_code = "en".into();
        let request = UpdatePartyRequest {
            party: Some(next),
            update_mask: mask(&["display_name", "contact_media"]),
            ..UpdatePartyRequest::default()
        };
        let updated = desk.parties.update_party(request.clone()).await.unwrap().into_inner();
        assert_eq!((updated.display_name.as_str(), updated.language_code.as_str()), ("Acme Ltd", ""));
        assert_ne!(updated.etag, made.etag);
        let stale = desk.parties.update_party(request).await.unwrap_err();
        assert_eq!((stale.code(), reason(&stale).as_deref()), (Code::Aborted, Some("ETAG_MISMATCH")));
        // The old number finds nobody any more, the new one finds a switchboard.
        assert_eq!(desk.resolve("202-555-0101", false).await.outcome(), ResolutionOutcome::None);
        assert_eq!(desk.resolve("202-555-0102", false).await.outcome(), ResolutionOutcome::Candidates);
        let wrong = UpdatePartyRequest {
            party: Some(Party { name: made.name, ..Party::default() }),
            update_mask: mask(&["kind", "etag", "shoe_size", "attributes.size", "attributes.size"]),
            request_id: "x".into(),
        };
        let error = desk.parties.update_party(wrong).await.unwrap_err();
        let fields = violated_fields(&error);
        for field in ["request_id", "update_mask.paths[0]", "update_mask.paths[1]", "update_mask.paths[2]", "update_mask.paths[4]"] {
            assert!(fields.iter().any(|known| known == field), "{field} in {fields:?}");
        }
    }

    async fn lists_are_paged_filtered_and_sorted(place: StorePlace) {
        let mut desk = desk(place).await;
        for name in ["cleo", "Ana", "Bea", "dora"] {
            let mut party = person(name);
            party.country_code = if name == "Bea" { "PT".into() } else { "BR".into() };
            party.roles = vec![role(if name == "Ana" { "supplier" } else { "customer" })];
            desk.create(party).await;
        }
        desk.create(company("Acme")).await;
        let mut request = ListPartiesRequest {
            page_size: 2,
            filter: "kind == \"individual\" && country_code in [\"BR\", \"PT\"]".into(),
            order_by: "display_name".into(),
            ..ListPartiesRequest::default()
        };
        let mut names = Vec::new();
        loop {
            let page = desk.parties.list_parties(request.clone()).await.unwrap().into_inner();
            names.extend(page.parties.into_iter().map(|party| party.display_name));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(names, ["Ana", "Bea", "cleo", "dora"]);
        let other = ListPartiesRequest { order_by: "create_time desc".into(), ..request.clone() };
        let error = desk.parties.list_parties(other).await.unwrap_err();
        assert_eq!(violated_fields(&error), ["page_token"]);
        let customers = ListPartiesRequest { role_type: "customer".into(), order_by: "create_time desc".into(), ..ListPartiesRequest::default() };
        let page = desk.parties.list_parties(customers).await.unwrap().into_inner();
        let names: Vec<_> = page.parties.into_iter().map(|party| party.display_name).collect();
        assert_eq!(names, ["dora", "Bea", "cleo"]);
        let error = desk
            .parties
            .list_parties(ListPartiesRequest { filter: "shoe_size == 3".into(), ..ListPartiesRequest::default() })
            .await
            .unwrap_err();
        assert_eq!(reason(&error).as_deref(), Some("INVALID_FILTER"));
    }

    async fn callers_are_told_apart(place: StorePlace) {
        let mut desk = desk(place).await;
        let mut ana = person("Ana");
        ana.contact_media = vec![phone("202-555-0143", false)];
        ana.roles = vec![role("customer")];
        let ana = desk.create(ana).await;
        let found = desk.resolve("+1 (202) 555-0143", true).await;
        assert_eq!(found.outcome(), ResolutionOutcome::Matched);
        assert_eq!(found.party.unwrap().name, ana.name);
        assert_eq!(found.candidates[0].role_types, ["customer"]);
        assert_eq!(found.candidates[0].reasons[0].kind(), MatchReasonKind::ContactMedium);

        let mut bea = person("Bea");
        bea.contact_media = vec![phone("202-555-0143", false)];
        desk.create(bea).await;
        let found = desk.resolve("202-555-0143", true).await;
        assert_eq!((found.outcome(), found.candidates.len()), (ResolutionOutcome::Candidates, 2));
        let withheld = desk.resolve("anonymous", true).await;
        assert_eq!(withheld.outcome(), ResolutionOutcome::None);
        assert_eq!(withheld.identifiers[0].reading(), IdentifierReading::Withheld);

        let first = desk.resolve("202-555-0199", true).await;
        assert_eq!(first.outcome(), ResolutionOutcome::ProvisionalCreated);
        let unknown = first.party.unwrap();
        assert_eq!(unknown.lifecycle(), PartyLifecycle::Provisional);
        let second = desk.resolve("202-555-0199", true).await;
        assert_eq!((second.outcome(), second.party.unwrap().name), (ResolutionOutcome::Matched, unknown.name.clone()));

        let claim = ClaimIdentifierRequest {
            party: unknown.name.clone(),
            identifier: Some(crm("77", IdentifierStrength::Unique)),
            ..ClaimIdentifierRequest::default()
        };
        let claimed = desk.identity.claim_identifier(claim.clone()).await.unwrap().into_inner();
        assert_eq!(claimed.identifiers[0].normalized_value, "77");
        let error = desk
            .identity
            .claim_identifier(ClaimIdentifierRequest { party: ana.name, ..claim })
            .await
            .unwrap_err();
        assert_eq!(error_metadata(&error)["holder"], unknown.name);
    }

    async fn a_reader_may_ask_who_calls_but_have_nobody_recorded(place: StorePlace) {
        const READER: &str = "token-of-a-reader";
        const CLERK: &str = "token-of-a-clerk";
        let sandbox = Sandbox::builder(modules)
            .place(place)
            .token(READER, "acme", "users/rita", &["reader"])
            .token(CLERK, "acme", "users/carl", &["agent"])
            .start()
            .await;
        let desk = |token| IdentityServiceClient::with_interceptor(sandbox.channel("stakeholders"), Bearer::new(token));
        let request = |create_provisional| ResolvePartyRequest {
            identifiers: vec![IdentifierQuery { scheme: "tel".into(), value: "+12025550177".into(), ..IdentifierQuery::default() }],
            create_provisional,
            ..ResolvePartyRequest::default()
        };
        let found = desk(READER).resolve_party(request(false)).await.unwrap().into_inner();
        assert_eq!(found.outcome(), ResolutionOutcome::None);
        // Whether or not the caller is known: the second time it is.
        for outcome in [ResolutionOutcome::ProvisionalCreated, ResolutionOutcome::Matched] {
            let error = desk(READER).resolve_party(request(true)).await.unwrap_err();
            assert_eq!((error.code(), reason(&error).as_deref()), (Code::PermissionDenied, Some("PERMISSION_DENIED")));
            assert_eq!(error_metadata(&error)["permission"], "stakeholders.parties.write");
            let found = desk(CLERK).resolve_party(request(true)).await.unwrap().into_inner();
            assert_eq!(found.outcome(), outcome);
        }
        let found = desk(READER).resolve_party(request(false)).await.unwrap().into_inner();
        assert_eq!(found.outcome(), ResolutionOutcome::Matched);
    }

    async fn many_calls_from_one_unknown_number_make_one_party(place: StorePlace) {
        let desk = desk(place).await;
        let calls = (0..16).map(|_| {
            let mut identity = desk.identity.clone();
            tokio::spawn(async move {
                let query = IdentifierQuery { scheme: "phone".into(), value: "+12025550177".into(), ..IdentifierQuery::default() };
                let request = ResolvePartyRequest {
                    identifiers: vec![query],
                    create_provisional: true,
                    request_id: Uuid::now_v7().to_string(),
                    ..ResolvePartyRequest::default()
                };
                identity.resolve_party(request).await.unwrap().into_inner()
            })
        });
        let mut names = std::collections::BTreeSet::new();
        let mut made = 0;
        for call in calls.collect::<Vec<_>>() {
            let found = call.await.unwrap();
            made += i32::from(found.outcome() == ResolutionOutcome::ProvisionalCreated);
            names.insert(found.party.unwrap().name);
        }
        assert_eq!((names.len(), made), (1, 1));
    }

    async fn roles_begin_and_end(place: StorePlace) {
        let mut desk = desk(place).await;
        let party = desk.create(company("Acme")).await;
        let assign = AssignRoleRequest {
            party: party.name.clone(),
            role: Some(role("supplier")),
            ..AssignRoleRequest::default()
        };
        let held = desk.parties.assign_role(assign.clone()).await.unwrap().into_inner();
        let error = desk.parties.assign_role(assign.clone()).await.unwrap_err();
        assert_eq!(reason(&error).as_deref(), Some("ROLE_ALREADY_HELD"));
        let end = EndRoleRequest { name: held.name.clone(), reason: "over".into(), ..EndRoleRequest::default() };
        let ended = desk.parties.end_role(end.clone()).await.unwrap().into_inner();
        assert_eq!((ended.status(), ended.end_reason.as_str()), (RoleStatus::Ended, "over"));
        let error = desk.parties.end_role(end).await.unwrap_err();
        assert_eq!(reason(&error).as_deref(), Some("ROLE_ALREADY_ENDED"));
        desk.parties.assign_role(assign).await.unwrap();
        let read = desk.parties.get_party(GetPartyRequest { name: party.name }).await.unwrap().into_inner();
        assert_eq!(read.roles.len(), 2);
        assert_eq!(read.roles[1], ended);
    }

    async fn the_graph_is_walked_within_its_budget(place: StorePlace) {
        let mut desk = desk(place).await;
        let hub = desk.create(company("Hub")).await;
        let mut people = Vec::new();
        for number in 1..=12_u32 {
            let one = desk.create(person(&format!("P{number}"))).await;
            desk.tie("employs", &hub, &one, f64::from(number) / 20.0).await;
            people.push(one);
        }
        desk.tie("knows", &people[11], &people[0], 0.5).await;
        let outsider = desk.create(person("Far")).await;
        desk.tie("refers", &people[11], &outsider, 1.0).await;
        let around = |budget: i32, depth: i32, types: &[&str]| GetNeighborhoodRequest {
            party: hub.name.clone(),
            depth,
            max_edges_per_node: budget,
            relationship_types: types.iter().map(|kind| (*kind).to_owned()).collect(),
            ..GetNeighborhoodRequest::default()
        };
        let near = desk.ties.get_neighborhood(around(3, 1, &[])).await.unwrap().into_inner();
        let names: Vec<_> = near.nodes.iter().map(|node| node.display_name.as_str()).collect();
        assert_eq!(names, ["Hub", "P12", "P11", "P10"]);
        assert!(near.truncated && near.nodes[0].truncated);
        assert_eq!(near.edges[0].label, "employs");
        let far = desk.ties.get_neighborhood(around(0, 2, &[])).await.unwrap().into_inner();
        assert_eq!((far.nodes.len(), far.edges.len(), far.truncated), (14, 14, false));
        assert_eq!((far.nodes[13].display_name.as_str(), far.nodes[13].depth), ("Far", 2));
        let employed = desk.ties.get_neighborhood(around(0, 3, &["employs"])).await.unwrap().into_inner();
        assert_eq!(employed.nodes.len(), 13);

        let mut request = ListRelationshipsRequest {
            party: hub.name.clone(),
            page_size: 5,
            ..ListRelationshipsRequest::default()
        };
        let mut weights = Vec::new();
        loop {
            let page = desk.ties.list_relationships(request.clone()).await.unwrap().into_inner();
            weights.extend(page.relationships.iter().map(|tie| tie.weight.unwrap()));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(weights.len(), 12);
        assert!(weights.is_sorted_by(|a, b| a >= b));
        let all = desk.ties.list_relationships(ListRelationshipsRequest::default()).await.unwrap().into_inner();
        assert_eq!(all.relationships.len(), 14);

        let tie = &all.relationships[0];
        let end = EndRelationshipRequest { name: tie.name.clone(), etag: tie.etag.clone(), ..EndRelationshipRequest::default() };
        desk.ties.end_relationship(end.clone()).await.unwrap();
        let error = desk.ties.end_relationship(end).await.unwrap_err();
        assert_eq!(reason(&error).as_deref(), Some("ETAG_MISMATCH"));
        let left = desk.ties.get_neighborhood(around(0, 1, &[])).await.unwrap().into_inner();
        assert_eq!(left.nodes.len(), 12);
        let types = desk.ties.list_relationship_types(ListRelationshipTypesRequest::default()).await.unwrap().into_inner();
        assert_eq!(types.relationship_types.len(), 15);
    }

    async fn consent_is_what_was_said_last(place: StorePlace) {
        let mut desk = desk(place).await;
        let party = desk.create(person("Ana")).await;
        let check = CheckConsentRequest {
            party: party.name.clone(),
            purpose: "marketing".into(),
            channel: "email".into(),
            ..CheckConsentRequest::default()
        };
        let mut consent = Consent {
            party: party.name.clone(),
            purpose: "marketing".into(),
            channel: "email".into(),
            state: ConsentState::Granted.into(),
            evidence: "form 7".into(),
            ..Consent::default()
        };
        let answer = desk.privacy.check_consent(check.clone()).await.unwrap().into_inner();
        assert_eq!((answer.allowed, answer.reason()), (false, ConsentReason::NoConsent));
        let record = |consent: &Consent| RecordConsentRequest { consent: Some(consent.clone()), ..RecordConsentRequest::default() };
        let granted = desk.privacy.record_consent(record(&consent)).await.unwrap().into_inner();
        let answer = desk.privacy.check_consent(check.clone()).await.unwrap().into_inner();
        assert_eq!((answer.allowed, answer.deciding_consent), (true, Some(granted.clone())));
        consent.state = ConsentState::Withdrawn.into();
        consent.purpose.clear();
        consent.channel.clear();
        desk.privacy.record_consent(record(&consent)).await.unwrap();
        let answer = desk.privacy.check_consent(check.clone()).await.unwrap().into_inner();
        assert_eq!((answer.allowed, answer.reason()), (false, ConsentReason::Withdrawn));
        let then = CheckConsentRequest { as_of: granted.recorded_time, ..check };
        let answer = desk.privacy.check_consent(then).await.unwrap().into_inner();
        assert!(answer.allowed, "what held then still held then");
    }

    async fn a_watch_goes_on_where_it_stopped(place: StorePlace) {
        let mut desk = desk(place).await;
        let mut watch = desk.parties.watch_parties(WatchPartiesRequest::default()).await.unwrap().into_inner();
        let first = watch.message().await.unwrap().unwrap();
        assert!(first.change.is_none() && !first.cursor.is_empty());
        let mut ana = person("Ana");
        ana.roles = vec![role("customer")];
        let ana = desk.create(ana).await;
        let created = watch.message().await.unwrap().unwrap();
        assert_eq!((created.party.as_str(), created.version), (ana.name.as_str(), 1));
        drop(watch);
        let request = WatchPartiesRequest {
            cursor: created.cursor,
            change_kinds: vec![PartyChangeKind::RoleAssigned.into()],
            parties: vec![ana.name.clone()],
        };
        let mut watch = desk.parties.watch_parties(request).await.unwrap().into_inner();
        let next = tokio::time::timeout(Duration::from_secs(10), watch.message()).await.unwrap().unwrap().unwrap();
        assert!(matches!(next.change, Some(watch_parties_response::Change::RoleAssigned(_))));
        assert_eq!(next.version, 2);
    }

    async fn every_wrong_field_is_named(place: StorePlace) {
        let mut desk = desk(place).await;
        let mut bad = person("a\0b");
        bad.kind = 99;
        bad.country_code = "UK".into();
        bad.contact_media = vec![phone("call me", false), ContactMedium::default()];
        bad.identifiers = vec![PartyIdentifier::default()];
        bad.roles = vec![role("wizard")];
        bad.attributes =
            Some(Struct { fields: [("n".to_owned(), Value { kind: Some(Kind::NumberValue(f64::NAN)) })].into() });
        let request = CreatePartyRequest { party: Some(bad), request_id: "junk".into() };
        let error = desk.parties.create_party(request).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        let fields = violated_fields(&error);
        for field in [
            "party.display_name", "party.kind", "party.country_code", "party.contact_media[0].value",
            "party.contact_media[1].kind", "party.identifiers[0].scheme", "party.identifiers[0].value",
            "party.roles[0].role_type", "party.attributes", "request_id",
        ] {
            assert!(fields.iter().any(|known| known == field), "{field} in {fields:?}");
        }
        let error = desk.parties.create_party(CreatePartyRequest::default()).await.unwrap_err();
        assert_eq!(violated_fields(&error), ["party"]);
    }
}
