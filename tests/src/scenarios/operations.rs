//! Long jobs: waited for within a deadline, cancelled, listed, seen by their own tenant alone.

use std::time::{Duration, Instant};

use futures::future::join_all;
use rapport_proto::operations::v1::*;
use rapport_proto::scoring::v1::{FitClvModelRequest, ListClvModelsRequest};
use rapport_store::Sql;
use rapport_testkit::asserts::is_replayed;
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};
use sea_orm::{Database, DatabaseConnection};
use tonic::Request;
use uuid::Uuid;

use super::messages::micros;
use super::purchases::{END, few, import};
use super::stage::{ACME, GLOBEX, Positions, READER, Stage, fresh, refused, within};
use super::value::ended;

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn long_jobs_are_waited_for_cancelled_and_listed(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        let seen = import(&stage, few()).await;
        what_is_wrong_is_refused(&stage).await;
        let done = what_is_done_says_what_came_of_it(&stage, &seen).await;
        let held = Held::open(&stage, &done).await;
        a_wait_ends_before_its_deadline(&stage, &held).await;
        what_is_cancelled_leaves_nothing(&stage, &held).await;
        they_are_listed_newest_first(&stage).await;
        others_see_nothing_of_them(&stage).await;
        stage.close().await;
    }
}

/// How many operations the parts before the list begin.
const BEGUN: usize = 2 + 1 + 2 + 3;

/// Begins fits.
async fn begin(stage: &Stage, count: usize, seen: &Positions) -> Vec<Operation> {
    let mut begun = Vec::new();
    for _ in 0..count {
        let request = FitClvModelRequest { observation_end: END.into(), ..Default::default() };
        let request = rapport_testkit::asserts::at_least(request, seen);
        begun.push(stage.values(ACME).fit_clv_model(request).await.expect("begun").into_inner());
    }
    begun
}

/// Operations that stay as they are until they are let go, however fast the machine: their leases last.
struct Held {
    database: DatabaseConnection,
    table: &'static str,
    /// Whose input they have.
    model: Uuid,
}

impl Held {
    /// Beside the service's own connections to its database.
    async fn open(stage: &Stage, done: &Operation) -> Held {
        let place = stage.sandbox.place();
        let (url, table) = match place.database() {
            Some(database) => (database.url().to_owned(), "scoring.operation"),
            None => (format!("sqlite://{}", stage.sandbox.data("scoring").join("scoring.db").display()), "operation"),
        };
        Held { database: Database::connect(url).await.expect("the database answers"), table, model: id(&done.name) }
    }

    /// One that nobody works on (`state` 1), or that somebody does who says nothing more (2).
    async fn begin(&self, state: i16) -> String {
        let id = Uuid::now_v7();
        let columns = "method, principal, subject, input, done, total, note, created_at, lost";
        let head = format!(
            "INSERT INTO {} (tenant, {columns}, cancel_asked, lease_until, claims, state, id) \
             SELECT tenant, {columns}, false, 9000000000000000, 1, ",
            self.table
        );
        let sql = Sql::new(&self.database, &head).bind(state).text(", ").bind(id);
        self.change(sql.text(&format!(" FROM {} WHERE id = ", self.table)).bind(self.model)).await;
        format!("services/scoring/operations/{id}")
    }

    /// From now on it can be claimed.
    async fn let_go(&self, name: &str) {
        let head = format!("UPDATE {} SET lease_until = 0 WHERE id = ", self.table);
        self.change(Sql::new(&self.database, &head).bind(id(name))).await;
    }

    async fn change(&self, sql: Sql) {
        assert_eq!(sql.execute(&self.database).await.expect("written").rows_affected(), 1);
    }
}

fn id(name: &str) -> Uuid {
    name.rsplit('/').next().expect("an id").parse().expect("a UUID")
}

fn wait(name: &str, timeout: Option<i64>) -> WaitOperationRequest {
    let timeout = timeout.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
    WaitOperationRequest { name: name.into(), timeout }
}

async fn what_is_wrong_is_refused(stage: &Stage) {
    let mut operations = stage.operations(ACME);
    let get = |name: &str| GetOperationRequest { name: name.into() };
    refused(operations.get_operation(get("")).await, &[("name", "REQUIRED")]);
    refused(operations.get_operation(get("services/scoring/operations/7")).await, &[("name", "MALFORMED_NAME")]);
    let nobodys = "services/scoring/operations/018f0000-0000-7000-8000-00000000dead";
    assert_reason!(operations.get_operation(get(nobodys)).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    assert_reason!(operations.wait_operation(wait(nobodys, None)).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    let elsewhere = nobodys.replace("scoring", "weather");
    assert_reason!(operations.get_operation(get(&elsewhere)).await, Code::NotFound, "SERVICE_NOT_HOSTED");
    let cancel = CancelOperationRequest { name: String::new(), request_id: "7".into() };
    refused(operations.cancel_operation(cancel).await, &[("name", "REQUIRED"), ("request_id", "INVALID_REQUEST_ID")]);
    let list = ListOperationsRequest { parent: "scoring".into(), state: 9, page_size: -1, ..Default::default() };
    refused(
        operations.list_operations(list).await,
        &[("parent", "MALFORMED_NAME"), ("state", "UNKNOWN_ENUM_VALUE"), ("page_size", "OUT_OF_RANGE")],
    );
    let cancel = CancelOperationRequest { name: nobodys.into(), ..Default::default() };
    assert_reason!(
        stage.operations(READER).cancel_operation(cancel).await,
        Code::PermissionDenied,
        "PERMISSION_DENIED"
    );
}

async fn what_is_done_says_what_came_of_it(stage: &Stage, seen: &Positions) -> Operation {
    let begun = begin(stage, 2, seen).await;
    assert!(begun.iter().all(|one| one.state() == OperationState::Pending), "acknowledged before it is worked on");
    let mut done = join_all(begun.iter().map(|one| ended(stage, ACME, &one.name))).await;
    for operation in &done {
        assert_eq!(operation.state(), OperationState::Succeeded, "{operation:?}");
        assert!(operation.result.starts_with("clvModels/"));
        assert!(operation.start_time.map(micros) <= operation.end_time.map(micros), "{operation:?}");
        let progress = operation.progress.as_ref().expect("progress");
        assert!(progress.done > 0 && progress.total == progress.done, "{progress:?}");
    }
    done.remove(0)
}

async fn a_wait_ends_before_its_deadline(stage: &Stage, held: &Held) {
    let name = held.begin(1).await;
    let mut operations = stage.operations(ACME);
    // At once; and within what the caller gives it.
    let now = operations.wait_operation(wait(&name, Some(0))).await.expect("answered").into_inner();
    assert_eq!((now.state(), now.end_time), (OperationState::Pending, None));
    let started = Instant::now();
    let limit = Duration::from_secs(1);
    let answer = operations.wait_operation(within(Request::new(wait(&name, Some(3600))), limit)).await;
    let answer = answer.expect("an answer, not a deadline exceeded").into_inner();
    assert_eq!((answer.state(), answer.end_time), (OperationState::Pending, None));
    assert!(started.elapsed() > limit / 2, "it did wait");
    // A waiter that is there before the end is told of it.
    let waiting = tokio::spawn({
        let (mut operations, request) = (operations.clone(), wait(&name, Some(3600)));
        async move { operations.wait_operation(request).await }
    });
    held.let_go(&name).await;
    let told = waiting.await.expect("no panic").expect("answered").into_inner();
    let end = ended(stage, ACME, &name).await;
    assert_eq!(end.state(), OperationState::Succeeded, "{end:?}");
    assert!(told.end_time.is_none() || told == end, "{told:?}");
}

async fn what_is_cancelled_leaves_nothing(stage: &Stage, held: &Held) {
    let models = async || {
        let request = ListClvModelsRequest { page_size: 500, ..Default::default() };
        stage.values(ACME).list_clv_models(request).await.expect("listed").into_inner().clv_models
    };
    let before = models().await.len();
    let mut operations = stage.operations(ACME);
    // One that nobody works on ends at once.
    let pending = held.begin(1).await;
    let cancel = CancelOperationRequest { name: pending.clone(), request_id: fresh() };
    let first = operations.cancel_operation(cancel.clone()).await.expect("cancelled");
    assert_eq!((first.get_ref().state(), first.get_ref().cancel_requested), (OperationState::Cancelled, true));
    let again = operations.cancel_operation(cancel).await.expect("cancelled");
    assert!(is_replayed(again.metadata()));
    assert_eq!(again.into_inner(), first.into_inner());
    // One that somebody works on ends when he, or who takes it up, comes to it.
    let running = held.begin(2).await;
    let asking = |name: &str| CancelOperationRequest { name: name.into(), ..Default::default() };
    let asked = operations.cancel_operation(asking(&running)).await.expect("asked").into_inner();
    assert_eq!((asked.state(), asked.cancel_requested), (OperationState::Running, true));
    held.let_go(&running).await;
    for name in [&pending, &running] {
        let end = ended(stage, ACME, name).await;
        assert_eq!((end.state(), end.result.as_str()), (OperationState::Cancelled, ""), "{end:?}");
    }
    assert_eq!(models().await.len(), before, "they left no model");
    // Real ones may be done before they are asked; either way the result is there or not.
    let begun = begin(stage, 3, &Positions::new()).await;
    for one in &begun {
        match operations.cancel_operation(asking(&one.name)).await {
            Ok(asked) => assert!(asked.into_inner().cancel_requested),
            done => drop(assert_reason!(done, Code::FailedPrecondition, "INVALID_TRANSITION")),
        }
    }
    let ends = join_all(begun.iter().map(|one| ended(stage, ACME, &one.name))).await;
    for one in &ends {
        let as_it_ended = match one.state() {
            OperationState::Cancelled => one.result.is_empty(),
            state => state == OperationState::Succeeded && !one.result.is_empty(),
        };
        assert!(as_it_ended, "{one:?}");
    }
    let done = ends.iter().filter(|one| one.state() == OperationState::Succeeded).count();
    assert_eq!(models().await.len(), before + done, "the others left no model");
}

async fn they_are_listed_newest_first(stage: &Stage) {
    let mut operations = stage.operations(ACME);
    let request = |state: OperationState, page_size, page_token| ListOperationsRequest {
        parent: "services/scoring".into(),
        state: state.into(),
        page_size,
        page_token,
    };
    let all = operations.list_operations(request(OperationState::Unspecified, 500, String::new())).await;
    let all = all.expect("listed").into_inner().operations;
    assert_eq!(all.len(), BEGUN);
    assert!(all.is_sorted_by(|one, other| one.name > other.name), "newest first");
    let mut paged = Vec::new();
    let mut token = String::new();
    loop {
        let page = operations.list_operations(request(OperationState::Unspecified, 3, token)).await;
        let page = page.expect("listed").into_inner();
        paged.extend(page.operations);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, all);
    let done = operations.list_operations(request(OperationState::Succeeded, 500, String::new())).await;
    let done = done.expect("listed").into_inner().operations;
    let expected: Vec<_> = all.into_iter().filter(|one| one.state() == OperationState::Succeeded).collect();
    assert_eq!(done, expected);
}

async fn others_see_nothing_of_them(stage: &Stage) {
    let own = begin(stage, 1, &Positions::new()).await.remove(0);
    let mut foreign = stage.operations(GLOBEX);
    let get = GetOperationRequest { name: own.name.clone() };
    assert_reason!(foreign.get_operation(get).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    assert_reason!(foreign.wait_operation(wait(&own.name, None)).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    let cancel = CancelOperationRequest { name: own.name.clone(), ..Default::default() };
    assert_reason!(foreign.cancel_operation(cancel).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    let list = ListOperationsRequest { parent: "services/scoring".into(), ..Default::default() };
    let listed = foreign.list_operations(list).await.expect("listed").into_inner();
    assert_eq!(listed, ListOperationsResponse::default());
    assert_eq!(ended(stage, ACME, &own.name).await.state(), OperationState::Succeeded, "nobody disturbed it");
}
