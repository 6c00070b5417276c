//! Long jobs: waited for within a deadline, cancelled, listed, seen by their own tenant alone.

use std::time::{Duration, Instant};

use futures::future::join_all;
use rapport_proto::operations::v1::*;
use rapport_proto::scoring::v1::{FitClvModelRequest, ListClvModelsRequest};
use rapport_testkit::asserts::is_replayed;
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};
use tonic::Request;

use super::messages::micros;
use super::purchases::{END, import, sample};
use super::stage::{ACME, GLOBEX, Positions, READER, Stage, fresh, refused, within};
use super::value::ended;

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn long_jobs_are_waited_for_cancelled_and_listed(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        let seen = import(&stage, sample()).await;
        what_is_wrong_is_refused(&stage).await;
        a_wait_ends_before_its_deadline(&stage, &seen).await;
        what_is_cancelled_leaves_nothing(&stage).await;
        they_are_listed_newest_first(&stage).await;
        others_see_nothing_of_them(&stage).await;
        stage.close().await;
    }
}

/// Begins fits; they are queued, as a process works on two at once.
async fn begin(stage: &Stage, count: usize, seen: &Positions) -> Vec<Operation> {
    let mut begun = Vec::new();
    for _ in 0..count {
        let request = FitClvModelRequest { observation_end: END.into(), ..Default::default() };
        let request = rapport_testkit::asserts::at_least(request, seen);
        begun.push(stage.values(ACME).fit_clv_model(request).await.expect("begun").into_inner());
    }
    begun
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

async fn a_wait_ends_before_its_deadline(stage: &Stage, seen: &Positions) {
    let begun = begin(stage, 6, seen).await;
    let last = begun.last().expect("begun");
    assert_eq!(last.state(), OperationState::Pending);
    let mut operations = stage.operations(ACME);
    // At once; and within what the caller gives it.
    let now = operations.wait_operation(wait(&last.name, Some(0))).await.expect("answered").into_inner();
    assert_eq!(now.end_time, None, "the sixth of six has not ended");
    let started = Instant::now();
    let limit = Duration::from_secs(3);
    let answer = operations.wait_operation(within(Request::new(wait(&last.name, Some(3600))), limit)).await;
    let answer = answer.expect("an answer, not a deadline exceeded").into_inner();
    assert!(answer.end_time.is_some() || started.elapsed() > limit / 2, "it did wait");
    for operation in join_all(begun.iter().map(|one| ended(stage, ACME, &one.name))).await {
        assert_eq!(operation.state(), OperationState::Succeeded, "{operation:?}");
        assert!(operation.result.starts_with("clvModels/"));
        assert!(operation.start_time.map(micros) <= operation.end_time.map(micros), "{operation:?}");
        let progress = operation.progress.expect("progress");
        assert!(progress.done > 0 && progress.total == progress.done, "{progress:?}");
    }
}

async fn what_is_cancelled_leaves_nothing(stage: &Stage) {
    let models = async || {
        let request = ListClvModelsRequest { page_size: 500, ..Default::default() };
        stage.values(ACME).list_clv_models(request).await.expect("listed").into_inner().clv_models
    };
    let before = models().await.len();
    let begun = begin(stage, 6, &Positions::new()).await;
    let mut operations = stage.operations(ACME);
    let last = begun.last().expect("begun");
    let cancel = CancelOperationRequest { name: last.name.clone(), request_id: fresh() };
    let first = operations.cancel_operation(cancel.clone()).await.expect("cancelled");
    assert!(first.get_ref().cancel_requested);
    let again = operations.cancel_operation(cancel).await.expect("cancelled");
    assert!(is_replayed(again.metadata()));
    assert_eq!(again.into_inner(), first.into_inner());
    for one in &begun {
        let cancel = CancelOperationRequest { name: one.name.clone(), ..Default::default() };
        match operations.cancel_operation(cancel).await {
            Ok(asked) => assert!(asked.into_inner().cancel_requested),
            // Done before it was asked.
            done => drop(assert_reason!(done, Code::FailedPrecondition, "INVALID_TRANSITION")),
        }
    }
    let ends = join_all(begun.iter().map(|one| ended(stage, ACME, &one.name))).await;
    let done = ends.iter().filter(|one| one.state() == OperationState::Succeeded).count();
    for one in &ends {
        let as_it_ended = match one.state() {
            OperationState::Cancelled => one.result.is_empty(),
            state => state == OperationState::Succeeded && !one.result.is_empty(),
        };
        assert!(as_it_ended, "{one:?}");
    }
    assert!(done < ends.len(), "some were cancelled");
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
    assert_eq!(all.len(), 12);
    assert!(all.is_sorted_by(|one, other| one.name > other.name), "newest first");
    let mut paged = Vec::new();
    let mut token = String::new();
    loop {
        let page = operations.list_operations(request(OperationState::Unspecified, 5, token)).await;
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
