//! What members do earns by the published rules, exactly once, also when it is known only later whose act it was.

use rapport_proto::interactions::v1 as contacts;
use rapport_proto::loyalty::v1::ListEntriesRequest;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::sandbox::SandboxBuilder;

use super::advocacy::{Club, balance, enrolled, program};
use super::messages::{by_number, by_party, contact, identifier, now, person, record};
use super::stage::{ACME, Stage, fresh};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn orders_earn_once_whoever_is_known_when(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        let program = program(&stage).await;
        orders_and_answers_earn_by_rule(&stage, &program).await;
        a_stranger_earns_once_they_are_known(&stage, &program).await;
        what_is_retracted_is_taken_back(&stage, &program).await;
        stage.close().await;
    }
}

fn order(who: contacts::Participant, euros: i64) -> contacts::Interaction {
    let money = rapport_proto::types::v1::Money { units: euros, nanos: 0, currency_code: "EUR".into() };
    let amount = contacts::Amount { kind: contacts::AmountKind::Order.into(), money: Some(money) };
    contacts::Interaction { amount: Some(amount), ..contact("order", who, now()) }
}

async fn orders_and_answers_earn_by_rule(stage: &Stage, club: &Club) {
    let party = stage.party(person("Buyer")).await.name;
    let member = enrolled(stage, club, &party).await;
    let request = contacts::RecordInteractionRequest { request_id: fresh(), ..record(order(by_party(&party), 12)) };
    let mut interactions = stage.interactions(ACME);
    let first = interactions.record_interaction(request.clone()).await.expect("recorded");
    interactions.record_interaction(request).await.expect("replayed");
    let complaint = record(contact("complaint", by_party(&party), now()));
    interactions.record_interaction(complaint).await.expect("recorded");
    let other = record(order(by_party(&party), 30));
    let seen = positions(interactions.record_interaction(other).await.expect("recorded").metadata());
    assert_eq!(balance(stage, &member, &club.points, &seen).await, 42);
    let request = ListEntriesRequest { member, ..Default::default() };
    let entries = stage.ledger(ACME).list_entries(request).await.expect("read").into_inner().entries;
    assert_eq!(entries.len(), 2, "each order once, the complaint not at all");
    assert_eq!(entries[1].source, first.into_inner().name);
    assert!(entries.iter().all(|entry| entry.legs.iter().map(|leg| leg.amount).sum::<i64>() == 0));
}

async fn what_is_retracted_is_taken_back(stage: &Stage, club: &Club) {
    let party = stage.party(person("Mistaken")).await.name;
    let member = enrolled(stage, club, &party).await;
    let mut interactions = stage.interactions(ACME);
    let wrong =
        interactions.record_interaction(record(order(by_party(&party), 40))).await.expect("recorded").into_inner();
    let right = interactions.record_interaction(record(order(by_party(&party), 2))).await.expect("recorded");
    assert_eq!(balance(stage, &member, &club.points, &positions(right.metadata())).await, 42);
    let request = contacts::RetractInteractionRequest {
        name: wrong.name,
        reason: "recorded-twice".into(),
        request_id: fresh(),
        ..Default::default()
    };
    let retracted = interactions.retract_interaction(request).await.expect("retracted");
    assert_eq!(balance(stage, &member, &club.points, &positions(retracted.metadata())).await, 2);
}

async fn a_stranger_earns_once_they_are_known(stage: &Stage, club: &Club) {
    let number = "+351912345699";
    let mut interactions = stage.interactions(ACME);
    let party = stage.party(person("Late comer")).await.name;
    let member = enrolled(stage, club, &party).await;
    let early = record(order(by_number(number), 5));
    interactions.record_interaction(early).await.expect("recorded");
    let claim = stakeholders::ClaimIdentifierRequest {
        party: party.clone(),
        identifier: Some(identifier("tel", number, stakeholders::IdentifierStrength::Strong)),
        request_id: fresh(),
        ..Default::default()
    };
    let claimed = positions(stage.identity(ACME).claim_identifier(claim).await.expect("claimed").metadata());
    // Read through interactions, which then knows whose the number is: what is recorded after it comes after it in the feed.
    let request = contacts::GetTimelineRequest { party: party.clone(), ..Default::default() };
    let timeline = interactions.get_timeline(at_least(request, &claimed)).await.expect("read").into_inner();
    assert_eq!(timeline.interactions.len(), 1);
    let late = record(order(by_number(number), 7));
    let seen = positions(interactions.record_interaction(late).await.expect("recorded").metadata());
    assert_eq!(balance(stage, &member, &club.points, &seen).await, 12, "both orders, each once");
}
