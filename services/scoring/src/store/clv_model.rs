//! Fitted models. Rows are only ever added; what they hold is one document, since it is read as one and never searched.

use rapport_store::{Rows, Sql};
use rapport_types::{TenantId, Timestamp, Uuid};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use crate::domain::ClvModel;

const COLUMNS: &str = "id, version, operation_id, created_at, fitted";

/// The greatest version of a tenant's models; 0 if there is none.
pub(crate) async fn clv_model_version(db: &impl ConnectionTrait, tenant: &TenantId) -> Result<i32, DbErr> {
    let row = Sql::new(db, "SELECT max(version) FROM clv_model WHERE tenant = ").bind(tenant.as_str()).one(db).await?;
    let version: Option<i32> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
    Ok(version.unwrap_or(0))
}

/// Adds a model.
pub(crate) async fn clv_model_insert(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    model: &ClvModel,
) -> Result<(), DbErr> {
    let fitted = serde_json::to_string(&model.fitted).map_err(|error| DbErr::Json(error.to_string()))?;
    let mut rows = Rows::new("clv_model", &["tenant", "id", "version", "operation_id", "created_at", "fitted"]);
    rows.push([
        tenant.as_str().into(),
        model.id.into(),
        model.version.into(),
        model.operation.into(),
        model.created_at.as_micros().into(),
        fitted.into(),
    ]);
    rows.insert(db).await.map(drop)
}

/// One model.
pub(crate) async fn clv_model_find(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    id: Uuid,
) -> Result<Option<ClvModel>, DbErr> {
    let row = Sql::new(db, &format!("SELECT {COLUMNS} FROM clv_model WHERE tenant = "))
        .bind(tenant.as_str())
        .text(" AND id = ")
        .bind(id)
        .one(db)
        .await?;
    row.as_ref().map(model).transpose()
}

/// A tenant's models, newest first: those of a version below `before`, at most `limit`.
pub(crate) async fn clv_model_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    before: Option<i32>,
    limit: usize,
) -> Result<Vec<ClvModel>, DbErr> {
    let rows = Sql::new(db, &format!("SELECT {COLUMNS} FROM clv_model WHERE tenant = "))
        .bind(tenant.as_str())
        .text(" AND version < ")
        .bind(before.unwrap_or(i32::MAX))
        .text(&format!(" ORDER BY version DESC LIMIT {limit}"))
        .all(db)
        .await?;
    rows.iter().map(model).collect()
}

fn model(row: &QueryResult) -> Result<ClvModel, DbErr> {
    let fitted: String = row.try_get("", "fitted")?;
    Ok(ClvModel {
        id: row.try_get("", "id")?,
        version: row.try_get("", "version")?,
        operation: row.try_get("", "operation_id")?,
        created_at: Timestamp::from_micros(row.try_get("", "created_at")?),
        fitted: serde_json::from_str(&fitted).map_err(|error| DbErr::Json(error.to_string()))?,
    })
}
