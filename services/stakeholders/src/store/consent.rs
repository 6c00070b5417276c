//! The table `consent`: facts, appended and never changed. What proves them is sealed under the party's key.

use rapport_store::{Rows, Sql, Store, StoreError, Subject, Tx, read_error};
use rapport_types::{Error, TenantId, Timestamp};
use sea_orm::{ConnectionTrait, DbErr, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::row::Cells;
use crate::domain::consent::{Consent, ConsentState};
use crate::domain::provenance::Provenance;

const FIELD: &str = "consent";

/// The part of a record that is sealed.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Sealed {
    evidence: String,
    provenance: Provenance,
}

/// A record whose sealed part was not opened.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The record; evidence and provenance are empty.
    pub consent: Consent,
    sealed: Vec<u8>,
}

/// Appends records.
///
/// # Errors
/// The database's, and `ERASED` for a party whose key was destroyed.
pub async fn append(tx: &Tx, consents: &[(TenantId, Consent)]) -> Result<(), StoreError> {
    if consents.is_empty() {
        return Ok(());
    }
    let subjects: Vec<_> = consents.iter().map(|(tenant, one)| Subject::of(tenant, one.party)).collect();
    let keys = tx.keys(&subjects).await?;
    let mut rows = Rows::new(
        "consent",
        &[
            "tenant",
            "party_id",
            "id",
            "purpose",
            "channel",
            "state",
            "occurred_at",
            "valid_from",
            "valid_until",
            "recorded_at",
            "sealed",
        ],
    );
    for ((tenant, one), subject) in consents.iter().zip(&subjects) {
        let sealed = Sealed { evidence: one.evidence.clone(), provenance: one.provenance.clone() };
        let plain = serde_json::to_vec(&sealed).map_err(|error| DbErr::Json(error.to_string()))?;
        rows.push([
            tenant.as_str().into(),
            one.party.into(),
            one.id.into(),
            one.purpose.as_str().into(),
            one.channel.as_str().into(),
            one.state.word().into(),
            one.occurred_at.as_micros().into(),
            one.validity.from.as_micros().into(),
            one.validity.until.as_micros().into(),
            one.recorded_at.as_micros().into(),
            keys.seal(subject, FIELD, &plain)?.into(),
        ]);
    }
    rows.insert(tx.db()).await?;
    Ok(())
}

/// The records of a party that speak of a purpose and channel and were known at a time.
///
/// # Errors
/// Unavailable when the database does not answer.
pub async fn speaking_of(
    store: &Store,
    tenant: &TenantId,
    party: Uuid,
    topic: (&str, &str),
    known_at: Timestamp,
) -> Result<Vec<Stored>, Error> {
    let db = store.reader();
    let (purpose, channel) = topic;
    let either = |word: &str| -> Vec<Value> { vec!["".into(), word.into()] };
    let sql = of_party(db, tenant, party)
        .text(" AND recorded_at <= ")
        .bind(known_at.as_micros())
        .text(" AND ")
        .in_list("purpose", either(purpose))
        .text(" AND ")
        .in_list("channel", either(channel))
        .text(" ORDER BY id");
    read(sql, db, party).await.map_err(read_error)
}

/// The records of a party before one of them, the one recorded last first, at most so many.
///
/// # Errors
/// Unavailable when the database does not answer.
pub async fn latest(
    store: &Store,
    tenant: &TenantId,
    party: Uuid,
    before: Option<Uuid>,
    most: usize,
) -> Result<Vec<Stored>, Error> {
    let db = store.reader();
    let mut sql = of_party(db, tenant, party);
    if let Some(before) = before {
        sql = sql.text(" AND id < ").bind(before);
    }
    let sql = sql.text(" ORDER BY id DESC").limit(most);
    read(sql, db, party).await.map_err(read_error)
}

fn of_party(db: &impl ConnectionTrait, tenant: &TenantId, party: Uuid) -> Sql {
    let columns = "id, purpose, channel, state, occurred_at, valid_from, valid_until, recorded_at, sealed";
    Sql::new(db, &format!("SELECT {columns} FROM consent WHERE tenant = "))
        .bind(tenant.as_str())
        .text(" AND party_id = ")
        .bind(party)
}

async fn read(sql: Sql, db: &impl ConnectionTrait, party: Uuid) -> Result<Vec<Stored>, DbErr> {
    let mut found = Vec::new();
    for row in sql.all(db).await? {
        let consent = Consent {
            id: row.id("id")?,
            party,
            purpose: row.text("purpose")?,
            channel: row.text("channel")?,
            state: row.word("state", ConsentState::from_word)?,
            evidence: String::new(),
            occurred_at: row.time("occurred_at")?,
            validity: row.period()?,
            provenance: Provenance::default(),
            recorded_at: row.time("recorded_at")?,
        };
        found.push(Stored { consent, sealed: row.cell("sealed")? });
    }
    Ok(found)
}

/// The record with its evidence; without it when the party's key was destroyed.
///
/// # Errors
/// Unavailable when the database does not answer.
pub async fn open(store: &Store, tenant: &TenantId, stored: Stored) -> Result<Consent, Error> {
    let mut consent = stored.consent;
    let plain = store.unseal(&Subject::of(tenant, consent.party), FIELD, &stored.sealed).await?;
    if let Some(plain) = plain {
        let sealed: Sealed = serde_json::from_slice(&plain).map_err(Error::internal)?;
        consent.evidence = sealed.evidence;
        consent.provenance = sealed.provenance;
    }
    Ok(consent)
}
