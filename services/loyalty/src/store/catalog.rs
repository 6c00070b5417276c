//! Programmes and what belongs to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rapport_store::sea_orm::{ConnectionTrait, DbErr, QueryResult};
use rapport_store::{Rows, Sql};
use rapport_types::money::Money;
use rapport_types::{TenantId, Timestamp, Uuid};

use super::{MOST_KEYS, corrupt, key_of, key_values, time};
use crate::domain::{
    Award, Catalog, Expiry, ExpiryKind, Key, Ladder, Program, ProgramState, Rounding, Rule, Slug, Tier, TierWindow,
    Trigger, TriggerKind, UnitKind, UnitType, Zone,
};

const PROGRAM: &[&str] =
    &["tenant", "id", "display_name", "time_zone", "tier_window", "state", "version", "recorded_at", "published_at"];

const UNIT: &[&str] = &[
    "tenant",
    "program_id",
    "id",
    "display_name",
    "kind",
    "minor_digits",
    "expiry_kind",
    "expiry_count",
    "pending_days",
    "recorded_at",
];

const RULE: &[&str] = &[
    "tenant",
    "program_id",
    "id",
    "unit_type_id",
    "display_name",
    "trigger_kind",
    "trigger_word",
    "units",
    "per_units",
    "per_nanos",
    "per_currency",
    "rounding",
    "max_units",
    "recorded_at",
];

const TIER: &[&str] =
    &["tenant", "program_id", "id", "unit_type_id", "display_name", "entry_threshold", "keep_threshold", "recorded_at"];

/// What is added to programmes.
#[derive(Default)]
pub(crate) struct Additions {
    pub(crate) programs: Vec<(TenantId, Program)>,
    pub(crate) units: Vec<(TenantId, UnitType)>,
    pub(crate) rules: Vec<(TenantId, Rule)>,
    pub(crate) tiers: Vec<(TenantId, Tier)>,
}

/// Writes new programmes, unit types, rules and tiers.
pub(crate) async fn catalog_insert(db: &impl ConnectionTrait, new: Additions) -> Result<(), DbErr> {
    let mut programs = Rows::new("program", PROGRAM);
    for (tenant, program) in new.programs {
        programs.push([
            tenant.as_str().into(),
            program.id.into(),
            program.display_name.into(),
            program.zone.name().into(),
            program.tier_window.code().into(),
            program.state.code().into(),
            program.version.into(),
            program.recorded_at.as_micros().into(),
            program.published_at.map(Timestamp::as_micros).into(),
        ]);
    }
    programs.insert(db).await?;
    let mut units = Rows::new("unit_type", UNIT);
    for (tenant, unit) in new.units {
        units.push([
            tenant.as_str().into(),
            unit.program.into(),
            unit.id.into(),
            unit.display_name.into(),
            unit.kind.code().into(),
            unit.minor_digits.into(),
            unit.expiry.kind.code().into(),
            unit.expiry.count.into(),
            unit.pending_days.into(),
            unit.recorded_at.as_micros().into(),
        ]);
    }
    units.insert(db).await?;
    let mut rules = Rows::new("earning_rule", RULE);
    for (tenant, rule) in new.rules {
        let (units, amount, rounding) = match rule.award {
            Award::Fixed(units) => (units, None, None),
            Award::PerAmount { units, amount, rounding } => (units, Some(amount), Some(rounding)),
        };
        rules.push([
            tenant.as_str().into(),
            rule.program.into(),
            rule.id.into(),
            rule.unit_type.into(),
            rule.display_name.into(),
            rule.trigger.kind().code().into(),
            rule.trigger.word().into(),
            units.into(),
            amount.map(Money::units).into(),
            amount.map(Money::nanos).into(),
            amount.map(|money| money.currency().to_string()).into(),
            rounding.map(Rounding::code).into(),
            rule.max_units.into(),
            rule.recorded_at.as_micros().into(),
        ]);
    }
    rules.insert(db).await?;
    let mut tiers = Rows::new("tier", TIER);
    for (tenant, tier) in new.tiers {
        tiers.push([
            tenant.as_str().into(),
            tier.program.into(),
            tier.id.into(),
            tier.unit_type.into(),
            tier.display_name.into(),
            tier.entry.into(),
            tier.keep.into(),
            tier.recorded_at.as_micros().into(),
        ]);
    }
    tiers.insert(db).await?;
    Ok(())
}

/// Writes what became of programmes.
pub(crate) async fn program_update(
    db: &impl ConnectionTrait,
    changed: impl IntoIterator<Item = (&TenantId, &Program)>,
) -> Result<(), DbErr> {
    let mut rows = Rows::new("program", &["tenant", "id", "state", "version", "published_at"]);
    for (tenant, program) in changed {
        rows.push([
            tenant.as_str().into(),
            program.id.into(),
            program.state.code().into(),
            program.version.into(),
            program.published_at.map(Timestamp::as_micros).into(),
        ]);
    }
    rows.update_by(db, &["tenant", "id"]).await?;
    Ok(())
}

/// The programmes with these ids and all that belongs to them; unknown ones are left out.
pub(crate) async fn catalog_find(
    db: &impl ConnectionTrait,
    wanted: &BTreeSet<Key>,
) -> Result<HashMap<Key, Catalog>, DbErr> {
    let mut found = HashMap::new();
    let wanted: Vec<&Key> = wanted.iter().collect();
    for keys in wanted.chunks(MOST_KEYS) {
        let of = |table: &str, columns: &[&str], key: &'static str| {
            Sql::new(db, &format!("SELECT {} FROM {table} WHERE ", columns.join(", ")))
                .in_rows(&["tenant", key], key_values(keys))
        };
        for row in of("program", PROGRAM, "id").all(db).await? {
            let program = program(&row)?;
            let ladder = Ladder::new(program.tier_window, Vec::new());
            let catalog = Catalog { program, units: BTreeMap::new(), rules: BTreeMap::new(), ladder };
            found.insert(key_of(&row, "id")?, catalog);
        }
        for row in of("unit_type", UNIT, "program_id").all(db).await? {
            if let Some(catalog) = found.get_mut(&key_of(&row, "program_id")?) {
                let unit = unit(&row)?;
                catalog.units.insert(unit.id, unit);
            }
        }
        for row in of("earning_rule", RULE, "program_id").all(db).await? {
            if let Some(catalog) = found.get_mut(&key_of(&row, "program_id")?) {
                let rule = rule(&row)?;
                catalog.rules.insert(rule.id, rule);
            }
        }
        let mut tiers: HashMap<Key, Vec<Tier>> = HashMap::new();
        for row in of("tier", TIER, "program_id").all(db).await? {
            tiers.entry(key_of(&row, "program_id")?).or_default().push(tier(&row)?);
        }
        for (key, tiers) in tiers {
            if let Some(catalog) = found.get_mut(&key) {
                catalog.ladder = Ladder::new(catalog.program.tier_window, tiers);
            }
        }
    }
    Ok(found)
}

/// Programmes by id, which is the order in which they were made.
pub(crate) async fn program_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Vec<Program>, DbErr> {
    let mut sql =
        Sql::new(db, &format!("SELECT {} FROM program WHERE tenant = ", PROGRAM.join(", "))).bind(tenant.as_str());
    if let Some(after) = after {
        sql = sql.text(" AND id > ").bind(after);
    }
    let rows = sql.text(" ORDER BY id").limit(limit).all(db).await?;
    rows.iter().map(program).collect()
}

fn program(row: &QueryResult) -> Result<Program, DbErr> {
    let zone: String = row.try_get("", "time_zone")?;
    Ok(Program {
        id: row.try_get("", "id")?,
        display_name: row.try_get("", "display_name")?,
        zone: Zone::parse(&zone).map_err(|_| corrupt("program.time_zone"))?,
        tier_window: coded(row, "tier_window", TierWindow::from_code)?,
        state: coded(row, "state", ProgramState::from_code)?,
        version: row.try_get("", "version")?,
        recorded_at: time(row, "recorded_at")?,
        published_at: row.try_get::<Option<i64>>("", "published_at")?.map(Timestamp::from_micros),
    })
}

fn unit(row: &QueryResult) -> Result<UnitType, DbErr> {
    Ok(UnitType {
        id: row.try_get("", "id")?,
        program: row.try_get("", "program_id")?,
        display_name: row.try_get("", "display_name")?,
        kind: coded(row, "kind", UnitKind::from_code)?,
        minor_digits: row.try_get("", "minor_digits")?,
        expiry: Expiry {
            kind: coded(row, "expiry_kind", ExpiryKind::from_code)?,
            count: row.try_get("", "expiry_count")?,
        },
        pending_days: row.try_get("", "pending_days")?,
        recorded_at: time(row, "recorded_at")?,
    })
}

fn rule(row: &QueryResult) -> Result<Rule, DbErr> {
    let word: String = row.try_get("", "trigger_word")?;
    let slug = || Slug::parse(&word).map_err(|_| corrupt("earning_rule.trigger_word"));
    let trigger = match coded(row, "trigger_kind", TriggerKind::from_code)? {
        TriggerKind::Interaction => Trigger::Interaction(slug()?),
        TriggerKind::SurveyResponse if word.is_empty() => Trigger::Survey(None),
        TriggerKind::SurveyResponse => Trigger::Survey(Some(slug()?)),
        TriggerKind::Manual => Trigger::Manual,
    };
    let units: i64 = row.try_get("", "units")?;
    let award = match row.try_get::<Option<i64>>("", "per_units")? {
        None => Award::Fixed(units),
        Some(whole) => {
            let nanos: i32 = row.try_get("", "per_nanos")?;
            let currency: String = row.try_get("", "per_currency")?;
            let amount = Money::parse(whole, nanos, &currency).map_err(|_| corrupt("earning_rule.per_units"))?;
            Award::PerAmount { units, amount, rounding: coded(row, "rounding", Rounding::from_code)? }
        }
    };
    Ok(Rule {
        id: row.try_get("", "id")?,
        program: row.try_get("", "program_id")?,
        unit_type: row.try_get("", "unit_type_id")?,
        display_name: row.try_get("", "display_name")?,
        trigger,
        award,
        max_units: row.try_get("", "max_units")?,
        recorded_at: time(row, "recorded_at")?,
    })
}

fn tier(row: &QueryResult) -> Result<Tier, DbErr> {
    Ok(Tier {
        id: row.try_get("", "id")?,
        program: row.try_get("", "program_id")?,
        unit_type: row.try_get("", "unit_type_id")?,
        display_name: row.try_get("", "display_name")?,
        entry: row.try_get("", "entry_threshold")?,
        keep: row.try_get("", "keep_threshold")?,
        recorded_at: time(row, "recorded_at")?,
    })
}

/// The value of an enum's column.
pub(super) fn coded<T>(row: &QueryResult, column: &str, of: impl Fn(i64) -> Option<T>) -> Result<T, DbErr> {
    let code: i16 = row.try_get("", column)?;
    of(i64::from(code)).ok_or_else(|| corrupt(column))
}
