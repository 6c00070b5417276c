//! Loyalty is killed at any moment while promoters answer: each answer leads to one invitation and earns once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rapport_proto::interactions::v1 as contacts;
use rapport_proto::interactions::v1::survey_service_client::SurveyServiceClient;
use rapport_proto::loyalty::v1::advocacy_service_client::AdvocacyServiceClient;
use rapport_proto::loyalty::v1::ledger_service_client::LedgerServiceClient;
use rapport_proto::loyalty::v1::member_service_client::MemberServiceClient;
use rapport_proto::loyalty::v1::program_service_client::ProgramServiceClient;
use rapport_proto::loyalty::v1::*;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::privacy_service_client::PrivacyServiceClient;
use rapport_testkit::asserts::{at_least, position};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::size;
use tonic::transport::Channel;

/// What an answer earns.
const POINTS: i64 = 50;

/// A programme in which answers earn.
async fn program(channel: Channel) -> String {
    let mut programs = ProgramServiceClient::new(channel);
    let program = Program { display_name: "Club".into(), time_zone: "UTC".into(), ..Default::default() };
    let request = CreateProgramRequest { program: Some(program), ..Default::default() };
    let program = programs.create_program(request).await.expect("a programme").into_inner().name;
    let unit = UnitType { display_name: "points".into(), kind: UnitKind::Redeemable.into(), ..Default::default() };
    let request = CreateUnitTypeRequest { program: program.clone(), unit_type: Some(unit), ..Default::default() };
    let unit_type = programs.create_unit_type(request).await.expect("points").into_inner().name;
    let trigger = EarningTrigger { kind: TriggerKind::SurveyResponse.into(), ..Default::default() };
    let rule = EarningRule {
        display_name: "thanks".into(),
        unit_type,
        trigger: Some(trigger),
        award: Some(earning_rule::Award::FixedUnits(POINTS)),
        ..Default::default()
    };
    let request = CreateEarningRuleRequest { program: program.clone(), earning_rule: Some(rule), ..Default::default() };
    programs.create_earning_rule(request).await.expect("a rule");
    let request = PublishProgramRequest { name: program.clone(), ..Default::default() };
    programs.publish_program(request).await.expect("in force");
    program
}

/// A party that agreed to be asked, and its membership.
async fn promoter(sandbox: &Sandbox, program: &str, number: usize) -> (String, String) {
    let person = stakeholders::Party {
        kind: stakeholders::PartyKind::Individual.into(),
        display_name: format!("Promoter {number}"),
        ..Default::default()
    };
    let request = stakeholders::CreatePartyRequest { party: Some(person), ..Default::default() };
    let channel = sandbox.channel("stakeholders");
    let party = PartyServiceClient::new(channel.clone()).create_party(request).await.expect("a party");
    let party = party.into_inner().name;
    let consent = stakeholders::Consent {
        party: party.clone(),
        purpose: "advocacy".into(),
        channel: "email".into(),
        state: stakeholders::ConsentState::Granted.into(),
        ..Default::default()
    };
    let request = stakeholders::RecordConsentRequest { consent: Some(consent), ..Default::default() };
    PrivacyServiceClient::new(channel).record_consent(request).await.expect("a consent");
    let member = Member { party: party.clone(), ..Default::default() };
    let request = EnrollMemberRequest { program: program.into(), member: Some(member), ..Default::default() };
    let member = MemberServiceClient::new(sandbox.channel("loyalty")).enroll_member(request).await;
    (party, member.expect("a member").into_inner().name)
}

async fn survey(channel: Channel) -> String {
    let survey = contacts::Survey {
        measure: contacts::SurveyMeasure::Nps.into(),
        question: "Would you recommend us?".into(),
        ..Default::default()
    };
    let request = contacts::CreateSurveyRequest { survey: Some(survey), ..Default::default() };
    SurveyServiceClient::new(channel).create_survey(request).await.expect("a survey").into_inner().name
}

/// A promoter answers; where that is in the feed of interactions.
async fn answer(channel: Channel, survey: &str, party: &str) -> i64 {
    let response = contacts::SurveyResponse {
        party: party.into(),
        score: Some(9),
        channel: Some(contacts::Channel { medium: contacts::Medium::Web.into(), online: None }),
        occurred_time: Some(prost_types::Timestamp { seconds: 1_760_000_000, nanos: 0 }),
        ..Default::default()
    };
    let request =
        contacts::RecordSurveyResponseRequest { survey: survey.into(), response: Some(response), ..Default::default() };
    let reply = SurveyServiceClient::new(channel).record_survey_response(request).await.expect("an answer");
    position(reply.metadata(), "interactions")
}

rapport_testkit::each_store! {
    async fn fault_killed_loyalty_invites_and_rewards_each_promoter_once(place: StorePlace) {
        let mut sandbox = Sandbox::builder(rapport::modules).place(place).topology(Topology::Processes).start().await;
        let program = program(sandbox.channel("loyalty")).await;
        let mut promoters = Vec::new();
        for number in 0..size::pick(16, 200) {
            promoters.push(promoter(&sandbox, &program, number).await);
        }
        let survey = survey(sandbox.channel("interactions")).await;
        let done = Arc::new(AtomicUsize::new(0));
        let answering = {
            let (done, channel) = (Arc::clone(&done), sandbox.channel("interactions"));
            let (parties, survey) = (promoters.clone(), survey.clone());
            tokio::spawn(async move {
                let mut last = 0;
                for (party, _) in &parties {
                    last = answer(channel.clone(), &survey, party).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                last
            })
        };
        let kills = size::pick(3, 40);
        for kill in 1..=kills {
            // At another depth of the work each time.
            let depth = promoters.len() * kill / (kills + 1);
            while done.load(Ordering::Relaxed) < depth {
                tokio::task::yield_now().await;
            }
            sandbox.kill_9("loyalty").await;
            sandbox.restart("loyalty").await;
        }
        let last = answering.await.expect("everybody answered");
        let seen = BTreeMap::from([("interactions".to_owned(), last)]);
        let mut advocacy = AdvocacyServiceClient::new(sandbox.channel("loyalty"));
        let mut ledger = LedgerServiceClient::new(sandbox.channel("loyalty"));
        for (party, member) in &promoters {
            let request = ListInvitationsRequest { party: party.clone(), ..Default::default() };
            let reply = advocacy.list_invitations(at_least(request, &seen)).await.expect("read");
            assert!(reply.metadata().get("rapport-stale").is_none(), "loyalty did not catch up: {:?}", reply.metadata());
            let all = reply.into_inner().invitations;
            assert_eq!(all.len(), 1, "one invitation: {all:?}");
            assert_eq!(all[0].state(), InvitationState::Sent);
            let request = ListEntriesRequest { member: member.clone(), ..Default::default() };
            let entries = ledger.list_entries(at_least(request, &seen)).await.expect("read").into_inner().entries;
            assert_eq!(entries.len(), 1, "one accrual: {entries:?}");
            assert_eq!((entries[0].new_balance, &entries[0].source), (POINTS, &all[0].survey_response));
        }
        sandbox.stop().await;
    }
}

#[test]
fn fault_without_stakeholders_a_promoter_waits_and_is_invited() {
    rapport_testkit::block_on(async {
        let mut sandbox = Sandbox::builder(rapport::modules).topology(Topology::Processes).start().await;
        let program = program(sandbox.channel("loyalty")).await;
        let (party, member) = promoter(&sandbox, &program, 0).await;
        let survey = survey(sandbox.channel("interactions")).await;
        sandbox.kill_9("stakeholders").await;
        let last = answer(sandbox.channel("interactions"), &survey, &party).await;
        // Accruals do not wait for stakeholders; the invitation does.
        let mut ledger = LedgerServiceClient::new(sandbox.channel("loyalty"));
        let entries = loop {
            let request = ListEntriesRequest { member: member.clone(), ..Default::default() };
            let entries = ledger.list_entries(request).await.expect("read").into_inner().entries;
            if !entries.is_empty() {
                break entries;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(entries[0].new_balance, POINTS);
        let mut advocacy = AdvocacyServiceClient::new(sandbox.channel("loyalty"));
        let request = ListInvitationsRequest { party: party.clone(), ..Default::default() };
        let none = advocacy.list_invitations(request.clone()).await.expect("read").into_inner().invitations;
        assert!(none.is_empty(), "nobody could be asked for a consent: {none:?}");
        sandbox.restart("stakeholders").await;
        let seen = BTreeMap::from([("interactions".to_owned(), last)]);
        let reply = advocacy.list_invitations(at_least(request, &seen)).await.expect("read");
        assert!(reply.metadata().get("rapport-stale").is_none(), "loyalty did not catch up: {:?}", reply.metadata());
        let all = reply.into_inner().invitations;
        assert_eq!((all.len(), all[0].state()), (1, InvitationState::Sent), "nothing was lost");
        sandbox.stop().await;
    });
}
