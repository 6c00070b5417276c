//! The table `party_identifier`: claims, and contact media by which parties are found.

use std::collections::BTreeMap;

use rapport_store::{Rows, Sql, Tx};
use rapport_types::{TenantId, Timestamp};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use super::Key;
use super::row::{self, CHUNK, Cells};
use crate::domain::identifier::{Identifier, Scheme, Strength};
use crate::domain::medium::{Medium, Verification};
use crate::domain::period::Period;
use crate::domain::resolution::{Holder, Holding, MAX_HOLDERS};

/// How many ranges one statement reads: SQLite takes 500 parts of a compound statement.
const RANGES: usize = 100;

const CLAIM: &str = "claim";
const MEDIUM: &str = "medium";

const COLUMNS: &[&str] = &[
    "tenant",
    "scheme",
    "value",
    "party_id",
    "source",
    "strength",
    "given",
    "shared",
    "verification",
    "valid_from",
    "valid_until",
    "created_at",
];

/// A normalised identifier of a tenant: tenant, scheme, value.
pub type Value3 = (TenantId, String, String);

/// The claims of parties.
///
/// # Errors
/// The database's.
pub async fn of_parties(db: &impl ConnectionTrait, parties: &[Key]) -> Result<Vec<(Key, Identifier)>, DbErr> {
    let mut found = Vec::new();
    for chunk in parties.chunks(CHUNK) {
        let sql = Sql::new(
            db,
            "SELECT tenant, party_id, scheme, value, given, strength, created_at FROM party_identifier WHERE source = ",
        )
        .bind(CLAIM)
        .text(" AND ")
        .in_rows(&["tenant", "party_id"], row::keys(chunk));
        for row in sql.all(db).await? {
            let claim = Identifier {
                scheme: Scheme::stored(row.text("scheme")?),
                value: row.text("given")?,
                normalized: row.text("value")?,
                strength: row.word("strength", Strength::from_word)?,
                created_at: row.time("created_at")?,
            };
            found.push((row.key("party_id")?, claim));
        }
    }
    Ok(found)
}

/// The parties that hold these values as unique claims: one at most for each.
///
/// # Errors
/// The database's.
pub async fn unique_holders(db: &impl ConnectionTrait, values: &[Value3]) -> Result<BTreeMap<Value3, Uuid>, DbErr> {
    let mut found = BTreeMap::new();
    for chunk in values.chunks(CHUNK) {
        let sql =
            Sql::new(db, "SELECT tenant, scheme, value, party_id FROM party_identifier WHERE strength = 'unique' AND ")
                .in_rows(&["tenant", "scheme", "value"], cells(chunk));
        for row in sql.all(db).await? {
            found.insert(value3(&row)?, row.id("party_id")?);
        }
    }
    Ok(found)
}

/// The first and the last party that claim each of these values, by id: so a party other than the one that claims now is
/// among them if there is one, and a value is two short looks, however many hold it.
///
/// # Errors
/// The database's.
pub async fn claimants(db: &impl ConnectionTrait, values: &[Value3]) -> Result<BTreeMap<Value3, Vec<Uuid>>, DbErr> {
    let mut found: BTreeMap<Value3, Vec<Uuid>> = BTreeMap::new();
    let claim = "FROM party_identifier AS p WHERE p.tenant = v.tenant AND p.scheme = v.scheme AND p.value = v.value \
                 AND p.source = 'claim'";
    let end = format!("(SELECT p.party_id {claim} ORDER BY p.party_id");
    let head =
        format!("SELECT v.tenant, v.scheme, v.value, {end} LIMIT 1) AS first, {end} DESC LIMIT 1) AS last FROM ");
    // Most values are nobody's yet, and say nothing.
    let tail = format!(" WHERE EXISTS (SELECT 1 {claim})");
    for chunk in values.chunks(CHUNK) {
        let sql = Sql::new(db, &head).rows("v", &["tenant", "scheme", "value"], cells(chunk)).text(&tail);
        for row in sql.all(db).await? {
            let (first, last): (Option<Uuid>, Option<Uuid>) = (row.cell("first")?, row.cell("last")?);
            let both = first.into_iter().chain(last.filter(|last| first != Some(*last)));
            found.insert(value3(&row)?, both.collect());
        }
    }
    Ok(found)
}

/// Who holds these values, as claims or as media: the first [`MAX_HOLDERS`] + 1 holdings of each by party id, and the
/// one that holds it as a unique claim.
///
/// # Errors
/// The database's.
pub async fn holders(db: &impl ConnectionTrait, values: &[Value3]) -> Result<BTreeMap<Value3, Vec<Holder>>, DbErr> {
    let mut found: BTreeMap<Value3, Vec<Holder>> = BTreeMap::new();
    for row in first_of_each(db, values, MAX_HOLDERS + 1).await? {
        found.entry(value3(&row)?).or_default().push(holder(&row)?);
    }
    let crowded: Vec<_> =
        found.iter().filter(|(_, all)| all.len() > MAX_HOLDERS).map(|(value, _)| value.clone()).collect();
    for (value, party) in unique_holders(db, &crowded).await? {
        let holders = found.entry(value).or_default();
        let holding = Holding::Claim(Strength::Unique);
        if !holders.iter().any(|one| one.holding == holding) {
            holders.push(Holder {
                party,
                holding,
                shared: false,
                verification: Verification::Unverified,
                validity: Period::ALWAYS,
            });
        }
    }
    Ok(found)
}

/// The first rows of each value in the order of the key: short ranges, however many hold a switchboard's number.
async fn first_of_each(db: &impl ConnectionTrait, values: &[Value3], most: usize) -> Result<Vec<QueryResult>, DbErr> {
    let mut found = Vec::new();
    for chunk in values.chunks(RANGES) {
        let mut sql = Sql::new(db, "");
        for (place, (tenant, scheme, value)) in chunk.iter().enumerate() {
            sql = if place == 0 { sql } else { sql.text(" UNION ALL ") };
            sql = sql
                .text("SELECT * FROM (SELECT ")
                .text(&COLUMNS.join(", "))
                .text(" FROM party_identifier WHERE tenant = ")
                .bind(tenant.as_str())
                .text(" AND scheme = ")
                .bind(scheme.as_str())
                .text(" AND value = ")
                .bind(value.as_str());
            sql = sql.text(" ORDER BY party_id, source").limit(most).text(") AS one");
        }
        found.extend(sql.all(db).await?);
    }
    Ok(found)
}

fn holder(row: &QueryResult) -> Result<Holder, DbErr> {
    let holding = if row.text("source")? == MEDIUM {
        Holding::Medium
    } else {
        Holding::Claim(row.word("strength", Strength::from_word)?)
    };
    Ok(Holder {
        party: row.id("party_id")?,
        holding,
        shared: row.cell("shared")?,
        verification: row.word("verification", Verification::from_word)?,
        validity: row.period()?,
    })
}

fn value3(row: &QueryResult) -> Result<Value3, DbErr> {
    Ok((row.tenant()?, row.text("scheme")?, row.text("value")?))
}

fn cells(values: &[Value3]) -> Vec<Value> {
    values
        .iter()
        .flat_map(|(tenant, scheme, value)| [tenant.as_str().into(), scheme.as_str().into(), value.as_str().into()])
        .collect()
}

/// Writes claims; one that is there already gets the new strength.
///
/// # Errors
/// The database's.
pub async fn put_claims(tx: &Tx, claims: &[(&TenantId, Uuid, &Identifier)]) -> Result<(), DbErr> {
    let mut rows = Rows::new("party_identifier", COLUMNS);
    for (tenant, party, claim) in claims {
        rows.push([
            tenant.as_str().into(),
            claim.scheme.as_str().into(),
            claim.normalized.as_str().into(),
            (*party).into(),
            CLAIM.into(),
            claim.strength.word().into(),
            claim.value.as_str().into(),
            false.into(),
            Verification::Unverified.word().into(),
            Period::ALWAYS.from.as_micros().into(),
            Period::ALWAYS.until.as_micros().into(),
            claim.created_at.as_micros().into(),
        ]);
    }
    rows.insert_with(
        tx.db(),
        "ON CONFLICT (tenant, scheme, value, party_id, source) DO UPDATE SET strength = excluded.strength, \
         given = excluded.given",
    )
    .await?;
    Ok(())
}

/// Replaces the media by which these parties are found; `fresh` are parties that have none yet.
///
/// # Errors
/// The database's.
pub async fn replace_media(
    tx: &Tx,
    fresh: &[(&TenantId, Uuid, &[Medium])],
    changed: &[(&TenantId, Uuid, &[Medium])],
    now: Timestamp,
) -> Result<(), DbErr> {
    let keys: Vec<Key> = changed.iter().map(|(tenant, party, _)| ((*tenant).clone(), *party)).collect();
    for chunk in keys.chunks(CHUNK) {
        Sql::new(tx.db(), "DELETE FROM party_identifier WHERE source = ")
            .bind(MEDIUM)
            .text(" AND ")
            .in_rows(&["tenant", "party_id"], row::keys(chunk))
            .execute(tx.db())
            .await?;
    }
    let mut rows = Rows::new("party_identifier", COLUMNS);
    for (tenant, party, media) in fresh.iter().chain(changed) {
        for medium in *media {
            let Some(scheme) = medium.scheme() else { continue };
            rows.push([
                tenant.as_str().into(),
                scheme.as_str().into(),
                medium.normalized.as_str().into(),
                (*party).into(),
                MEDIUM.into(),
                MEDIUM.into(),
                "".into(),
                medium.shared.into(),
                medium.verification.word().into(),
                medium.validity.from.as_micros().into(),
                medium.validity.until.as_micros().into(),
                now.as_micros().into(),
            ]);
        }
    }
    rows.insert(tx.db()).await?;
    Ok(())
}
