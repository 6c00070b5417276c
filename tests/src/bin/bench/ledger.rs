//! S3: postings against the transaction of the textbook, on 10,000 accounts and on ten hot ones.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use rapport_proto::loyalty::v1 as pb;
use rapport_proto::loyalty::v1::ledger_service_client::LedgerServiceClient;
use rapport_proto::loyalty::v1::member_service_client::MemberServiceClient;
use rapport_proto::loyalty::v1::program_service_client::ProgramServiceClient;
use uuid::Uuid;

use crate::host::{Host, Side};
use crate::load::{Figures, callers, connect};
use crate::naive_ledger::{MEMBERS, UNIT, member};
use crate::write::{place, store};
use crate::{Plan, median};

/// How many accounts are hot.
const HOT: usize = 10;

/// To whom units are given, and which.
struct Target {
    members: Arc<Vec<String>>,
    unit_type: String,
}

/// Ours and the textbook by turns, at each number of calls in flight.
pub(crate) async fn measure(plan: &Plan, admin: Option<&str>) {
    println!("\nPostAccrual, durable before the reply, {} (medians of {} rounds)", store(admin), plan.rounds);
    println!(
        "{:>9} {:>9} {:>11} {:>11} {:>7} {:>15} {:>15} {:>19}",
        "accounts", "in flight", "ours/s", "textbook/s", "ratio", "ours p50/p99 ms", "its p50/p99", "CPU us ours/its"
    );
    let ours = Host::start(Side::Ledger, place(admin).await).await;
    let textbook = Host::start(Side::NaiveLedger, place(admin).await).await;
    let target = enroll(&ours.address).await;
    let program = "programs/01900000-0000-7000-8000-000000000000";
    let theirs = Target {
        members: Arc::new((0..MEMBERS).map(|n| format!("{program}/members/{}", member(n))).collect()),
        unit_type: format!("{program}/unitTypes/{UNIT}"),
    };
    for accounts in [MEMBERS, HOT] {
        for &in_flight in &plan.in_flight {
            let mut rates: [Vec<f64>; 2] = Default::default();
            let mut cpu: [Vec<f64>; 2] = Default::default();
            let mut p50: [Vec<f64>; 2] = Default::default();
            let mut p99: [Vec<f64>; 2] = Default::default();
            for _ in 0..plan.rounds {
                for (side, (host, target)) in [(&ours, &target), (&textbook, &theirs)].into_iter().enumerate() {
                    let before = host.cpu();
                    let figures = load(&host.address, target, accounts, in_flight, plan.length).await;
                    rates[side].push(figures.rate);
                    cpu[side].push((host.cpu() - before) / figures.count as f64 * 1e6);
                    p50[side].push(figures.p50.as_secs_f64() * 1e3);
                    p99[side].push(figures.p99.as_secs_f64() * 1e3);
                }
            }
            let [ours_rate, their_rate] = rates.map(median);
            let [ours_cpu, their_cpu] = cpu.map(median);
            let [ours_p50, their_p50] = p50.map(median);
            let [ours_p99, their_p99] = p99.map(median);
            println!(
                "{accounts:>9} {in_flight:>9} {ours_rate:>11.0} {their_rate:>11.0} {:>6.2}x {:>15} {:>15} {:>19}",
                ours_rate / their_rate,
                format!("{ours_p50:.2}/{ours_p99:.2}"),
                format!("{their_p50:.2}/{their_p99:.2}"),
                format!("{ours_cpu:.0}/{their_cpu:.0}"),
            );
        }
    }
}

/// A programme with as many members as the baseline has, through the public API.
async fn enroll(address: &str) -> Target {
    let channel = connect(address).await;
    let mut programs = ProgramServiceClient::new(channel.clone());
    let program = pb::Program { display_name: "Club".into(), time_zone: "UTC".into(), ..Default::default() };
    let request = pb::CreateProgramRequest { program: Some(program), ..Default::default() };
    let program = programs.create_program(request).await.unwrap().into_inner().name;
    let unit_type =
        pb::UnitType { display_name: "points".into(), kind: pb::UnitKind::Redeemable.into(), ..Default::default() };
    let request =
        pb::CreateUnitTypeRequest { program: program.clone(), unit_type: Some(unit_type), ..Default::default() };
    let unit_type = programs.create_unit_type(request).await.unwrap().into_inner().name;
    let rule = pb::EarningRule {
        display_name: "by hand".into(),
        unit_type: unit_type.clone(),
        trigger: Some(pb::EarningTrigger { kind: pb::TriggerKind::Manual.into(), ..Default::default() }),
        award: Some(pb::earning_rule::Award::FixedUnits(1)),
        ..Default::default()
    };
    let request =
        pb::CreateEarningRuleRequest { program: program.clone(), earning_rule: Some(rule), ..Default::default() };
    programs.create_earning_rule(request).await.unwrap();
    programs.publish_program(pb::PublishProgramRequest { name: program.clone(), ..Default::default() }).await.unwrap();
    let members: Vec<String> = futures::stream::iter(0..MEMBERS)
        .map(|n| {
            let mut members = MemberServiceClient::new(channel.clone());
            let request = pb::EnrollMemberRequest {
                program: program.clone(),
                member: Some(pb::Member { party: format!("parties/{}", member(n)), ..Default::default() }),
                ..Default::default()
            };
            async move { members.enroll_member(request).await.unwrap().into_inner().name }
        })
        .buffered(128)
        .collect()
        .await;
    Target { members: Arc::new(members), unit_type }
}

/// Callers that post a unit at a time.
async fn load(address: &str, target: &Target, accounts: usize, in_flight: usize, length: Duration) -> Figures {
    callers(address, in_flight, length, |connection, number| {
        let ledger = LedgerServiceClient::new(connection);
        let (members, unit_type) = (Arc::clone(&target.members), target.unit_type.clone());
        let mut n = number;
        move || {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let request = pb::PostAccrualRequest {
                member: members[(n >> 33) % accounts].clone(),
                unit_type: unit_type.clone(),
                amount: 1,
                request_id: Uuid::now_v7().to_string(),
                source: "purchase".into(),
                occurred_time: Some(prost_types::Timestamp { seconds: 1_750_000_000, nanos: 0 }),
                ..Default::default()
            };
            let mut ledger = ledger.clone();
            async move {
                ledger.post_accrual(request).await.expect("a posting is acknowledged");
            }
        }
    })
    .await
}
