//! Programmes, unit types, rules, tiers and members.

use rapport_proto::loyalty::v1 as proto;
use rapport_rpc::wire;
use rapport_types::error::{Collector, FieldError};
use rapport_types::etag::Etag;
use rapport_types::{Timestamp, Uuid, reason};

use crate::domain::{
    Award, Catalog, Expiry, ExpiryKind, Member, MemberName, PartyName, Program, ProgramName, ProgramState, Rounding,
    Rule, RuleName, Slug, Tier, TierName, TierWindow, Trigger, TriggerKind, UnitKind, UnitType, UnitTypeName, Zone,
    display_name, not_negative, positive, within,
};

/// A code where 0 stands for a value of its own.
fn or<T>(
    fields: &Collector,
    field: &str,
    code: i32,
    zero: T,
    parse: impl Fn(i32) -> Result<T, FieldError>,
) -> Option<T> {
    if code == 0 { Some(zero) } else { fields.check(field, parse(code)) }
}

/// A slug that may be empty.
fn slug(fields: &Collector, field: &str, text: &str) -> Option<Option<Slug>> {
    if text.is_empty() { Some(None) } else { fields.check(field, Slug::parse(text)).map(Some) }
}

/// What must not be set with what is.
fn excluded() -> FieldError {
    FieldError::new(reason::CONFLICTING_FIELDS, "must be empty for this kind")
}

/// The parent of a name that must lie within `program`.
fn inside(program: Option<ProgramName>, parent: ProgramName) -> Result<(), FieldError> {
    match program {
        Some(program) if program != parent => {
            Err(FieldError::new(reason::CONFLICTING_FIELDS, "must be one of the same programme"))
        }
        _ => Ok(()),
    }
}

/// Reads the name of a unit type that must lie within a programme.
pub(crate) fn unit_type_of(fields: &Collector, field: &str, text: &str, program: Option<ProgramName>) -> Option<Uuid> {
    let name = fields.check(field, UnitTypeName::parse(text))?;
    fields.check(field, inside(program, name.parent()))?;
    Some(name.uuid())
}

/// Reads the name of a rule that must lie within a programme.
pub(crate) fn rule_of(fields: &Collector, field: &str, text: &str, program: Option<ProgramName>) -> Option<Uuid> {
    let name = fields.check(field, RuleName::parse(text))?;
    fields.check(field, inside(program, name.parent()))?;
    Some(name.uuid())
}

/// Reads a programme that is to be made.
pub(crate) fn program(fields: &Collector, id: Uuid, message: &proto::Program) -> Option<Program> {
    let name = fields.check("display_name", display_name(&message.display_name));
    let zone = fields.check("time_zone", Zone::parse(&message.time_zone));
    let window = or(fields, "tier_window", message.tier_window, TierWindow::Year, TierWindow::parse);
    Some(Program {
        id,
        display_name: name?,
        zone: zone?,
        tier_window: window?,
        state: ProgramState::Draft,
        version: 1,
        recorded_at: Timestamp::EPOCH,
        published_at: None,
    })
}

/// Reads a unit type that is to be made.
pub(crate) fn unit_type(
    fields: &Collector,
    id: Uuid,
    program: Option<ProgramName>,
    message: &proto::UnitType,
) -> Option<UnitType> {
    let name = fields.check("display_name", display_name(&message.display_name));
    let kind = fields.check("kind", UnitKind::parse(message.kind));
    let digits = fields.check("minor_digits", within(message.minor_digits, 0, 9));
    let expiry = match &message.expiry {
        None => Some(Expiry::NEVER),
        Some(expiry) => {
            let fields = fields.at("expiry");
            let kind = fields.check("kind", ExpiryKind::parse(expiry.kind));
            let count = kind.and_then(|kind| fields.check("count", Expiry::count(kind, expiry.count)));
            kind.zip(count).map(|(kind, count)| Expiry { kind, count })
        }
    };
    let pending = fields.check(
        "pending_days",
        match expiry {
            Some(expiry) => UnitType::pending_days(message.pending_days, expiry),
            None => within(message.pending_days, 0, 3660),
        },
    );
    Some(UnitType {
        id,
        program: program?.uuid(),
        display_name: name?,
        kind: kind?,
        minor_digits: digits?,
        expiry: expiry?,
        pending_days: pending?,
        recorded_at: Timestamp::EPOCH,
    })
}

/// Reads a rule that is to be made.
pub(crate) fn rule(
    fields: &Collector,
    id: Uuid,
    program: Option<ProgramName>,
    message: &proto::EarningRule,
) -> Option<Rule> {
    let name = fields.check("display_name", display_name(&message.display_name));
    let unit_type = unit_type_of(fields, "unit_type", &message.unit_type, program);
    let trigger = fields.required("trigger", message.trigger.as_ref());
    let trigger = trigger.and_then(|message| self::trigger(&fields.at("trigger"), message));
    let award = match &message.award {
        None => fields.check("award", Err(FieldError::required())),
        Some(proto::earning_rule::Award::FixedUnits(units)) => {
            fields.check("fixed_units", positive(*units)).map(Award::Fixed)
        }
        Some(proto::earning_rule::Award::PerAmount(message)) => per_amount(&fields.at("per_amount"), message),
    };
    let max_units = fields.check("max_units", not_negative(message.max_units));
    Some(Rule {
        id,
        program: program?.uuid(),
        unit_type: unit_type?,
        display_name: name?,
        trigger: trigger?,
        award: award?,
        max_units: max_units?,
        recorded_at: Timestamp::EPOCH,
    })
}

fn trigger(fields: &Collector, message: &proto::EarningTrigger) -> Option<Trigger> {
    let kind = fields.check("kind", TriggerKind::parse(message.kind))?;
    let empty = |field: &str, text: &str| fields.check(field, if text.is_empty() { Ok(()) } else { Err(excluded()) });
    match kind {
        TriggerKind::Interaction => {
            let none = empty("survey_category", &message.survey_category);
            let word = fields.check("interaction_kind", Slug::parse(&message.interaction_kind));
            none.and(word).map(Trigger::Interaction)
        }
        TriggerKind::SurveyResponse => {
            let none = empty("interaction_kind", &message.interaction_kind);
            let word = slug(fields, "survey_category", &message.survey_category);
            none.and(word).map(Trigger::Survey)
        }
        TriggerKind::Manual => {
            let none = empty("interaction_kind", &message.interaction_kind);
            none.and(empty("survey_category", &message.survey_category)).map(|()| Trigger::Manual)
        }
    }
}

fn per_amount(fields: &Collector, message: &proto::UnitsPerAmount) -> Option<Award> {
    let units = fields.check("units", positive(message.units));
    let amount = fields
        .required("amount", message.amount.as_ref())
        .and_then(|money| fields.check("amount", wire::money(money).and_then(Rule::amount)));
    let rounding = or(fields, "rounding", message.rounding, Rounding::Down, Rounding::parse);
    Some(Award::PerAmount { units: units?, amount: amount?, rounding: rounding? })
}

/// Reads a tier that is to be made.
pub(crate) fn tier(fields: &Collector, id: Uuid, program: Option<ProgramName>, message: &proto::Tier) -> Option<Tier> {
    let name = fields.check("display_name", display_name(&message.display_name));
    let unit_type = unit_type_of(fields, "unit_type", &message.unit_type, program);
    let entry = fields.check("entry_threshold", positive(message.entry_threshold));
    let keep = fields.check(
        "keep_threshold",
        match entry {
            Some(entry) => Tier::keep(message.keep_threshold, entry),
            None => not_negative(message.keep_threshold),
        },
    );
    Some(Tier {
        id,
        program: program?.uuid(),
        unit_type: unit_type?,
        display_name: name?,
        entry: entry?,
        keep: keep?,
        recorded_at: Timestamp::EPOCH,
    })
}

/// Reads a member that is to be enrolled.
pub(crate) fn member(
    fields: &Collector,
    id: Uuid,
    program: Option<ProgramName>,
    message: &proto::Member,
    now: Timestamp,
) -> Option<Member> {
    let party = fields.check("party", PartyName::parse(&message.party));
    let role_type = slug(fields, "role_type", &message.role_type);
    let number = fields.check("number", Member::number(&message.number));
    let joined_at = fields.check("joined_time", wire::occurred(message.joined_time.as_ref(), now));
    Some(Member {
        id,
        program: program?.uuid(),
        party: party?.uuid(),
        role_type: role_type?,
        number: number?.unwrap_or_else(|| Member::number_of(id)),
        joined_at: joined_at?,
        recorded_at: Timestamp::EPOCH,
    })
}

/// A programme for the wire.
pub(crate) fn to_program(program: &Program) -> proto::Program {
    proto::Program {
        name: ProgramName::new(program.id).to_string(),
        display_name: program.display_name.clone(),
        time_zone: program.zone.name().to_owned(),
        tier_window: i32::from(program.tier_window.code()),
        state: i32::from(program.state.code()),
        version: program.version,
        recorded_time: Some(wire::to_timestamp(program.recorded_at)),
        published_time: program.published_at.map(wire::to_timestamp),
        etag: Etag::of(program.version).to_string(),
    }
}

/// A unit type for the wire.
pub(crate) fn to_unit_type(unit: &UnitType) -> proto::UnitType {
    proto::UnitType {
        name: UnitTypeName::new(ProgramName::new(unit.program), unit.id).to_string(),
        display_name: unit.display_name.clone(),
        kind: i32::from(unit.kind.code()),
        minor_digits: unit.minor_digits,
        expiry: (unit.expiry != Expiry::NEVER)
            .then(|| proto::Expiry { kind: i32::from(unit.expiry.kind.code()), count: unit.expiry.count }),
        pending_days: unit.pending_days,
        recorded_time: Some(wire::to_timestamp(unit.recorded_at)),
    }
}

/// A rule for the wire.
pub(crate) fn to_rule(rule: &Rule) -> proto::EarningRule {
    let program = ProgramName::new(rule.program);
    let word = rule.trigger.word().to_owned();
    let (interaction_kind, survey_category) = match rule.trigger {
        Trigger::Interaction(_) => (word, String::new()),
        Trigger::Survey(_) | Trigger::Manual => (String::new(), word),
    };
    proto::EarningRule {
        name: RuleName::new(program, rule.id).to_string(),
        display_name: rule.display_name.clone(),
        unit_type: UnitTypeName::new(program, rule.unit_type).to_string(),
        trigger: Some(proto::EarningTrigger {
            kind: i32::from(rule.trigger.kind().code()),
            interaction_kind,
            survey_category,
        }),
        award: Some(match rule.award {
            Award::Fixed(units) => proto::earning_rule::Award::FixedUnits(units),
            Award::PerAmount { units, amount, rounding } => {
                proto::earning_rule::Award::PerAmount(proto::UnitsPerAmount {
                    units,
                    amount: Some(wire::to_money(amount)),
                    rounding: i32::from(rounding.code()),
                })
            }
        }),
        max_units: rule.max_units,
        recorded_time: Some(wire::to_timestamp(rule.recorded_at)),
    }
}

/// A tier for the wire.
pub(crate) fn to_tier(tier: &Tier) -> proto::Tier {
    let program = ProgramName::new(tier.program);
    proto::Tier {
        name: TierName::new(program, tier.id).to_string(),
        display_name: tier.display_name.clone(),
        unit_type: UnitTypeName::new(program, tier.unit_type).to_string(),
        entry_threshold: tier.entry,
        keep_threshold: tier.keep,
        recorded_time: Some(wire::to_timestamp(tier.recorded_at)),
    }
}

/// Where a member stands, for the wire.
pub(crate) fn to_status(
    member: MemberName,
    catalog: &Catalog,
    standing: &crate::domain::Standing,
    as_of: Timestamp,
) -> proto::TierStatus {
    let tier = |place| catalog.ladder.tier(place).map(to_tier);
    let zone = &catalog.program.zone;
    proto::TierStatus {
        member: member.to_string(),
        current: tier(standing.current),
        next: tier(standing.next),
        window_units: standing.units,
        window_start_time: Some(wire::to_timestamp(zone.month_start(standing.window.0))),
        window_end_time: Some(wire::to_timestamp(zone.month_start(standing.window.1))),
        units_to_next: standing.to_next,
        units_to_keep: standing.to_keep,
        projected: tier(standing.projected),
        downgrade_ahead: standing.projected != standing.current,
        as_of: Some(wire::to_timestamp(as_of)),
    }
}

/// A member for the wire.
pub(crate) fn to_member(member: &Member) -> proto::Member {
    proto::Member {
        name: MemberName::new(ProgramName::new(member.program), member.id).to_string(),
        party: PartyName::new(member.party).to_string(),
        role_type: member.role_type.as_ref().map_or("", Slug::as_str).to_owned(),
        number: member.number.clone(),
        joined_time: Some(wire::to_timestamp(member.joined_at)),
        recorded_time: Some(wire::to_timestamp(member.recorded_at)),
    }
}
