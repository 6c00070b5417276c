//! What is published of programmes, members and their units.

use rapport_proto::loyalty::v1 as proto;
use rapport_rpc::wire;
use rapport_types::{Timestamp, Uuid};

use crate::domain::{
    Entry, Lot, Member, MemberName, PartyName, Program, ProgramName, RuleName, Slug, TierMove, TierName,
    TransactionName, UnitTypeName,
};

fn program(member: &Member) -> ProgramName {
    ProgramName::new(member.program)
}

fn name(member: &Member) -> String {
    MemberName::new(program(member), member.id).to_string()
}

fn party(member: &Member) -> String {
    PartyName::new(member.party).to_string()
}

fn unit_type(member: &Member, entry: &Entry) -> String {
    UnitTypeName::new(program(member), entry.unit_type).to_string()
}

fn transaction(entry: &Entry) -> String {
    entry.transaction.map(|id| TransactionName::new(id).to_string()).unwrap_or_default()
}

/// A programme was put in force.
pub(crate) fn program_published(program: &Program, now: Timestamp) -> proto::ProgramPublished {
    proto::ProgramPublished {
        program: ProgramName::new(program.id).to_string(),
        version: program.version,
        published_time: Some(wire::to_timestamp(now)),
    }
}

/// A party became a member.
pub(crate) fn member_enrolled(member: &Member) -> proto::MemberEnrolled {
    proto::MemberEnrolled {
        member: name(member),
        program: program(member).to_string(),
        party: party(member),
        role_type: member.role_type.as_ref().map_or("", Slug::as_str).to_owned(),
        occurred_time: Some(wire::to_timestamp(member.joined_at)),
        recorded_time: Some(wire::to_timestamp(member.recorded_at)),
    }
}

/// Units were earned.
pub(crate) fn accrual_posted(member: &Member, entry: &Entry, lot: &Lot) -> proto::AccrualPosted {
    proto::AccrualPosted {
        transaction: transaction(entry),
        member: name(member),
        party: party(member),
        unit_type: unit_type(member, entry),
        amount: entry.amount,
        rule: entry.rule.map(|rule| RuleName::new(program(member), rule).to_string()).unwrap_or_default(),
        source: entry.source.clone(),
        new_balance: entry.next,
        occurred_time: Some(wire::to_timestamp(entry.effective_at)),
        recorded_time: Some(wire::to_timestamp(entry.recorded_at)),
        available_time: Some(wire::to_timestamp(lot.available_at)),
        expire_time: (lot.expires_at < Timestamp::MAX).then(|| wire::to_timestamp(lot.expires_at)),
    }
}

/// A balance was corrected.
pub(crate) fn balance_adjusted(member: &Member, entry: &Entry) -> proto::BalanceAdjusted {
    proto::BalanceAdjusted {
        transaction: transaction(entry),
        member: name(member),
        party: party(member),
        unit_type: unit_type(member, entry),
        amount: entry.change(),
        source: entry.source.clone(),
        new_balance: entry.next,
        occurred_time: Some(wire::to_timestamp(entry.effective_at)),
        recorded_time: Some(wire::to_timestamp(entry.recorded_at)),
    }
}

/// An expiry was booked.
pub(crate) fn units_expired(member: &Member, entry: &Entry) -> proto::UnitsExpired {
    proto::UnitsExpired {
        member: name(member),
        party: party(member),
        unit_type: unit_type(member, entry),
        amount: entry.amount,
        new_balance: entry.next,
        effective_time: Some(wire::to_timestamp(entry.effective_at)),
        recorded_time: Some(wire::to_timestamp(entry.recorded_at)),
    }
}

/// A tier was left or reached.
pub(crate) fn tier_changed(member: &Member, tier: TierMove, now: Timestamp) -> proto::TierChanged {
    let tier_name =
        |tier: Option<Uuid>| tier.map(|id| TierName::new(program(member), id).to_string()).unwrap_or_default();
    proto::TierChanged {
        member: name(member),
        party: party(member),
        from_tier: tier_name(tier.from),
        to_tier: tier_name(tier.to),
        recorded_time: Some(wire::to_timestamp(now)),
    }
}
