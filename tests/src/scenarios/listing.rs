//! Lists of parties: filters, orders, and pages that stay put while others write.

use std::collections::BTreeMap;

use futures::future::join_all;
use futures::{StreamExt as _, stream};
use rapport_proto::interactions::v1::ListInteractionsRequest;
use rapport_proto::stakeholders::v1::*;
use rapport_testkit::asserts::error_metadata;
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};

use super::messages::{after, identifier, now, organization, person, role};
use super::stage::{ACME, AGENT, GLOBEX, Stage, refused};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn parties_are_listed(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        filters_choose(&stage).await;
        orders_sort(&stage).await;
        a_role_type_chooses_who_holds_it_now(&stage).await;
        pages_stay_put_while_others_write(&stage).await;
        a_token_belongs_to_its_list(&stage).await;
        sizes_have_bounds(&stage).await;
        stage.close().await;
    }
}

async fn list(stage: &Stage, request: ListPartiesRequest) -> ListPartiesResponse {
    stage.parties(ACME).list_parties(request).await.expect("listed").into_inner()
}

fn shown(parties: &[Party]) -> Vec<&str> {
    parties.iter().map(|party| party.display_name.as_str()).collect()
}

/// All pages, one after the other.
async fn all(stage: &Stage, request: ListPartiesRequest) -> Vec<Party> {
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let page = list(stage, ListPartiesRequest { page_token, ..request.clone() }).await;
        found.extend(page.parties);
        if page.next_page_token.is_empty() {
            return found;
        }
        page_token = page.next_page_token;
    }
}

async fn filters_choose(stage: &Stage) {
    let from = |country: &str, language: &str, party: Party| Party {
        country_code: country.into(),
        language_code: language.into(),
        ..party
    };
    let closed = Cessation { kind: CessationKind::Closed.into(), ..Default::default() };
    for party in [
        from("BR", "pt-BR", organization("Filtro Um")),
        from("PT", "pt-PT", organization("Filtro Dois")),
        from("DE", "de", organization("Filter Drei")),
        from("BR", "pt-BR", person("Filtro Pessoa")),
        from("", "", Party { cessation: Some(closed), ..organization("Filter \"Closed\" Ltd") }),
        Party { identifiers: vec![identifier("crm", "only-a-number", IdentifierStrength::Weak)], ..person("") },
    ] {
        stage.party(party).await;
    }
    let soon = after(now(), 3600);
    let cases: &[(&str, &[&str])] = &[
        (r#"kind == "organization" && country_code in ["BR", "PT"]"#, &["Filtro Um", "Filtro Dois"]),
        (r#"country_code == "BR" || language_code == "de""#, &["Filtro Um", "Filter Drei", "Filtro Pessoa"]),
        (r#"kind == "individual" && !(lifecycle == "provisional")"#, &["Filtro Pessoa"]),
        (r#"lifecycle == "provisional""#, &[""]),
        (r#"ceased"#, &["Filter \"Closed\" Ltd"]),
        (r#"display_name == "Filter \"Closed\" Ltd""#, &["Filter \"Closed\" Ltd"]),
        (r#"display_name.startsWith("Filtro ") && kind != "individual""#, &["Filtro Um", "Filtro Dois"]),
        (r#"display_name == "' OR 1=1; --""#, &[]),
        (r#"create_time > timestamp("2020-01-01T00:00:00Z") && language_code == "pt-PT""#, &["Filtro Dois"]),
        (r#"update_time < timestamp("2020-01-01T00:00:00Z")"#, &[]),
    ];
    for (filter, expected) in cases {
        let found = list(stage, ListPartiesRequest { filter: (*filter).into(), ..Default::default() }).await;
        assert_eq!(shown(&found.parties), *expected, "{filter}");
        assert_eq!(found.next_page_token, "", "{filter}");
    }
    let future = format!(r#"create_time > timestamp("{soon}")"#);
    assert!(list(stage, ListPartiesRequest { filter: future, ..Default::default() }).await.parties.is_empty());

    for (wrong, offset) in [
        ("colour == \"red\"", "0"),
        ("kind == \"dragon\"", "8"),
        ("kind == ", "8"),
        ("country_code + \"x\" == \"BRx\"", "13"),
    ] {
        let request = ListPartiesRequest { filter: wrong.into(), ..Default::default() };
        let status =
            assert_reason!(stage.parties(ACME).list_parties(request).await, Code::InvalidArgument, "INVALID_FILTER");
        assert_eq!(error_metadata(&status)["offset"], offset, "{wrong}: {}", status.message());
    }
    for wrong in [format!("kind == \"{}\"", "x".repeat(2_048)), format!("{}ceased{}", "(".repeat(17), ")".repeat(17))] {
        let request = ListPartiesRequest { filter: wrong, ..Default::default() };
        assert_reason!(stage.parties(ACME).list_parties(request).await, Code::InvalidArgument, "INVALID_FILTER");
    }
}

async fn orders_sort(stage: &Stage) {
    for name in ["order cc", "Order AA", "ORDER bb"] {
        stage.party(Party { language_code: "qo".into(), ..person(name) }).await;
    }
    let sorted = async |order_by: &str| -> Vec<String> {
        let filter = r#"language_code == "qo""#.into();
        let found = list(stage, ListPartiesRequest { filter, order_by: order_by.into(), ..Default::default() }).await;
        found.parties.into_iter().map(|party| party.display_name).collect()
    };
    assert_eq!(sorted("").await, ["order cc", "Order AA", "ORDER bb"]);
    assert_eq!(sorted("create_time desc").await, ["ORDER bb", "Order AA", "order cc"]);
    assert_eq!(sorted("display_name").await, ["Order AA", "ORDER bb", "order cc"], "letters before cases");
    assert_eq!(sorted("display_name desc").await, ["order cc", "ORDER bb", "Order AA"]);
    for wrong in ["favourite_colour", "display_name sideways", "create_time,create_time"] {
        let request = ListPartiesRequest { order_by: wrong.into(), ..Default::default() };
        assert_reason!(stage.parties(ACME).list_parties(request).await, Code::InvalidArgument, "INVALID_ORDER_BY");
    }
}

async fn a_role_type_chooses_who_holds_it_now(stage: &Stage) {
    let tomorrow = PartyRole { valid_from_time: Some(after(now(), 86_400)), ..role("investor") };
    let hoped = PartyRole { status: RoleStatus::Prospective.into(), ..role("investor") };
    let holder = stage.party(Party { roles: vec![role("investor")], ..person("Holds") }).await;
    let ended = stage.party(Party { roles: vec![role("investor")], ..person("Held") }).await;
    stage.party(Party { roles: vec![tomorrow], ..person("Will Hold") }).await;
    stage.party(Party { roles: vec![hoped], ..person("May Hold") }).await;
    stage.party(Party { roles: vec![role("dealer")], ..person("Holds Another") }).await;
    let end = EndRoleRequest { name: ended.roles[0].name.clone(), ..Default::default() };
    stage.parties(ACME).end_role(end).await.expect("ended");
    let investors = ListPartiesRequest { role_type: "investor".into(), ..Default::default() };
    assert_eq!(list(stage, investors.clone()).await.parties, [holder]);
    let none = ListPartiesRequest { filter: r#"kind == "organization""#.into(), ..investors };
    assert!(list(stage, none).await.parties.is_empty(), "filter and role type together");
    let wizards = ListPartiesRequest { role_type: "wizard".into(), ..Default::default() };
    refused(stage.parties(ACME).list_parties(wizards).await, &[("role_type", "UNKNOWN_TYPE")]);
}

async fn pages_stay_put_while_others_write(stage: &Stage) {
    let make = |name: String| stage.party(Party { language_code: "qp".into(), ..person(&name) });
    join_all((0..23).map(|n| make(format!("page {n:02}")))).await;
    let filter = r#"language_code == "qp""#.to_owned();
    let by_name = ListPartiesRequest { filter, order_by: "display_name".into(), page_size: 5, ..Default::default() };
    let (mut found, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = list(stage, ListPartiesRequest { page_token, ..by_name.clone() }).await;
        assert!(page.parties.len() <= 5);
        found.extend(page.parties.iter().map(|party| party.display_name.clone()));
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
        if pages == 2 {
            // One before the place and one behind it: the first is not seen, the second is, nothing moves.
            make("page 00 too late".to_owned()).await;
            make("page 15 in time".to_owned()).await;
        }
    }
    let mut expected: Vec<String> = (0..23).map(|n| format!("page {n:02}")).collect();
    expected.insert(16, "page 15 in time".to_owned());
    assert_eq!(found, expected);
    assert_eq!(pages, 5);

    // Every order pages without loss or repetition, equal keys too.
    let twins = r#"language_code == "qt""#.to_owned();
    join_all((0..9).map(|_| stage.party(Party { language_code: "qt".into(), ..person("same") }))).await;
    for order_by in ["", "create_time desc", "update_time", "display_name", "display_name desc"] {
        let request =
            ListPartiesRequest { filter: twins.clone(), order_by: order_by.into(), page_size: 2, ..Default::default() };
        let mut names: Vec<String> = all(stage, request).await.into_iter().map(|party| party.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 9, "{order_by}");
    }
}

async fn a_token_belongs_to_its_list(stage: &Stage) {
    let first = ListPartiesRequest { page_size: 3, ..Default::default() };
    let token = list(stage, first.clone()).await.next_page_token;
    assert!(!token.is_empty());
    let with = |page_token: &str| ListPartiesRequest { page_token: page_token.into(), ..first.clone() };
    // Sealed: whatever is changed of it, it is no token any more.
    let mut forged: Vec<String> = (0..token.len())
        .step_by(7)
        .map(|place| {
            let mut bytes = token.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).expect("ASCII")
        })
        .collect();
    forged.extend(["junk".into(), "AAAA".into(), token[..token.len() - 4].to_owned(), format!("{token}AAAA")]);
    for wrong in forged {
        let status = assert_reason!(
            stage.parties(ACME).list_parties(with(&wrong)).await,
            Code::InvalidArgument,
            "INVALID_PAGE_TOKEN"
        );
        assert_eq!(rapport_testkit::asserts::violated_fields(&status), ["page_token"]);
    }
    // Bound: to the filter, the order, the role type, the tenant and the method.
    for other in [
        ListPartiesRequest { filter: "!ceased".into(), ..with(&token) },
        ListPartiesRequest { order_by: "create_time desc".into(), ..with(&token) },
        ListPartiesRequest { order_by: "update_time".into(), ..with(&token) },
        ListPartiesRequest { role_type: "dealer".into(), ..with(&token) },
    ] {
        assert_reason!(stage.parties(ACME).list_parties(other).await, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
    }
    let foreign = stage.parties(GLOBEX).list_parties(with(&token)).await;
    assert_reason!(foreign, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
    let ties = ListRelationshipsRequest { page_token: token.clone(), ..Default::default() };
    let elsewhere = stage.relationships(ACME).list_relationships(ties).await;
    assert_reason!(elsewhere, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
    let contacts = ListInteractionsRequest { page_token: token.clone(), ..Default::default() };
    let elsewhere = stage.interactions(ACME).list_interactions(contacts).await;
    assert_reason!(elsewhere, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
    // The page size may change, and any caller of the tenant may go on.
    let bigger = ListPartiesRequest { page_size: 7, ..with(&token) };
    let answer = stage.parties(AGENT).list_parties(bigger).await.expect("listed").into_inner();
    assert_eq!(answer.parties.len(), 7);
}

async fn sizes_have_bounds(stage: &Stage) {
    let negative = ListPartiesRequest { page_size: -1, ..Default::default() };
    refused(stage.parties(ACME).list_parties(negative).await, &[("page_size", "OUT_OF_RANGE")]);
    let there = all(stage, ListPartiesRequest { page_size: 500, ..Default::default() }).await.len();
    let make = |n: usize| async move { stage.party(person(&format!("one of many {n}"))).await };
    stream::iter(there..=505).map(make).buffer_unordered(32).collect::<Vec<_>>().await;
    let mut sizes = BTreeMap::new();
    for page_size in [0, 1, 500, 501, i32::MAX] {
        let page = list(stage, ListPartiesRequest { page_size, ..Default::default() }).await;
        assert!(!page.next_page_token.is_empty());
        sizes.insert(page_size, page.parties.len());
    }
    assert_eq!(sizes, BTreeMap::from([(0, 50), (1, 1), (500, 500), (501, 500), (i32::MAX, 500)]));
}
