use std::collections::BTreeMap;

use rapport_store::sea_orm::{ConnectionTrait, DbErr, Value};
use rapport_store::{Rows, Sql, Tx};
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

/// A relationship, from one of its two parties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tie {
    /// Who is near.
    pub(crate) neighbor: Uuid,
    /// The type of the relationship.
    pub(crate) relationship_type: String,
    /// How strong it is, in millionths.
    pub(crate) weight_micros: i64,
    /// From when on it holds, in microseconds; always when absent.
    pub(crate) valid_from: Option<i64>,
    /// Until when it holds, exclusive, in microseconds; for ever when absent.
    pub(crate) valid_to: Option<i64>,
}

/// Which end of which relationship: tenant, party, relationship.
pub(crate) type TieKey = (TenantId, Uuid, Uuid);

/// Writes what became of ties: those that hold, and those that ended.
pub(crate) async fn tie_change(tx: &Tx, changes: &BTreeMap<TieKey, Option<Tie>>) -> Result<(), DbErr> {
    let ended: Vec<&TieKey> = changes.iter().filter(|(_, tie)| tie.is_none()).map(|(key, _)| key).collect();
    for some in ended.chunks(5_000) {
        let values = some.iter().flat_map(|(tenant, party, relationship)| {
            [Value::from(tenant.as_str()), Value::from(*party), Value::from(*relationship)]
        });
        Sql::new(tx.db(), "DELETE FROM desk_tie WHERE ")
            .in_rows(&["tenant", "party", "relationship"], values.collect())
            .execute(tx.db())
            .await?;
    }
    let mut rows = Rows::new(
        "desk_tie",
        &[
            "tenant",
            "party",
            "relationship",
            "neighbor",
            "relationship_type",
            "weight_micros",
            "valid_from",
            "valid_to",
        ],
    );
    for ((tenant, party, relationship), tie) in changes {
        let Some(tie) = tie else { continue };
        rows.push([
            tenant.as_str().into(),
            (*party).into(),
            (*relationship).into(),
            tie.neighbor.into(),
            tie.relationship_type.as_str().into(),
            tie.weight_micros.into(),
            tie.valid_from.unwrap_or(i64::MIN).into(),
            tie.valid_to.unwrap_or(i64::MAX).into(),
        ]);
    }
    rows.insert_with(
        tx.db(),
        "ON CONFLICT (tenant, party, relationship) DO UPDATE SET weight_micros = excluded.weight_micros, \
         valid_from = excluded.valid_from, valid_to = excluded.valid_to",
    )
    .await?;
    Ok(())
}

/// The strongest ties of a party that hold at a moment.
pub(crate) async fn tie_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    party: Uuid,
    now: Timestamp,
    most: usize,
) -> Result<Vec<Tie>, DbErr> {
    let rows = Sql::new(
        db,
        "SELECT neighbor, relationship_type, weight_micros, valid_from, valid_to FROM desk_tie WHERE tenant = ",
    )
    .bind(tenant.as_str())
    .text(" AND party = ")
    .bind(party)
    .text(" AND valid_from <= ")
    .bind(now.as_micros())
    .text(" AND valid_to > ")
    .bind(now.as_micros())
    .text(" ORDER BY weight_micros DESC, relationship DESC")
    .limit(most)
    .all(db)
    .await?;
    let tie = |row: &rapport_store::sea_orm::QueryResult| {
        Ok(Tie {
            neighbor: row.try_get_by_index(0)?,
            relationship_type: row.try_get_by_index(1)?,
            weight_micros: row.try_get_by_index(2)?,
            valid_from: row.try_get_by_index(3)?,
            valid_to: row.try_get_by_index(4)?,
        })
    };
    rows.iter().map(tie).collect()
}

/// The next moment after `now` at which a tie of a party begins or ends by its own date.
pub(crate) async fn tie_turn(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    party: Uuid,
    now: Timestamp,
) -> Result<Option<Timestamp>, DbErr> {
    let mut next: Option<i64> = None;
    for bound in ["valid_from", "valid_to"] {
        let rows = Sql::new(db, &format!("SELECT MIN({bound}) FROM desk_tie WHERE tenant = "))
            .bind(tenant.as_str())
            .text(" AND party = ")
            .bind(party)
            .text(&format!(" AND {bound} > "))
            .bind(now.as_micros())
            .text(&format!(" AND {bound} < "))
            .bind(i64::MAX)
            .all(db)
            .await?;
        let found: Option<i64> = rows.first().map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        next = next.into_iter().chain(found).min();
    }
    Ok(next.map(Timestamp::from_micros))
}

/// Who holds an identifier, by its blind index: at most `most`, in order of the party.
pub(crate) async fn holder_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    index: Uuid,
    most: usize,
) -> Result<Vec<(Uuid, bool)>, DbErr> {
    let rows = Sql::new(db, "SELECT party, own FROM identifier_holder WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND index_id = ")
        .bind(index)
        .text(" ORDER BY party")
        .limit(most)
        .all(db)
        .await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}
