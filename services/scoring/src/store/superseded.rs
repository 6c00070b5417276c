//! Interactions that others took the place of, also those that have not arrived yet.

use std::collections::{BTreeMap, BTreeSet};

use rapport_store::{Rows, Sql};
use rapport_types::Timestamp;
use sea_orm::{ConnectionTrait, DbErr};

use super::{MOST_KEYS, key_of, key_values};
use crate::domain::{Key, Superseded};

/// Which of these interactions others took the place of.
pub(crate) async fn superseded_find(
    db: &impl ConnectionTrait,
    interactions: &BTreeSet<Key>,
) -> Result<Vec<(Key, Superseded)>, DbErr> {
    let interactions: Vec<&Key> = interactions.iter().collect();
    let mut found = Vec::new();
    for keys in interactions.chunks(MOST_KEYS) {
        let rows = Sql::new(db, "SELECT tenant, interaction_id, by_id, recorded_at FROM superseded WHERE ")
            .in_rows(&["tenant", "interaction_id"], key_values(keys))
            .all(db)
            .await?;
        for row in &rows {
            let recorded_at = Timestamp::from_micros(row.try_get("", "recorded_at")?);
            found.push((key_of(row, "interaction_id")?, Superseded { by: row.try_get("", "by_id")?, recorded_at }));
        }
    }
    Ok(found)
}

/// Notes that others took the place of interactions; the first to do so stays.
pub(crate) async fn superseded_save(
    db: &impl ConnectionTrait,
    superseded: BTreeMap<Key, Superseded>,
) -> Result<(), DbErr> {
    let mut rows = Rows::new("superseded", &["tenant", "interaction_id", "by_id", "recorded_at"]);
    for ((tenant, interaction), Superseded { by, recorded_at }) in superseded {
        rows.push([tenant.as_str().into(), interaction.into(), by.into(), recorded_at.as_micros().into()]);
    }
    rows.insert_with(db, "ON CONFLICT (tenant, interaction_id) DO NOTHING").await.map(drop)
}
