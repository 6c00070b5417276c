//! Invitations, and the records of those that were not made.

use std::collections::{BTreeMap, BTreeSet};

use rapport_store::sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Value};
use rapport_store::{LockKey, Rows, Sql, Tx};
use rapport_types::{TenantId, Timestamp, Uuid};
use serde::{Deserialize, Serialize};

use super::alias::chunks;
use super::catalog::coded;
use super::key_of;
use crate::domain::{
    Gate, Invitation, InvitationState, Key, MemberName, ProgramName, ResponseName, Sent, Slug, SurveyName,
    TransactionName,
};

/// The columns, in the order in which rows are read and written.
const COLUMNS: &[&str] = &[
    "tenant",
    "id",
    "version",
    "origin",
    "named",
    "program_id",
    "member_id",
    "channel",
    "purpose",
    "ask",
    "survey_id",
    "response_id",
    "state",
    "gate",
    "decider",
    "due_at",
    "zone",
    "sent_at",
    "expire_at",
    "answered_at",
    "reward",
    "timer_at",
    "created_at",
    "updated_at",
    "reason",
    "note",
];

/// The columns that change, after the key.
const CHANGING: &[&str] = &[
    "tenant",
    "id",
    "version",
    "state",
    "gate",
    "decider",
    "due_at",
    "sent_at",
    "expire_at",
    "answered_at",
    "reward",
    "timer_at",
    "updated_at",
    "note",
];

/// An invitation as it is kept: its texts stay sealed, so that it can be kept for the retry of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct InvitationRow {
    pub(crate) tenant: TenantId,
    pub(crate) invitation: Invitation,
    /// Why somebody asked for it, sealed.
    pub(crate) reason: Option<Vec<u8>>,
    /// What the party said with its answer, sealed.
    pub(crate) note: Option<Vec<u8>>,
}

fn micros(time: Option<Timestamp>) -> Value {
    time.map(Timestamp::as_micros).into()
}

fn gate_code(invitation: &Invitation) -> Value {
    invitation.gate.map_or(0, Gate::code).into()
}

/// Writes new invitations.
pub(crate) async fn invitation_insert(db: &impl ConnectionTrait, new: &[InvitationRow]) -> Result<(), DbErr> {
    let mut rows = Rows::new("invitation", COLUMNS);
    for InvitationRow { tenant, invitation, reason, note } in new {
        rows.push([
            tenant.as_str().into(),
            invitation.id.into(),
            invitation.version.into(),
            invitation.origin.into(),
            (invitation.party == Some(invitation.origin)).into(),
            invitation.member.map(|member| member.parent().uuid()).into(),
            invitation.member.map(|member| member.uuid()).into(),
            invitation.channel.as_str().into(),
            invitation.purpose.as_str().into(),
            invitation.ask.as_str().into(),
            invitation.response.map(|response| response.parent().uuid()).into(),
            invitation.response.map(|response| response.uuid()).into(),
            invitation.booked.code().into(),
            gate_code(invitation),
            invitation.decider.as_str().into(),
            invitation.due_at.as_micros().into(),
            invitation.zone.as_str().into(),
            micros(invitation.sent_at),
            micros(invitation.expire_at),
            micros(invitation.answered_at),
            invitation.reward.map(|reward| reward.uuid()).into(),
            micros(invitation.timer_at()),
            invitation.created_at.as_micros().into(),
            invitation.updated_at.as_micros().into(),
            reason.clone().into(),
            note.clone().into(),
        ]);
    }
    rows.insert(db).await.map(drop)
}

/// Writes what became of invitations.
pub(crate) async fn invitation_update(db: &impl ConnectionTrait, changed: &[InvitationRow]) -> Result<(), DbErr> {
    let mut rows = Rows::new("invitation", CHANGING);
    for InvitationRow { tenant, invitation, note, .. } in changed {
        rows.push([
            tenant.as_str().into(),
            invitation.id.into(),
            invitation.version.into(),
            invitation.booked.code().into(),
            gate_code(invitation),
            invitation.decider.as_str().into(),
            invitation.due_at.as_micros().into(),
            micros(invitation.sent_at),
            micros(invitation.expire_at),
            micros(invitation.answered_at),
            invitation.reward.map(|reward| reward.uuid()).into(),
            micros(invitation.timer_at()),
            invitation.updated_at.as_micros().into(),
            note.clone().into(),
        ]);
    }
    rows.update_by(db, &["tenant", "id"]).await.map(drop)
}

/// The invitations as they are, each with the party that its origin belongs to now.
fn selection() -> String {
    format!(
        "SELECT {}, (SELECT a.party FROM alias AS a WHERE a.tenant = invitation.tenant AND \
         a.origin = invitation.origin) AS party FROM invitation WHERE ",
        COLUMNS.join(", ")
    )
}

fn read(row: &QueryResult) -> Result<InvitationRow, DbErr> {
    let (tenant, id) = key_of(row, "id")?;
    let stored = |text: String| Slug::parse(&text).map_err(|_| DbErr::Type("a stored slug is none".to_owned()));
    let time = |column: &str| -> Result<Timestamp, DbErr> { Ok(Timestamp::from_micros(row.try_get("", column)?)) };
    let maybe = |column: &str| -> Result<Option<Timestamp>, DbErr> {
        Ok(row.try_get::<Option<i64>>("", column)?.map(Timestamp::from_micros))
    };
    let id_of = |column: &str| row.try_get::<Option<Uuid>>("", column);
    let origin: Uuid = row.try_get("", "origin")?;
    let named: bool = row.try_get("", "named")?;
    let invitation = Invitation {
        id,
        version: row.try_get("", "version")?,
        origin,
        party: id_of("party")?.or(named.then_some(origin)),
        member: id_of("program_id")?
            .zip(id_of("member_id")?)
            .map(|(program, member)| MemberName::new(ProgramName::new(program), member)),
        channel: stored(row.try_get("", "channel")?)?,
        purpose: stored(row.try_get("", "purpose")?)?,
        ask: stored(row.try_get("", "ask")?)?,
        response: id_of("survey_id")?
            .zip(id_of("response_id")?)
            .map(|(survey, response)| ResponseName::new(SurveyName::new(survey), response)),
        booked: coded(row, "state", InvitationState::from_code)?,
        gate: Gate::from_code(i64::from(row.try_get::<i16>("", "gate")?)),
        decider: row.try_get("", "decider")?,
        due_at: time("due_at")?,
        zone: row.try_get("", "zone")?,
        sent_at: maybe("sent_at")?,
        expire_at: maybe("expire_at")?,
        answered_at: maybe("answered_at")?,
        reward: id_of("reward")?.map(TransactionName::new),
        created_at: time("created_at")?,
        updated_at: time("updated_at")?,
    };
    Ok(InvitationRow { tenant, invitation, reason: row.try_get("", "reason")?, note: row.try_get("", "note")? })
}

/// The invitations with these ids.
pub(crate) async fn invitation_find(
    db: &impl ConnectionTrait,
    ids: &BTreeSet<Key>,
) -> Result<BTreeMap<Key, InvitationRow>, DbErr> {
    find(db, ids, &["tenant", "id"], "").await.map(by_id)
}

/// The same, held until the transaction ends: nobody else changes them meanwhile.
pub(crate) async fn invitation_hold(tx: &Tx, ids: &BTreeSet<Key>) -> Result<BTreeMap<Key, InvitationRow>, DbErr> {
    // In the order of their keys, or two writes of several could wait for each other.
    let held = match tx.backend() {
        DbBackend::Postgres => " ORDER BY tenant, id FOR UPDATE",
        _ => "",
    };
    find(tx.db(), ids, &["tenant", "id"], held).await.map(by_id)
}

/// The invitations that these survey responses led to, by response.
pub(crate) async fn invitation_of_responses(
    db: &impl ConnectionTrait,
    responses: &BTreeSet<Key>,
) -> Result<BTreeMap<Key, InvitationRow>, DbErr> {
    let rows = find(db, responses, &["tenant", "response_id"], "").await?;
    let key = |row: InvitationRow| {
        let response = row.invitation.response?.uuid();
        Some(((row.tenant.clone(), response), row))
    };
    Ok(rows.into_iter().filter_map(key).collect())
}

fn by_id(rows: Vec<InvitationRow>) -> BTreeMap<Key, InvitationRow> {
    rows.into_iter().map(|row| ((row.tenant.clone(), row.invitation.id), row)).collect()
}

async fn find(
    db: &impl ConnectionTrait,
    keys: &BTreeSet<Key>,
    columns: &[&str],
    suffix: &str,
) -> Result<Vec<InvitationRow>, DbErr> {
    let mut found = Vec::new();
    for keys in chunks(keys) {
        let rows = Sql::new(db, &selection()).in_rows(columns, keys).text(suffix).all(db).await?;
        for row in &rows {
            found.push(read(row)?);
        }
    }
    Ok(found)
}

/// What was sent to these origins after a moment.
pub(crate) async fn invitation_sent(
    db: &impl ConnectionTrait,
    origins: impl IntoIterator<Item = &Key>,
    since: Timestamp,
) -> Result<Vec<(Key, Sent)>, DbErr> {
    let mut found = Vec::new();
    for keys in chunks(origins) {
        let rows = Sql::new(db, "SELECT tenant, origin, id, sent_at FROM invitation WHERE ")
            .in_rows(&["tenant", "origin"], keys)
            .text(" AND sent_at > ")
            .bind(since.as_micros())
            .all(db)
            .await?;
        for row in &rows {
            let at = Timestamp::from_micros(row.try_get("", "sent_at")?);
            found.push((key_of(row, "origin")?, Sent { invitation: row.try_get("", "id")?, at }));
        }
    }
    Ok(found)
}

/// A page of invitations.
pub(crate) struct InvitationPage<'a> {
    /// Only those of these origins; those of all when none.
    pub(crate) origins: Option<&'a [Uuid]>,
    /// Only those in this state at `now`.
    pub(crate) state: Option<InvitationState>,
    /// The moment at which they are looked at.
    pub(crate) now: Timestamp,
    /// The one after which the page begins.
    pub(crate) after: Option<Uuid>,
    /// How many at most.
    pub(crate) limit: usize,
}

/// Invitations of a tenant, newest first: ids grow with time.
pub(crate) async fn invitation_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    page: &InvitationPage<'_>,
) -> Result<Vec<InvitationRow>, DbErr> {
    let mut sql = Sql::new(db, &selection()).text("tenant = ").bind(tenant.as_str());
    if let Some(origins) = page.origins {
        sql = sql.text(" AND ").in_list("origin", origins.iter().map(|origin| Value::from(*origin)).collect());
    }
    if let Some(state) = page.state {
        let (sent, now) = (InvitationState::Sent.code(), page.now.as_micros());
        sql = match state {
            InvitationState::Sent => sql.text(" AND state = ").bind(sent).text(" AND expire_at > ").bind(now),
            InvitationState::Expired => sql
                .text(" AND (state = ")
                .bind(state.code())
                .text(" OR (state = ")
                .bind(sent)
                .text(" AND expire_at <= ")
                .bind(now)
                .text("))"),
            other => sql.text(" AND state = ").bind(other.code()),
        };
    }
    if let Some(after) = page.after {
        sql = sql.text(" AND id < ").bind(after);
    }
    let rows = sql.text(" ORDER BY id DESC").limit(page.limit).all(db).await?;
    rows.iter().map(read).collect()
}

/// A place among those that are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DuePlace {
    timer_at: Option<Timestamp>,
    tenant: TenantId,
    id: Uuid,
}

impl DuePlace {
    /// The place of an invitation.
    pub(crate) fn of(row: &InvitationRow) -> DuePlace {
        DuePlace { timer_at: row.invitation.timer_at(), tenant: row.tenant.clone(), id: row.invitation.id }
    }
}

/// The invitations in this state for which something is due, of all tenants, earliest first: those behind a place.
pub(crate) async fn invitation_due(
    db: &impl ConnectionTrait,
    state: InvitationState,
    now: Timestamp,
    after: Option<&DuePlace>,
    limit: usize,
) -> Result<Vec<InvitationRow>, DbErr> {
    let mut sql =
        Sql::new(db, &selection()).text("state = ").bind(state.code()).text(" AND timer_at <= ").bind(now.as_micros());
    if let Some(DuePlace { timer_at, tenant, id }) = after {
        sql = sql
            .text(" AND (timer_at, tenant, id) > (")
            .bind(micros(*timer_at))
            .text(", ")
            .bind(tenant.as_str())
            .text(", ")
            .bind(*id)
            .text(")");
    }
    let rows = sql.text(" ORDER BY timer_at, tenant, id").limit(limit).all(db).await?;
    rows.iter().map(read).collect()
}

/// What nobody else may decide about meanwhile: whether a party is invited.
pub(crate) fn advocate_lock(tenant: &TenantId, party: Uuid) -> LockKey {
    LockKey::of(tenant, "advocate", party.as_bytes())
}
