use std::collections::{HashMap, HashSet};

use rapport_store::sea_orm::{ConnectionTrait, DbErr, Value};
use rapport_store::{Rows, Sql, Tx};
use rapport_types::{TenantId, Uuid};

use super::InteractionRow;
use super::interaction::{COLUMNS, PARTICIPANT};

/// The columns of `interaction_version`: those of `interaction`, and until when the version was in force.
static PAST: [&str; 22] = with("superseded_at");
/// The columns of `interaction` with the one that a first record leaves to its default.
static PRESENT: [&str; 22] = with("retracted");

const PARTICIPANT_PAST: &[&str] = &[
    "tenant",
    "origin",
    "occurred_at",
    "interaction_id",
    "ordinal",
    "recorded_at",
    "role_type",
    "function",
    "version",
    "superseded_at",
];
const PARTICIPANT_PRESENT: &[&str] = &[
    "tenant",
    "origin",
    "occurred_at",
    "interaction_id",
    "ordinal",
    "recorded_at",
    "role_type",
    "function",
    "retracted",
];

/// The columns of an interaction, and one more.
const fn with(last: &'static str) -> [&'static str; 22] {
    let mut all = [last; 22];
    let mut at = 0;
    while at < COLUMNS.len() {
        all[at] = COLUMNS[at];
        at += 1;
    }
    all
}

/// The values of a row, and some more.
fn and<const N: usize, const M: usize>(cells: [Value; N], more: &[Value]) -> [Value; M] {
    let mut all = cells.into_iter().chain(more.iter().cloned());
    std::array::from_fn(|_| all.next().unwrap_or(Value::Bool(None)))
}

/// A version that takes the place of another.
pub(crate) struct Revised {
    /// Whose it is.
    pub(crate) tenant: TenantId,
    /// What was in force.
    pub(crate) before: InteractionRow,
    /// What is in force from now on.
    pub(crate) after: InteractionRow,
}

/// Puts versions aside and others in their place, in their order; one interaction may change more than once.
///
/// The timeline's index holds what is in force: its rows go where the interaction now stands in time.
pub(crate) async fn version_replace(tx: &Tx, revised: &[Revised]) -> Result<(), DbErr> {
    put_aside(tx, revised).await?;
    // What was in force before all of it, and what is after.
    let mut ends: HashMap<(&TenantId, Uuid), (&InteractionRow, &InteractionRow)> = HashMap::new();
    for Revised { tenant, before, after } in revised {
        ends.entry((tenant, before.id)).and_modify(|(_, last)| *last = after).or_insert((before, after));
    }
    let mut rows = Rows::new("interaction", &PRESENT);
    let mut index = Rows::new("interaction_participant", PARTICIPANT_PRESENT);
    let mut gone = Vec::new();
    for ((tenant, _), (first, last)) in ends {
        rows.push::<22>(and(last.cells(tenant), &[last.retracted.into()]));
        for ordinal in 0..first.detail.participants.len() {
            let [tenant, origin, occurred_at, id, ..] = participant(tenant, first, ordinal);
            gone.extend([tenant, origin, occurred_at, id]);
        }
        for ordinal in 0..last.detail.participants.len() {
            index.push::<9>(and(participant(tenant, last, ordinal), &[last.retracted.into()]));
        }
    }
    rows.update_by(tx.db(), &["tenant", "id"]).await?;
    for gone in gone.chunks(4 * 1_000) {
        Sql::new(tx.db(), "DELETE FROM interaction_participant WHERE ")
            .in_rows(&["tenant", "origin", "occurred_at", "interaction_id"], gone.to_vec())
            .execute(tx.db())
            .await?;
    }
    index.insert(tx.db()).await?;
    Ok(())
}

/// Writes first versions at once, for transactions in which another one may follow.
pub(crate) async fn version_first(tx: &Tx, rows: &[(TenantId, InteractionRow)]) -> Result<(), DbErr> {
    let mut interactions = Rows::new("interaction", COLUMNS);
    let mut index = Rows::new("interaction_participant", PARTICIPANT);
    for (tenant, row) in rows {
        interactions.push(row.cells(tenant));
        for ordinal in 0..row.detail.participants.len() {
            index.push(participant(tenant, row, ordinal));
        }
    }
    interactions.insert(tx.db()).await?;
    index.insert(tx.db()).await?;
    Ok(())
}

/// Keeps what is no longer in force.
async fn put_aside(tx: &Tx, revised: &[Revised]) -> Result<(), DbErr> {
    let mut versions = Rows::new("interaction_version", &PAST);
    let mut participants = Rows::new("participant_version", PARTICIPANT_PAST);
    for Revised { tenant, before, after } in revised {
        let superseded_at = Value::from(after.recorded_at.as_micros());
        versions.push::<22>(and(before.cells(tenant), std::slice::from_ref(&superseded_at)));
        for ordinal in 0..before.detail.participants.len() {
            let more = [before.version.into(), superseded_at.clone()];
            participants.push::<10>(and(participant(tenant, before, ordinal), &more));
        }
    }
    versions.insert(tx.db()).await?;
    participants.insert(tx.db()).await?;
    Ok(())
}

/// What the timeline's index holds of a participant.
fn participant(tenant: &TenantId, row: &InteractionRow, ordinal: usize) -> [Value; 8] {
    let stored = row.detail.participants.get(ordinal);
    [
        tenant.as_str().into(),
        stored.map(|one| one.origin()).unwrap_or_default().into(),
        row.occurred_at.as_micros().into(),
        row.id.into(),
        i16::try_from(ordinal).unwrap_or(i16::MAX).into(),
        row.recorded_at.as_micros().into(),
        stored.map_or("", |one| one.role_type.as_str()).into(),
        stored.map_or(0, |one| i16::try_from(one.function).unwrap_or_default()).into(),
    ]
}

/// The interactions with these names in the versions that are in force; unknown ones are left out.
pub(crate) async fn interaction_stand(
    db: &impl ConnectionTrait,
    wanted: &HashSet<(TenantId, Uuid)>,
) -> Result<HashMap<(TenantId, Uuid), InteractionRow>, DbErr> {
    let mut by_tenant: HashMap<&TenantId, Vec<Uuid>> = HashMap::new();
    for (tenant, id) in wanted {
        by_tenant.entry(tenant).or_default().push(*id);
    }
    let mut found = HashMap::new();
    for (tenant, ids) in by_tenant {
        for ids in ids.chunks(1_000) {
            let rows = super::interaction_find(db, tenant, ids).await?;
            found.extend(rows.into_iter().map(|row| ((tenant.clone(), row.id), row)));
        }
    }
    Ok(found)
}

/// Versions that are no longer in force, by id and version, in no order; unknown ones are left out. At most 1,000.
pub(crate) async fn version_find(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    wanted: &[(Uuid, i64)],
) -> Result<Vec<InteractionRow>, DbErr> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let select = format!("SELECT {} FROM interaction_version AS i WHERE i.tenant = ", InteractionRow::selection());
    let names = wanted.iter().flat_map(|(id, version)| [Value::from(*id), Value::from(*version)]).collect();
    let rows =
        Sql::new(db, &select).bind(tenant.as_str()).text(" AND ").in_rows(&["id", "version"], names).all(db).await?;
    rows.iter().map(InteractionRow::read).collect()
}
