//! Members.

use std::collections::{BTreeSet, HashMap};

use rapport_store::sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use rapport_store::{Rows, Sql};
use rapport_types::{TenantId, Uuid};

use super::{MOST_KEYS, corrupt, key_of, key_values, time};
use crate::domain::{Key, Member, Slug};

const COLUMNS: &[&str] = &["tenant", "id", "program_id", "party", "role_type", "number", "joined_at", "recorded_at"];

/// Writes new members.
pub(crate) async fn member_insert(db: &impl ConnectionTrait, members: &[(TenantId, Member)]) -> Result<(), DbErr> {
    let mut rows = Rows::new("member", COLUMNS);
    for (tenant, member) in members {
        rows.push([
            tenant.as_str().into(),
            member.id.into(),
            member.program.into(),
            member.party.into(),
            member.role_type.as_ref().map_or("", Slug::as_str).into(),
            member.number.as_str().into(),
            member.joined_at.as_micros().into(),
            member.recorded_at.as_micros().into(),
        ]);
    }
    rows.insert(db).await?;
    Ok(())
}

fn selection() -> String {
    format!("SELECT {} FROM member WHERE ", COLUMNS.join(", "))
}

/// The members with these ids; unknown ones are left out.
pub(crate) async fn member_find(
    db: &impl ConnectionTrait,
    wanted: &BTreeSet<Key>,
) -> Result<HashMap<Key, Member>, DbErr> {
    let mut found = HashMap::new();
    let wanted: Vec<&Key> = wanted.iter().collect();
    for keys in wanted.chunks(MOST_KEYS) {
        for row in Sql::new(db, &selection()).in_rows(&["tenant", "id"], key_values(keys)).all(db).await? {
            found.insert(key_of(&row, "id")?, member(&row)?);
        }
    }
    Ok(found)
}

/// All memberships of these parties.
pub(crate) async fn member_of_parties(
    db: &impl ConnectionTrait,
    parties: &BTreeSet<Key>,
) -> Result<Vec<(TenantId, Member)>, DbErr> {
    let mut found = Vec::new();
    let parties: Vec<&Key> = parties.iter().collect();
    for keys in parties.chunks(MOST_KEYS) {
        for row in Sql::new(db, &selection()).in_rows(&["tenant", "party"], key_values(keys)).all(db).await? {
            found.push((key_of(&row, "id")?.0, member(&row)?));
        }
    }
    Ok(found)
}

/// All memberships of a party, oldest first.
pub(crate) async fn member_of_party(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    party: Uuid,
) -> Result<Vec<Member>, DbErr> {
    let parties = BTreeSet::from([(tenant.clone(), party)]);
    let mut members: Vec<Member> =
        member_of_parties(db, &parties).await?.into_iter().map(|(_, member)| member).collect();
    members.sort_by_key(|member| member.id);
    Ok(members)
}

/// The members that hold one of these numbers of a programme.
pub(crate) async fn member_by_number(
    db: &impl ConnectionTrait,
    numbers: &BTreeSet<(TenantId, Uuid, String)>,
) -> Result<Vec<(TenantId, Member)>, DbErr> {
    let values: Vec<Value> = numbers
        .iter()
        .flat_map(|(tenant, program, number)| {
            [Value::from(tenant.as_str()), Value::from(*program), Value::from(number.as_str())]
        })
        .collect();
    let rows = Sql::new(db, &selection()).in_rows(&["tenant", "program_id", "number"], values).all(db).await?;
    rows.iter().map(|row| Ok((key_of(row, "id")?.0, member(row)?))).collect()
}

/// A page of members by id, which is the order in which they came: of a programme, of a party, or of both.
pub(crate) async fn member_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    (program, party): (Option<Uuid>, Option<Uuid>),
    after: Option<Uuid>,
    limit: usize,
) -> Result<Vec<Member>, DbErr> {
    let mut sql = Sql::new(db, &selection()).text("tenant = ").bind(tenant.as_str());
    if let Some(program) = program {
        sql = sql.text(" AND program_id = ").bind(program);
    }
    if let Some(party) = party {
        sql = sql.text(" AND party = ").bind(party);
    }
    if let Some(after) = after {
        sql = sql.text(" AND id > ").bind(after);
    }
    let rows = sql.text(" ORDER BY id").limit(limit).all(db).await?;
    rows.iter().map(member).collect()
}

fn member(row: &QueryResult) -> Result<Member, DbErr> {
    let role_type: String = row.try_get("", "role_type")?;
    let role_type = match role_type.as_str() {
        "" => None,
        word => Some(Slug::parse(word).map_err(|_| corrupt("member.role_type"))?),
    };
    Ok(Member {
        id: row.try_get("", "id")?,
        program: row.try_get("", "program_id")?,
        party: row.try_get("", "party")?,
        role_type,
        number: row.try_get("", "number")?,
        joined_at: time(row, "joined_at")?,
        recorded_at: time(row, "recorded_at")?,
    })
}
