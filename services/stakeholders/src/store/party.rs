//! The table `party`.

use std::collections::BTreeMap;

use rapport_store::{Rows, Sql, Tx};
use rapport_types::{TenantId, text};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use super::row::{self, CHUNK, Cells};
use super::{Key, identifier, role};
use crate::domain::party::{Lifecycle, Party, PartyKind};

/// The most characters of a name that sorting looks at.
const SORTED: usize = 200;

const COLUMNS: &[&str] = &[
    "tenant",
    "id",
    "kind",
    "lifecycle",
    "display_name",
    "display_key",
    "language_code",
    "country_code",
    "ceased",
    "profile",
    "version",
    "created_at",
    "updated_at",
];

/// What [`read`] needs of a row.
pub(super) const SELECTED: &str = "tenant, id, kind, lifecycle, display_key, profile, version, created_at, updated_at";

/// The key under which a name is sorted.
pub(super) fn display_key(name: &str) -> String {
    text::key(name).chars().take(SORTED).collect()
}

/// A party without its identifiers and roles.
pub(super) fn read(row: &QueryResult) -> Result<(Key, Party), DbErr> {
    let (tenant, id) = row.key("id")?;
    let party = Party {
        id,
        kind: row.word("kind", PartyKind::from_word)?,
        lifecycle: row.word("lifecycle", Lifecycle::from_word)?,
        profile: row.document("profile")?,
        identifiers: Vec::new(),
        roles: Vec::new(),
        version: row.cell("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    };
    Ok(((tenant, id), party))
}

/// The parties of these keys with their identifiers and roles; unknown keys are left out.
///
/// # Errors
/// The database's.
pub async fn load(db: &impl ConnectionTrait, wanted: &[Key]) -> Result<BTreeMap<Key, Party>, DbErr> {
    let mut found = BTreeMap::new();
    for chunk in wanted.chunks(CHUNK) {
        let sql =
            Sql::new(db, &format!("SELECT {SELECTED} FROM party WHERE ")).in_rows(&["tenant", "id"], row::keys(chunk));
        for row in sql.all(db).await? {
            let (key, party) = read(&row)?;
            found.insert(key, party);
        }
    }
    complete(db, &mut found).await?;
    Ok(found)
}

/// Fills in identifiers and roles.
pub(super) async fn complete(db: &impl ConnectionTrait, parties: &mut BTreeMap<Key, Party>) -> Result<(), DbErr> {
    let keys: Vec<_> = parties.keys().cloned().collect();
    for (key, claim) in identifier::of_parties(db, &keys).await? {
        if let Some(party) = parties.get_mut(&key) {
            party.identifiers.push(claim);
        }
    }
    for (key, role) in role::of_parties(db, &keys).await? {
        if let Some(party) = parties.get_mut(&key) {
            party.roles.push(role);
        }
    }
    for party in parties.values_mut() {
        party.identifiers.sort_by(|a, b| (a.created_at, a.key()).cmp(&(b.created_at, b.key())));
        party.roles.sort_by_key(|role| std::cmp::Reverse((role.created_at, role.id)));
    }
    Ok(())
}

/// What the parties of these keys are; unknown keys are left out.
///
/// # Errors
/// The database's.
pub async fn kinds(db: &impl ConnectionTrait, wanted: &[Key]) -> Result<BTreeMap<Key, PartyKind>, DbErr> {
    let mut found = BTreeMap::new();
    for chunk in wanted.chunks(CHUNK) {
        let sql =
            Sql::new(db, "SELECT tenant, id, kind FROM party WHERE ").in_rows(&["tenant", "id"], row::keys(chunk));
        for row in sql.all(db).await? {
            found.insert(row.key("id")?, row.word("kind", PartyKind::from_word)?);
        }
    }
    Ok(found)
}

fn rows<'a>(parties: impl IntoIterator<Item = (&'a TenantId, &'a Party)>) -> Result<Rows, DbErr> {
    let mut rows = Rows::new("party", COLUMNS);
    for (tenant, party) in parties {
        let profile = &party.profile;
        rows.push([
            tenant.as_str().into(),
            party.id.into(),
            party.kind.word().into(),
            party.lifecycle.word().into(),
            profile.display_name.as_str().into(),
            display_key(&profile.display_name).into(),
            profile.language_code.as_str().into(),
            profile.country_code.as_str().into(),
            party.ceased().into(),
            row::json(profile)?,
            party.version.into(),
            party.created_at.as_micros().into(),
            party.updated_at.as_micros().into(),
        ]);
    }
    Ok(rows)
}

/// Writes parties that are new.
///
/// # Errors
/// The database's.
pub async fn insert(tx: &Tx, parties: &[(&TenantId, &Party)]) -> Result<(), DbErr> {
    rows(parties.iter().copied())?.insert(tx.db()).await?;
    Ok(())
}

/// Writes parties that have changed.
///
/// # Errors
/// The database's.
pub async fn update(tx: &Tx, parties: &[(&TenantId, &Party)]) -> Result<(), DbErr> {
    rows(parties.iter().copied())?.update_by(tx.db(), &["tenant", "id"]).await?;
    Ok(())
}
