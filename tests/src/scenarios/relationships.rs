//! Ties between parties: their types, their life, their lists.

use futures::future::join_all;
use prost_types::FieldMask;
use rapport_proto::stakeholders::v1::*;
use rapport_proto::types::v1::Provenance;
use rapport_testkit::asserts::{error_metadata, is_replayed, position, positions};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};

use super::messages::{DAY, after, at, now, organization, person};
use super::stage::{ACME, GLOBEX, Positions, Stage, fresh, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn ties_are_typed_dated_and_unique(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        types_are_built_in(&stage).await;
        a_tie_comes_back_as_it_was_understood(&stage).await;
        a_tie_is_there_once(&stage).await;
        a_tie_is_corrected(&stage).await;
        a_tie_ends_once(&stage).await;
        wrong_ties_are_refused(&stage).await;
        lists_go_by_strength_and_time(&stage).await;
        stage.close().await;
    }
}

pub(crate) fn tie(slug: &str, from: &Party, to: &Party) -> Relationship {
    Relationship {
        relationship_type: slug.into(),
        from_party: from.name.clone(),
        to_party: to.name.clone(),
        ..Default::default()
    }
}

pub(super) fn create(relationship: Relationship) -> CreateRelationshipRequest {
    CreateRelationshipRequest { relationship: Some(relationship), ..Default::default() }
}

pub(super) async fn made(stage: &Stage, relationship: Relationship) -> Relationship {
    made_at(stage, relationship).await.0
}

/// The same, and where its event is.
pub(crate) async fn made_at(stage: &Stage, relationship: Relationship) -> (Relationship, Positions) {
    let answer = stage.relationships(ACME).create_relationship(create(relationship)).await.expect("tied");
    let seen = positions(answer.metadata());
    (answer.into_inner(), seen)
}

fn finish(name: &str) -> EndRelationshipRequest {
    EndRelationshipRequest { name: name.into(), ..Default::default() }
}

async fn list(stage: &Stage, request: ListRelationshipsRequest) -> ListRelationshipsResponse {
    stage.relationships(ACME).list_relationships(request).await.expect("listed").into_inner()
}

async fn types_are_built_in(stage: &Stage) {
    let mut relationships = stage.relationships(ACME);
    let all = relationships
        .list_relationship_types(ListRelationshipTypesRequest::default())
        .await
        .expect("listed")
        .into_inner();
    assert_eq!(all.next_page_token, "");
    let slugs: Vec<&str> = all.relationship_types.iter().map(|one| one.slug.as_str()).collect();
    assert_eq!(
        slugs,
        [
            "advises",
            "competes_with",
            "covers",
            "deals_for",
            "distributes",
            "employs",
            "influences",
            "invests_in",
            "knows",
            "member_of_household",
            "parent_of",
            "partner_of",
            "refers",
            "regulates",
            "supplies"
        ]
    );
    for one in &all.relationship_types {
        assert_eq!(one.name, format!("relationshipTypes/{}", one.slug));
        assert_eq!(one.symmetric, one.label == one.inverse_label, "{}", one.slug);
        assert!(!one.label.is_empty() && !one.from_kinds.is_empty() && !one.to_kinds.is_empty());
    }
    let employs = &all.relationship_types[5];
    assert_eq!((employs.label.as_str(), employs.inverse_label.as_str()), ("employs", "is employed by"));
    assert_eq!(employs.to_kinds, [i32::from(PartyKind::Individual)]);
    let (mut paged, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListRelationshipTypesRequest { page_size: 4, page_token };
        let page = relationships.list_relationship_types(request).await.expect("listed").into_inner();
        paged.extend(page.relationship_types);
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    assert_eq!(paged, all.relationship_types);
    // Every type ties parties of every pair of kinds it names, and no others.
    let mut parties = Vec::new();
    for kind in [PartyKind::Individual, PartyKind::Organization, PartyKind::Household, PartyKind::Group] {
        let make = |name: &str| stage.party(Party { kind: kind.into(), ..person(name) });
        parties.push((i32::from(kind), make("One").await, make("Other").await));
    }
    let mut tied = 0;
    for one in &all.relationship_types {
        for (from_kind, from, _) in &parties {
            for (to_kind, _, to) in &parties {
                let answer = relationships.create_relationship(create(tie(&one.slug, from, to))).await;
                if one.from_kinds.contains(from_kind) && one.to_kinds.contains(to_kind) {
                    assert_eq!(answer.expect(&one.slug).get_ref().relationship_type, one.slug);
                    tied += 1;
                } else {
                    let status = assert_reason!(answer, Code::FailedPrecondition, "RELATIONSHIP_NOT_ALLOWED");
                    assert_eq!(error_metadata(&status)["relationship_type"], one.slug);
                }
            }
        }
    }
    assert!(tied > 60, "{tied}");
}

async fn a_tie_comes_back_as_it_was_understood(stage: &Stage) {
    let (firm, worker) = (stage.party(organization("Firm")).await, stage.party(person("Worker")).await);
    let told = Provenance { source_system: "hr".into(), ..Default::default() };
    let wanted = Relationship {
        weight: Some(0.123_456_7),
        scope: "head of sales".into(),
        valid_from_time: Some(at("2026-01-05T00:00:00Z")),
        provenance: Some(told.clone()),
        ..tie("employs", &firm, &worker)
    };
    let request = CreateRelationshipRequest { request_id: fresh(), ..create(wanted) };
    let answer = stage.relationships(ACME).create_relationship(request.clone()).await.expect("tied");
    assert!(position(answer.metadata(), "stakeholders") > 0);
    let made = answer.into_inner();
    assert!(made.name.starts_with("relationships/"));
    assert_eq!((&made.from_party, &made.to_party), (&firm.name, &worker.name));
    assert_eq!(made.weight, Some(0.123_457), "to six decimals");
    assert_eq!((made.scope.as_str(), &made.provenance), ("head of sales", &Some(told)));
    assert_eq!((made.valid_from_time, made.valid_to_time), (Some(at("2026-01-05T00:00:00Z")), None));
    assert_eq!(made.create_time, made.update_time);
    assert!(!made.etag.is_empty());
    let replayed = stage.relationships(ACME).create_relationship(request).await.expect("replayed");
    assert!(is_replayed(replayed.metadata()));
    assert_eq!(replayed.into_inner(), made);
    let of_worker = ListRelationshipsRequest { party: worker.name.clone(), ..Default::default() };
    assert_eq!(list(stage, of_worker.clone()).await.relationships, [made]);
    let foreign = stage.relationships(GLOBEX).list_relationships(of_worker).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
    let light = super::relationships::made(stage, tie("knows", &firm, &worker)).await;
    assert_eq!(light.weight, Some(1.0));
    assert_eq!(light.valid_from_time, light.create_time, "from the time of the call on");
}

async fn a_tie_is_there_once(stage: &Stage) {
    let mut relationships = stage.relationships(ACME);
    let (ana, bo) = (stage.party(person("Ana")).await, stage.party(person("Bo")).await);
    // Who knows whom has no direction: the smaller name stands first, whoever is named first.
    let (small, great) = if ana.name < bo.name { (&ana, &bo) } else { (&bo, &ana) };
    let knows = made(stage, tie("knows", great, small)).await;
    assert_eq!((&knows.from_party, &knows.to_party), (&small.name, &great.name));
    for (from, to) in [(great, small), (small, great)] {
        let answer = relationships.create_relationship(create(tie("knows", from, to))).await;
        let status = assert_reason!(answer, Code::AlreadyExists, "RELATIONSHIP_ALREADY_EXISTS");
        assert_eq!(error_metadata(&status)["name"], knows.name);
        assert_eq!(error_metadata(&status)["etag"], knows.etag);
    }
    // Directed ties differ by direction, and by type, and by time.
    let there = made(stage, tie("refers", small, great)).await;
    let back = made(stage, tie("refers", great, small)).await;
    assert_eq!((&back.from_party, &there.from_party), (&great.name, &small.name));
    let past = Relationship {
        valid_from_time: Some(at("2020-01-01T00:00:00Z")),
        valid_to_time: Some(at("2021-01-01T00:00:00Z")),
        ..tie("refers", small, great)
    };
    made(stage, past).await;
    let again = relationships.create_relationship(create(tie("refers", small, great))).await;
    assert_reason!(again, Code::AlreadyExists, "RELATIONSHIP_ALREADY_EXISTS");
    // Of several who tie the same two at once, one does.
    let calls = (0..6).map(|n| {
        let (from, to) = if n % 2 == 0 { (small, great) } else { (great, small) };
        let (mut relationships, request) = (stage.relationships(ACME), create(tie("partner_of", from, to)));
        async move { relationships.create_relationship(request).await }
    });
    let (won, lost): (Vec<_>, Vec<_>) = join_all(calls).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for answer in lost {
        assert_reason!(answer, Code::AlreadyExists, "RELATIONSHIP_ALREADY_EXISTS");
    }
}

/// An update of these fields.
pub(super) fn update(paths: &[&str], relationship: Relationship) -> UpdateRelationshipRequest {
    let mask = FieldMask { paths: paths.iter().map(ToString::to_string).collect() };
    UpdateRelationshipRequest {
        relationship: Some(relationship),
        update_mask: Some(mask),
        ..UpdateRelationshipRequest::default()
    }
}

async fn a_tie_is_corrected(stage: &Stage) {
    let mut relationships = stage.relationships(ACME);
    let (firm, ana) = (stage.party(organization("Firm")).await, stage.party(person("Ana")).await);
    let made = made(stage, Relationship { scope: "sales".into(), ..tie("employs", &firm, &ana) }).await;
    let wanted = Relationship { weight: Some(0.25), scope: "buying".into(), ..made.clone() };
    // What the mask does not name stays; an etag that was seen is that of the version it was.
    let request = UpdateRelationshipRequest { request_id: fresh(), ..update(&["weight"], wanted.clone()) };
    let answer = relationships.update_relationship(request.clone()).await.expect("corrected");
    assert!(position(answer.metadata(), "stakeholders") > 0);
    let lighter = answer.into_inner();
    let expected = Relationship {
        weight: Some(0.25),
        etag: lighter.etag.clone(),
        update_time: lighter.update_time,
        ..made.clone()
    };
    assert_eq!(lighter, expected);
    assert_ne!(lighter.etag, made.etag);
    let replayed = relationships.update_relationship(request).await.expect("replayed");
    assert!(is_replayed(replayed.metadata()));
    let stale = relationships.update_relationship(update(&["scope"], wanted.clone())).await;
    assert_reason!(stale, Code::Aborted, "ETAG_MISMATCH");
    // Nothing to change makes no version.
    let any = Relationship { etag: String::new(), ..wanted.clone() };
    let same = relationships.update_relationship(update(&["weight"], any.clone())).await.expect("the same");
    assert_eq!(same.into_inner(), lighter);
    let all = relationships.update_relationship(update(&["*"], any.clone())).await.expect("all").into_inner();
    assert_eq!((all.scope.as_str(), all.weight), ("buying", Some(0.25)));
    let of_ana = ListRelationshipsRequest { party: ana.name.clone(), ..Default::default() };
    assert_eq!(list(stage, of_ana).await.relationships, [all]);
    refused(
        relationships.update_relationship(update(&["to_party", "etag", "size", "scope", "scope"], any.clone())).await,
        &[
            ("update_mask.paths[0]", "IMMUTABLE_FIELD"),
            ("update_mask.paths[1]", "OUTPUT_ONLY_FIELD"),
            ("update_mask.paths[2]", "UNKNOWN_FIELD"),
            ("update_mask.paths[4]", "DUPLICATE"),
        ],
    );
    let heavy = Relationship { weight: Some(1.5), name: String::new(), ..any.clone() };
    refused(
        relationships.update_relationship(update(&["weight"], heavy)).await,
        &[("relationship.name", "REQUIRED"), ("relationship.weight", "OUT_OF_RANGE")],
    );
    refused(relationships.update_relationship(update(&[], any.clone())).await, &[("update_mask", "REQUIRED")]);
    let foreign = stage.relationships(GLOBEX).update_relationship(update(&["weight"], any)).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn a_tie_ends_once(stage: &Stage) {
    let mut relationships = stage.relationships(ACME);
    let (ana, bo) = (stage.party(person("Ana")).await, stage.party(person("Bo")).await);
    let since = Relationship { valid_from_time: Some(at("2026-01-05T00:00:00Z")), ..tie("refers", &ana, &bo) };
    let open = made(stage, since).await;
    let stale = EndRelationshipRequest { etag: "junk".into(), ..finish(&open.name) };
    assert_reason!(relationships.end_relationship(stale).await, Code::Aborted, "ETAG_MISMATCH");
    let early = EndRelationshipRequest { end_time: Some(at("2026-01-04T00:00:00Z")), ..finish(&open.name) };
    refused(relationships.end_relationship(early).await, &[("end_time", "END_BEFORE_START")]);
    let late = EndRelationshipRequest { end_time: Some(after(now(), 2 * DAY)), ..finish(&open.name) };
    refused(relationships.end_relationship(late).await, &[("end_time", "IN_FUTURE")]);
    let request = EndRelationshipRequest {
        end_time: Some(at("2026-02-01T00:00:00Z")),
        reason: "fell out".into(),
        etag: open.etag.clone(),
        request_id: fresh(),
        ..finish(&open.name)
    };
    let ended = relationships.end_relationship(request.clone()).await.expect("ended").into_inner();
    assert_ne!(ended.etag, open.etag);
    let expected = Relationship {
        valid_to_time: Some(at("2026-02-01T00:00:00Z")),
        end_reason: "fell out".into(),
        etag: ended.etag.clone(),
        update_time: ended.update_time,
        ..open.clone()
    };
    assert_eq!(ended, expected);
    let replayed = relationships.end_relationship(request).await.expect("replayed");
    assert!(is_replayed(replayed.metadata()));
    let again = relationships.end_relationship(finish(&open.name)).await;
    let status = assert_reason!(again, Code::FailedPrecondition, "RELATIONSHIP_ALREADY_ENDED");
    assert_eq!(error_metadata(&status)["name"], open.name);
    let anew = made(stage, tie("refers", &ana, &bo)).await;
    assert_ne!(anew.name, open.name);
    let foreign = stage.relationships(GLOBEX).end_relationship(finish(&anew.name)).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
    let nobody = relationships.end_relationship(finish(&unknown("relationships"))).await;
    assert_reason!(nobody, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn wrong_ties_are_refused(stage: &Stage) {
    let mut relationships = stage.relationships(ACME);
    let (ana, bo) = (stage.party(person("Ana")).await, stage.party(person("Bo")).await);
    let itself = relationships.create_relationship(create(tie("influences", &ana, &ana))).await;
    let status = assert_reason!(itself, Code::FailedPrecondition, "SELF_RELATIONSHIP");
    assert_eq!(error_metadata(&status)["party"], ana.name);
    let nobody = Party { name: unknown("parties"), ..Default::default() };
    for (from, to) in [(&ana, &nobody), (&nobody, &ana)] {
        let answer = relationships.create_relationship(create(tie("refers", from, to))).await;
        let status = assert_reason!(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
        assert_eq!(error_metadata(&status)["name"], nobody.name);
    }
    let foreign = stage.relationships(GLOBEX).create_relationship(create(tie("refers", &ana, &bo))).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
    refused(
        relationships.create_relationship(CreateRelationshipRequest::default()).await,
        &[("relationship", "REQUIRED")],
    );
    for (weight, reason) in [
        (0.0, "OUT_OF_RANGE"),
        (-0.5, "OUT_OF_RANGE"),
        (1.000_001, "OUT_OF_RANGE"),
        (f64::NAN, "NOT_FINITE"),
        (f64::INFINITY, "NOT_FINITE"),
    ] {
        let wrong = Relationship { weight: Some(weight), ..tie("refers", &ana, &bo) };
        refused(relationships.create_relationship(create(wrong)).await, &[("relationship.weight", reason)]);
    }
    let wrong = Relationship {
        relationship_type: "loathes".into(),
        from_party: "parties/7".into(),
        scope: "s".repeat(201),
        valid_from_time: Some(at("2026-01-02T00:00:00Z")),
        valid_to_time: Some(at("2026-01-01T00:00:00Z")),
        ..Default::default()
    };
    refused(
        relationships.create_relationship(create(wrong)).await,
        &[
            ("relationship.relationship_type", "UNKNOWN_TYPE"),
            ("relationship.from_party", "MALFORMED_NAME"),
            ("relationship.to_party", "REQUIRED"),
            ("relationship.scope", "TOO_LONG"),
            ("relationship.valid_to_time", "END_BEFORE_START"),
        ],
    );
}

async fn lists_go_by_strength_and_time(stage: &Stage) {
    let hub = stage.party(organization("Listed Hub")).await;
    let others = join_all((0..12).map(|n| stage.party(person(&format!("Listed {n}"))))).await;
    let mut ties = Vec::new();
    for (n, other) in (1..).zip(&others) {
        let tie = if n % 3 == 0 { tie("knows", &hub, other) } else { tie("employs", &hub, other) };
        ties.push(made(stage, Relationship { weight: Some(f64::from(n) / 12.0), ..tie }).await);
    }
    let ending = EndRelationshipRequest { end_time: ties[11].valid_from_time, ..finish(&ties[11].name) };
    stage.relationships(ACME).end_relationship(ending).await.expect("ended");
    let begins = Relationship { valid_from_time: Some(after(now(), 3600)), ..tie("advises", &hub, &others[0]) };
    let begins = made(stage, begins).await;
    let of_hub = ListRelationshipsRequest { party: hub.name.clone(), ..Default::default() };
    let names = |ties: &[Relationship]| ties.iter().map(|tie| tie.name.clone()).collect::<Vec<_>>();
    let holding: Vec<String> = ties[..11].iter().rev().map(|tie| tie.name.clone()).collect();
    assert_eq!(names(&list(stage, of_hub.clone()).await.relationships), holding, "the strongest first");
    let of_type = ListRelationshipsRequest { relationship_types: vec!["knows".into()], ..of_hub.clone() };
    assert_eq!(
        names(&list(stage, of_type).await.relationships),
        [&ties[8], &ties[5], &ties[2]].map(|tie| tie.name.clone())
    );
    let tomorrow = ListRelationshipsRequest { as_of: Some(after(now(), DAY)), ..of_hub.clone() };
    assert!(names(&list(stage, tomorrow).await.relationships).contains(&begins.name));
    let yesterday = ListRelationshipsRequest { as_of: Some(after(now(), -DAY)), ..of_hub.clone() };
    assert!(list(stage, yesterday).await.relationships.is_empty());
    let ever = ListRelationshipsRequest { include_ended: true, ..of_hub.clone() };
    let found = names(&list(stage, ever.clone()).await.relationships);
    assert_eq!(found.len(), 13);
    assert!(found.contains(&ties[11].name) && found.contains(&begins.name));

    let (mut paged, mut page_token) = (Vec::new(), String::new());
    loop {
        let page = list(stage, ListRelationshipsRequest { page_size: 4, page_token, ..of_hub.clone() }).await;
        paged.extend(names(&page.relationships));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
        // A stronger tie than those told does not move the place.
        let newcomer = stage.party(person("Newcomer")).await;
        made(stage, tie("advises", &newcomer, &hub)).await;
        for other in [ListRelationshipsRequest { party: String::new(), ..of_hub.clone() }, ever.clone()] {
            let other = ListRelationshipsRequest { page_token: page_token.clone(), ..other };
            let answer = stage.relationships(ACME).list_relationships(other).await;
            assert_reason!(answer, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
        }
    }
    assert_eq!(paged, holding);
    let everything = ListRelationshipsRequest { include_ended: true, page_size: 500, ..Default::default() };
    let created: Vec<_> =
        list(stage, everything).await.relationships.iter().map(|tie| tie.create_time.expect("a time")).collect();
    assert!(created.is_sorted_by_key(|time| (time.seconds, time.nanos)), "of all parties the oldest first");
    let wrong = ListRelationshipsRequest {
        party: "parties/7".into(),
        relationship_types: vec!["knows".into(), "loathes".into()],
        page_size: -1,
        ..Default::default()
    };
    refused(
        stage.relationships(ACME).list_relationships(wrong).await,
        &[("party", "MALFORMED_NAME"), ("relationship_types[1]", "UNKNOWN_TYPE"), ("page_size", "OUT_OF_RANGE")],
    );
}
