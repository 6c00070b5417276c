//! The table `relationship`.

use std::collections::{BTreeMap, BTreeSet};

use rapport_store::{Rows, Sql, Tx};
use rapport_types::{TenantId, Timestamp};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

use super::Key;
use super::row::{self, CHUNK, Cells};
use crate::domain::neighbourhood::Edge;
use crate::domain::relationship::{Relationship, Weight};

/// How many ranges one statement reads: SQLite takes 500 parts of a compound statement.
const RANGES: usize = 200;

const COLUMNS: &[&str] = &[
    "tenant",
    "id",
    "relationship_type",
    "from_party",
    "to_party",
    "weight",
    "valid_from",
    "valid_until",
    "scope",
    "ended",
    "end_reason",
    "provenance",
    "version",
    "created_at",
    "updated_at",
];

/// The ends of a tie of a tenant.
pub type Ends = (TenantId, Uuid, Uuid);

fn read(row: &QueryResult) -> Result<(Key, Relationship), DbErr> {
    let key = row.key("id")?;
    let tie = Relationship {
        id: key.1,
        kind: row.text("relationship_type")?,
        from: row.id("from_party")?,
        to: row.id("to_party")?,
        weight: Weight::stored(row.cell("weight")?),
        validity: row.period()?,
        scope: row.text("scope")?,
        ended: row.cell("ended")?,
        end_reason: row.text("end_reason")?,
        provenance: row.document("provenance")?,
        version: row.cell("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    };
    Ok((key, tie))
}

/// The ties of these keys; unknown keys are left out.
///
/// # Errors
/// The database's.
pub async fn load(db: &impl ConnectionTrait, wanted: &[Key]) -> Result<BTreeMap<Key, Relationship>, DbErr> {
    let mut found = BTreeMap::new();
    for chunk in wanted.chunks(CHUNK) {
        let sql = Sql::new(db, &format!("SELECT {} FROM relationship WHERE ", COLUMNS.join(", ")))
            .in_rows(&["tenant", "id"], row::keys(chunk));
        for row in sql.all(db).await? {
            let (key, tie) = read(&row)?;
            found.insert(key, tie);
        }
    }
    Ok(found)
}

/// All ties between these ends, of whatever type and time.
///
/// # Errors
/// The database's.
pub async fn between(db: &impl ConnectionTrait, ends: &[Ends]) -> Result<BTreeMap<Ends, Vec<Relationship>>, DbErr> {
    let mut found: BTreeMap<Ends, Vec<Relationship>> = BTreeMap::new();
    for chunk in ends.chunks(CHUNK) {
        let cells = chunk
            .iter()
            .flat_map(|(tenant, from, to)| [tenant.as_str().into(), (*from).into(), (*to).into()])
            .collect();
        let sql = Sql::new(db, &format!("SELECT {} FROM relationship WHERE ", COLUMNS.join(", ")))
            .in_rows(&["tenant", "from_party", "to_party"], cells);
        for row in sql.all(db).await? {
            let ((tenant, _), tie) = read(&row)?;
            found.entry((tenant, tie.from, tie.to)).or_default().push(tie);
        }
    }
    Ok(found)
}

/// Writes ties, new or changed.
///
/// # Errors
/// The database's.
pub async fn put(tx: &Tx, ties: &[(&TenantId, &Relationship)]) -> Result<(), DbErr> {
    let mut rows = Rows::new("relationship", COLUMNS);
    for (tenant, tie) in ties {
        rows.push([
            tenant.as_str().into(),
            tie.id.into(),
            tie.kind.as_str().into(),
            tie.from.into(),
            tie.to.into(),
            tie.weight.micros().into(),
            tie.validity.from.as_micros().into(),
            tie.validity.until.as_micros().into(),
            tie.scope.as_str().into(),
            tie.ended.into(),
            tie.end_reason.as_str().into(),
            row::json(&tie.provenance)?,
            tie.version.into(),
            tie.created_at.as_micros().into(),
            tie.updated_at.as_micros().into(),
        ]);
    }
    rows.insert_with(
        tx.db(),
        "ON CONFLICT (tenant, id) DO UPDATE SET weight = excluded.weight, scope = excluded.scope, \
         provenance = excluded.provenance, valid_until = excluded.valid_until, ended = excluded.ended, \
         end_reason = excluded.end_reason, version = excluded.version, updated_at = excluded.updated_at",
    )
    .await?;
    Ok(())
}

/// What is wanted of the ties of parties.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// Whose data.
    pub tenant: &'a TenantId,
    /// Only these types; empty means all.
    pub types: &'a [String],
    /// Only ties that held at this time; `None` means whenever.
    pub as_of: Option<Timestamp>,
    /// Only ties that come after this one, the strongest first.
    pub after: Option<(i64, Uuid)>,
    /// At most so many of each party.
    pub most: usize,
}

/// One range of an index: the ties of a party from one end, of one type or of all.
fn range(sql: Sql, wanted: Range<'_>, party: Uuid, column: &str, kind: Option<&str>) -> Sql {
    let mut sql = sql
        .text("SELECT * FROM (SELECT ")
        .text(&COLUMNS.join(", "))
        .text(" FROM relationship WHERE tenant = ")
        .bind(wanted.tenant.as_str())
        .text(&format!(" AND {column} = "))
        .bind(party);
    if let Some(kind) = kind {
        sql = sql.text(" AND relationship_type = ").bind(kind);
    }
    if let Some(moment) = wanted.as_of {
        let moment = moment.as_micros();
        sql = sql.text(" AND valid_from <= ").bind(moment).text(" AND valid_until > ").bind(moment);
    }
    if let Some((weight, id)) = wanted.after {
        sql = sql.text(" AND weight <= ").bind(weight).text(" AND (weight < ").bind(weight);
        sql = sql.text(" OR id > ").bind(id).text(")");
    }
    sql.text(" ORDER BY weight DESC, id").limit(wanted.most).text(") AS one")
}

/// The strongest ties of each of these parties, in either direction: by party, the strongest first, equal ones by id.
/// What is read is bounded by the number of parties and types times `most`, however many ties there are.
///
/// # Errors
/// The database's.
pub async fn strongest(
    db: &impl ConnectionTrait,
    parties: &[Uuid],
    wanted: Range<'_>,
) -> Result<BTreeMap<Uuid, Vec<Relationship>>, DbErr> {
    let kinds: Vec<Option<&str>> = if wanted.types.is_empty() {
        vec![None]
    } else {
        wanted.types.iter().map(|kind| Some(kind.as_str())).collect()
    };
    let ranges: Vec<_> = parties
        .iter()
        .flat_map(|party| ["from_party", "to_party"].map(|column| (*party, column)))
        .flat_map(|(party, column)| kinds.iter().map(move |kind| (party, column, *kind)))
        .collect();
    let asked: BTreeSet<Uuid> = parties.iter().copied().collect();
    let mut found: BTreeMap<Uuid, BTreeMap<Uuid, Relationship>> = BTreeMap::new();
    for chunk in ranges.chunks(RANGES) {
        let mut sql = Sql::new(db, "");
        for (place, (party, column, kind)) in chunk.iter().enumerate() {
            sql = if place == 0 { sql } else { sql.text(" UNION ALL ") };
            sql = range(sql, wanted, *party, column, *kind);
        }
        for row in sql.all(db).await? {
            let (_, tie) = read(&row)?;
            // A tie between two of the parties comes from both ends, and belongs to both.
            for end in [tie.from, tie.to] {
                if asked.contains(&end) {
                    found.entry(end).or_default().insert(tie.id, tie.clone());
                }
            }
        }
    }
    Ok(found
        .into_iter()
        .map(|(party, ties)| {
            let mut ties: Vec<_> = ties.into_values().collect();
            ties.sort_by_key(|tie| (std::cmp::Reverse(tie.weight.micros()), tie.id));
            ties.truncate(wanted.most);
            (party, ties)
        })
        .collect())
}

/// All ties of a tenant, the oldest first.
///
/// # Errors
/// The database's.
pub async fn all(db: &impl ConnectionTrait, wanted: Range<'_>) -> Result<Vec<Relationship>, DbErr> {
    let mut sql = Sql::new(db, &format!("SELECT {} FROM relationship WHERE tenant = ", COLUMNS.join(", ")))
        .bind(wanted.tenant.as_str());
    if !wanted.types.is_empty() {
        sql = sql
            .text(" AND ")
            .in_list("relationship_type", wanted.types.iter().map(|kind| kind.as_str().into()).collect());
    }
    if let Some(moment) = wanted.as_of {
        let moment = moment.as_micros();
        sql = sql.text(" AND valid_from <= ").bind(moment).text(" AND valid_until > ").bind(moment);
    }
    if let Some((_, id)) = wanted.after {
        sql = sql.text(" AND id > ").bind(id);
    }
    let rows = sql.text(" ORDER BY id").limit(wanted.most).all(db).await?;
    rows.iter().map(|row| read(row).map(|(_, tie)| tie)).collect()
}

impl From<&Relationship> for Edge {
    fn from(tie: &Relationship) -> Edge {
        Edge {
            id: tie.id,
            kind: tie.kind.clone(),
            from: tie.from,
            to: tie.to,
            weight: tie.weight,
            scope: tie.scope.clone(),
        }
    }
}
