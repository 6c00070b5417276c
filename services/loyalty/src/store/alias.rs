//! Which party an origin belongs to now. Facts keep their origin for ever; only this map changes.

use std::collections::{BTreeMap, BTreeSet};

use rapport_store::sea_orm::{ConnectionTrait, DbErr, Value};
use rapport_store::{Rows, Sql};
use rapport_types::Uuid;

use super::{MOST_KEYS, key_of, key_values};
use crate::domain::Key;

/// Keys in chunks that a statement can hold, row-major.
pub(super) fn chunks<'a>(keys: impl IntoIterator<Item = &'a Key>) -> Vec<Vec<Value>> {
    let keys: Vec<&Key> = keys.into_iter().collect();
    keys.chunks(MOST_KEYS).map(key_values).collect()
}

/// Whose these origins are, where that is known.
pub(crate) async fn alias_find(
    db: &impl ConnectionTrait,
    origins: &BTreeSet<Key>,
) -> Result<BTreeMap<Key, Uuid>, DbErr> {
    let mut found = BTreeMap::new();
    for keys in chunks(origins) {
        let rows = Sql::new(db, "SELECT tenant, origin, party FROM alias WHERE ")
            .in_rows(&["tenant", "origin"], keys)
            .all(db)
            .await?;
        for row in &rows {
            found.insert(key_of(row, "origin")?, row.try_get("", "party")?);
        }
    }
    Ok(found)
}

/// All origins of these parties, each with its party; a party is its own origin.
pub(crate) async fn alias_origins(
    db: &impl ConnectionTrait,
    parties: &BTreeSet<Key>,
) -> Result<BTreeMap<Key, Uuid>, DbErr> {
    let mut found: BTreeMap<Key, Uuid> = parties.iter().map(|key| (key.clone(), key.1)).collect();
    for keys in chunks(parties) {
        let rows = Sql::new(db, "SELECT tenant, origin, party FROM alias WHERE ")
            .in_rows(&["tenant", "party"], keys)
            .all(db)
            .await?;
        for row in &rows {
            found.insert(key_of(row, "origin")?, row.try_get("", "party")?);
        }
    }
    Ok(found)
}

/// Notes whose origins are. An origin is given to one party, for ever: both consumers of the feed say the same.
pub(crate) async fn alias_save(db: &impl ConnectionTrait, aliases: &BTreeMap<Key, Uuid>) -> Result<(), DbErr> {
    let mut rows = Rows::new("alias", &["tenant", "origin", "party"]);
    for ((tenant, origin), party) in aliases {
        rows.push([tenant.as_str().into(), (*origin).into(), (*party).into()]);
    }
    rows.insert_with(db, "ON CONFLICT (tenant, origin) DO NOTHING").await.map(drop)
}
