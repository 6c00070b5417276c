use std::collections::{HashMap, HashSet};

use rapport_store::sea_orm::{ConnectionTrait, DbErr, Value};
use rapport_store::{Rows, Sql, StoreError, SubjectKeys, Tx};
use rapport_types::{TenantId, Uuid};

use super::CaseRow;
use super::sealing::{self, Sealing, subject};
use crate::domain::CaseStatus;

/// A case that goes to another origin.
#[derive(Clone, Debug)]
pub(crate) struct Follow {
    /// The case as it is from now on.
    pub(crate) row: CaseRow,
    /// The origin that it was under.
    pub(crate) from: Uuid,
}

/// Writes whose cases are from now on. The notes of their histories go with them, sealed anew: whoever is erased is erased
/// with all that was noted of them.
pub(crate) async fn case_follow(tx: &Tx, cases: &[Follow], keys: &SubjectKeys) -> Result<(), StoreError> {
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
    Ok(())
}

/// Writes which interactions cases are about from now on, each at its place, and the cases as they are with all of them.
pub(crate) async fn case_link(
    tx: &Tx,
    cases: &HashMap<(TenantId, Uuid), CaseRow>,
    links: &[((TenantId, Uuid), usize, Uuid)],
) -> Result<(), StoreError> {
    let mut linked = Rows::new("case_interaction", &["tenant", "case_id", "ordinal", "interaction_id"]);
    for ((tenant, case), ordinal, interaction) in links {
        let ordinal = i16::try_from(*ordinal).unwrap_or(i16::MAX);
        linked.push([tenant.as_str().into(), (*case).into(), ordinal.into(), (*interaction).into()]);
    }
    linked.insert(tx.db()).await?;
    let mut rows = Rows::new("case_file", &["tenant", "id", "version", "updated_at"]);
    let changed: HashSet<&(TenantId, Uuid)> = links.iter().map(|(case, _, _)| case).collect();
    for row in changed.into_iter().filter_map(|case| cases.get(case)) {
        rows.push([
            row.tenant.as_str().into(),
            row.id.into(),
            row.case.version.into(),
            row.updated_at.as_micros().into(),
        ]);
    }
    rows.update_by(tx.db(), &["tenant", "id"]).await?;
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
