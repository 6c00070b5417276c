//! What became of invitations, counted.

use rapport_store::Sql;
use rapport_store::sea_orm::{ConnectionTrait, DbErr};
use rapport_types::{TenantId, Timestamp};

use crate::domain::{Gate, Group, InvitationState};

/// Invitations of one state and gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FunnelCount {
    /// As it was last booked.
    pub(crate) booked: InvitationState,
    /// The gate, where one forbade them.
    pub(crate) gate: Option<Gate>,
    /// How many.
    pub(crate) count: i64,
    /// How many of them expired without that being booked.
    pub(crate) expired: i64,
}

/// A span of time: from, until (exclusive).
pub(crate) type Span = (Timestamp, Timestamp);

/// The invitations recorded within a span.
pub(crate) async fn funnel_counts(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    span: Span,
    now: Timestamp,
) -> Result<Vec<FunnelCount>, DbErr> {
    let rows = Sql::new(db, "SELECT state, gate, COUNT(*), CAST(SUM(CASE WHEN state = ")
        .bind(InvitationState::Sent.code())
        .text(" AND expire_at <= ")
        .bind(now.as_micros())
        .text(" THEN 1 ELSE 0 END) AS BIGINT) FROM invitation WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND created_at >= ")
        .bind(span.0.as_micros())
        .text(" AND created_at < ")
        .bind(span.1.as_micros())
        .text(" GROUP BY state, gate ORDER BY state, gate")
        .all(db)
        .await?;
    let mut counts = Vec::with_capacity(rows.len());
    for row in rows {
        let (state, gate): (i16, i16) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        counts.push(FunnelCount {
            booked: InvitationState::from_code(i64::from(state))
                .ok_or_else(|| DbErr::Type("a stored state of an invitation is unknown".to_owned()))?,
            gate: Gate::from_code(i64::from(gate)),
            count: row.try_get_by_index(2)?,
            expired: row.try_get_by_index(3)?,
        });
    }
    Ok(counts)
}

/// The parties that were invited and those held out within a span, each by its first decision; and who of them spoke for
/// the tenant after it.
pub(crate) async fn funnel_groups(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    span: Span,
) -> Result<(Group, Group), DbErr> {
    let held_out = InvitationState::HeldOut.code();
    let rows = Sql::new(db, "SELECT held_out, COUNT(*), CAST(SUM(CASE WHEN EXISTS (SELECT 1 FROM advocacy AS x WHERE x.tenant = ")
        .bind(tenant.as_str())
        .text(" AND x.occurred_at > f.created_at AND (x.origin = f.who OR x.origin IN (SELECT o.origin FROM alias AS o WHERE o.tenant = ")
        .bind(tenant.as_str())
        .text(" AND o.party = f.who))) THEN 1 ELSE 0 END) AS BIGINT) FROM (SELECT COALESCE(a.party, i.origin) AS who, i.created_at, \
               CASE WHEN i.state = ")
        .bind(held_out)
        .text(" THEN 1 ELSE 0 END AS held_out, ROW_NUMBER() OVER (PARTITION BY COALESCE(a.party, i.origin) ORDER BY i.created_at, i.id) \
               AS place FROM invitation AS i LEFT JOIN alias AS a ON a.tenant = i.tenant AND a.origin = i.origin WHERE i.tenant = ")
        .bind(tenant.as_str())
        .text(" AND i.created_at >= ")
        .bind(span.0.as_micros())
        .text(" AND i.created_at < ")
        .bind(span.1.as_micros())
        .text(" AND (i.sent_at IS NOT NULL OR i.state = ")
        .bind(held_out)
        .text(")) AS f WHERE f.place = 1 GROUP BY held_out")
        .all(db)
        .await?;
    let (mut invited, mut kept) = (Group::default(), Group::default());
    for row in rows {
        let group = Group { parties: row.try_get_by_index(1)?, active: row.try_get_by_index(2)? };
        let held: i32 = row.try_get_by_index(0)?;
        *(if held == 1 { &mut kept } else { &mut invited }) = group;
    }
    Ok((invited, kept))
}
