//! Postings, entries, lots and balances.

use rapport_proto::loyalty::v1 as proto;
use rapport_rpc::wire;
use rapport_types::error::{Collector, FieldError};
use rapport_types::{Timestamp, Uuid, reason};

use super::programs::{rule_of, unit_type_of};
use crate::commands::{Posted, What};
use crate::domain::{
    Balance, Entry, Lot, LotState, MemberName, ProgramName, RuleName, TransactionName, UnitTypeName, Use, grounds,
    positive, source,
};

/// A posting that is to be made.
pub(crate) struct Asked {
    pub(crate) member: MemberName,
    pub(crate) what: What,
    pub(crate) source: String,
    pub(crate) occurred_at: Option<Timestamp>,
}

fn excluded(field: &'static str) -> FieldError {
    FieldError::new(reason::CONFLICTING_FIELDS, format!("must be empty with {field}"))
}

/// Reads an accrual.
pub(crate) fn accrual(fields: &Collector, request: &proto::PostAccrualRequest, now: Timestamp) -> Option<Asked> {
    fields.check("request_id", wire::request_id(&request.request_id));
    let member = fields.check("member", MemberName::parse(&request.member));
    let program = member.map(|member| member.parent());
    let source = fields.check("source", source(&request.source));
    let occurred_at = match &request.occurred_time {
        None => Some(None),
        Some(time) => fields.check("occurred_time", wire::occurred(Some(time), now)).map(Some),
    };
    let what = if request.rule.is_empty() {
        if request.money.is_some() {
            fields.push("money", reason::CONFLICTING_FIELDS, "must be empty without a rule");
        }
        let unit_type = unit_type_of(fields, "unit_type", &request.unit_type, program);
        let amount = fields.check("amount", positive(request.amount));
        unit_type.zip(amount).map(|(unit_type, amount)| What::Give { unit_type, amount })
    } else {
        if !request.unit_type.is_empty() {
            fields.check("unit_type", Err::<(), _>(excluded("rule")));
        }
        if request.amount != 0 {
            fields.check("amount", Err::<(), _>(excluded("rule")));
        }
        if request.source.is_empty() {
            fields.push("source", reason::REQUIRED, "must be given with a rule");
        }
        let rule = rule_of(fields, "rule", &request.rule, program);
        let money = match &request.money {
            None => Some(None),
            Some(money) => fields.check("money", wire::money(money)).map(Some),
        };
        rule.zip(money).map(|(rule, money)| What::Earn { rule, money })
    };
    Some(Asked { member: member?, what: what?, source: source?, occurred_at: occurred_at? })
}

/// Reads a correction.
pub(crate) fn adjustment(fields: &Collector, request: &proto::AdjustBalanceRequest) -> Option<Asked> {
    fields.check("request_id", wire::request_id(&request.request_id));
    let member = fields.check("member", MemberName::parse(&request.member));
    let program = member.map(|member| member.parent());
    let unit_type = unit_type_of(fields, "unit_type", &request.unit_type, program);
    let amount = fields.check(
        "amount",
        match request.amount {
            0 => Err(FieldError::new(reason::OUT_OF_RANGE, "must not be 0")),
            amount => Ok(amount),
        },
    );
    let grounds = fields.check("reason", grounds(&request.reason));
    let source = fields.check("source", source(&request.source));
    let what = What::Adjust { unit_type: unit_type?, amount: amount?, grounds: grounds? };
    Some(Asked { member: member?, what, source: source?, occurred_at: None })
}

/// A posting for the wire, as it was when it was made.
pub(crate) fn to_transaction(member: MemberName, posted: &Posted, grounds: &str) -> proto::Transaction {
    let Posted { transaction, entry, lot, uses } = posted;
    proto::Transaction {
        name: TransactionName::new(*transaction).to_string(),
        member: member.to_string(),
        unit_type: UnitTypeName::new(member.parent(), entry.unit_type).to_string(),
        kind: i32::from(entry.kind.code()),
        amount: entry.change(),
        rule: rule(member.parent(), entry.rule),
        source: entry.source.clone(),
        occurred_time: Some(wire::to_timestamp(entry.effective_at)),
        recorded_time: Some(wire::to_timestamp(entry.recorded_at)),
        lot: lot.as_ref().map(|lot| to_lot(member, lot, entry.recorded_at)),
        entry: Some(to_entry(member, entry, grounds.to_owned())),
        uses: uses.iter().map(|one| to_use(member, one)).collect(),
    }
}

fn rule(program: ProgramName, rule: Option<Uuid>) -> String {
    rule.map(|rule| RuleName::new(program, rule).to_string()).unwrap_or_default()
}

fn lot_name(member: MemberName, lot: Uuid) -> String {
    format!("{member}/lots/{lot}")
}

fn to_use(member: MemberName, one: &Use) -> proto::LotUse {
    proto::LotUse { lot: lot_name(member, one.lot), amount: one.amount }
}

/// An entry for the wire.
pub(crate) fn to_entry(member: MemberName, entry: &Entry, grounds: String) -> proto::Entry {
    proto::Entry {
        name: format!("{member}/entries/{}", entry.sequence),
        unit_type: UnitTypeName::new(member.parent(), entry.unit_type).to_string(),
        kind: i32::from(entry.kind.code()),
        transaction: entry.transaction.map(|id| TransactionName::new(id).to_string()).unwrap_or_default(),
        legs: entry
            .legs()
            .iter()
            .map(|(account, amount)| proto::Leg { account: i32::from(account.code()), amount: *amount })
            .collect(),
        previous_balance: entry.previous,
        new_balance: entry.next,
        rule: rule(member.parent(), entry.rule),
        source: entry.source.clone(),
        effective_time: Some(wire::to_timestamp(entry.effective_at)),
        recorded_time: Some(wire::to_timestamp(entry.recorded_at)),
        reason: grounds,
    }
}

/// A lot for the wire, as it stands at a time.
pub(crate) fn to_lot(member: MemberName, lot: &Lot, at: Timestamp) -> proto::Lot {
    let state = lot.state(at);
    proto::Lot {
        name: lot_name(member, lot.id),
        unit_type: UnitTypeName::new(member.parent(), lot.unit_type).to_string(),
        state: i32::from(state.code()),
        amount: lot.amount,
        remaining: if state == LotState::Expired { 0 } else { lot.remaining },
        earned_time: Some(wire::to_timestamp(lot.earned_at)),
        available_time: Some(wire::to_timestamp(lot.available_at)),
        expire_time: (lot.expires_at < Timestamp::MAX).then(|| wire::to_timestamp(lot.expires_at)),
        recorded_time: Some(wire::to_timestamp(lot.recorded_at)),
    }
}

/// A balance for the wire.
pub(crate) fn to_balance(program: ProgramName, unit: Uuid, balance: &Balance) -> proto::Balance {
    proto::Balance {
        unit_type: UnitTypeName::new(program, unit).to_string(),
        available: balance.available,
        pending: balance.pending,
        expiring: balance.expiring,
        next_expire_time: balance.next_expires_at.map(wire::to_timestamp),
    }
}
