use std::collections::HashSet;

use rapport_store::Sql;
use rapport_store::sea_orm::{ConnectionTrait, DbErr, Value};
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::by_time::ByTime;
use super::{Filter, InteractionRow};

/// The most branches of one statement; SQLite takes 500.
const MAX_BRANCHES: usize = 64;

/// A place in a timeline: occurred_at in microseconds, id.
pub(crate) type TimelineKey = (i64, Uuid);

/// A page of a timeline.
pub(crate) struct TimelinePage<'a> {
    /// The party and the origins that belong to it.
    pub(crate) origins: &'a [Uuid],
    /// What is wanted.
    pub(crate) filter: &'a Filter,
    /// Only what had occurred by then.
    pub(crate) as_of: Option<Timestamp>,
    /// Only what had been recorded by then, in the versions of then.
    pub(crate) as_known_at: Option<Timestamp>,
    /// Those too that were retracted.
    pub(crate) include_retracted: bool,
    /// The place after which the page begins.
    pub(crate) after: Option<TimelineKey>,
    /// How many rows at most.
    pub(crate) limit: usize,
}

/// The interactions of some origins, newest first by the time they occurred.
///
/// Each origin is read along its own index from the newest entry on, at most `limit` of them; the newest of all are
/// then fetched. So a page costs the same for a party with a long history as for one with a short one.
pub(crate) async fn timeline_page(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    page: &TimelinePage<'_>,
) -> Result<Vec<InteractionRow>, DbErr> {
    let now = timeline_now(db, tenant, page).await?;
    let Some(as_known_at) = page.as_known_at else {
        return Ok(now);
    };
    // What is amended between the two statements is found by both: the version of then wins, for the first one saw it
    // while it was in force.
    let mut seen: HashSet<Uuid> = now.iter().map(|row| row.id).collect();
    let past = timeline_past(db, tenant, page, as_known_at).await?;
    let mut rows = now;
    rows.extend(past.into_iter().filter(|row| seen.insert(row.id)));
    rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.occurred_at, row.id)));
    rows.truncate(page.limit);
    Ok(rows)
}

/// Versions that were in force at a moment of the past and no longer are, newest first. Amendments are few: those of
/// the party are read and sorted.
async fn timeline_past(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    page: &TimelinePage<'_>,
    as_known_at: Timestamp,
) -> Result<Vec<InteractionRow>, DbErr> {
    let mut sql = Sql::new(db, "");
    sql = sql.text("SELECT DISTINCT ").text(&InteractionRow::selection()).text(
        " FROM participant_version AS p JOIN interaction_version AS i \
         ON i.tenant = p.tenant AND i.id = p.interaction_id AND i.version = p.version WHERE p.tenant = ",
    );
    sql = sql.bind(tenant.as_str()).text(" AND ");
    sql = sql.in_list("p.origin", page.origins.iter().map(|origin| Value::from(*origin)).collect());
    sql = sql.text(" AND p.recorded_at <= ").bind(as_known_at.as_micros());
    sql = sql.text(" AND p.superseded_at > ").bind(as_known_at.as_micros());
    if let Some(as_of) = page.as_of {
        sql = sql.text(" AND p.occurred_at <= ").bind(as_of.as_micros());
    }
    sql = page.filter.append(sql, " AND ");
    let rows = newest(page).append(sql, "i.occurred_at", "i.id").all(db).await?;
    rows.iter().map(InteractionRow::read).collect()
}

/// Versions that are in force now.
async fn timeline_now(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    page: &TimelinePage<'_>,
) -> Result<Vec<InteractionRow>, DbErr> {
    let mut sql = Sql::new(db, "");
    sql = sql.text("SELECT ").text(&InteractionRow::selection()).text(" FROM (");
    // A party with very many origins shares the branches among them.
    for (position, origins) in page.origins.chunks(page.origins.len().div_ceil(MAX_BRANCHES).max(1)).enumerate() {
        if position > 0 {
            sql = sql.text(" UNION ");
        }
        sql = branch(sql, tenant, origins, page);
    }
    // The limit stands inside too, so that a long list of origins does not fetch what the page will not show.
    let rows = sql
        .text(" ORDER BY occurred_at DESC, interaction_id DESC")
        .limit(page.limit)
        .text(") AS t JOIN interaction AS i ON i.tenant = ")
        .bind(tenant.as_str())
        .text(" AND i.id = t.interaction_id ORDER BY t.occurred_at DESC, t.interaction_id DESC")
        .all(db)
        .await?;
    rows.iter().map(InteractionRow::read).collect()
}

/// The newest entries of some origins, as a rule of one.
fn branch(mut sql: Sql, tenant: &TenantId, origins: &[Uuid], page: &TimelinePage<'_>) -> Sql {
    sql = sql.text(
        "SELECT occurred_at, interaction_id FROM (SELECT DISTINCT p.occurred_at, p.interaction_id \
         FROM interaction_participant AS p",
    );
    if !page.filter.is_empty() {
        sql = sql.text(" JOIN interaction AS i ON i.tenant = p.tenant AND i.id = p.interaction_id");
    }
    sql = sql.text(" WHERE p.tenant = ").bind(tenant.as_str()).text(" AND ");
    sql = match origins {
        [one] => sql.text("p.origin = ").bind(*one),
        several => sql.in_list("p.origin", several.iter().map(|origin| Value::from(*origin)).collect()),
    };
    if let Some(as_of) = page.as_of {
        sql = sql.text(" AND p.occurred_at <= ").bind(as_of.as_micros());
    }
    if let Some(as_known_at) = page.as_known_at {
        sql = sql.text(" AND p.recorded_at <= ").bind(as_known_at.as_micros());
    }
    if !page.include_retracted {
        sql = sql.text(" AND NOT p.retracted");
    }
    sql = page.filter.append(sql, " AND ");
    newest(page).append(sql, "p.occurred_at", "p.interaction_id").text(") AS b")
}

/// A timeline goes back in time.
fn newest(page: &TimelinePage<'_>) -> ByTime {
    ByTime { after: page.after, descending: true, limit: page.limit }
}
