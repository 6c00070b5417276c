//! A process that is killed while it works on an operation: somebody takes it up again, and it takes effect once.

use std::collections::BTreeMap;
use std::time::Duration;

use rapport_proto::events::v1::SubscribeRequest;
use rapport_proto::events::v1::event_service_client::EventServiceClient;
use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::interactions::v1::{BatchRecordInteractionsRequest, RecordItem};
use rapport_proto::operations::v1::operation_service_client::OperationServiceClient;
use rapport_proto::operations::v1::{GetOperationRequest, Operation, OperationState, WaitOperationRequest};
use rapport_proto::scoring::v1::value_service_client::ValueServiceClient;
use rapport_proto::scoring::v1::{FitClvModelRequest, ListClvModelsRequest};
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::size;

use crate::scenarios::purchases::{END, few, sample};

rapport_testkit::each_store! {
    async fn fault_a_killed_operation_is_done_once(place: StorePlace) {
        let mut sandbox = Sandbox::builder(rapport::modules).place(place).topology(Topology::Child).start().await;
        let mut seen = BTreeMap::new();
        let mut interactions = InteractionServiceClient::new(sandbox.channel("interactions"));
        for batch in size::pick(few(), sample()).chunks(500) {
            let items = batch.iter().map(|one| RecordItem { interaction: Some(one.clone()), ..Default::default() });
            let request = BatchRecordInteractionsRequest { items: items.collect(), ..Default::default() };
            seen.extend(positions(interactions.batch_record_interactions(request).await.expect("recorded").metadata()));
        }
        let (kills, mut names, mut left_open) = (size::pick(4, 40), Vec::new(), 0);
        for kill in 0..kills {
            let request = FitClvModelRequest { observation_end: END.into(), ..Default::default() };
            let mut values = ValueServiceClient::new(sandbox.channel("scoring"));
            let begun = values.fit_clv_model(at_least(request, &seen)).await.expect("begun").into_inner();
            // Killed at another depth of the work each time.
            while kill % 2 == 1 && get(&sandbox, &begun.name).await.state() == OperationState::Pending {
                tokio::task::yield_now().await;
            }
            sandbox.kill_9("scoring").await;
            sandbox.restart("scoring").await;
            left_open += usize::from(get(&sandbox, &begun.name).await.end_time.is_none());
            names.push(begun.name);
        }
        assert!(left_open > 0, "vacuous: every operation had ended before the process was killed");
        let mut results = Vec::new();
        for name in &names {
            let operation = ended(&sandbox, name).await;
            assert_eq!(operation.state(), OperationState::Succeeded, "{operation:?}");
            results.push(operation.result);
        }
        let request = ListClvModelsRequest { page_size: 500, ..Default::default() };
        let listed = ValueServiceClient::new(sandbox.channel("scoring")).list_clv_models(request).await.expect("listed");
        let mut models: Vec<_> = listed.into_inner().clv_models.into_iter().map(|model| model.name).collect();
        models.sort();
        results.sort();
        assert_eq!(models, results, "one model for each operation");
        assert_eq!(told(&sandbox, "rapport.scoring.v1.ClvModelFitted", kills).await, kills);
        assert_eq!(told(&sandbox, "rapport.operations.v1.OperationEnded", kills).await, kills);
        sandbox.stop().await;
    }
}

async fn get(sandbox: &Sandbox, name: &str) -> Operation {
    let mut operations = OperationServiceClient::new(sandbox.channel("scoring"));
    operations.get_operation(GetOperationRequest { name: name.into() }).await.expect("there").into_inner()
}

async fn ended(sandbox: &Sandbox, name: &str) -> Operation {
    let mut operations = OperationServiceClient::new(sandbox.channel("scoring"));
    for _ in 0..20 {
        let request = WaitOperationRequest { name: name.into(), timeout: None };
        let operation = operations.wait_operation(request).await.expect("answered").into_inner();
        if operation.end_time.is_some() {
            return operation;
        }
    }
    panic!("{name} does not end");
}

/// How many events of a type the feed holds; reads on until there are `enough` and the feed has nothing more.
async fn told(sandbox: &Sandbox, kind: &str, enough: usize) -> usize {
    let request = SubscribeRequest { source: "scoring".into(), types: vec![kind.into()], ..Default::default() };
    let mut feed = EventServiceClient::new(sandbox.channel("scoring"));
    let mut stream = feed.subscribe(request).await.expect("subscribed").into_inner();
    let mut count = 0;
    loop {
        match tokio::time::timeout(Duration::from_secs(20), stream.message()).await {
            // A heartbeat: nothing more for now.
            Ok(Ok(Some(batch))) if batch.events.is_empty() && count >= enough => return count,
            Ok(Ok(Some(batch))) => count += batch.events.len(),
            other => panic!("the feed ended after {count}: {other:?}"),
        }
    }
}
