#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::sync::Arc;

use rapport_proto::interactions::v1 as contacts;
use rapport_server::Context;
use rapport_store::{Scope, Sql, Work};
use rapport_testkit::place::StorePlace;
use rapport_types::error::Kind;

use super::*;
use crate::commands::{Change, ChangeProgram, EnrollMember};
use crate::domain::*;
use crate::fixture::{clock, context, event, tenant};

const PARTY: Uuid = Uuid::from_u128(7);
const CALLER: Uuid = Uuid::from_u128(8);

fn order(position: i64, interaction: u128, origins: &[Uuid], kind: contacts::AmountKind) -> Event {
    let participants = origins
        .iter()
        .map(|origin| contacts::RecordedParticipant {
            origin: origin.to_string(),
            party: if *origin == PARTY { format!("parties/{PARTY}") } else { String::new() },
            role_type: String::new(),
            function: contacts::Function::Initiator.into(),
        })
        .collect();
    let name = format!("interactions/{}", Uuid::from_u128(interaction));
    let money = rapport_proto::types::v1::Money { units: 12, nanos: 0, currency_code: "EUR".into() };
    let payload = contacts::InteractionRecorded {
        interaction: name.clone(),
        kind: "order".into(),
        amount: Some(contacts::Amount { kind: kind.into(), money: Some(money) }),
        participants,
        occurred_time: Some(prost_types::Timestamp { seconds: 5, nanos: 0 }),
        ..Default::default()
    };
    event(position, &name, &payload)
}

/// The same interaction as it reads after an amendment: another kind, another sum.
fn amended(position: i64, first: &Event, kind: &str, units: i64) -> Event {
    let mut after = first.decode::<contacts::InteractionRecorded>().unwrap().unwrap();
    after.kind = kind.into();
    after.version = position;
    after.amount.as_mut().unwrap().money.as_mut().unwrap().units = units;
    let name = after.interaction.clone();
    event(position, &name, &contacts::InteractionAmended { after: Some(after), ..Default::default() })
}

fn claims(events: &[Event]) -> Claims {
    let mut claims = Claims::default();
    for event in events {
        if let Some(said) = read(event).unwrap() {
            claims.hear(&Heard { tenant: event.tenant.clone(), traceparent: None, said });
        }
    }
    claims
}

fn attributed(position: i64) -> Event {
    let payload = contacts::OriginAttributed { origin: CALLER.to_string(), party: format!("parties/{PARTY}") };
    event(position, &format!("origins/{CALLER}"), &payload)
}

#[test]
fn an_order_earns_for_whoever_placed_it() {
    let found = claims(&[order(1, 1, &[PARTY], contacts::AmountKind::Order)]);
    let [earning] = found.earnings.as_slice() else { panic!("{found:?}") };
    assert_eq!((earning.party, earning.money), (PARTY, Some(Money::parse(12, 0, "EUR").unwrap())));
    assert_eq!(earning.trigger, Trigger::Interaction(Slug::own("order")));
    assert_eq!(earning.source, format!("interactions/{}", Uuid::from_u128(1)));
    let returned = claims(&[order(1, 1, &[PARTY], contacts::AmountKind::Return)]);
    assert_eq!(returned.earnings[0].money, None, "what was given back was not paid");
}

#[test]
fn a_stranger_earns_once_they_are_known() {
    let early = claims(&[order(1, 1, &[CALLER], contacts::AmountKind::Order)]);
    assert_eq!((early.earnings.len(), early.kept.len()), (0, 1));
    let known = claims(&[order(1, 1, &[CALLER], contacts::AmountKind::Order), attributed(2)]);
    assert_eq!((known.earnings.len(), known.kept.len()), (1, 0));
    assert_eq!(
        known.earnings[0].occurred_at,
        Timestamp::from_micros(5_000_000),
        "when it happened, not when it was known"
    );
    let later = claims(&[attributed(1), order(2, 1, &[CALLER], contacts::AmountKind::Order)]);
    assert_eq!(later.earnings.len(), 1);
    let both = claims(&[attributed(1), order(2, 1, &[CALLER, PARTY], contacts::AmountKind::Order)]);
    assert_eq!(both.earnings.len(), 1, "one party by two origins placed one order");
    let retracted = contacts::InteractionRetracted {
        interaction: format!("interactions/{}", Uuid::from_u128(1)),
        ..Default::default()
    };
    let gone = claims(&[order(1, 1, &[CALLER], contacts::AmountKind::Order), event(2, "x", &retracted), attributed(3)]);
    assert_eq!(gone.earnings.len(), 0, "what was retracted earns nothing any more");
    assert!(gone.gone.contains(&(tenant("acme"), Uuid::from_u128(1))));
}

#[test]
fn what_waits_earns_as_it_reads_when_it_is_claimed() {
    let first = || order(1, 1, &[CALLER], contacts::AmountKind::Order);
    let money = |units| Some(Money::parse(units, 0, "EUR").unwrap());
    let earned = |events: &[Event]| claims(events).earnings.into_iter().map(|one| one.money).collect::<Vec<_>>();
    let change = |position, units| amended(position, &first(), "order", units);
    assert_eq!(earned(&[first(), change(2, 40), attributed(3)]), [money(40)]);
    assert_eq!(earned(&[first(), change(2, 40), change(3, 50), attributed(4)]), [money(50)]);
    // What earned before keeps what it earned.
    assert_eq!(earned(&[first(), attributed(2), change(3, 40)]), [money(12)]);
    let placed = order(1, 1, &[PARTY], contacts::AmountKind::Order);
    assert_eq!(earned(&[placed.clone(), amended(2, &placed, "order", 40)]), [money(12)]);
    // Another interaction of the same stranger stays as it is.
    let other = order(2, 2, &[CALLER], contacts::AmountKind::Order);
    assert_eq!(earned(&[first(), other, change(3, 40), attributed(4)]), [money(12), money(40)]);
    // By another kind it earns by other rules, and by one that no rule can name it earns nothing.
    let visit = claims(&[first(), amended(2, &first(), "visit", 12), attributed(3)]);
    assert_eq!(visit.earnings[0].trigger, Trigger::Interaction(Slug::own("visit")));
    let nothing = claims(&[first(), amended(2, &first(), &"x".repeat(64), 12), attributed(3)]);
    assert_eq!(nothing.earnings, []);
    assert!(nothing.gone.contains(&(tenant("acme"), Uuid::from_u128(1))));
    // The map may be ahead of the feed: what waits goes on waiting for its attribution.
    let mut ahead = Claims { whose: BTreeMap::from([((tenant("acme"), CALLER), PARTY)]), ..Claims::default() };
    let said = read(&change(2, 40)).unwrap().unwrap();
    ahead.hear(&Heard { tenant: tenant("acme"), traceparent: None, said });
    assert_eq!((ahead.earnings.len(), ahead.kept.len()), (0, 1));
}

/// The same interaction after somebody said that it was another party's.
fn reassigned(position: i64, first: &Event, from: Uuid, to: Uuid) -> Event {
    let mut after = first.decode::<contacts::InteractionRecorded>().unwrap().unwrap();
    let participant = |id: Uuid| contacts::RecordedParticipant {
        origin: id.to_string(),
        party: if id == CALLER { String::new() } else { format!("parties/{id}") },
        role_type: String::new(),
        function: contacts::Function::Initiator.into(),
    };
    after.version = position;
    after.participants = vec![participant(to)];
    let name = after.interaction.clone();
    let replaced = vec![participant(from)];
    event(position, &name, &contacts::InteractionAmended { after: Some(after), replaced, ..Default::default() })
}

#[test]
fn what_was_somebody_elses_is_taken_back_and_earns_for_them() {
    let other = Uuid::from_u128(9);
    let first = order(1, 1, &[PARTY], contacts::AmountKind::Order);
    let found = claims(&[first.clone(), reassigned(2, &first, PARTY, other)]);
    assert_eq!(found.earnings.iter().map(|one| one.party).collect::<Vec<_>>(), [PARTY, other]);
    assert_eq!(found.unearnings.iter().map(|(at, one)| (*at, one.party)).collect::<Vec<_>>(), [(1, PARTY)]);
    let steps = steps(&found.unearnings, &found.earnings);
    let parties = |earned: &[Earning]| earned.iter().map(|one| one.party).collect::<Vec<_>>();
    assert_eq!(steps.len(), 2);
    assert_eq!((steps[0].0.len(), parties(steps[0].1)), (0, vec![PARTY]));
    assert_eq!((steps[1].0.len(), parties(steps[1].1)), (1, vec![other]));
    // A stranger's waits for the stranger no longer, and a party's for a stranger from now on.
    let waiting = order(1, 1, &[CALLER], contacts::AmountKind::Order);
    let named = claims(&[waiting.clone(), reassigned(2, &waiting, CALLER, other), attributed(3)]);
    assert_eq!((parties(&named.earnings), named.kept.len(), named.unearnings.len()), (vec![other], 0, 0));
    let given = claims(&[first.clone(), reassigned(2, &first, PARTY, CALLER)]);
    assert_eq!((given.kept.len(), given.unearnings.len()), (1, 1));
    // By another origin of the same party nothing is taken back.
    let same = claims(&[attributed(1), waiting.clone(), reassigned(3, &waiting, CALLER, PARTY)]);
    assert_eq!((same.unearnings.len(), parties(&same.earnings)), (0, vec![PARTY, PARTY]));
    let mut poison = reassigned(2, &first, PARTY, other);
    let mut payload = poison.decode::<contacts::InteractionAmended>().unwrap().unwrap();
    payload.replaced[0].origin = "nobody".into();
    poison.payload = prost::Message::encode_to_vec(&payload).into();
    assert_eq!(read(&poison).unwrap_err().kind, Kind::Invalid);
}

/// An interaction of this party that never should have been recorded.
fn retracted(position: i64, id: u128, by: Uuid) -> Event {
    let name = format!("interactions/{}", Uuid::from_u128(id));
    let participant = contacts::RecordedParticipant {
        origin: by.to_string(),
        party: if by == CALLER { String::new() } else { format!("parties/{by}") },
        function: contacts::Function::Initiator.into(),
        ..Default::default()
    };
    let retracted = contacts::InteractionRetracted {
        interaction: name.clone(),
        participants: vec![participant],
        ..Default::default()
    };
    event(position, &name, &retracted)
}

#[test]
fn what_is_retracted_is_taken_back_from_whoever_earned_by_it() {
    let first = order(1, 1, &[PARTY], contacts::AmountKind::Order);
    let found = claims(&[first.clone(), retracted(2, 1, PARTY)]);
    let [(1, undone)] = found.unearnings.as_slice() else { panic!("{found:?}") };
    assert_eq!((undone.party, &undone.source), (PARTY, &format!("interactions/{}", Uuid::from_u128(1))));
    // Of a stranger who is known by now, and of one who is not.
    let stranger = order(1, 1, &[CALLER], contacts::AmountKind::Order);
    let known = claims(&[stranger.clone(), attributed(2), retracted(3, 1, CALLER)]);
    assert_eq!(known.unearnings.iter().map(|(_, one)| one.party).collect::<Vec<_>>(), [PARTY]);
    assert_eq!(claims(&[stranger, retracted(2, 1, CALLER)]).unearnings, []);
    // Amended to what earns nothing, it is as if it had been retracted.
    assert_eq!(claims(&[first.clone(), amended(2, &first, &"x".repeat(64), 12)]).unearnings.len(), 1);
}

#[test]
fn an_answer_earns_by_its_category() {
    let response = format!("surveys/{}/responses/{}", Uuid::from_u128(1), Uuid::from_u128(2));
    let payload = contacts::SurveyResponseRecorded {
        response: response.clone(),
        category: contacts::SurveyCategory::NotEasy.into(),
        origin: PARTY.to_string(),
        party: format!("parties/{PARTY}"),
        interaction: format!("interactions/{}", Uuid::from_u128(3)),
        occurred_time: Some(prost_types::Timestamp::default()),
        ..Default::default()
    };
    let found = claims(&[event(1, &response, &payload)]);
    assert_eq!(found.earnings[0].trigger, Trigger::Survey(Some(Slug::own("not_easy"))));
    assert_eq!(found.earnings[0].source, response);
}

#[test]
fn what_the_contract_excludes_is_refused_and_will_be_parked() {
    let mut amount = order(1, 1, &[PARTY], contacts::AmountKind::Order);
    let mut payload = amount.decode::<contacts::InteractionRecorded>().unwrap().unwrap();
    payload.amount.as_mut().unwrap().money.as_mut().unwrap().currency_code = "EURO".into();
    amount.payload = prost::Message::encode_to_vec(&payload).into();
    let mut time = order(1, 1, &[PARTY], contacts::AmountKind::Order);
    payload.amount = None;
    payload.occurred_time = None;
    time.payload = prost::Message::encode_to_vec(&payload).into();
    let mut undecodable = order(1, 1, &[PARTY], contacts::AmountKind::Order);
    undecodable.payload = vec![0xff].into();
    let amendment = event(1, "x", &contacts::InteractionAmended::default());
    for poison in [amount, time, undecodable, amendment, event(1, "x", &contacts::InteractionRetracted::default())] {
        assert_eq!(read(&poison).unwrap_err().kind, Kind::Invalid);
    }
    // A kind that no rule can name is no fault of the event.
    payload.kind = "x".repeat(64);
    assert_eq!(read(&event(1, "x", &payload)).unwrap(), None);
}

const PROGRAM: Uuid = Uuid::from_u128(0x11);
const POINTS: Uuid = Uuid::from_u128(0x21);

/// A batch as it is applied.
struct Applied(Accruals, Vec<Heard>);

#[async_trait]
impl Work for Applied {
    type Output = ();

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<(), StoreError> {
        self.0.apply(tx, &[], &self.1, out).await
    }
}

async fn learn(cx: &Context, events: &[Event]) {
    let accruals = Accruals::new(cx.store.clone(), Arc::default());
    let heard = accruals.gather(events).await.unwrap();
    cx.store.run(Applied(accruals, heard)).await.unwrap();
}

/// What the journal says was earned, source by source.
async fn earned(cx: &Context) -> Vec<(String, i64)> {
    let db = cx.store.reader();
    let rows = Sql::new(db, "SELECT source, amount FROM entry ORDER BY source").all(db).await.unwrap();
    rows.iter().map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())).collect()
}

async fn unclaimed(cx: &Context) -> i64 {
    let db = cx.store.reader();
    Sql::new(db, "SELECT COUNT(*) FROM unclaimed").one(db).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// A programme in force with one member, in which an order gives ten points.
async fn club(cx: &Context) {
    let scope = || Scope {
        tenant: tenant("acme"),
        principal: "users/ana".into(),
        method: "test",
        request_id: None,
        fingerprint: [0; 32],
        traceparent: None,
    };
    let recorded_at = Timestamp::EPOCH;
    let program = Program {
        id: PROGRAM,
        display_name: "Club".into(),
        zone: Zone::parse("Europe/Lisbon").unwrap(),
        tier_window: TierWindow::Year,
        state: ProgramState::Draft,
        version: 1,
        recorded_at,
        published_at: None,
    };
    let points = UnitType {
        id: POINTS,
        program: PROGRAM,
        display_name: "points".into(),
        kind: UnitKind::Redeemable,
        minor_digits: 0,
        expiry: Expiry::NEVER,
        pending_days: 0,
        recorded_at,
    };
    let rule = Rule {
        id: Uuid::from_u128(0x41),
        program: PROGRAM,
        unit_type: POINTS,
        display_name: "orders".into(),
        trigger: Trigger::Interaction(Slug::own("order")),
        award: Award::Fixed(10),
        max_units: 0,
        recorded_at,
    };
    for change in [
        Change::Create(program),
        Change::AddUnit(points),
        Change::AddRule(rule),
        Change::Publish { etag: String::new(), validate_only: false },
    ] {
        cx.store.submit(scope(), ChangeProgram { program: PROGRAM, change }).await.unwrap();
    }
    enroll(cx, PARTY).await;
}

async fn enroll(cx: &Context, party: Uuid) {
    let scope = Scope {
        tenant: tenant("acme"),
        principal: "users/ana".into(),
        method: "test",
        request_id: None,
        fingerprint: [0; 32],
        traceparent: None,
    };
    let recorded_at = Timestamp::EPOCH;
    let id = cx.world.next_id();
    let member = Member {
        id,
        program: PROGRAM,
        party,
        role_type: None,
        number: Member::number_of(id),
        joined_at: recorded_at,
        recorded_at,
    };
    cx.store.submit(scope, EnrollMember { member, joined: false }).await.unwrap();
}

/// What a party's membership has.
async fn balance(cx: &Context, party: Uuid) -> i64 {
    let sql = "SELECT COALESCE(SUM(a.balance), 0) FROM member AS m JOIN account AS a \
               ON a.tenant = m.tenant AND a.member_id = m.id WHERE m.party = ";
    let row = Sql::new(cx.store.reader(), &sql.replace("SUM(a.balance)", "CAST(SUM(a.balance) AS BIGINT)"));
    row.bind(party).one(cx.store.reader()).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

rapport_testkit::each_store! {
    async fn points_go_with_the_interaction_to_whom_it_was_of(place: StorePlace) {
        let cx = context(&place, &clock()).await;
        club(&cx).await;
        let other = Uuid::from_u128(9);
        enroll(&cx, other).await;
        let first = order(1, 1, &[PARTY], contacts::AmountKind::Order);
        let second = order(2, 2, &[PARTY], contacts::AmountKind::Order);
        learn(&cx, &[first.clone(), second.clone()]).await;
        assert_eq!((balance(&cx, PARTY).await, balance(&cx, other).await), (20, 0));
        let moved = reassigned(3, &first, PARTY, other);
        learn(&cx, std::slice::from_ref(&moved)).await;
        assert_eq!((balance(&cx, PARTY).await, balance(&cx, other).await), (10, 10));
        // The same event again, as after a crash before the cursor moved.
        learn(&cx, std::slice::from_ref(&moved)).await;
        assert_eq!((balance(&cx, PARTY).await, balance(&cx, other).await), (10, 10));
        // Back, and forth within one batch.
        learn(&cx, &[reassigned(4, &first, other, PARTY)]).await;
        assert_eq!((balance(&cx, PARTY).await, balance(&cx, other).await), (20, 0));
        learn(&cx, &[reassigned(5, &first, PARTY, other), reassigned(6, &first, other, PARTY), reassigned(7, &first, PARTY, other)]).await;
        assert_eq!((balance(&cx, PARTY).await, balance(&cx, other).await), (10, 10));
        // To somebody who is no member, and to a stranger who is known later.
        learn(&cx, &[reassigned(8, &first, other, Uuid::from_u128(77))]).await;
        assert_eq!((balance(&cx, PARTY).await, balance(&cx, other).await), (10, 0));
        learn(&cx, &[reassigned(9, &second, PARTY, CALLER)]).await;
        assert_eq!((balance(&cx, PARTY).await, unclaimed(&cx).await), (0, 1));
        learn(&cx, &[attributed(10)]).await;
        assert_eq!((balance(&cx, PARTY).await, unclaimed(&cx).await), (10, 0));
        // What was used stays used: no balance is below zero.
        let db = cx.store.reader();
        let sum = "SELECT CAST(SUM(CASE WHEN taker = 1 THEN amount ELSE -amount END) AS BIGINT) FROM entry";
        let sum: i64 = Sql::new(db, sum).one(db).await.unwrap().unwrap().try_get_by_index(0).unwrap();
        assert_eq!(sum, balance(&cx, PARTY).await + balance(&cx, other).await, "the journal says what the accounts hold");
        let lots: i64 = Sql::new(db, "SELECT CAST(SUM(remaining) AS BIGINT) FROM lot").one(db).await.unwrap().unwrap().try_get_by_index(0).unwrap();
        assert_eq!(lots, sum, "and what is left of the lots");
        cx.store.close().await;
    }

    async fn points_of_what_is_retracted_are_taken_back(place: StorePlace) {
        let cx = context(&place, &clock()).await;
        club(&cx).await;
        learn(&cx, &[1, 2].map(|id| order(1, id, &[PARTY], contacts::AmountKind::Order))).await;
        assert_eq!(balance(&cx, PARTY).await, 20);
        let gone = retracted(2, 1, PARTY);
        learn(&cx, std::slice::from_ref(&gone)).await;
        assert_eq!(balance(&cx, PARTY).await, 10);
        // The same event again, as after a crash before the cursor moved.
        learn(&cx, &[gone]).await;
        assert_eq!(balance(&cx, PARTY).await, 10);
        // Earned and retracted in one batch.
        learn(&cx, &[order(3, 3, &[PARTY], contacts::AmountKind::Order), retracted(4, 3, PARTY)]).await;
        assert_eq!(balance(&cx, PARTY).await, 10);
        cx.store.close().await;
    }

    async fn each_fact_earns_once_in_the_books(place: StorePlace) {
        let cx = context(&place, &clock()).await;
        club(&cx).await;
        let source = |id: u128| format!("interactions/{}", Uuid::from_u128(id));
        let batch = [
            order(1, 1, &[PARTY], contacts::AmountKind::Order),
            order(2, 2, &[CALLER], contacts::AmountKind::Order),
        ];
        learn(&cx, &batch).await;
        // The same batch again, as after a crash before the cursor moved.
        learn(&cx, &batch).await;
        assert_eq!(earned(&cx).await, [(source(1), 10)]);
        assert_eq!(unclaimed(&cx).await, 1);
        // A stranger who is known now, and one whose order was taken back before.
        let other = Uuid::from_u128(9);
        learn(&cx, &[order(3, 3, &[other], contacts::AmountKind::Order)]).await;
        let retracted = contacts::InteractionRetracted { interaction: source(3), ..Default::default() };
        learn(&cx, &[event(4, &source(3), &retracted)]).await;
        assert_eq!(unclaimed(&cx).await, 1);
        learn(&cx, &[attributed(5)]).await;
        learn(&cx, &[attributed(5)]).await;
        assert_eq!(earned(&cx).await, [(source(1), 10), (source(2), 10)]);
        assert_eq!(unclaimed(&cx).await, 0);
        learn(&cx, &[order(6, 4, &[CALLER], contacts::AmountKind::Order)]).await;
        assert_eq!(earned(&cx).await.len(), 3, "the origin is the party's from now on");
        // What waits in the store is amended there, or forgotten.
        let waiting = [10, 11].map(|id| order(8, id, &[Uuid::from_u128(10)], contacts::AmountKind::Order));
        learn(&cx, &waiting).await;
        learn(&cx, &[amended(9, &waiting[0], "order", 70), amended(10, &waiting[1], "inquiry", 12)]).await;
        let origins = BTreeSet::from([(tenant("acme"), Uuid::from_u128(10))]);
        let kept = unclaimed_find(cx.store.reader(), &origins).await.unwrap();
        assert_eq!(kept.iter().map(|row| row.money).collect::<Vec<_>>(), [Some(Money::parse(70, 0, "EUR").unwrap())]);
        let claim = contacts::OriginAttributed {
            origin: Uuid::from_u128(10).to_string(),
            party: format!("parties/{PARTY}"),
        };
        learn(&cx, &[event(11, "origins/10", &claim)]).await;
        assert_eq!(earned(&cx).await.len(), 4);
        assert_eq!(unclaimed(&cx).await, 0);
        // What no rule names is not kept, whoever did it.
        let mut payload = order(7, 5, &[other], contacts::AmountKind::Order)
            .decode::<contacts::InteractionRecorded>()
            .unwrap()
            .unwrap();
        payload.kind = "inquiry".into();
        learn(&cx, &[event(7, &source(5), &payload)]).await;
        assert_eq!(unclaimed(&cx).await, 0);
        cx.store.close().await;
    }
}
