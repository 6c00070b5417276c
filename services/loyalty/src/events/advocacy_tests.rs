#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::sync::Arc;

use rapport_proto::interactions::v1::{self as contacts, CaseStatus, SurveyCategory};
use rapport_server::Context;
use rapport_store::{Scope, Work};
use rapport_testkit::each_store;
use rapport_testkit::place::StorePlace;
use rapport_types::error::Kind;
use rapport_types::reason;
use rapport_types::time::ManualClock;

use super::*;
use crate::commands::{BookExpired, SendScheduled};
use crate::domain::{
    Advocate, Consent, Funnel, Gate, Group, Invitation, InvitationState, LocalZone, QuietHours, SurveyName,
};
use crate::fixture::{clock, context, event, tenant};
use crate::queries::{InvitationList, advocacy_funnel, list_invitations};
use crate::store::{InvitationRow, invitation_due};

const PARTY: Uuid = Uuid::from_u128(7);
const CALLER: Uuid = Uuid::from_u128(8);
const HOUR: Duration = Duration::from_secs(3_600);

fn name(collection: &str, id: u128) -> String {
    format!("{collection}/{}", Uuid::from_u128(id))
}

/// An answer to a survey, by somebody who is named or by an origin alone.
fn answered(position: i64, response: u128, category: SurveyCategory, origin: Uuid) -> Event {
    let survey = name("surveys", 1);
    let name = format!("{survey}/responses/{}", Uuid::from_u128(response));
    let payload = contacts::SurveyResponseRecorded {
        response: name.clone(),
        survey,
        category: category.into(),
        score: 9,
        origin: origin.to_string(),
        party: if origin == PARTY { format!("parties/{PARTY}") } else { String::new() },
        interaction: self::name("interactions", response),
        ..Default::default()
    };
    event(position, &name, &payload)
}

fn promoter(position: i64, response: u128) -> Event {
    answered(position, response, SurveyCategory::Promoter, PARTY)
}

fn opened(position: i64, case: u128, kind: &str, origin: Uuid) -> Event {
    let payload = contacts::CaseOpened {
        case: name("cases", case),
        version: 1,
        origin: origin.to_string(),
        r#type: kind.to_owned(),
        occurred_time: Some(prost_types::Timestamp::default()),
        ..Default::default()
    };
    event(position, &name("cases", case), &payload)
}

fn moved(position: i64, case: u128, version: i64, to: CaseStatus) -> Event {
    let payload = contacts::CaseTransitioned {
        case: name("cases", case),
        version,
        origin: PARTY.to_string(),
        to: to.into(),
        ..Default::default()
    };
    event(position, &name("cases", case), &payload)
}

fn given(position: i64, case: u128, version: i64, origin: Uuid) -> Event {
    let payload = contacts::CaseReassigned {
        case: name("cases", case),
        version,
        origin: origin.to_string(),
        ..Default::default()
    };
    event(position, &name("cases", case), &payload)
}

fn attributed(position: i64) -> Event {
    let payload = contacts::OriginAttributed { origin: CALLER.to_string(), party: format!("parties/{PARTY}") };
    event(position, &format!("origins/{CALLER}"), &payload)
}

/// A batch as it is applied, made up without asking anybody.
struct Applied(Promotion, Batch);

#[async_trait]
impl Work for Applied {
    type Output = ();

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<(), StoreError> {
        self.0.apply(tx, &[], &self.1, out).await
    }
}

/// The service, and what stakeholders would say of everybody.
struct House {
    cx: Context,
    clock: Arc<ManualClock>,
    rules: Arc<InvitationRules>,
    consent: Option<Consent>,
    held_out: bool,
}

impl House {
    async fn new(place: &StorePlace) -> House {
        let clock = clock();
        let consent = Some(Consent { forbids: None, record: "parties/7/consents/1".to_owned() });
        let cx = context(place, &clock).await;
        House { cx, clock, rules: Arc::default(), consent, held_out: false }
    }

    fn advocate(&self, origin: Uuid, party: Option<Uuid>) -> Advocate {
        Advocate {
            origin,
            party,
            member: None,
            consent: party.and(self.consent.clone()),
            zone: LocalZone::first(["UTC"]),
            held_out: self.held_out,
        }
    }

    fn wanted(&self, advocate: Advocate, response: ResponseName) -> InviteAdvocate {
        InviteAdvocate {
            id: self.cx.world.next_id(),
            advocate,
            channel: self.rules.channel.clone(),
            purpose: self.rules.purpose.clone(),
            ask: self.rules.ask.clone(),
            response: Some(response),
            reason: String::new(),
            rules: Arc::clone(&self.rules),
        }
    }

    /// Asks for an invitation of a party, for an answer, as a call does.
    async fn ask(&self, party: Uuid, answer: u128) -> Result<InvitationRow, Error> {
        let scope = Scope {
            tenant: tenant("acme"),
            principal: "users/ana".into(),
            method: "test",
            request_id: None,
            fingerprint: [0; 32],
            traceparent: None,
        };
        let response = ResponseName::new(SurveyName::new(Uuid::from_u128(1)), Uuid::from_u128(answer));
        let command = self.wanted(self.advocate(party, Some(party)), response);
        self.cx.store.submit(scope, command).await.map(|done| done.reply)
    }

    async fn learn(&self, events: &[Event]) {
        let advocates = Advocates::new(self.cx.clone(), Arc::clone(&self.rules), Arc::default());
        let mut heard = Vec::new();
        for event in events {
            if let Some(said) = read(event, &self.rules).unwrap() {
                heard.push(Heard { tenant: event.tenant.clone(), traceparent: None, said });
            }
        }
        let mut whose = advocates.whose(&promoted_origins(&heard)).await.unwrap();
        whose.extend(attributions(&heard));
        let mut invitations = Vec::new();
        for one in &heard {
            let Said::Promoted(promoter) = &one.said else { continue };
            let party = whose.get(&(one.tenant.clone(), promoter.origin)).copied().or(promoter.party);
            let wanted = self.wanted(self.advocate(promoter.origin, party), promoter.response);
            invitations.push((one.tenant.clone(), None, wanted));
        }
        self.cx.store.run(Applied(Promotion::new(advocates), Batch { heard, invitations })).await.unwrap();
    }

    /// A party's invitations, newest first.
    async fn invitations(&self) -> Vec<Invitation> {
        let list = InvitationList { party: Some(PARTY), state: None, after: None, limit: 100 };
        let views = list_invitations(&self.cx.store, &tenant("acme"), list).await.unwrap();
        views.into_iter().map(|view| view.invitation).collect()
    }

    async fn newest(&self) -> (InvitationState, Option<Gate>, String) {
        let newest = self.invitations().await.remove(0);
        (newest.booked, newest.gate, newest.decider)
    }

    /// The events of invitations, by their short names.
    async fn told(&self) -> Vec<String> {
        let events = self.cx.store.events_after(0, 1_000, None).await.unwrap();
        events.into_iter().map(|event| event.kind.rsplit('.').next().unwrap().to_owned()).collect()
    }

    async fn due(&self) -> Vec<InvitationRow> {
        let (db, now) = (self.cx.store.reader(), self.cx.world.now());
        let mut due = invitation_due(db, InvitationState::Sent, now, None, 10).await.unwrap();
        due.extend(invitation_due(db, InvitationState::Scheduled, now, None, 10).await.unwrap());
        due
    }

    async fn send(&self, row: &InvitationRow) -> bool {
        let invitation = &row.invitation;
        let work = SendScheduled {
            id: (row.tenant.clone(), invitation.id),
            advocate: self.advocate(invitation.origin, invitation.party),
            rules: Arc::clone(&self.rules),
        };
        self.cx.store.run(work).await.unwrap().reply
    }
}

each_store! {
    async fn a_promoter_is_invited_once_per_answer_and_period(place: StorePlace) {
        let house = House::new(&place).await;
        house.learn(&[answered(1, 1, SurveyCategory::Passive, PARTY), answered(2, 2, SurveyCategory::Detractor, PARTY)]).await;
        assert!(house.invitations().await.is_empty(), "only promoters are asked");
        house.learn(&[promoter(3, 3)]).await;
        let first = house.invitations().await.remove(0);
        assert_eq!((first.booked, first.version, first.party), (InvitationState::Sent, 1, Some(PARTY)));
        assert_eq!(first.expire_at, Some(first.created_at.saturating_add(30 * 24 * HOUR)));
        // The same answer again, as after a crash before the cursor moved.
        house.learn(&[promoter(3, 3)]).await;
        assert_eq!(house.invitations().await.len(), 1);
        // Another answer within the period.
        house.learn(&[promoter(4, 4)]).await;
        assert_eq!(house.newest().await, (InvitationState::Suppressed, Some(Gate::FrequencyCap), first.name().to_string()));
        // And one after it.
        house.clock.advance(91 * 24 * HOUR);
        house.learn(&[promoter(5, 5)]).await;
        assert_eq!(house.newest().await.0, InvitationState::Sent);
        assert_eq!(house.told().await, ["InvitationSent", "InvitationSuppressed", "InvitationSent"]);
        house.cx.store.close().await;
    }

    async fn two_answers_in_one_batch_are_one_invitation(place: StorePlace) {
        let house = House::new(&place).await;
        house.learn(&[promoter(1, 1), promoter(2, 2), promoter(3, 1)]).await;
        let states: Vec<_> = house.invitations().await.iter().map(|one| one.booked).collect();
        assert_eq!(states, [InvitationState::Suppressed, InvitationState::Sent]);
        house.cx.store.close().await;
    }

    async fn an_answer_leads_to_the_invitation_of_one_party(place: StorePlace) {
        let house = House::new(&place).await;
        let first = house.ask(PARTY, 1).await.unwrap();
        assert_eq!(house.ask(PARTY, 1).await.unwrap(), first, "the one there is");
        let error = house.ask(Uuid::from_u128(70), 1).await.unwrap_err();
        let violation = &error.violations[0];
        assert_eq!((error.kind, violation.reason), (Kind::Invalid, reason::CONFLICTING_FIELDS));
        assert_eq!(violation.field, "survey_response");
        // The feed tells later whose answer it was: that changes nothing, and stops nothing.
        let others = answered(1, 1, SurveyCategory::Promoter, CALLER);
        house.learn(&[others, promoter(2, 2)]).await;
        assert_eq!(house.told().await, ["InvitationSent", "InvitationSuppressed"]);
        house.cx.store.close().await;
    }

    async fn an_open_complaint_holds_back_until_it_is_solved(place: StorePlace) {
        let house = House::new(&place).await;
        house.learn(&[opened(1, 1, "inquiry", PARTY), opened(2, 2, "complaint", PARTY), promoter(3, 1)]).await;
        let decider = name("cases", 2);
        assert_eq!(house.newest().await, (InvitationState::Suppressed, Some(Gate::OpenComplaint), decider.clone()));
        house.learn(&[moved(4, 2, 2, CaseStatus::Waiting), promoter(5, 2)]).await;
        assert_eq!(house.newest().await.2, decider);
        // Solved and asked in one batch: the order of the feed holds.
        house.learn(&[moved(6, 2, 3, CaseStatus::Resolved), promoter(7, 3)]).await;
        assert_eq!(house.newest().await.0, InvitationState::Sent);
        // Reopened; and an older move that comes late changes nothing.
        house.clock.advance(91 * 24 * HOUR);
        house.learn(&[moved(8, 2, 4, CaseStatus::InProgress), moved(9, 2, 3, CaseStatus::Resolved), promoter(10, 4)]).await;
        assert_eq!(house.newest().await.2, decider);
        house.cx.store.close().await;
    }

    async fn a_complaint_that_is_somebody_elses_holds_back_them(place: StorePlace) {
        let house = House::new(&place).await;
        house.learn(&[opened(1, 1, "complaint", Uuid::from_u128(77)), given(2, 1, 2, PARTY), promoter(3, 1)]).await;
        assert_eq!(house.newest().await.1, Some(Gate::OpenComplaint));
        // Back again; and an older one that comes late changes nothing.
        house.learn(&[given(4, 1, 3, Uuid::from_u128(77)), given(5, 1, 2, PARTY), promoter(6, 2)]).await;
        assert_eq!(house.newest().await.0, InvitationState::Sent);
        // Other cases than complaints are not kept.
        house.learn(&[given(7, 9, 2, PARTY)]).await;
        house.cx.store.close().await;
    }

    async fn an_origin_is_followed_to_its_party(place: StorePlace) {
        let house = House::new(&place).await;
        let by_number = |position, response| answered(position, response, SurveyCategory::Promoter, CALLER);
        house.learn(&[opened(1, 1, "complaint", CALLER), by_number(2, 1)]).await;
        assert!(house.invitations().await.is_empty(), "nobody is known to stand behind the number");
        // The party is known now: its complaint counts, and so does what was asked before.
        house.learn(&[attributed(3), promoter(4, 2)]).await;
        let all = house.invitations().await;
        assert_eq!(all[0].gate, Some(Gate::OpenComplaint));
        assert_eq!((all[1].gate, all[1].party), (Some(Gate::PartyUnknown), Some(PARTY)));
        house.learn(&[moved(5, 1, 2, CaseStatus::Closed), by_number(6, 3)]).await;
        assert_eq!(house.newest().await.0, InvitationState::Sent);
        house.learn(&[promoter(7, 4)]).await;
        assert_eq!(house.newest().await.1, Some(Gate::FrequencyCap), "one cap for all origins of a party");
        house.cx.store.close().await;
    }

    async fn quiet_hours_postpone_and_everything_is_asked_again(place: StorePlace) {
        let mut house = House::new(&place).await;
        let quiet = QuietHours::parse("11:00", "14:00").unwrap();
        let pace = crate::domain::Pace { quiet, ..house.rules.pace.clone() };
        house.rules = Arc::new(InvitationRules { pace, ..InvitationRules::default() });
        house.learn(&[promoter(1, 1)]).await;
        let scheduled = house.invitations().await.remove(0);
        assert_eq!((scheduled.booked, scheduled.due_at.to_string().as_str()), (InvitationState::Scheduled, "2026-01-10T14:00:00Z"));
        assert!(house.due().await.is_empty());
        house.clock.advance(2 * HOUR);
        let due = house.due().await;
        assert_eq!(due.len(), 1);
        // Two replicas saw that it is due; one is first.
        assert!(house.send(&due[0]).await);
        assert!(!house.send(&due[0]).await);
        assert_eq!(house.newest().await.0, InvitationState::Sent);
        // The consent is asked for when it goes out, not when it was planned.
        house.clock.advance(91 * 24 * HOUR);
        house.clock.set(house.cx.world.now().saturating_sub(2 * HOUR));
        house.learn(&[promoter(2, 2)]).await;
        assert_eq!(house.newest().await.0, InvitationState::Scheduled);
        house.consent = Some(Consent { forbids: Some(Gate::ConsentWithdrawn), record: "parties/7/consents/2".to_owned() });
        house.clock.advance(2 * HOUR);
        // The first one was never answered, which is due too.
        let due = house.due().await;
        let row = due.iter().find(|row| row.invitation.booked == InvitationState::Scheduled).unwrap();
        assert!(house.send(row).await);
        let withdrawn = (InvitationState::Suppressed, Some(Gate::ConsentWithdrawn), "parties/7/consents/2".to_owned());
        assert_eq!(house.newest().await, withdrawn);
        let ids: BTreeSet<Key> = due.iter().map(|row| (row.tenant.clone(), row.invitation.id)).collect();
        assert_eq!(house.cx.store.run(BookExpired { ids: ids.clone() }).await.unwrap().reply, 1);
        assert_eq!(house.cx.store.run(BookExpired { ids }).await.unwrap().reply, 0);
        assert!(house.due().await.is_empty());
        let told = ["InvitationScheduled", "InvitationSent", "InvitationScheduled", "InvitationSuppressed", "InvitationExpired"];
        assert_eq!(house.told().await, told);
        house.cx.store.close().await;
    }

    async fn who_is_held_out_is_counted(place: StorePlace) {
        let mut house = House::new(&place).await;
        house.learn(&[promoter(1, 1)]).await;
        house.held_out = true;
        let other = |response: u128| {
            let mut event = answered(2, response, SurveyCategory::Promoter, Uuid::from_u128(70 + response));
            let payload = event.decode::<contacts::SurveyResponseRecorded>().unwrap().unwrap();
            let party = name("parties", 70 + response);
            event.payload = prost::Message::encode_to_vec(&contacts::SurveyResponseRecorded { party, ..payload }).into();
            event
        };
        house.learn(&[other(2), other(3), other(2)]).await;
        // The invited party writes a review afterwards, one of the others does so too, and takes it back.
        house.clock.advance(HOUR);
        let wrote = |position, interaction: u128, origin: Uuid, kind: &str| {
            let payload = contacts::InteractionRecorded {
                interaction: name("interactions", interaction),
                kind: kind.to_owned(),
                participants: vec![contacts::RecordedParticipant {
                    origin: origin.to_string(),
                    function: contacts::Function::Initiator.into(),
                    ..Default::default()
                }],
                occurred_time: Some(rapport_rpc::wire::to_timestamp(house.cx.world.now())),
                ..Default::default()
            };
            event(position, &name("interactions", interaction), &payload)
        };
        let retracted = contacts::InteractionRetracted { interaction: name("interactions", 92), ..Default::default() };
        house
            .learn(&[
                wrote(3, 91, PARTY, "review"),
                wrote(4, 92, Uuid::from_u128(72), "review"),
                wrote(5, 93, Uuid::from_u128(73), "order"),
            ])
            .await;
        let acme = tenant("acme");
        let count = || async {
            advocacy_funnel(&house.cx.store, &acme, Timestamp::MIN, Timestamp::MAX, house.cx.world.now()).await.unwrap()
        };
        let before = count().await;
        assert_eq!((before.held_out_group, before.lift_micros()), (Group { parties: 2, active: 1 }, Some(500_000)));
        house.learn(&[event(6, &name("interactions", 92), &retracted)]).await;
        let funnel = count().await;
        assert_eq!((funnel.recorded, funnel.awaiting, funnel.held_out), (3, 1, 2));
        assert_eq!(funnel.invited_group, Group { parties: 1, active: 1 });
        assert_eq!(funnel.held_out_group, Group { parties: 2, active: 0 });
        assert_eq!(funnel.lift_micros(), Some(1_000_000));
        let foreign = tenant("globex");
        let none = advocacy_funnel(&house.cx.store, &foreign, Timestamp::MIN, Timestamp::MAX, house.cx.world.now()).await.unwrap();
        assert_eq!(none, Funnel::default());
        house.cx.store.close().await;
    }

    async fn while_stakeholders_is_away_nothing_is_decided(place: StorePlace) {
        let house = House::new(&place).await;
        let advocates = Advocates::new(house.cx.clone(), Arc::clone(&house.rules), Arc::default());
        let promotion = Promotion::new(advocates);
        let Err(error) = promotion.gather(&[promoter(1, 1)]).await else { panic!("nobody answers") };
        assert_eq!(error.kind, Kind::Unavailable, "which the feed tries again without end: {error}");
        // What needs nobody goes on.
        assert!(promotion.gather(&[opened(2, 1, "complaint", PARTY)]).await.is_ok());
        house.cx.store.close().await;
    }
}

#[test]
fn what_the_contract_excludes_is_refused_and_will_be_parked() {
    let rules = InvitationRules::default();
    let transition = |to| {
        let payload = contacts::CaseTransitioned { case: name("cases", 1), to, ..Default::default() };
        event(1, "cases/1", &payload)
    };
    let mut undecodable = promoter(1, 1);
    undecodable.payload = vec![0xff].into();
    for poison in [
        transition(99),
        event(1, "x", &contacts::SurveyResponseRecorded { category: 1, ..Default::default() }),
        event(1, "x", &contacts::OriginAttributed::default()),
        event(1, "x", &contacts::InteractionRetracted::default()),
        event(1, "x", &contacts::InteractionAmended::default()),
        undecodable,
    ] {
        let error = read(&poison, &rules).unwrap_err();
        assert_eq!(error.kind, Kind::Invalid, "{error}");
    }
    assert!(read(&transition(CaseStatus::Closed.into()), &rules).unwrap().is_some());
    let foreign = event(1, "x", &contacts::SurveyCreated::default());
    assert_eq!(read(&foreign, &rules).unwrap(), None, "what does not concern us is passed over");
}
