//! What parties did for the tenant by themselves, as the feed of interactions tells of it.

use std::collections::BTreeSet;

use rapport_store::sea_orm::{ConnectionTrait, DbErr};
use rapport_store::{Rows, Sql};
use rapport_types::{TenantId, Timestamp, Uuid};

use super::alias::chunks;
use crate::domain::Key;

/// Something by which a party spoke for the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActRow {
    /// Whose data.
    pub(crate) tenant: TenantId,
    /// The id under which the party took part.
    pub(crate) origin: Uuid,
    /// The interaction.
    pub(crate) interaction: Uuid,
    /// When.
    pub(crate) occurred_at: Timestamp,
}

/// Keeps acts; one that is there stays.
pub(crate) async fn act_insert(db: &impl ConnectionTrait, acts: &[ActRow]) -> Result<(), DbErr> {
    let mut rows = Rows::new("advocacy", &["tenant", "origin", "interaction_id", "occurred_at"]);
    for ActRow { tenant, origin, interaction, occurred_at } in acts {
        rows.push([tenant.as_str().into(), (*origin).into(), (*interaction).into(), occurred_at.as_micros().into()]);
    }
    rows.insert_with(db, "ON CONFLICT (tenant, origin, interaction_id) DO NOTHING").await.map(drop)
}

/// Forgets the acts of interactions that no longer count.
pub(crate) async fn act_delete(db: &impl ConnectionTrait, interactions: &BTreeSet<Key>) -> Result<(), DbErr> {
    for keys in chunks(interactions) {
        Sql::new(db, "DELETE FROM advocacy WHERE ").in_rows(&["tenant", "interaction_id"], keys).execute(db).await?;
    }
    Ok(())
}
