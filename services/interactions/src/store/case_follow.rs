use std::collections::HashMap;

use rapport_store::sea_orm::{ConnectionTrait, DbBackend, DbErr, Value};
use rapport_store::{Rows, Sql, StoreError, SubjectKeys, Tx};
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::case_history::history_insert;
use super::sealing::{self, Sealing, subject};
use super::{CaseMove, CaseRow};
use crate::domain::{CaseStatus, MAX_LINKED};

/// A case that goes to another origin.
#[derive(Clone, Debug)]
pub(crate) struct Follow {
    /// The case as it is from now on.
    pub(crate) row: CaseRow,
    /// The origin that it was under.
    pub(crate) from: Uuid,
}

/// Writes whose cases are from now on, and the steps that say so. The notes of their histories go with them, sealed anew: whoever is erased is erased
/// with all that was noted of them.
pub(crate) async fn case_follow(
    tx: &Tx,
    cases: &[Follow],
    steps: &[CaseMove],
    keys: &SubjectKeys,
) -> Result<(), StoreError> {
    if cases.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new("case_file", &["tenant", "id", "version", "origin", "named", "sealed", "updated_at"]);
    let mut by_tenant: HashMap<&TenantId, Vec<&Follow>> = HashMap::new();
    for follow in cases {
        let row = &follow.row;
        rows.push([
            row.tenant.as_str().into(),
            row.id.into(),
            row.case.version.into(),
            row.origin.id.into(),
            row.named.into(),
            row.sealed.clone().into(),
            row.updated_at.as_micros().into(),
        ]);
        by_tenant.entry(&row.tenant).or_default().push(follow);
    }
    rows.update_by(tx.db(), &["tenant", "id"]).await?;
    let mut notes = Rows::new("case_event", &["tenant", "case_id", "version", "sealed"]);
    for (tenant, cases) in by_tenant {
        let ids = cases.iter().map(|follow| Value::from(follow.row.id)).collect();
        let found = Sql::new(tx.db(), "SELECT case_id, version, sealed FROM case_event WHERE tenant = ")
            .bind(tenant.as_str())
            .text(" AND ")
            .in_list("case_id", ids)
            .text(" AND sealed IS NOT NULL")
            .all(tx.db())
            .await?;
        for row in found {
            let (case, version): (Uuid, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let sealed: Vec<u8> = row.try_get_by_index(2)?;
            let Some(follow) = cases.iter().find(|follow| follow.row.id == case) else { continue };
            let between = (&subject(tenant, follow.from), &subject(tenant, follow.row.origin.id));
            let anew = sealing::resealed(keys, Sealing::Note(&sealed), between)?;
            notes.push([tenant.as_str().into(), case.into(), version.into(), anew.into()]);
        }
    }
    notes.update_by(tx.db(), &["tenant", "case_id", "version"]).await?;
    history_insert(tx, steps).await?;
    Ok(())
}

/// Links an interaction to a case that is there and waits, if it has room for one more.
///
/// # Errors
/// `Repeated` when somebody has settled the case meanwhile: looked at again, another one waits, or none.
pub(crate) async fn case_link(
    tx: &Tx,
    tenant: &TenantId,
    case: Uuid,
    interaction: Uuid,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Whoever moves the case at this moment is waited for.
    let hold = if tx.backend() == DbBackend::Postgres { " FOR UPDATE" } else { "" };
    let status = Sql::new(tx.db(), "SELECT status FROM case_file WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND id = ")
        .bind(case)
        .text(hold)
        .one(tx.db())
        .await?;
    let Some(status) = status else { return Ok(()) };
    let status: i16 = status.try_get_by_index(0)?;
    if !CaseStatus::from_code(status.into()).is_some_and(CaseStatus::open) {
        return Err(StoreError::Repeated);
    }
    let most = i64::try_from(MAX_LINKED).unwrap_or(i64::MAX);
    let linked = Sql::new(tx.db(), "INSERT INTO case_interaction (tenant, case_id, ordinal, interaction_id) SELECT ")
        .bind(tenant.as_str())
        .text(", ")
        .bind(case)
        .text(", COALESCE(MAX(ordinal), -1) + 1, ")
        .bind(interaction)
        .text(" FROM case_interaction WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND case_id = ")
        .bind(case)
        .text(" HAVING COUNT(*) < ")
        .bind(most)
        .execute(tx.db())
        .await?;
    if linked.rows_affected() > 0 {
        Sql::new(tx.db(), "UPDATE case_file SET version = version + 1, updated_at = ")
            .bind(now.as_micros())
            .text(" WHERE tenant = ")
            .bind(tenant.as_str())
            .text(" AND id = ")
            .bind(case)
            .execute(tx.db())
            .await?;
    }
    Ok(())
}

/// The cases of a kind that these origins have and that are not resolved: of each origin the one that was opened first.
pub(crate) async fn case_waiting(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    origins: &[Uuid],
    kind: &str,
) -> Result<HashMap<Uuid, Uuid>, DbErr> {
    let open: Vec<Value> =
        CaseStatus::ALL.iter().filter(|(status, _, _)| status.open()).map(|(_, code, _)| Value::from(*code)).collect();
    let mut found = HashMap::new();
    for origins in origins.chunks(5_000) {
        let rows = Sql::new(db, "SELECT origin, id FROM case_file WHERE tenant = ")
            .bind(tenant.as_str())
            .text(" AND ")
            .in_list("origin", origins.iter().map(|origin| Value::from(*origin)).collect())
            .text(" AND kind = ")
            .bind(kind)
            .text(" AND ")
            .in_list("status", open.clone())
            .text(" ORDER BY opened_at, id")
            .all(db)
            .await?;
        for row in rows {
            found.entry(row.try_get_by_index(0)?).or_insert(row.try_get_by_index(1)?);
        }
    }
    Ok(found)
}
