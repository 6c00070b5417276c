//! Events that were put aside: listed, applied once the cause is mended, or given up.

use rapport_proto::events::v1::{
    DiscardParkedEventRequest, ListParkedEventsRequest, ParkedEvent, RetryParkedEventsRequest,
    RetryParkedEventsResponse,
};
use rapport_proto::interactions::v1::ListCasesRequest;
use rapport_proto::stakeholders::v1::UpdatePartyRequest;
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::{Code, assert_reason};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};

use super::messages::{person, phone};
use super::ports::http;
use super::stage::{ACME, AGENT, GLOBEX, Positions, READER, Stage, fresh, refused};

const IDENTITY: &str = "services/interactions/consumers/identity";

rapport_testkit::each_store! {
    async fn parked_events_wait_for_their_cause_to_be_mended(place: StorePlace) {
        let sandbox = Sandbox::builder(rapport::modules).topology(Topology::OneProcess).place(place);
        let stage = Stage::open(sandbox).await;
        let broken = Broken::of(&stage).await;
        let party = they_are_put_aside_and_listed(&stage, &broken).await;
        nothing_changes_while_the_cause_is_there(&stage).await;
        then_all_are_applied_and_the_rest_flows(&stage, &broken, &party).await;
        one_is_given_up(&stage, &broken, &party).await;
        requests_are_checked(&stage).await;
        stage.close().await;
    }
}

/// The table that the consumer writes into, which goes away and comes back.
struct Broken {
    db: DatabaseConnection,
    table: &'static str,
    away: &'static str,
}

impl Broken {
    async fn of(stage: &Stage) -> Broken {
        match stage.sandbox.place().database() {
            Some(database) => Broken {
                db: database.connect().await,
                table: "interactions.identifier_holder",
                away: "interactions.away",
            },
            None => {
                let file = stage.sandbox.data("interactions").join("interactions.db");
                let db = Database::connect(format!("sqlite://{}", file.display())).await.expect("the file opens");
                Broken { db, table: "identifier_holder", away: "away" }
            }
        }
    }

    async fn breaks(&self) {
        self.run(&format!("ALTER TABLE {} RENAME TO away", self.table)).await;
    }

    async fn is_mended(&self) {
        self.run(&format!("ALTER TABLE {} RENAME TO identifier_holder", self.away)).await;
    }

    async fn run(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.expect(sql);
    }

    async fn holders(&self) -> i64 {
        let sql = format!("SELECT count(*) FROM {}", self.table);
        let found = self.db.query_one_raw(Statement::from_string(self.db.get_database_backend(), sql)).await;
        found.expect("read").expect("a row").try_get_by_index(0).expect("a number")
    }
}

/// Waits until the consumer has come by, whatever it did with the events.
async fn come_by(stage: &Stage, seen: &Positions) {
    loop {
        let request = at_least(ListCasesRequest::default(), seen);
        let answer = stage.cases(ACME).list_cases(request).await.expect("read");
        if answer.metadata().get("rapport-stale").is_none() {
            return;
        }
    }
}

async fn list(stage: &Stage, token: &str, parent: &str) -> Vec<ParkedEvent> {
    let mut request = ListParkedEventsRequest { parent: parent.into(), page_size: 1, ..Default::default() };
    let mut events = Vec::new();
    loop {
        let page = stage.feed("interactions", token).list_parked_events(request.clone()).await;
        let page = page.expect("listed").into_inner();
        assert!(page.parked_events.len() <= 1);
        events.extend(page.parked_events);
        if page.next_page_token.is_empty() {
            return events;
        }
        request.page_token = page.next_page_token;
    }
}

async fn retry(stage: &Stage, token: &str, parent: &str) -> RetryParkedEventsResponse {
    let request = RetryParkedEventsRequest { parent: parent.into(), ..Default::default() };
    stage.feed("interactions", token).retry_parked_events(request).await.expect("tried").into_inner()
}

async fn renamed(stage: &Stage, name: &str, to: &str) -> Positions {
    let party = rapport_proto::stakeholders::v1::Party { name: name.into(), ..person(to) };
    let request = UpdatePartyRequest {
        party: Some(party),
        update_mask: Some(prost_types::FieldMask { paths: vec!["display_name".into()] }),
        ..Default::default()
    };
    positions(stage.parties(ACME).update_party(request).await.expect("renamed").metadata())
}

fn versions(events: &[ParkedEvent]) -> Vec<(i64, i64)> {
    events.iter().filter_map(|parked| parked.event.as_ref()).map(|event| (event.position, event.version)).collect()
}

async fn they_are_put_aside_and_listed(stage: &Stage, broken: &Broken) -> String {
    broken.breaks().await;
    let mut holder = person("Putaside");
    holder.contact_media = vec![phone("+12025550171")];
    let party = stage.party(holder).await.name;
    let seen = renamed(stage, &party, "Renamed").await;
    come_by(stage, &seen).await;
    let parked = list(stage, READER, IDENTITY).await;
    assert!(parked.len() >= 2, "{parked:?}");
    let order = versions(&parked);
    assert!(order.is_sorted(), "{order:?}");
    let event = parked[0].event.as_ref().expect("the event");
    assert_eq!((event.source.as_str(), event.aggregate.as_str()), ("stakeholders", party.as_str()));
    assert_eq!(event.tenant, "", "the tenant is the caller's own");
    assert!(!parked[0].reason.is_empty() && parked[1].reason.contains("earlier event"), "{parked:?}");
    assert_eq!(list(stage, ACME, "services/interactions/consumers/-").await.len(), parked.len());
    assert_eq!(list(stage, GLOBEX, IDENTITY).await, [], "another tenant's");
    party
}

async fn nothing_changes_while_the_cause_is_there(stage: &Stage) {
    let before = list(stage, ACME, IDENTITY).await;
    let tried = retry(stage, ACME, IDENTITY).await;
    assert_eq!((tried.applied_count, tried.remaining_count), (0, before.len() as i32), "{tried:?}");
    assert_eq!(tried.failures.len(), 1, "the first of its resource: {tried:?}");
    assert_eq!(tried.failures[0].name, before[0].name);
    assert_eq!(list(stage, ACME, IDENTITY).await, before);
    let agents = stage.feed("interactions", AGENT).retry_parked_events(RetryParkedEventsRequest::default()).await;
    assert_reason!(agents, Code::PermissionDenied, "PERMISSION_DENIED");
}

async fn then_all_are_applied_and_the_rest_flows(stage: &Stage, broken: &Broken, party: &str) {
    broken.is_mended().await;
    let foreign = retry(stage, GLOBEX, IDENTITY).await;
    assert_eq!((foreign.applied_count, foreign.remaining_count), (0, 0), "nothing of another tenant's");
    let count = list(stage, ACME, IDENTITY).await.len() as i32;
    assert_eq!(broken.holders().await, 0);
    let tried = retry(stage, ACME, IDENTITY).await;
    assert_eq!((tried.applied_count, tried.remaining_count), (count, 0), "{tried:?}");
    assert_eq!(broken.holders().await, 1, "the effect is there");
    assert_eq!(list(stage, ACME, IDENTITY).await, []);
    assert_eq!(retry(stage, ACME, IDENTITY).await.applied_count, 0, "nothing is applied twice");
    // Later events of the resource are applied as they come again.
    let seen = renamed(stage, party, "Renamed again").await;
    come_by(stage, &seen).await;
    assert_eq!(list(stage, ACME, IDENTITY).await, []);
    let (_, _, metrics) = http(stage.sandbox.admin_address("interactions"), "GET /metrics").await;
    let parked = metrics.lines().find(|line| {
        line.starts_with("rapport_consumer_parked_events{") && line.contains("rapport_consumer=\"identity\"")
    });
    assert!(parked.is_some_and(|line| line.ends_with(" 0")), "{parked:?}");
}

async fn one_is_given_up(stage: &Stage, broken: &Broken, party: &str) {
    broken.breaks().await;
    let seen = renamed(stage, party, "Given up").await;
    come_by(stage, &seen).await;
    let parked = list(stage, ACME, IDENTITY).await;
    assert_eq!(parked.len(), 1, "{parked:?}");
    let discard = DiscardParkedEventRequest { name: parked[0].name.clone(), request_id: fresh() };
    let foreign = stage.feed("interactions", GLOBEX).discard_parked_event(discard.clone()).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
    stage.feed("interactions", ACME).discard_parked_event(discard.clone()).await.expect("given up");
    let again = stage.feed("interactions", ACME).discard_parked_event(discard).await;
    assert_reason!(again, Code::NotFound, "RESOURCE_NOT_FOUND");
    broken.is_mended().await;
    assert_eq!(retry(stage, ACME, IDENTITY).await.applied_count, 0);
}

async fn requests_are_checked(stage: &Stage) {
    let request =
        RetryParkedEventsRequest { parent: "interactions".into(), aggregate: "a\0b".into(), request_id: "no".into() };
    let expected =
        [("parent", "MALFORMED_NAME"), ("aggregate", "MALFORMED_NAME"), ("request_id", "INVALID_REQUEST_ID")];
    refused(stage.feed("interactions", ACME).retry_parked_events(request).await, &expected);
    let nowhere = ListParkedEventsRequest { parent: "services/weather/consumers/-".into(), ..Default::default() };
    let answer = stage.feed("interactions", ACME).list_parked_events(nowhere).await;
    assert_reason!(answer, Code::NotFound, "SERVICE_NOT_HOSTED");
}
