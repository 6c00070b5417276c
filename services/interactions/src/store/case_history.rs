use std::collections::{HashMap, HashSet};

use rapport_store::sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use rapport_store::{Rows, Sql, Store, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::commitment_text::decode;
use super::sealing::{CASE_NOTE, NoteText, subject};
use super::{CaseMove, CaseRow};
use crate::domain::{Assignee, CaseStatus, Origin};

const EVENT: &[&str] = &[
    "tenant",
    "case_id",
    "version",
    "from_status",
    "to_status",
    "occurred_at",
    "recorded_at",
    "principal",
    "source_system",
    "sealed",
    "assigned",
    "assignee_kind",
    "assignee",
    "given_origin",
    "given_named",
    "given_interaction",
];

/// What a step of a case's history did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It was opened, or moved from another status.
    Moved,
    /// It was given to somebody, or to nobody.
    Assigned(Option<Assignee>),
    /// It became somebody else's.
    Given {
        /// Whose.
        to: Origin,
        /// Whether the party was named, whose id the origin then is.
        named: bool,
        /// The interaction that it followed.
        interaction: Uuid,
    },
    /// This interaction was linked to it.
    Linked(Uuid),
}

/// Adds steps to the history of cases. An interaction that was linked stands where the one does that a case followed to
/// another origin, and no origin stands beside it.
pub(crate) async fn history_insert(tx: &Tx, steps: &[CaseMove]) -> Result<(), DbErr> {
    let mut rows = Rows::new("case_event", EVENT);
    for step in steps {
        let assignee = match &step.step {
            Step::Assigned(assignee) => assignee.as_ref(),
            Step::Moved | Step::Given { .. } | Step::Linked(_) => None,
        };
        let (given, interaction) = match &step.step {
            Step::Given { to, named, interaction } => (Some((to.id, *named)), Some(*interaction)),
            Step::Linked(interaction) => (None, Some(*interaction)),
            Step::Moved | Step::Assigned(_) => (None, None),
        };
        rows.push([
            step.tenant.as_str().into(),
            step.id.into(),
            step.version.into(),
            step.from.map(CaseStatus::code).into(),
            step.to.code().into(),
            step.occurred_at.as_micros().into(),
            step.recorded_at.as_micros().into(),
            step.principal.as_str().into(),
            step.source_system.as_str().into(),
            step.sealed.clone().into(),
            matches!(step.step, Step::Assigned(_)).into(),
            assignee.map(|assignee| assignee.kind().code()).into(),
            assignee.map(Assignee::text).into(),
            Value::Uuid(given.map(|(origin, _)| origin)),
            given.is_some_and(|(_, named)| named).into(),
            Value::Uuid(interaction),
        ]);
    }
    rows.insert(tx.db()).await?;
    Ok(())
}

/// Those of the cases that these steps are of.
pub(super) fn changed<'a>(
    cases: &'a HashMap<(TenantId, Uuid), CaseRow>,
    steps: &[CaseMove],
) -> impl Iterator<Item = &'a CaseRow> {
    let changed: HashSet<(&TenantId, Uuid)> = steps.iter().map(|step| (&step.tenant, step.id)).collect();
    cases.values().filter(move |row| changed.contains(&(&row.tenant, row.id)))
}

/// Writes to whom cases were given, and the steps that say so.
pub(crate) async fn case_assign(
    tx: &Tx,
    cases: &HashMap<(TenantId, Uuid), CaseRow>,
    steps: &[CaseMove],
) -> Result<(), StoreError> {
    let mut rows =
        Rows::new("case_file", &["tenant", "id", "version", "assignee_kind", "assignee", "assigned_at", "updated_at"]);
    for row in changed(cases, steps) {
        let (assignee, at) = row.assignment.clone().unzip();
        rows.push([
            row.tenant.as_str().into(),
            row.id.into(),
            row.case.version.into(),
            assignee.as_ref().map(|assignee| assignee.kind().code()).into(),
            assignee.as_ref().map(Assignee::text).into(),
            at.map(Timestamp::as_micros).into(),
            row.updated_at.as_micros().into(),
        ]);
    }
    rows.update_by(tx.db(), &["tenant", "id"]).await?;
    history_insert(tx, steps).await?;
    Ok(())
}

/// The steps of a case's history behind a version, the earliest first.
pub(crate) async fn case_history(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    case: Uuid,
    after: Option<i64>,
    most: usize,
) -> Result<Vec<CaseMove>, DbErr> {
    let mut sql = Sql::new(db, &format!("SELECT {} FROM case_event WHERE tenant = ", EVENT.join(", ")))
        .bind(tenant.as_str())
        .text(" AND case_id = ")
        .bind(case);
    if let Some(version) = after {
        sql = sql.text(" AND version > ").bind(version);
    }
    let rows = sql.text(" ORDER BY version").limit(most).all(db).await?;
    rows.iter().map(|row| read(tenant, row)).collect()
}

fn read(tenant: &TenantId, row: &QueryResult) -> Result<CaseMove, DbErr> {
    let status = |code: i16| {
        CaseStatus::from_code(i64::from(code)).ok_or_else(|| DbErr::Custom(format!("case_event.status: {code}")))
    };
    let from: Option<i16> = row.try_get_by_index(3)?;
    let assigned: bool = row.try_get_by_index(10)?;
    let assignee: Option<(i16, String)> = row.try_get_by_index::<Option<i16>>(11)?.zip(row.try_get_by_index(12)?);
    let assignee = assignee.and_then(|(kind, text)| Assignee::stored(kind, text));
    let (given, interaction): (Option<Uuid>, Option<Uuid>) = (row.try_get_by_index(13)?, row.try_get_by_index(15)?);
    let named: bool = row.try_get_by_index(14)?;
    let step = match (given, interaction) {
        (Some(id), Some(interaction)) => {
            Step::Given { to: Origin { id, party: named.then_some(id) }, named, interaction }
        }
        (None, Some(interaction)) => Step::Linked(interaction),
        _ if assigned => Step::Assigned(assignee),
        _ => Step::Moved,
    };
    Ok(CaseMove {
        tenant: tenant.clone(),
        id: row.try_get_by_index(1)?,
        version: row.try_get_by_index(2)?,
        from: from.map(status).transpose()?,
        to: status(row.try_get_by_index(4)?)?,
        occurred_at: Timestamp::from_micros(row.try_get_by_index(5)?),
        recorded_at: Timestamp::from_micros(row.try_get_by_index(6)?),
        principal: row.try_get_by_index(7)?,
        source_system: row.try_get_by_index(8)?,
        sealed: row.try_get_by_index(9)?,
        step,
    })
}

/// The notes of steps, in their order, of a case under an origin; empty where nothing was noted, and where the key was
/// destroyed.
///
/// # Errors
/// Unavailable.
pub(crate) async fn case_notes(store: &Store, origin: Uuid, steps: &[CaseMove]) -> Result<Vec<NoteText>, Error> {
    let sealed: Vec<_> = steps
        .iter()
        .filter_map(|step| step.sealed.as_ref().map(|sealed| (subject(&step.tenant, origin), sealed.clone())))
        .collect();
    let opened = if sealed.is_empty() { Vec::new() } else { store.unseal_many(CASE_NOTE, &sealed).await? };
    let mut opened = opened.into_iter();
    let note = |step: &CaseMove| decode(if step.sealed.is_some() { opened.next().flatten() } else { None });
    steps.iter().map(note).collect()
}
