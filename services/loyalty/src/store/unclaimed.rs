//! Facts that may still earn: those by origins that belong to nobody yet.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use rapport_store::sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use rapport_store::{Rows, Sql};
use rapport_types::{Money, TenantId, Timestamp, Uuid};

use super::alias::chunks;
use super::catalog::coded;
use super::{MOST_KEYS, corrupt, key_of, time};
use crate::domain::{Key, Slug, Trigger, TriggerKind};

/// A fact that would have earned, had anybody been known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UnclaimedRow {
    /// Whose data, and the origin.
    pub(crate) origin: Key,
    /// The fact's own name: with a rule, the key under which it earns once.
    pub(crate) source: String,
    /// The interaction under which it came: once that is retracted, it earns nothing.
    pub(crate) interaction: Uuid,
    /// What happened.
    pub(crate) trigger: Trigger,
    /// What was paid.
    pub(crate) money: Option<Money>,
    /// When.
    pub(crate) occurred_at: Timestamp,
}

/// What is kept of it beside its keys.
#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(int32, tag = "1")]
    trigger: i32,
    #[prost(string, tag = "2")]
    word: String,
    #[prost(int64, tag = "3")]
    units: i64,
    #[prost(int32, tag = "4")]
    nanos: i32,
    /// Empty where nothing was paid.
    #[prost(string, tag = "5")]
    currency: String,
}

/// The triggers of the rules that these tenants have, each with its word.
pub(crate) async fn rule_triggers(
    db: &impl ConnectionTrait,
    tenants: &BTreeSet<TenantId>,
) -> Result<BTreeMap<TenantId, Vec<Trigger>>, DbErr> {
    let mut found: BTreeMap<TenantId, Vec<Trigger>> = BTreeMap::new();
    let tenants: Vec<Value> = tenants.iter().map(|tenant| Value::from(tenant.as_str())).collect();
    for some in tenants.chunks(MOST_KEYS) {
        let rows = Sql::new(db, "SELECT DISTINCT tenant, trigger_kind, trigger_word FROM earning_rule WHERE ")
            .in_list("tenant", some.to_vec())
            .all(db)
            .await?;
        for row in &rows {
            let tenant: String = row.try_get("", "tenant")?;
            let tenant = TenantId::parse(&tenant).map_err(|_| corrupt("tenant"))?;
            let word: String = row.try_get("", "trigger_word")?;
            let slug = || Slug::parse(&word).map_err(|_| corrupt("earning_rule.trigger_word"));
            let trigger = match coded(row, "trigger_kind", TriggerKind::from_code)? {
                TriggerKind::Interaction => Trigger::Interaction(slug()?),
                TriggerKind::SurveyResponse if word.is_empty() => Trigger::Survey(None),
                TriggerKind::SurveyResponse => Trigger::Survey(Some(slug()?)),
                TriggerKind::Manual => continue,
            };
            found.entry(tenant).or_default().push(trigger);
        }
    }
    Ok(found)
}

/// Keeps facts; one that is there stays.
pub(crate) async fn unclaimed_insert(db: &impl ConnectionTrait, facts: &[UnclaimedRow]) -> Result<(), DbErr> {
    let mut rows = Rows::new("unclaimed", &["tenant", "origin", "source", "interaction_id", "occurred_at", "payload"]);
    for fact in facts {
        let payload = Payload {
            trigger: i32::from(fact.trigger.kind().code()),
            word: fact.trigger.word().to_owned(),
            units: fact.money.map_or(0, Money::units),
            nanos: fact.money.map_or(0, Money::nanos),
            currency: fact.money.map(|money| money.currency().to_string()).unwrap_or_default(),
        };
        rows.push([
            fact.origin.0.as_str().into(),
            fact.origin.1.into(),
            fact.source.as_str().into(),
            fact.interaction.into(),
            fact.occurred_at.as_micros().into(),
            payload.encode_to_vec().into(),
        ]);
    }
    rows.insert_with(db, "ON CONFLICT (tenant, origin, source) DO NOTHING").await.map(drop)
}

/// The facts of these origins, in the order in which they occurred.
pub(crate) async fn unclaimed_find(
    db: &impl ConnectionTrait,
    origins: &BTreeSet<Key>,
) -> Result<Vec<UnclaimedRow>, DbErr> {
    let mut found = Vec::new();
    for keys in chunks(origins) {
        let rows =
            Sql::new(db, "SELECT tenant, origin, source, interaction_id, occurred_at, payload FROM unclaimed WHERE ")
                .in_rows(&["tenant", "origin"], keys)
                .all(db)
                .await?;
        for row in &rows {
            found.push(read(row)?);
        }
    }
    found.sort_by(|one, other| (one.occurred_at, &one.source).cmp(&(other.occurred_at, &other.source)));
    Ok(found)
}

/// Forgets the facts of these origins: they belong to somebody now.
pub(crate) async fn unclaimed_claim(db: &impl ConnectionTrait, origins: &BTreeSet<Key>) -> Result<(), DbErr> {
    for keys in chunks(origins) {
        Sql::new(db, "DELETE FROM unclaimed WHERE ").in_rows(&["tenant", "origin"], keys).execute(db).await?;
    }
    Ok(())
}

/// Forgets the facts of interactions that no longer count.
pub(crate) async fn unclaimed_delete(db: &impl ConnectionTrait, interactions: &BTreeSet<Key>) -> Result<(), DbErr> {
    for keys in chunks(interactions) {
        Sql::new(db, "DELETE FROM unclaimed WHERE ").in_rows(&["tenant", "interaction_id"], keys).execute(db).await?;
    }
    Ok(())
}

fn read(row: &QueryResult) -> Result<UnclaimedRow, DbErr> {
    let bytes: Vec<u8> = row.try_get("", "payload")?;
    let wrong = || corrupt("unclaimed.payload");
    let payload = Payload::decode(bytes.as_slice()).map_err(|_| wrong())?;
    let word = || Slug::parse(&payload.word).map_err(|_| wrong());
    let trigger = match TriggerKind::from_code(i64::from(payload.trigger)).ok_or_else(wrong)? {
        TriggerKind::Interaction => Trigger::Interaction(word()?),
        TriggerKind::SurveyResponse => Trigger::Survey(Some(word()?)),
        TriggerKind::Manual => return Err(wrong()),
    };
    let money = match payload.currency.as_str() {
        "" => None,
        currency => Some(Money::parse(payload.units, payload.nanos, currency).map_err(|_| wrong())?),
    };
    Ok(UnclaimedRow {
        origin: key_of(row, "origin")?,
        source: row.try_get("", "source")?,
        interaction: row.try_get("", "interaction_id")?,
        trigger,
        money,
        occurred_at: time(row, "occurred_at")?,
    })
}
