//! The ledger over a store, with a clock that the test holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rapport_server::Context;
use rapport_store::{Committed, Outbox, Scope, Sql, StoreError, Tx, Work};
use rapport_testkit::each_store;
use rapport_testkit::place::StorePlace;
use rapport_types::error::Error;
use rapport_types::time::ManualClock;
use rapport_types::{TenantId, Timestamp, Uuid, reason};

use super::*;
use crate::domain::*;
use crate::fixture::{clock, context, tenant};
use crate::queries::{balances, journal, lots, standing};
use crate::store::{
    Additions, Catalogs, LotPage, catalog_find, catalog_insert, catalogs_load, catalogs_warm, program_update,
};
use crate::workers::settle;

const DAY: Duration = Duration::from_secs(86_400);
const POINTS: Uuid = Uuid::from_u128(0x21);
const CREDITS: Uuid = Uuid::from_u128(0x22);
const PROGRAM: Uuid = Uuid::from_u128(0x11);
const SILVER: Uuid = Uuid::from_u128(0x31);
const RULE: Uuid = Uuid::from_u128(0x41);

struct House {
    cx: Context,
    clock: Arc<ManualClock>,
    tenant: TenantId,
    catalogs: Arc<Catalogs>,
}

impl House {
    /// A published programme: points that expire after ten days, credits that lead to silver, and a rule for orders.
    async fn new(place: &StorePlace) -> House {
        let clock = clock();
        let cx = context(place, &clock).await;
        let house = House { cx, clock, tenant: tenant("acme"), catalogs: Arc::default() };
        let zone = Zone::parse("Europe/Lisbon").unwrap();
        let recorded_at = Timestamp::EPOCH;
        let program = Program {
            id: PROGRAM,
            display_name: "Club".into(),
            zone,
            tier_window: TierWindow::Month,
            state: ProgramState::Draft,
            version: 1,
            recorded_at,
            published_at: None,
        };
        let unit = |id, kind, expiry| UnitType {
            id,
            program: PROGRAM,
            display_name: "units".into(),
            kind,
            minor_digits: 0,
            expiry,
            pending_days: 0,
            recorded_at,
        };
        let rule = Rule {
            id: RULE,
            program: PROGRAM,
            unit_type: POINTS,
            display_name: "orders".into(),
            trigger: Trigger::Interaction(Slug::parse("order").unwrap()),
            award: Award::Fixed(10),
            max_units: 0,
            recorded_at,
        };
        let silver = Tier {
            id: SILVER,
            program: PROGRAM,
            unit_type: CREDITS,
            display_name: "silver".into(),
            entry: 100,
            keep: 50,
            recorded_at,
        };
        let ten_days = Expiry { kind: ExpiryKind::Days, count: 10 };
        for change in [
            Change::Create(program),
            Change::AddUnit(unit(POINTS, UnitKind::Redeemable, ten_days)),
            Change::AddUnit(unit(CREDITS, UnitKind::Qualifying, Expiry::NEVER)),
            Change::AddRule(rule),
            Change::AddTier(silver),
            Change::Publish { etag: String::new(), validate_only: false },
        ] {
            house.cx.store.submit(house.scope(None), ChangeProgram { program: PROGRAM, change }).await.unwrap();
        }
        house
    }

    fn scope(&self, request_id: Option<Uuid>) -> Scope {
        Scope {
            tenant: self.tenant.clone(),
            principal: "users/ana".into(),
            method: "/rapport.loyalty.v1.LedgerService/PostAccrual",
            request_id,
            fingerprint: [0; 32],
            traceparent: None,
        }
    }

    async fn member(&self, party: u128) -> MemberName {
        let id = self.cx.world.next_id();
        let member = Member {
            id,
            program: PROGRAM,
            party: Uuid::from_u128(party),
            role_type: None,
            number: Member::number_of(id),
            joined_at: Timestamp::EPOCH,
            recorded_at: Timestamp::EPOCH,
        };
        self.cx.store.submit(self.scope(None), EnrollMember { member, joined: false }).await.unwrap();
        MemberName::new(ProgramName::new(PROGRAM), id)
    }

    async fn post(&self, member: MemberName, what: What, request_id: Option<Uuid>) -> Result<Committed<Posted>, Error> {
        let command = Post {
            transaction: self.cx.world.next_id(),
            lot: self.cx.world.next_id(),
            member,
            what,
            source: "test".into(),
            occurred_at: None,
            catalogs: Arc::clone(&self.catalogs),
        };
        self.cx.store.submit(self.scope(request_id), command).await
    }

    async fn give(&self, member: MemberName, unit_type: Uuid, amount: i64) {
        self.post(member, What::Give { unit_type, amount }, None).await.unwrap();
    }

    async fn take(&self, member: MemberName, amount: i64) -> Result<Posted, Error> {
        let what = What::Adjust { unit_type: POINTS, amount: -amount, grounds: "a test".into() };
        self.post(member, what, None).await.map(|done| done.reply)
    }

    async fn available(&self, member: MemberName, as_of: Option<Timestamp>) -> i64 {
        let (_, found) = balances(&self.cx.store, &self.catalogs, &self.tenant, member, as_of, DAY).await.unwrap();
        found.iter().find(|(unit, _)| *unit == POINTS).unwrap().1.available
    }

    async fn tier(&self, member: MemberName) -> Option<Uuid> {
        let (_, catalog, standing) =
            standing(&self.cx.store, &self.catalogs, &self.tenant, member, None).await.unwrap();
        catalog.ladder.tier(standing.current).map(|tier| tier.id)
    }

    async fn events(&self, kind: &str) -> usize {
        let events = self.cx.store.events_after(0, 1_000, None).await.unwrap();
        events.iter().filter(|event| event.kind.ends_with(kind)).count()
    }

    async fn number(&self, sql: &str) -> i64 {
        let db = self.cx.store.reader();
        Sql::new(db, sql).one(db).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    /// The books, as an auditor would look at them: in the tables.
    async fn audit(&self, member: MemberName) {
        // What all accounts hold together, members' and the house's, is nothing: each row gives what it takes.
        assert_eq!(
            self.number(
                "SELECT CAST(coalesce(sum(held), 0) AS BIGINT) FROM (SELECT taker AS account, amount AS held FROM entry \
                 UNION ALL SELECT giver, -amount FROM entry) AS leg",
            )
            .await,
            0
        );
        // Every balance is the fold of its journal, and what is left of its lots.
        for (table, held) in
            [("entry", "SUM(CASE WHEN taker = 1 THEN amount ELSE -amount END)"), ("lot", "SUM(remaining)")]
        {
            let sql = format!(
                "SELECT count(*) FROM account AS a LEFT JOIN (SELECT tenant, member_id, unit_type_id, {held} AS held \
                 FROM {table} GROUP BY tenant, member_id, unit_type_id) AS s ON s.tenant = a.tenant \
                 AND s.member_id = a.member_id AND s.unit_type_id = a.unit_type_id WHERE a.balance <> s.held"
            );
            assert_eq!(self.number(&sql).await, 0, "{table}");
        }
        // Every debit is linked to lots, to the last unit.
        assert_eq!(
            self.number(
                "SELECT count(*) FROM entry AS e WHERE giver = 1 AND amount <> (SELECT SUM(u.amount) FROM lot_use AS u \
                 WHERE u.tenant = e.tenant AND u.member_id = e.member_id AND u.sequence = e.sequence)",
            )
            .await,
            0
        );
        let entries = journal(&self.cx.store, &self.tenant, member, None, None, 10_000).await.unwrap();
        let mut last: BTreeMap<Uuid, i64> = BTreeMap::new();
        for (n, (row, _)) in entries.iter().rev().enumerate() {
            assert_eq!(row.entry.sequence, n as i64 + 1, "no gap");
            let before = last.insert(row.entry.unit_type, row.entry.next).unwrap_or(0);
            assert_eq!(row.entry.previous, before);
        }
    }
}

struct Earn {
    world: rapport_types::World,
    catalogs: Arc<Catalogs>,
    earnings: Vec<Earning>,
}

#[async_trait]
impl Work for Earn {
    type Output = usize;

    async fn run(&self, tx: &Tx, out: &mut Outbox) -> Result<usize, StoreError> {
        earn(tx, &self.world, &self.catalogs, &[], &self.earnings, out).await
    }
}

fn other_rule(id: u128) -> Rule {
    Rule {
        id: Uuid::from_u128(id),
        program: PROGRAM,
        unit_type: POINTS,
        display_name: "visits".into(),
        trigger: Trigger::Manual,
        award: Award::Fixed(10),
        max_units: 0,
        recorded_at: Timestamp::EPOCH,
    }
}

/// A change of a programme that somebody reads before it is rolled back.
struct Unsettled {
    catalogs: Arc<Catalogs>,
    of: Key,
}

#[async_trait]
impl Work for Unsettled {
    type Output = ();

    async fn run(&self, tx: &Tx, _: &mut Outbox) -> Result<(), StoreError> {
        let wanted = std::collections::BTreeSet::from([self.of.clone()]);
        let mut program = catalog_find(tx.db(), &wanted).await?.remove(&self.of).unwrap().program;
        program.version += 1;
        let rules = vec![(self.of.0.clone(), other_rule(0x42))];
        catalog_insert(tx.db(), Additions { rules, ..Additions::default() }).await?;
        program_update(tx.db(), [(&self.of.0, &program)]).await?;
        let seen = catalogs_load(tx.db(), &wanted, &self.catalogs, false).await?;
        assert!(seen[&self.of].rules.contains_key(&Uuid::from_u128(0x42)));
        Err(Error::precondition(reason::CONTENTION, "it is rolled back").into())
    }
}

impl House {
    async fn ordered(&self, party: u128, source: &str) -> usize {
        let earning = Earning {
            tenant: self.tenant.clone(),
            party: Uuid::from_u128(party),
            trigger: Trigger::Interaction(Slug::parse("order").unwrap()),
            money: None,
            source: source.into(),
            occurred_at: self.cx.world.now(),
            traceparent: None,
        };
        let again = earning.clone();
        let catalogs = Arc::clone(&self.catalogs);
        let work = Earn { world: self.cx.world.clone(), catalogs, earnings: vec![earning, again] };
        self.cx.store.run(work).await.unwrap().reply
    }
}

each_store! {
    async fn an_expiry_is_true_before_it_is_booked_and_the_same_after(place: StorePlace) {
        let house = House::new(&place).await;
        let member = house.member(1).await;
        house.give(member, POINTS, 100).await;
        let expiry = house.cx.world.now().saturating_add(DAY * 10);
        house.clock.advance(DAY);
        house.give(member, POINTS, 50).await;
        house.take(member, 30).await.unwrap();
        house.clock.set(Timestamp::from_micros(expiry.as_micros() - 1));
        assert_eq!(house.available(member, None).await, 120);
        house.clock.set(expiry);
        let states = |all: Vec<Lot>| all.iter().map(|lot| lot.state(expiry)).collect::<Vec<_>>();
        let page = LotPage { unit_type: None, open_at: None, after: None, limit: 10 };
        for booked in [1, 0] {
            assert_eq!(house.available(member, None).await, 50);
            assert_eq!(house.available(member, Some(Timestamp::from_micros(expiry.as_micros() - 1))).await, 120);
            let all = lots(&house.cx.store, &house.tenant, member, &page).await.unwrap();
            assert_eq!(states(all), [LotState::Expired, LotState::Available]);
            // Late by a while: it takes effect when it did.
            house.clock.advance(Duration::from_secs(3600));
            assert_eq!(settle(&house.cx.store, &house.catalogs).await.unwrap(), booked);
            house.clock.set(expiry);
        }
        let entries = journal(&house.cx.store, &house.tenant, member, None, None, 10).await.unwrap();
        let newest = &entries[0].0.entry;
        assert_eq!((newest.kind, newest.amount, newest.effective_at), (EntryKind::Expiry, 70, expiry));
        assert_eq!((newest.giver, newest.taker), (Account::Member, Account::Breakage));
        assert_eq!(house.events("UnitsExpired").await, 1);
        house.audit(member).await;
        // Another one expires unseen, and the next posting books it first.
        house.clock.advance(DAY * 2);
        assert_eq!(house.take(member, 1).await.unwrap_err().reason, reason::INSUFFICIENT_UNITS);
        house.give(member, POINTS, 5).await;
        assert_eq!((house.available(member, None).await, house.events("UnitsExpired").await), (5, 2));
        house.audit(member).await;
        house.cx.store.close().await;
    }

    async fn a_request_id_of_the_ledger_is_kept_for_ever(place: StorePlace) {
        let house = House::new(&place).await;
        let member = house.member(1).await;
        let request_id = Some(Uuid::from_u128(77));
        let what = What::Give { unit_type: CREDITS, amount: 7 };
        let first = house.post(member, what.clone(), request_id).await.unwrap();
        house.clock.advance(DAY * 3650);
        house.cx.store.sweep().await.unwrap();
        let again = house.post(member, what, request_id).await.unwrap();
        assert!(again.replayed && again.reply == first.reply);
        let entries = journal(&house.cx.store, &house.tenant, member, None, None, 10).await.unwrap();
        assert_eq!(entries.len(), 1);
        house.cx.store.close().await;
    }

    async fn many_debits_at_once_never_overdraw(place: StorePlace) {
        let house = Arc::new(House::new(&place).await);
        let member = house.member(1).await;
        for amount in [400, 350, 250] {
            house.give(member, POINTS, amount).await;
        }
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let house = Arc::clone(&house);
                tokio::spawn(async move { house.take(member, 30).await })
            })
            .collect();
        let mut taken = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => taken += 1,
                Err(error) => assert_eq!(error.reason, reason::INSUFFICIENT_UNITS, "{error}"),
            }
        }
        assert_eq!((taken, house.available(member, None).await), (33, 10));
        house.audit(member).await;
        let error = house.take(member, 11).await.unwrap_err();
        assert_eq!((error.metadata["wanted"].as_str(), error.metadata["available"].as_str()), ("11", "10"));
        house.cx.store.close().await;
    }

    async fn consumers_and_calls_keep_the_same_books(place: StorePlace) {
        let house = Arc::new(House::new(&place).await);
        let member = house.member(1).await;
        let other = house.member(2).await;
        let mut tasks = Vec::new();
        for n in 0..12 {
            let one = Arc::clone(&house);
            tasks.push(tokio::spawn(async move { one.ordered(1 + n % 2, &format!("interactions/{}", n / 4)).await }));
            let one = Arc::clone(&house);
            tasks.push(tokio::spawn(async move {
                one.give(member, POINTS, 1).await;
                0
            }));
        }
        let mut earned = 0;
        for task in tasks {
            earned += task.await.unwrap();
        }
        // Three orders, each by both parties, told four times between them.
        assert_eq!(earned, 6);
        assert_eq!(house.available(member, None).await, 30 + 12);
        assert_eq!(house.available(other, None).await, 30);
        assert_eq!(house.ordered(9, "interactions/1").await, 0, "nobody's member");
        assert_eq!(house.events("AccrualPosted").await, 6 + 12);
        for member in [member, other] {
            house.audit(member).await;
        }
        let by_hand = What::Earn { rule: RULE, money: None };
        let command = Post {
            transaction: house.cx.world.next_id(),
            lot: house.cx.world.next_id(),
            member,
            what: by_hand,
            source: "interactions/1".into(),
            occurred_at: None,
            catalogs: Arc::default(),
        };
        let error = house.cx.store.submit(house.scope(None), command).await.unwrap_err();
        assert_eq!(error.reason, reason::ALREADY_EXISTS, "a call and a consumer earn once together");
        house.cx.store.close().await;
    }

    async fn a_tier_is_reached_by_earning_and_lost_by_time(place: StorePlace) {
        let house = House::new(&place).await;
        let member = house.member(1).await;
        house.give(member, POINTS, 1_000).await;
        house.give(member, CREDITS, 99).await;
        assert_eq!((house.tier(member).await, house.events("TierChanged").await), (None, 0));
        house.give(member, CREDITS, 1).await;
        assert_eq!((house.tier(member).await, house.events("TierChanged").await), (Some(SILVER), 1));
        // February: kept by January's hundred. March: February earned nothing.
        house.clock.set(Timestamp::parse("2026-02-10T12:00:00Z").unwrap());
        settle(&house.cx.store, &house.catalogs).await.unwrap();
        assert_eq!((house.tier(member).await, house.events("TierChanged").await), (Some(SILVER), 1));
        house.clock.set(Timestamp::parse("2026-03-01T00:00:00Z").unwrap());
        assert_eq!(house.tier(member).await, None);
        settle(&house.cx.store, &house.catalogs).await.unwrap();
        settle(&house.cx.store, &house.catalogs).await.unwrap();
        assert_eq!(house.events("TierChanged").await, 2);
        house.audit(member).await;
        house.cx.store.close().await;
    }

    async fn a_programme_that_was_rolled_back_is_not_remembered(place: StorePlace) {
        let house = House::new(&place).await;
        let member = house.member(1).await;
        let key = (house.tenant.clone(), PROGRAM);
        let version = house.cx.store.run(Unsettled { catalogs: Arc::clone(&house.catalogs), of: key.clone() }).await;
        assert_eq!(version.unwrap_err().reason, reason::CONTENTION);
        assert_eq!(house.catalogs.version(&key), None);
        // Another change comes to have the same version.
        let change = Change::AddRule(other_rule(0x43));
        house.cx.store.submit(house.scope(None), ChangeProgram { program: PROGRAM, change }).await.unwrap();
        let earn = |rule: u128| What::Earn { rule: Uuid::from_u128(rule), money: None };
        house.post(member, earn(0x43), None).await.unwrap();
        assert_eq!(house.post(member, earn(0x42), None).await.unwrap_err().reason, reason::RESOURCE_NOT_FOUND);
        // What postings had to read themselves is kept once it is settled.
        assert_eq!(house.catalogs.version(&key), None);
        catalogs_warm(&house.cx.store, &house.catalogs).await;
        let kept = house.catalogs.version(&key);
        assert!(kept.is_some());
        house.post(member, earn(0x43), None).await.unwrap_err();
        catalogs_warm(&house.cx.store, &house.catalogs).await;
        assert_eq!(house.catalogs.version(&key), kept, "nothing was missed");
        house.cx.store.close().await;
    }

    async fn months_are_the_journal_added_up(place: StorePlace) {
        let house = House::new(&place).await;
        let member = house.member(1).await;
        let seen = |as_of| {
            let house = &house;
            async move {
                let (_, _, standing) =
                    standing(&house.cx.store, &house.catalogs, &house.tenant, member, as_of).await.unwrap();
                standing
            }
        };
        // Any numbers will do, as long as they are the same each time.
        let mut seed = 7_u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..60 {
            let amount = i64::try_from(next(80)).unwrap() + 1;
            let unit_type = if next(4) == 0 { POINTS } else { CREDITS };
            let amount = if next(3) == 0 { -amount } else { amount };
            let what = match next(2) {
                0 if amount > 0 => What::Give { unit_type, amount },
                _ => What::Adjust { unit_type, amount, grounds: "a test".into() },
            };
            let command = Post {
                transaction: house.cx.world.next_id(),
                lot: house.cx.world.next_id(),
                member,
                what,
                source: "test".into(),
                // Up to a hundred days late, so over the ends of months.
                occurred_at: Some(house.cx.world.now().saturating_sub(DAY * u32::try_from(next(100)).unwrap())),
                catalogs: Arc::clone(&house.catalogs),
            };
            // What is not there cannot be taken, and changes neither.
            let _ = house.cx.store.submit(house.scope(None), command).await;
            assert_eq!(seen(None).await, seen(Some(house.cx.world.now())).await);
            house.clock.advance(DAY * u32::try_from(next(9)).unwrap());
            assert_eq!(seen(None).await, seen(Some(house.cx.world.now())).await);
        }
        house.audit(member).await;
        house.cx.store.close().await;
    }

    async fn a_hot_account_is_written_once_a_batch(place: StorePlace) {
        let house = Arc::new(House::new(&place).await);
        let member = house.member(1).await;
        let before = house.cx.store.stats().batches;
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                let house = Arc::clone(&house);
                tokio::spawn(async move { house.give(member, POINTS, 1).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(house.available(member, None).await, 200);
        assert!(house.cx.store.stats().batches - before < 150, "postings to one account share transactions");
        house.audit(member).await;
        house.cx.store.close().await;
    }
}
