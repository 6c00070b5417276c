use std::collections::{HashMap, HashSet};

use rapport_store::sea_orm::{ConnectionTrait, DbErr, Value};
use rapport_store::{Rows, Sql, StoreError, Tx};
use rapport_types::{TenantId, Uuid};

use super::CommitmentRow;

/// The names of the commitments that were made in some interactions.
pub(crate) async fn commitment_made_in(
    db: &impl ConnectionTrait,
    interactions: impl IntoIterator<Item = &(TenantId, Uuid)>,
) -> Result<HashSet<(TenantId, Uuid)>, DbErr> {
    let mut by_tenant: HashMap<&TenantId, Vec<Value>> = HashMap::new();
    for (tenant, id) in interactions {
        by_tenant.entry(tenant).or_default().push(Value::from(*id));
    }
    let mut found = HashSet::new();
    for (tenant, ids) in by_tenant {
        for ids in ids.chunks(5_000) {
            let rows = Sql::new(db, "SELECT id FROM commitment WHERE tenant = ")
                .bind(tenant.as_str())
                .text(" AND interaction_id IS NOT NULL AND ")
                .in_list("interaction_id", ids.to_vec())
                .all(db)
                .await?;
            for row in rows {
                found.insert((tenant.clone(), row.try_get_by_index(0)?));
            }
        }
    }
    Ok(found)
}

/// Writes whose commitments are from now on.
pub(crate) async fn commitment_follow<'a>(
    tx: &Tx,
    commitments: impl Iterator<Item = &'a CommitmentRow>,
) -> Result<(), StoreError> {
    let columns =
        &["tenant", "id", "version", "origin", "named", "sealed", "ending", "updated_at", "came_origin", "came_named"];
    let mut rows = Rows::new("commitment", columns);
    for row in commitments {
        rows.push([
            row.tenant.as_str().into(),
            row.id.into(),
            row.commitment.version.into(),
            row.origin.id.into(),
            row.named.into(),
            row.sealed.clone().into(),
            row.ending.clone().into(),
            row.updated_at.as_micros().into(),
            Value::Uuid(row.came_by.map(|(origin, _)| origin)),
            row.came_by.is_some_and(|(_, named)| named).into(),
        ]);
    }
    rows.update_by(tx.db(), &["tenant", "id"]).await?;
    Ok(())
}
