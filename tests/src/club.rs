//! A loyalty programme that tests stand on, made through the public API.

use rapport_proto::loyalty::v1 as loyalty;
use rapport_proto::loyalty::v1::earning_rule::Award;
use rapport_proto::loyalty::v1::ledger_service_client::LedgerServiceClient;
use rapport_proto::loyalty::v1::member_service_client::MemberServiceClient;
use rapport_proto::loyalty::v1::program_service_client::ProgramServiceClient;
use rapport_proto::loyalty::v1::tier_service_client::TierServiceClient;
use rapport_proto::types::v1::Money;
use rapport_testkit::asserts::Bearer;
use tonic::transport::Channel;

use crate::examples::Club;

/// Some dollars.
pub(crate) fn dollars(units: i64) -> Money {
    Money { units, nanos: 0, currency_code: "USD".into() }
}

/// A rule that only a call sets off: so many units for a dollar.
pub(crate) fn per_dollar(unit_type: &str, units: i64) -> loyalty::EarningRule {
    loyalty::EarningRule {
        display_name: "purchases".into(),
        unit_type: unit_type.into(),
        trigger: Some(loyalty::EarningTrigger { kind: loyalty::TriggerKind::Manual.into(), ..Default::default() }),
        award: Some(Award::PerAmount(loyalty::UnitsPerAmount { units, amount: Some(dollars(1)), rounding: 0 })),
        ..Default::default()
    }
}

/// A unit type without further ado.
pub(crate) fn unit(name: &str, kind: loyalty::UnitKind) -> loyalty::UnitType {
    loyalty::UnitType { display_name: name.into(), kind: kind.into(), ..Default::default() }
}

/// Makes a programme with points, credits, a rule, a tier and `party` as its member with points; and a draft.
pub(crate) async fn make(channel: Channel, bearer: Bearer, party: &str) -> Club {
    let mut programs = ProgramServiceClient::with_interceptor(channel.clone(), bearer.clone());
    let mut made = Vec::new();
    for display_name in ["Club", "Draft"] {
        let program = loyalty::Program {
            display_name: display_name.into(),
            time_zone: "Europe/Lisbon".into(),
            ..Default::default()
        };
        let request = loyalty::CreateProgramRequest { program: Some(program), ..Default::default() };
        let program = programs.create_program(request).await.expect("a programme is made").into_inner().name;
        let mut parts = Vec::new();
        for (name, kind) in [("points", loyalty::UnitKind::Redeemable), ("credits", loyalty::UnitKind::Qualifying)] {
            let request = loyalty::CreateUnitTypeRequest {
                program: program.clone(),
                unit_type: Some(unit(name, kind)),
                ..Default::default()
            };
            parts.push(programs.create_unit_type(request).await.expect("a unit type is made").into_inner().name);
        }
        let request = loyalty::CreateEarningRuleRequest {
            program: program.clone(),
            earning_rule: Some(per_dollar(&parts[0], 10)),
            ..Default::default()
        };
        parts.push(programs.create_earning_rule(request).await.expect("a rule is made").into_inner().name);
        made.push((program, parts));
    }
    let (draft, _) = made.pop().expect("two were made");
    let (program, parts) = made.pop().expect("two were made");
    let [points, credits, rule]: [String; 3] = parts.try_into().expect("three parts");
    let publish = loyalty::PublishProgramRequest { name: program.clone(), ..Default::default() };
    programs.publish_program(publish).await.expect("it is published");
    let tier = loyalty::Tier {
        display_name: "silver".into(),
        unit_type: credits.clone(),
        entry_threshold: 100,
        keep_threshold: 50,
        ..Default::default()
    };
    let request = loyalty::CreateTierRequest { program: program.clone(), tier: Some(tier), ..Default::default() };
    TierServiceClient::with_interceptor(channel.clone(), bearer.clone())
        .create_tier(request)
        .await
        .expect("a tier is made");
    let request = loyalty::EnrollMemberRequest {
        program: program.clone(),
        member: Some(loyalty::Member { party: party.into(), ..Default::default() }),
        ..Default::default()
    };
    let member = MemberServiceClient::with_interceptor(channel.clone(), bearer.clone())
        .enroll_member(request)
        .await
        .expect("a party is enrolled")
        .into_inner()
        .name;
    let request = loyalty::PostAccrualRequest {
        member: member.clone(),
        unit_type: points.clone(),
        amount: 1_000,
        ..Default::default()
    };
    LedgerServiceClient::with_interceptor(channel, bearer).post_accrual(request).await.expect("points are given");
    Club { program, draft, points, credits, rule, member }
}
