//! Versions that amended or retracted an interaction, also those whose first record has not arrived yet. A first version
//! that nobody amended needs no row: nothing is older.

use std::collections::{BTreeMap, BTreeSet};

use rapport_store::{Rows, Sql};
use rapport_types::Timestamp;
use sea_orm::{ConnectionTrait, DbErr};

use super::{MOST_KEYS, key_of, key_values};
use crate::domain::{Key, RevisionKey};

/// The versions that amended or retracted these interactions.
pub(crate) async fn revision_find(
    db: &impl ConnectionTrait,
    interactions: &BTreeSet<Key>,
) -> Result<Vec<(RevisionKey, Timestamp)>, DbErr> {
    let interactions: Vec<&Key> = interactions.iter().collect();
    let mut found = Vec::new();
    for keys in interactions.chunks(MOST_KEYS) {
        let rows = Sql::new(db, "SELECT tenant, interaction_id, version, recorded_at FROM revision WHERE ")
            .in_rows(&["tenant", "interaction_id"], key_values(keys))
            .all(db)
            .await?;
        for row in &rows {
            let (tenant, interaction) = key_of(row, "interaction_id")?;
            let recorded_at = Timestamp::from_micros(row.try_get("", "recorded_at")?);
            found.push(((tenant, interaction, row.try_get("", "version")?), recorded_at));
        }
    }
    Ok(found)
}

/// Notes versions that amended or retracted.
pub(crate) async fn revision_save(
    db: &impl ConnectionTrait,
    revisions: BTreeMap<RevisionKey, Timestamp>,
) -> Result<(), DbErr> {
    let mut rows = Rows::new("revision", &["tenant", "interaction_id", "version", "recorded_at"]);
    for ((tenant, interaction, version), recorded_at) in revisions {
        rows.push([tenant.as_str().into(), interaction.into(), version.into(), recorded_at.as_micros().into()]);
    }
    rows.insert_with(db, "ON CONFLICT (tenant, interaction_id, version) DO NOTHING").await.map(drop)
}
