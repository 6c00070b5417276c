use std::collections::{HashMap, HashSet};

use prost::Message;
use rapport_store::sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use rapport_store::{Rows, Sql, StoreError, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::Filter;
use super::by_time::ByTime;
use super::participant::Detail;
use super::sealing;
use crate::commands::Recorded;
use crate::domain::{Effort, NewInteraction, Origin, SurveyResponseName};

/// The columns of `interaction`, in the order in which rows are read and written; `retracted` comes last when read.
pub(super) const COLUMNS: &[&str] = &[
    "tenant",
    "id",
    "version",
    "supersedes",
    "kind",
    "medium",
    "online",
    "direction",
    "occurred_at",
    "recorded_at",
    "valence",
    "valence_method",
    "confidence",
    "effort",
    "amount_kind",
    "amount_units",
    "amount_nanos",
    "amount_currency",
    "subject",
    "detail",
    "sealed",
];

pub(super) const PARTICIPANT: &[&str] =
    &["tenant", "origin", "occurred_at", "interaction_id", "ordinal", "recorded_at", "role_type", "function"];

/// A recorded interaction.
#[derive(Clone, Debug)]
pub(crate) struct InteractionRow {
    pub(crate) id: Uuid,
    pub(crate) version: i64,
    pub(crate) supersedes: Option<Uuid>,
    pub(crate) kind: String,
    pub(crate) medium: i16,
    pub(crate) online: bool,
    pub(crate) direction: i16,
    pub(crate) occurred_at: Timestamp,
    pub(crate) recorded_at: Timestamp,
    /// Value, method, confidence.
    pub(crate) valence: Option<(f64, i16, f64)>,
    pub(crate) effort: Option<i16>,
    pub(crate) amount: Option<AmountColumns>,
    /// The origin under whose key `sealed` is.
    pub(crate) subject: Uuid,
    pub(crate) detail: Detail,
    pub(crate) sealed: Option<Vec<u8>>,
    /// It counts for nothing, from `recorded_at` on.
    pub(crate) retracted: bool,
}

/// Money as columns.
#[derive(Clone, Debug)]
pub(crate) struct AmountColumns {
    pub(crate) kind: i16,
    pub(crate) units: i64,
    pub(crate) nanos: i32,
    pub(crate) currency: String,
}

impl InteractionRow {
    /// The first version of an interaction, of which nothing is written yet.
    ///
    /// # Errors
    /// Precondition `ERASED`.
    pub(crate) fn first(
        tenant: &TenantId,
        id: Uuid,
        new: &NewInteraction,
        origins: &[Origin],
        recorded_at: Timestamp,
        keys: &SubjectKeys,
    ) -> Result<InteractionRow, Error> {
        let subject = origins.first().map(|origin| origin.id).unwrap_or_default();
        Ok(InteractionRow {
            id,
            version: 1,
            supersedes: None,
            kind: new.kind.to_string(),
            medium: new.channel.medium.code(),
            online: new.channel.online,
            direction: new.direction.code(),
            occurred_at: new.occurred_at,
            recorded_at,
            valence: new.valence.map(|valence| (valence.value, valence.method.code(), valence.confidence)),
            effort: new.effort.map(Effort::get),
            amount: new.amount.map(|amount| AmountColumns {
                kind: amount.kind.code(),
                units: amount.money.units(),
                nanos: amount.money.nanos(),
                currency: amount.money.currency().to_string(),
            }),
            subject,
            detail: Detail::of(tenant, new, origins, keys, None).map_err(sealing::decided)?,
            sealed: sealing::interaction_text(keys, tenant, subject, new).map_err(sealing::decided)?,
            retracted: false,
        })
    }

    /// The columns of a select, qualified with `i.`.
    pub(super) fn selection() -> String {
        let columns: Vec<String> = COLUMNS.iter().map(|column| format!("i.{column}")).collect();
        format!("{}, i.retracted", columns.join(", "))
    }

    /// The values of [`COLUMNS`].
    pub(super) fn cells(&self, tenant: &TenantId) -> [Value; 21] {
        let (valence, amount) = (self.valence, self.amount.as_ref());
        [
            tenant.as_str().into(),
            self.id.into(),
            self.version.into(),
            self.supersedes.into(),
            self.kind.as_str().into(),
            self.medium.into(),
            self.online.into(),
            self.direction.into(),
            self.occurred_at.as_micros().into(),
            self.recorded_at.as_micros().into(),
            valence.map(|(value, _, _)| value).into(),
            valence.map(|(_, method, _)| method).into(),
            valence.map(|(_, _, confidence)| confidence).into(),
            self.effort.into(),
            amount.map(|amount| amount.kind).into(),
            amount.map(|amount| amount.units).into(),
            amount.map(|amount| amount.nanos).into(),
            amount.map(|amount| amount.currency.clone()).into(),
            self.subject.into(),
            self.detail.encode_to_vec().into(),
            self.sealed.clone().into(),
        ]
    }

    /// A row of [`selection`](InteractionRow::selection).
    pub(super) fn read(row: &QueryResult) -> Result<InteractionRow, DbErr> {
        let valence: Option<f64> = row.try_get_by_index(10)?;
        let method: Option<i16> = row.try_get_by_index(11)?;
        let confidence: Option<f64> = row.try_get_by_index(12)?;
        let kind: Option<i16> = row.try_get_by_index(14)?;
        let amount = match kind {
            None => None,
            Some(kind) => Some(AmountColumns {
                kind,
                units: row.try_get_by_index(15)?,
                nanos: row.try_get_by_index(16)?,
                currency: row.try_get_by_index(17)?,
            }),
        };
        let detail: Vec<u8> = row.try_get_by_index(19)?;
        Ok(InteractionRow {
            id: row.try_get_by_index(1)?,
            version: row.try_get_by_index(2)?,
            supersedes: row.try_get_by_index(3)?,
            kind: row.try_get_by_index(4)?,
            medium: row.try_get_by_index(5)?,
            online: row.try_get_by_index(6)?,
            direction: row.try_get_by_index(7)?,
            occurred_at: Timestamp::from_micros(row.try_get_by_index(8)?),
            recorded_at: Timestamp::from_micros(row.try_get_by_index(9)?),
            valence: valence.map(|value| (value, method.unwrap_or_default(), confidence.unwrap_or(1.0))),
            effort: row.try_get_by_index(13)?,
            amount,
            subject: row.try_get_by_index(18)?,
            detail: Detail::decode(detail.as_slice())
                .map_err(|error| DbErr::Custom(format!("interaction.detail: {error}")))?,
            sealed: row.try_get_by_index(20)?,
            retracted: row.try_get_by_index(21)?,
        })
    }
}

/// Writes interactions and their participants at the end of the transaction.
pub(crate) async fn interaction_insert(tx: &Tx, recorded: &[Recorded], keys: &SubjectKeys) -> Result<(), StoreError> {
    interaction_insert_of(tx, recorded, keys, &HashMap::new()).await
}

/// As [`interaction_insert`], where some of the interactions are survey responses.
pub(crate) async fn interaction_insert_of(
    tx: &Tx,
    recorded: &[Recorded],
    keys: &SubjectKeys,
    responses: &HashMap<Uuid, SurveyResponseName>,
) -> Result<(), StoreError> {
    let mut interactions = Rows::new("interaction", COLUMNS);
    let mut participants = Rows::new("interaction_participant", PARTICIPANT);
    for Recorded { tenant, id, interaction, origins, recorded_at } in recorded {
        let subject = origins.first().map(|origin| origin.id).unwrap_or_default();
        let detail = Detail::of(tenant, interaction, origins, keys, responses.get(id).copied())?;
        let sealed = sealing::interaction_text(keys, tenant, subject, interaction)?;
        let (valence, amount) = (interaction.valence, interaction.amount);
        interactions.push([
            tenant.as_str().into(),
            (*id).into(),
            1i64.into(),
            Value::Uuid(None),
            interaction.kind.as_str().into(),
            interaction.channel.medium.code().into(),
            interaction.channel.online.into(),
            interaction.direction.code().into(),
            interaction.occurred_at.as_micros().into(),
            recorded_at.as_micros().into(),
            valence.map(|valence| valence.value).into(),
            valence.map(|valence| valence.method.code()).into(),
            valence.map(|valence| valence.confidence).into(),
            interaction.effort.map(crate::domain::Effort::get).into(),
            amount.map(|amount| amount.kind.code()).into(),
            amount.map(|amount| amount.money.units()).into(),
            amount.map(|amount| amount.money.nanos()).into(),
            amount.map(|amount| amount.money.currency().to_string()).into(),
            subject.into(),
            detail.encode_to_vec().into(),
            sealed.into(),
        ]);
        for (ordinal, (participant, origin)) in interaction.participants.iter().zip(origins).enumerate() {
            participants.push([
                tenant.as_str().into(),
                origin.id.into(),
                interaction.occurred_at.as_micros().into(),
                (*id).into(),
                i16::try_from(ordinal).unwrap_or(i16::MAX).into(),
                recorded_at.as_micros().into(),
                participant.role_type.as_ref().map_or("", |role_type| role_type.as_str()).into(),
                participant.function.code().into(),
            ]);
        }
    }
    tx.insert_last(interactions);
    tx.insert_last(participants);
    Ok(())
}

/// Those of the interactions that exist.
pub(crate) async fn interaction_known(
    db: &impl ConnectionTrait,
    wanted: &HashSet<(TenantId, Uuid)>,
) -> Result<HashSet<(TenantId, Uuid)>, DbErr> {
    let mut known = HashSet::new();
    let tenants: HashSet<&TenantId> = wanted.iter().map(|(tenant, _)| tenant).collect();
    for tenant in tenants {
        let ids: Vec<Value> = wanted.iter().filter(|(of, _)| of == tenant).map(|(_, id)| Value::from(*id)).collect();
        for ids in ids.chunks(10_000) {
            let rows = Sql::new(db, "SELECT id FROM interaction WHERE tenant = ")
                .bind(tenant.as_str())
                .text(" AND ")
                .in_list("id", ids.to_vec())
                .all(db)
                .await?;
            for row in rows {
                known.insert((tenant.clone(), row.try_get_by_index(0)?));
            }
        }
    }
    Ok(known)
}

/// The interactions of a tenant with these ids, in no order; unknown ones are left out. At most 1,000.
pub(crate) async fn interaction_find(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    ids: &[Uuid],
) -> Result<Vec<InteractionRow>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let select = format!("SELECT {} FROM interaction AS i WHERE i.tenant = ", InteractionRow::selection());
    let rows = Sql::new(db, &select)
        .bind(tenant.as_str())
        .text(" AND ")
        .in_list("i.id", ids.iter().map(|id| Value::from(*id)).collect())
        .all(db)
        .await?;
    rows.iter().map(InteractionRow::read).collect()
}

/// A page of interactions.
pub(crate) struct ListPage<'a> {
    /// What is wanted.
    pub(crate) filter: &'a Filter,
    /// Those too that were retracted.
    pub(crate) include_retracted: bool,
    /// Which of them, by the time they occurred.
    pub(crate) by_occurrence: ByTime,
}

/// The interactions of a tenant by the time they occurred.
pub(crate) async fn interaction_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    page: &ListPage<'_>,
) -> Result<Vec<InteractionRow>, DbErr> {
    let select = format!("SELECT {} FROM interaction AS i WHERE i.tenant = ", InteractionRow::selection());
    let mut sql = Sql::new(db, &select).bind(tenant.as_str());
    if !page.include_retracted {
        sql = sql.text(" AND NOT i.retracted");
    }
    sql = page.filter.append(sql, " AND ");
    let rows = page.by_occurrence.append(sql, "i.occurred_at", "i.id").all(db).await?;
    rows.iter().map(InteractionRow::read).collect()
}
