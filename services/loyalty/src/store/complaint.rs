//! The tenant's complaints, as the feed of interactions tells of them.

use std::collections::{BTreeMap, BTreeSet};

use rapport_store::sea_orm::{ConnectionTrait, DbErr};
use rapport_store::{Rows, Sql};
use rapport_types::{Timestamp, Uuid};

use super::alias::chunks;
use super::key_of;
use crate::domain::Key;

/// A complaint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ComplaintRow {
    /// The id under which it came.
    pub(crate) origin: Uuid,
    /// Whether it waits to be solved.
    pub(crate) open: bool,
    /// The version of the case.
    pub(crate) version: i64,
    /// When it was opened.
    pub(crate) opened_at: Timestamp,
}

/// The complaints among these cases.
pub(crate) async fn complaint_find(
    db: &impl ConnectionTrait,
    cases: &BTreeSet<Key>,
) -> Result<BTreeMap<Key, ComplaintRow>, DbErr> {
    let mut found = BTreeMap::new();
    for keys in chunks(cases) {
        let rows = Sql::new(db, "SELECT tenant, case_id, origin, open, version, opened_at FROM complaint WHERE ")
            .in_rows(&["tenant", "case_id"], keys)
            .all(db)
            .await?;
        for row in &rows {
            let complaint = ComplaintRow {
                origin: row.try_get("", "origin")?,
                open: row.try_get("", "open")?,
                version: row.try_get("", "version")?,
                opened_at: Timestamp::from_micros(row.try_get("", "opened_at")?),
            };
            found.insert(key_of(row, "case_id")?, complaint);
        }
    }
    Ok(found)
}

/// Writes complaints as they stand now.
pub(crate) async fn complaint_save(
    db: &impl ConnectionTrait,
    complaints: &BTreeMap<Key, ComplaintRow>,
) -> Result<(), DbErr> {
    let mut rows = Rows::new("complaint", &["tenant", "case_id", "origin", "open", "version", "opened_at"]);
    for ((tenant, case), row) in complaints {
        rows.push([
            tenant.as_str().into(),
            (*case).into(),
            row.origin.into(),
            row.open.into(),
            row.version.into(),
            row.opened_at.as_micros().into(),
        ]);
    }
    rows.insert_with(
        db,
        "ON CONFLICT (tenant, case_id) DO UPDATE SET origin = excluded.origin, open = excluded.open, \
         version = excluded.version",
    )
    .await
    .map(drop)
}

/// The open complaints of these origins; of several the one that was opened first.
pub(crate) async fn complaint_open(
    db: &impl ConnectionTrait,
    origins: impl IntoIterator<Item = &Key>,
) -> Result<BTreeMap<Key, Uuid>, DbErr> {
    let mut found: BTreeMap<Key, (i64, Uuid)> = BTreeMap::new();
    for keys in chunks(origins) {
        let rows = Sql::new(db, "SELECT tenant, origin, case_id, opened_at FROM complaint WHERE ")
            .in_rows(&["tenant", "origin"], keys)
            .text(" AND open")
            .all(db)
            .await?;
        for row in &rows {
            let this = (row.try_get("", "opened_at")?, row.try_get("", "case_id")?);
            found.entry(key_of(row, "origin")?).and_modify(|first| *first = (*first).min(this)).or_insert(this);
        }
    }
    Ok(found.into_iter().map(|(key, (_, case))| (key, case)).collect())
}
