//! The table `party_role`.

use rapport_store::{Rows, Sql, Tx};
use rapport_types::TenantId;
use sea_orm::{ConnectionTrait, DbErr};

use super::Key;
use super::row::{self, CHUNK, Cells};
use crate::domain::role::{Role, RoleStatus, RoleType};

const COLUMNS: &[&str] = &[
    "tenant",
    "party_id",
    "id",
    "role_type",
    "scope",
    "status",
    "valid_from",
    "valid_until",
    "end_reason",
    "provenance",
    "created_at",
    "updated_at",
];

/// The roles of parties, ended ones among them.
///
/// # Errors
/// The database's.
pub async fn of_parties(db: &impl ConnectionTrait, parties: &[Key]) -> Result<Vec<(Key, Role)>, DbErr> {
    let mut found = Vec::new();
    for chunk in parties.chunks(CHUNK) {
        let sql = Sql::new(db, &format!("SELECT {} FROM party_role WHERE ", COLUMNS.join(", ")))
            .in_rows(&["tenant", "party_id"], row::keys(chunk));
        for row in sql.all(db).await? {
            let key = row.key("party_id")?;
            let role = Role {
                id: row.id("id")?,
                party: key.1,
                role_type: RoleType::stored(row.text("role_type")?),
                scope: row.text("scope")?,
                status: row.word("status", RoleStatus::from_word)?,
                validity: row.period()?,
                end_reason: row.text("end_reason")?,
                provenance: row.document("provenance")?,
                created_at: row.time("created_at")?,
                updated_at: row.time("updated_at")?,
            };
            found.push((key, role));
        }
    }
    Ok(found)
}

/// Writes roles, new or changed.
///
/// # Errors
/// The database's.
pub async fn put(tx: &Tx, roles: &[(&TenantId, &Role)]) -> Result<(), DbErr> {
    let mut rows = Rows::new("party_role", COLUMNS);
    for (tenant, role) in roles {
        rows.push([
            tenant.as_str().into(),
            role.party.into(),
            role.id.into(),
            role.role_type.as_str().into(),
            role.scope.as_str().into(),
            role.status.word().into(),
            role.validity.from.as_micros().into(),
            role.validity.until.as_micros().into(),
            role.end_reason.as_str().into(),
            row::json(&role.provenance)?,
            role.created_at.as_micros().into(),
            role.updated_at.as_micros().into(),
        ]);
    }
    rows.insert_with(
        tx.db(),
        "ON CONFLICT (tenant, party_id, id) DO UPDATE SET status = excluded.status, \
         valid_until = excluded.valid_until, end_reason = excluded.end_reason, provenance = excluded.provenance, \
         updated_at = excluded.updated_at",
    )
    .await?;
    Ok(())
}
