//! The ledger: what is given, taken and what is left, at any time; and under any concurrency.

use std::collections::BTreeSet;

use rapport_proto::loyalty::v1::*;
use rapport_testkit::asserts::{Bearer, error_metadata, is_replayed, position};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};

use super::messages::{DAY, after, at, now, person};
use super::stage::{ACME, AGENT, GLOBEX, Stage, fresh, refused};
use crate::club::{self, dollars, unit};
use crate::examples::Club;

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn the_ledger_adds_up(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        points_are_given_and_taken_and_every_row_tells(&stage).await;
        a_rule_gives_once_for_a_source(&stage).await;
        lots_wait_and_expire_by_the_calendar(&stage).await;
        wrong_postings_are_refused(&stage).await;
        debits_at_once_never_overdraw(&stage).await;
        one_request_id_is_one_posting(&stage).await;
        stage.close().await;
    }
}

async fn make(stage: &Stage, name: &str) -> Club {
    let party = stage.party(person(name)).await.name;
    club::make(stage.sandbox.channel("loyalty"), Bearer::new(ACME), &party).await
}

fn give(club: &Club, amount: i64) -> PostAccrualRequest {
    PostAccrualRequest {
        member: club.member.clone(),
        unit_type: club.points.clone(),
        amount,
        request_id: fresh(),
        ..Default::default()
    }
}

fn adjust(club: &Club, amount: i64) -> AdjustBalanceRequest {
    AdjustBalanceRequest {
        member: club.member.clone(),
        unit_type: club.points.clone(),
        amount,
        reason: "a test of Ana's".into(),
        request_id: fresh(),
        ..Default::default()
    }
}

async fn given(stage: &Stage, request: PostAccrualRequest) -> Transaction {
    stage.ledger(ACME).post_accrual(request).await.expect("posted").into_inner()
}

async fn balance(stage: &Stage, club: &Club, unit_type: &str, as_of: Option<prost_types::Timestamp>) -> Balance {
    let request = GetBalancesRequest { name: club.member.clone(), as_of, expiring_within: None };
    let answer = stage.ledger(ACME).get_balances(request).await.expect("told").into_inner();
    answer.balances.into_iter().find(|balance| balance.unit_type == unit_type).expect("one for each unit type")
}

/// The whole journal, oldest first; every row looked at.
async fn journal(stage: &Stage, club: &Club) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut page_token = String::new();
    loop {
        let request =
            ListEntriesRequest { member: club.member.clone(), page_size: 7, page_token, ..Default::default() };
        let page = stage.ledger(ACME).list_entries(request).await.expect("a page").into_inner();
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    entries.reverse();
    for (n, entry) in entries.iter().enumerate() {
        assert_eq!(entry.name, format!("{}/entries/{}", club.member, n + 1));
        assert_eq!(entry.legs.iter().map(|leg| leg.amount).sum::<i64>(), 0);
        let own = entry.legs.iter().find(|leg| leg.account() == Account::Member).expect("a leg of the member");
        assert_eq!(entry.new_balance - entry.previous_balance, own.amount);
        let before = entries[..n].iter().rev().find(|other| other.unit_type == entry.unit_type);
        assert_eq!(entry.previous_balance, before.map_or(0, |before| before.new_balance));
        assert!(entry.new_balance >= 0);
    }
    entries
}

async fn points_are_given_and_taken_and_every_row_tells(stage: &Stage) {
    let club = make(stage, "Saver").await;
    let request = give(&club, 250);
    let answer = stage.ledger(ACME).post_accrual(request.clone()).await.expect("posted");
    assert!(position(answer.metadata(), "loyalty") > 0);
    let posted = answer.into_inner();
    assert!(posted.name.starts_with("transactions/"));
    assert_eq!((posted.kind(), posted.amount), (EntryKind::Accrual, 250));
    let lot = posted.lot.clone().expect("a lot");
    assert_eq!((lot.state(), lot.amount, lot.remaining, lot.expire_time), (LotState::Available, 250, 250, None));
    let replayed = stage.ledger(ACME).post_accrual(request.clone()).await.expect("replayed");
    assert!(is_replayed(replayed.metadata()));
    assert_eq!(replayed.into_inner(), posted);
    let reused = PostAccrualRequest { amount: 251, ..request };
    assert_reason!(stage.ledger(ACME).post_accrual(reused).await, Code::AlreadyExists, "REQUEST_ID_REUSED");

    // The cast begins with a lot of 1000, earned before.
    let taken = stage.ledger(ACME).adjust_balance(adjust(&club, -1_100)).await.expect("taken").into_inner();
    assert_eq!((taken.kind(), taken.amount, taken.lot.is_none()), (EntryKind::Adjustment, -1_100, true));
    assert_eq!(taken.uses.iter().map(|one| one.amount).collect::<Vec<_>>(), [1_000, 100]);
    assert_eq!(taken.uses[1].lot, lot.name);
    let found = balance(stage, &club, &club.points, None).await;
    assert_eq!((found.available, found.pending, found.expiring, found.next_expire_time), (150, 0, 0, None));
    let short = stage.ledger(ACME).adjust_balance(adjust(&club, -151)).await.unwrap_err();
    assert_eq!(error_metadata(&short)["available"], "150");
    assert_reason!(Err::<(), _>(short), Code::FailedPrecondition, "INSUFFICIENT_UNITS");
    stage.ledger(ACME).adjust_balance(adjust(&club, 5)).await.expect("given by hand");

    let entries = journal(stage, &club).await;
    assert_eq!(entries.iter().map(|entry| entry.new_balance).collect::<Vec<_>>(), [1_000, 1_250, 150, 155]);
    assert_eq!(entries[2].reason, "a test of Ana's");
    assert_eq!(entries[1].transaction, posted.name);
    let list = |show_closed| ListLotsRequest { member: club.member.clone(), show_closed, ..Default::default() };
    let open = stage.ledger(ACME).list_lots(list(false)).await.expect("a page").into_inner().lots;
    assert_eq!(open.iter().map(|lot| lot.remaining).collect::<Vec<_>>(), [150, 5]);
    let all = stage.ledger(ACME).list_lots(list(true)).await.expect("a page").into_inner().lots;
    let states: Vec<_> = all.iter().map(Lot::state).collect();
    assert_eq!(states, [LotState::Used, LotState::Available, LotState::Available]);

    assert_reason!(
        stage.ledger(AGENT).adjust_balance(adjust(&club, 1)).await,
        Code::PermissionDenied,
        "PERMISSION_DENIED"
    );
    assert_reason!(stage.ledger(GLOBEX).post_accrual(give(&club, 1)).await, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn a_rule_gives_once_for_a_source(stage: &Stage) {
    let club = make(stage, "Shopper").await;
    let earn = |source: &str, money| PostAccrualRequest {
        member: club.member.clone(),
        rule: club.rule.clone(),
        source: source.into(),
        money,
        ..Default::default()
    };
    let posted = given(stage, earn("invoice-1", Some(dollars(12)))).await;
    assert_eq!((posted.amount, posted.rule.as_str(), posted.source.as_str()), (120, club.rule.as_str(), "invoice-1"));
    let again = stage.ledger(ACME).post_accrual(earn("invoice-1", Some(dollars(5)))).await.unwrap_err();
    assert_eq!(error_metadata(&again)["name"], posted.name);
    assert_reason!(Err::<(), _>(again), Code::AlreadyExists, "ALREADY_EXISTS");
    refused(stage.ledger(ACME).post_accrual(earn("invoice-2", None)).await, &[("money", "REQUIRED")]);
    let euros = rapport_proto::types::v1::Money { currency_code: "EUR".into(), ..dollars(5) };
    let other = stage.ledger(ACME).post_accrual(earn("invoice-2", Some(euros))).await;
    refused(other, &[("money.currency_code", "CONFLICTING_FIELDS")]);
    let little = stage.ledger(ACME).post_accrual(earn("invoice-2", Some(dollars(0)))).await;
    refused(little, &[("money", "OUT_OF_RANGE")]);
    assert_eq!(balance(stage, &club, &club.points, None).await.available, 1_120);
}

async fn lots_wait_and_expire_by_the_calendar(stage: &Stage) {
    let club = make(stage, "Waiter").await;
    let unit_type = UnitType {
        expiry: Some(Expiry { kind: ExpiryKind::Months.into(), count: 2 }),
        pending_days: 10,
        ..unit("vouchers", UnitKind::Redeemable)
    };
    let request =
        CreateUnitTypeRequest { program: club.program.clone(), unit_type: Some(unit_type), ..Default::default() };
    let vouchers = stage.programs(ACME).create_unit_type(request).await.expect("made").into_inner().name;
    let club = Club { points: vouchers.clone(), ..club };

    // Long ago: earned on 30 December, it expires on the last day of February.
    let old = PostAccrualRequest { occurred_time: Some(at("2020-12-30T12:00:00Z")), ..give(&club, 7) };
    let lot = given(stage, old).await.lot.expect("a lot");
    assert_eq!(lot.available_time, Some(at("2021-01-09T12:00:00Z")));
    assert_eq!((lot.expire_time, lot.state()), (Some(at("2021-02-28T12:00:00Z")), LotState::Expired));
    for (time, available, pending) in [
        ("2020-12-30T11:59:59Z", 0, 0),
        ("2020-12-30T12:00:00Z", 0, 7),
        ("2021-01-09T11:59:59Z", 0, 7),
        ("2021-01-09T12:00:00Z", 7, 0),
        ("2021-02-28T11:59:59Z", 7, 0),
        ("2021-02-28T12:00:00Z", 0, 0),
    ] {
        let found = balance(stage, &club, &vouchers, Some(at(time))).await;
        assert_eq!((found.available, found.pending), (available, pending), "{time}");
    }
    assert_eq!(balance(stage, &club, &vouchers, Some(at("2021-02-01T00:00:00Z"))).await.expiring, 7);

    // Just now: it waits, cannot be taken, and a time to come tells when it can.
    given(stage, give(&club, 40)).await;
    let found = balance(stage, &club, &vouchers, None).await;
    assert_eq!((found.available, found.pending), (0, 40));
    assert_reason!(
        stage.ledger(ACME).adjust_balance(adjust(&club, -1)).await,
        Code::FailedPrecondition,
        "INSUFFICIENT_UNITS"
    );
    assert_eq!(balance(stage, &club, &vouchers, Some(after(now(), 11 * DAY))).await.available, 40);
    assert_eq!(balance(stage, &club, &vouchers, Some(after(now(), 70 * DAY))).await.available, 0);

    // The one that used units earliest is the one that expires first, whenever it came.
    let ago = |days: i64| Some(after(now(), -days * DAY));
    for (amount, days) in [(10, 20), (10, 40), (10, 30)] {
        given(stage, PostAccrualRequest { occurred_time: ago(days), ..give(&club, amount) }).await;
    }
    let taken = stage.ledger(ACME).adjust_balance(adjust(&club, -25)).await.expect("taken").into_inner();
    let list = ListLotsRequest {
        member: club.member.clone(),
        unit_type: vouchers.clone(),
        show_closed: true,
        ..Default::default()
    };
    let lots = stage.ledger(ACME).list_lots(list).await.expect("a page").into_inner().lots;
    let order: Vec<_> = lots.iter().filter(|lot| lot.amount == 10).map(|lot| lot.name.clone()).collect();
    assert_eq!(taken.uses.iter().map(|one| one.lot.clone()).collect::<Vec<_>>(), order);
    assert_eq!(taken.uses.iter().map(|one| one.amount).collect::<Vec<_>>(), [10, 10, 5]);
    // What was, is told as it was.
    assert_eq!(balance(stage, &club, &vouchers, ago(1)).await.available, 30);
    assert_eq!(balance(stage, &club, &vouchers, None).await.available, 5);
    journal(stage, &club).await;
}

async fn wrong_postings_are_refused(stage: &Stage) {
    let club = make(stage, "Wrong").await;
    let far = Some(after(now(), 2 * DAY));
    let wrong = PostAccrualRequest {
        unit_type: String::new(),
        money: Some(dollars(1)),
        occurred_time: far,
        source: "two\nlines".into(),
        request_id: "junk".into(),
        ..give(&club, 0)
    };
    refused(
        stage.ledger(ACME).post_accrual(wrong).await,
        &[
            ("amount", "OUT_OF_RANGE"),
            ("money", "CONFLICTING_FIELDS"),
            ("occurred_time", "IN_FUTURE"),
            ("request_id", "INVALID_REQUEST_ID"),
            ("source", "CONTROL_CHARACTER"),
            ("unit_type", "REQUIRED"),
        ],
    );
    let both = PostAccrualRequest { rule: club.rule.clone(), ..give(&club, 5) };
    refused(
        stage.ledger(ACME).post_accrual(both).await,
        &[("amount", "CONFLICTING_FIELDS"), ("source", "REQUIRED"), ("unit_type", "CONFLICTING_FIELDS")],
    );
    let nothing = AdjustBalanceRequest { reason: String::new(), ..adjust(&club, 0) };
    refused(stage.ledger(ACME).adjust_balance(nothing).await, &[("amount", "OUT_OF_RANGE"), ("reason", "REQUIRED")]);
    let least = stage.ledger(ACME).adjust_balance(adjust(&club, i64::MIN)).await;
    assert_reason!(least, Code::FailedPrecondition, "INSUFFICIENT_UNITS");
    let most = stage.ledger(ACME).post_accrual(give(&club, i64::MAX)).await;
    assert_reason!(most, Code::FailedPrecondition, "BALANCE_TOO_LARGE");
    assert_eq!(balance(stage, &club, &club.points, None).await.available, 1_000);
    let other = make(stage, "Other Club").await;
    let foreign = PostAccrualRequest { unit_type: other.points, ..give(&club, 5) };
    refused(stage.ledger(ACME).post_accrual(foreign).await, &[("unit_type", "CONFLICTING_FIELDS")]);
}

async fn debits_at_once_never_overdraw(stage: &Stage) {
    let club = make(stage, "Hot").await;
    let tries = 64;
    let answers = futures::future::join_all((0..tries).map(|_| {
        let mut ledger = stage.ledger(ACME);
        let request = adjust(&club, -30);
        async move { ledger.adjust_balance(request).await }
    }))
    .await;
    let taken = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(taken, 33);
    for answer in answers.into_iter().filter(Result::is_err) {
        assert_reason!(answer, Code::FailedPrecondition, "INSUFFICIENT_UNITS");
    }
    assert_eq!(balance(stage, &club, &club.points, None).await.available, 10);
    assert_eq!(journal(stage, &club).await.len(), 34);
}

async fn one_request_id_is_one_posting(stage: &Stage) {
    let club = make(stage, "Impatient").await;
    let request = give(&club, 11);
    let answers = futures::future::join_all((0..16).map(|_| {
        let mut ledger = stage.ledger(ACME);
        let request = request.clone();
        async move { ledger.post_accrual(request).await.expect("posted").into_inner().name }
    }))
    .await;
    assert_eq!(answers.into_iter().collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(balance(stage, &club, &club.points, None).await.available, 1_011);
}
