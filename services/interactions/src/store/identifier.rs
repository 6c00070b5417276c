use std::collections::{HashMap, HashSet};

use rapport_store::sea_orm::{ConnectionTrait, DbErr, Value};
use rapport_store::{Rows, Sql, Tx};
use rapport_types::{TenantId, Uuid};

use crate::domain::{Held, Holder};

/// How many values of an `IN` list go into one statement.
const CHUNK: usize = 5_000;

/// What is known of identifiers, by their blind index; unknown ones are left out.
pub(crate) async fn identifier_find(
    db: &impl ConnectionTrait,
    wanted: &HashSet<(TenantId, Uuid)>,
) -> Result<HashMap<(TenantId, Uuid), Held>, DbErr> {
    let mut found = HashMap::with_capacity(wanted.len());
    let keys: Vec<&(TenantId, Uuid)> = wanted.iter().collect();
    for keys in keys.chunks(CHUNK) {
        let by = by_text(keys);
        let rows = Sql::new(db, "SELECT tenant, index_id, origin, party, contested FROM identifier WHERE ")
            .in_rows(&["tenant", "index_id"], pairs(keys))
            .all(db)
            .await?;
        for row in rows {
            let tenant: String = row.try_get_by_index(0)?;
            let index: Uuid = row.try_get_by_index(1)?;
            let held = Held {
                origin: row.try_get_by_index(2)?,
                party: row.try_get_by_index(3)?,
                contested: row.try_get_by_index(4)?,
            };
            if let Some(key) = by.get(&(tenant.as_str(), index)) {
                found.insert((*key).clone(), held);
            }
        }
    }
    Ok(found)
}

/// Keys by what a row holds of them.
fn by_text<'a>(keys: &[&'a (TenantId, Uuid)]) -> HashMap<(&'a str, Uuid), &'a (TenantId, Uuid)> {
    keys.iter().map(|key| ((key.0.as_str(), key.1), *key)).collect()
}

fn pairs(keys: &[&(TenantId, Uuid)]) -> Vec<Value> {
    keys.iter().flat_map(|(tenant, id)| [Value::from(tenant.as_str()), Value::from(*id)]).collect()
}

/// A party's hold on an identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HolderRow {
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// The party.
    pub(crate) party: Uuid,
    /// The blind index of the identifier.
    pub(crate) index: Uuid,
    /// Whether it points to this party and nobody else.
    pub(crate) own: bool,
}

/// Makes `rows` all that is held by `parties`. Gives every identifier that was or is held by one of them, each with all
/// its holders now, in order of the party.
pub(crate) async fn holder_replace(
    tx: &Tx,
    parties: &HashSet<(TenantId, Uuid)>,
    rows: &[HolderRow],
) -> Result<HashMap<(TenantId, Uuid), Vec<Holder>>, DbErr> {
    let db = tx.db();
    let parties: Vec<&(TenantId, Uuid)> = parties.iter().collect();
    let mut touched: HashMap<(TenantId, Uuid), Vec<Holder>> = HashMap::new();
    for parties in parties.chunks(CHUNK) {
        let gone = Sql::new(db, "DELETE FROM identifier_holder WHERE ")
            .in_rows(&["tenant", "party"], pairs(parties))
            .text(" RETURNING tenant, index_id")
            .all(db)
            .await?;
        for row in gone {
            let tenant: String = row.try_get_by_index(0)?;
            let index: Uuid = row.try_get_by_index(1)?;
            if let Some((tenant, _)) = parties.iter().find(|(of, _)| of.as_str() == tenant) {
                touched.entry((tenant.clone(), index)).or_default();
            }
        }
    }
    let mut insert = Rows::new("identifier_holder", &["tenant", "party", "index_id", "own"]);
    for HolderRow { tenant, party, index, own } in rows {
        touched.entry((tenant.clone(), *index)).or_default();
        insert.push([tenant.as_str().into(), (*party).into(), (*index).into(), (*own).into()]);
    }
    insert.insert(db).await?;
    let indexes: Vec<(TenantId, Uuid)> = touched.keys().cloned().collect();
    let indexes: Vec<&(TenantId, Uuid)> = indexes.iter().collect();
    for indexes in indexes.chunks(CHUNK) {
        let by = by_text(indexes);
        let rows = Sql::new(db, "SELECT tenant, index_id, party, own FROM identifier_holder WHERE ")
            .in_rows(&["tenant", "index_id"], pairs(indexes))
            .text(" ORDER BY tenant, index_id, party")
            .all(db)
            .await?;
        for row in rows {
            let tenant: String = row.try_get_by_index(0)?;
            let index: Uuid = row.try_get_by_index(1)?;
            let holder = Holder { party: row.try_get_by_index(2)?, own: row.try_get_by_index(3)? };
            if let Some(holders) = by.get(&(tenant.as_str(), index)).and_then(|key| touched.get_mut(*key)) {
                holders.push(holder);
            }
        }
    }
    Ok(touched)
}

/// Writes what is known of identifiers now, and to whom origins belong.
pub(crate) async fn identifier_move(
    tx: &Tx,
    states: &[((TenantId, Uuid), Held)],
    attributed: &[(TenantId, Uuid, Uuid)],
) -> Result<(), DbErr> {
    let mut identifiers = Rows::new("identifier", &["tenant", "index_id", "origin", "party", "contested"]);
    for ((tenant, index), held) in states {
        identifiers.push([
            tenant.as_str().into(),
            (*index).into(),
            held.origin.into(),
            held.party.into(),
            held.contested.into(),
        ]);
    }
    identifiers
        .insert_with(
            tx.db(),
            "ON CONFLICT (tenant, index_id) DO UPDATE SET origin = excluded.origin, party = excluded.party, \
             contested = excluded.contested",
        )
        .await?;
    alias_insert(tx, attributed).await
}

/// Writes to whom origins belong from now on. None of them belonged to anybody before.
pub(crate) async fn alias_insert(tx: &Tx, attributed: &[(TenantId, Uuid, Uuid)]) -> Result<(), DbErr> {
    let mut aliases = Rows::new("alias", &["tenant", "origin", "party"]);
    for (tenant, origin, party) in attributed {
        aliases.push([tenant.as_str().into(), (*origin).into(), (*party).into()]);
    }
    aliases.insert(tx.db()).await?;
    Ok(())
}

/// The parties that origins belong to; those that belong to nobody, or are a party themselves, are left out.
pub(crate) async fn alias_find(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    origins: &HashSet<Uuid>,
) -> Result<HashMap<Uuid, Uuid>, DbErr> {
    let mut found = HashMap::new();
    let origins: Vec<Value> = origins.iter().map(|origin| Value::from(*origin)).collect();
    for origins in origins.chunks(CHUNK) {
        let rows = Sql::new(db, "SELECT origin, party FROM alias WHERE tenant = ")
            .bind(tenant.as_str())
            .text(" AND ")
            .in_list("origin", origins.to_vec())
            .all(db)
            .await?;
        for row in rows {
            found.insert(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        }
    }
    Ok(found)
}

/// A party and every origin that belongs to it.
pub(crate) async fn alias_origins(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    party: Uuid,
) -> Result<Vec<Uuid>, DbErr> {
    let rows = Sql::new(db, "SELECT origin FROM alias WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND party = ")
        .bind(party)
        .text(" ORDER BY origin")
        .all(db)
        .await?;
    let mut origins = vec![party];
    for row in rows {
        origins.push(row.try_get_by_index(0)?);
    }
    Ok(origins)
}

/// What a list may be narrowed to: a party and every origin that belongs to it. No party narrows nothing.
pub(crate) async fn origins_of(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    party: Option<Uuid>,
) -> Result<Option<Vec<Uuid>>, DbErr> {
    match party {
        Some(party) => alias_origins(db, tenant, party).await.map(Some),
        None => Ok(None),
    }
}
