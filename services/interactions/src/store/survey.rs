use std::collections::{HashMap, HashSet};

use rapport_store::sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use rapport_store::{Rows, Sql, Tx};
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::by_time::{ByTime, of_origins};
use crate::domain::{Measure, Slug, Survey};

/// How many values of an `IN` list go into one statement.
const CHUNK: usize = 5_000;
const SURVEY: &[&str] = &["tenant", "id", "measure", "question", "language", "purpose", "recorded_at"];
const RESPONSE: &[&str] = &[
    "tenant",
    "survey_id",
    "id",
    "interaction_id",
    "score",
    "category",
    "origin",
    "role_type",
    "case_id",
    "about",
    "occurred_at",
    "recorded_at",
    "retracted_at",
];

/// A survey as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct SurveyRow {
    pub(crate) tenant: TenantId,
    pub(crate) id: Uuid,
    pub(crate) survey: Survey,
    pub(crate) recorded_at: Timestamp,
}

/// A response as it is kept beside its interaction.
#[derive(Clone, Debug)]
pub(crate) struct ResponseRow {
    pub(crate) tenant: TenantId,
    pub(crate) survey: Uuid,
    pub(crate) id: Uuid,
    /// The interaction that it is.
    pub(crate) interaction: Uuid,
    pub(crate) score: i16,
    pub(crate) category: i16,
    pub(crate) origin: Uuid,
    pub(crate) role_type: String,
    pub(crate) case: Option<Uuid>,
    /// The interaction that it is about.
    pub(crate) about: Option<Uuid>,
    pub(crate) occurred_at: Timestamp,
    pub(crate) recorded_at: Timestamp,
    pub(crate) retracted_at: Option<Timestamp>,
}

/// Writes new surveys.
pub(crate) async fn survey_insert(tx: &Tx, surveys: &[SurveyRow]) -> Result<(), DbErr> {
    let mut rows = Rows::new("survey", SURVEY);
    for SurveyRow { tenant, id, survey, recorded_at } in surveys {
        rows.push([
            tenant.as_str().into(),
            (*id).into(),
            survey.measure.code().into(),
            survey.question.as_str().into(),
            survey.language.as_str().into(),
            survey.purpose.as_ref().map_or("", Slug::as_str).into(),
            recorded_at.as_micros().into(),
        ]);
    }
    rows.insert(tx.db()).await?;
    Ok(())
}

fn survey_of(tenant: &TenantId, row: &QueryResult) -> Result<SurveyRow, DbErr> {
    let measure: i16 = row.try_get_by_index(1)?;
    let measure =
        Measure::from_code(i64::from(measure)).ok_or_else(|| DbErr::Custom(format!("survey.measure: {measure}")))?;
    let purpose: String = row.try_get_by_index(4)?;
    let purpose = Slug::parse_optional(&purpose).map_err(|error| DbErr::Custom(format!("survey.purpose: {error}")))?;
    Ok(SurveyRow {
        tenant: tenant.clone(),
        id: row.try_get_by_index(0)?,
        survey: Survey { measure, question: row.try_get_by_index(2)?, language: row.try_get_by_index(3)?, purpose },
        recorded_at: Timestamp::from_micros(row.try_get_by_index(5)?),
    })
}

const SELECT_SURVEY: &str = "SELECT id, measure, question, language, purpose, recorded_at FROM survey WHERE tenant = ";

/// The surveys with these names; unknown ones are left out.
pub(crate) async fn survey_find(
    db: &impl ConnectionTrait,
    wanted: &HashSet<(TenantId, Uuid)>,
) -> Result<HashMap<(TenantId, Uuid), SurveyRow>, DbErr> {
    let mut found = HashMap::new();
    for (tenant, ids) in by_tenant(wanted) {
        for ids in ids.chunks(CHUNK) {
            let rows = Sql::new(db, SELECT_SURVEY)
                .bind(tenant.as_str())
                .text(" AND ")
                .in_list("id", ids.to_vec())
                .all(db)
                .await?;
            for row in rows {
                let survey = survey_of(tenant, &row)?;
                found.insert((tenant.clone(), survey.id), survey);
            }
        }
    }
    Ok(found)
}

/// The surveys of a tenant by the time they were recorded.
pub(crate) async fn survey_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    page: ByTime,
) -> Result<Vec<SurveyRow>, DbErr> {
    let sql = Sql::new(db, SELECT_SURVEY).bind(tenant.as_str());
    let rows = page.append(sql, "recorded_at", "id").all(db).await?;
    rows.iter().map(|row| survey_of(tenant, row)).collect()
}

/// Those of the cases that exist.
pub(crate) async fn case_known(
    db: &impl ConnectionTrait,
    wanted: &HashSet<(TenantId, Uuid)>,
) -> Result<HashSet<(TenantId, Uuid)>, DbErr> {
    let mut known = HashSet::new();
    for (tenant, ids) in by_tenant(wanted) {
        for ids in ids.chunks(CHUNK) {
            let rows = Sql::new(db, "SELECT id FROM case_file WHERE tenant = ")
                .bind(tenant.as_str())
                .text(" AND ")
                .in_list("id", ids.to_vec())
                .all(db)
                .await?;
            for row in rows {
                known.insert((tenant.clone(), row.try_get_by_index(0)?));
            }
        }
    }
    Ok(known)
}

fn by_tenant(wanted: &HashSet<(TenantId, Uuid)>) -> HashMap<&TenantId, Vec<Value>> {
    let mut by_tenant: HashMap<&TenantId, Vec<Value>> = HashMap::new();
    for (tenant, id) in wanted {
        by_tenant.entry(tenant).or_default().push(Value::from(*id));
    }
    by_tenant
}

/// Writes new responses.
pub(crate) async fn response_insert(tx: &Tx, responses: &[ResponseRow]) -> Result<(), DbErr> {
    let mut rows = Rows::new("survey_response", RESPONSE);
    for row in responses {
        rows.push([
            row.tenant.as_str().into(),
            row.survey.into(),
            row.id.into(),
            row.interaction.into(),
            row.score.into(),
            row.category.into(),
            row.origin.into(),
            row.role_type.as_str().into(),
            row.case.into(),
            row.about.into(),
            row.occurred_at.as_micros().into(),
            row.recorded_at.as_micros().into(),
            row.retracted_at.map(Timestamp::as_micros).into(),
        ]);
    }
    rows.insert(tx.db()).await?;
    Ok(())
}

/// Takes responses out of their surveys: whose, survey, response, when.
pub(crate) async fn response_retract(tx: &Tx, retracted: &[(TenantId, Uuid, Uuid, Timestamp)]) -> Result<(), DbErr> {
    let mut rows = Rows::new("survey_response", &["tenant", "survey_id", "id", "retracted_at"]);
    for (tenant, survey, id, at) in retracted {
        rows.push([tenant.as_str().into(), (*survey).into(), (*id).into(), at.as_micros().into()]);
    }
    rows.update_by(tx.db(), &["tenant", "survey_id", "id"]).await?;
    Ok(())
}

fn select_response() -> String {
    format!("SELECT {} FROM survey_response WHERE tenant = ", RESPONSE.join(", "))
}

fn response_of(tenant: &TenantId, row: &QueryResult) -> Result<ResponseRow, DbErr> {
    Ok(ResponseRow {
        tenant: tenant.clone(),
        survey: row.try_get_by_index(1)?,
        id: row.try_get_by_index(2)?,
        interaction: row.try_get_by_index(3)?,
        score: row.try_get_by_index(4)?,
        category: row.try_get_by_index(5)?,
        origin: row.try_get_by_index(6)?,
        role_type: row.try_get_by_index(7)?,
        case: row.try_get_by_index(8)?,
        about: row.try_get_by_index(9)?,
        occurred_at: Timestamp::from_micros(row.try_get_by_index(10)?),
        recorded_at: Timestamp::from_micros(row.try_get_by_index(11)?),
        retracted_at: row.try_get_by_index::<Option<i64>>(12)?.map(Timestamp::from_micros),
    })
}

/// One response, if there is such a one.
pub(crate) async fn response_find(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    survey: Uuid,
    id: Uuid,
) -> Result<Option<ResponseRow>, DbErr> {
    let row = Sql::new(db, &select_response())
        .bind(tenant.as_str())
        .text(" AND survey_id = ")
        .bind(survey)
        .text(" AND id = ")
        .bind(id)
        .one(db)
        .await?;
    row.map(|row| response_of(tenant, &row)).transpose()
}

/// A page of responses.
pub(crate) struct ResponsePage<'a> {
    /// Only those to this survey.
    pub(crate) survey: Option<Uuid>,
    /// Only those of these origins; those of all when none.
    pub(crate) origins: Option<&'a [Uuid]>,
    /// Those too that were retracted.
    pub(crate) include_retracted: bool,
    /// Which of them, by the time they were given.
    pub(crate) by_answer: ByTime,
}

/// Responses by the time they were given.
pub(crate) async fn response_list(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    page: &ResponsePage<'_>,
) -> Result<Vec<ResponseRow>, DbErr> {
    let mut sql = Sql::new(db, &select_response()).bind(tenant.as_str());
    sql = of_origins(sql, "origin", page.origins);
    if let Some(survey) = page.survey {
        sql = sql.text(" AND survey_id = ").bind(survey);
    }
    if !page.include_retracted {
        sql = sql.text(" AND retracted_at IS NULL");
    }
    let rows = page.by_answer.append(sql, "occurred_at", "id").all(db).await?;
    rows.iter().map(|row| response_of(tenant, row)).collect()
}

/// Which responses are counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counting {
    /// Only those given at this time or later.
    pub(crate) from: Option<Timestamp>,
    /// Only those given before this time.
    pub(crate) to: Option<Timestamp>,
    /// Only those of who acted in this role.
    pub(crate) role_type: Option<Slug>,
    /// Only those given by then.
    pub(crate) as_of: Option<Timestamp>,
    /// Only those recorded by then, and not retracted by then.
    pub(crate) as_known_at: Option<Timestamp>,
}

/// How often each answer was given.
pub(crate) async fn response_count(
    db: &impl ConnectionTrait,
    tenant: &TenantId,
    survey: Uuid,
    counting: &Counting,
) -> Result<Vec<(i16, u64)>, DbErr> {
    let mut sql = Sql::new(db, "SELECT score, COUNT(*) FROM survey_response WHERE tenant = ")
        .bind(tenant.as_str())
        .text(" AND survey_id = ")
        .bind(survey);
    let bounds = [(" AND occurred_at >= ", counting.from), (" AND occurred_at < ", counting.to)];
    let until = [(" AND occurred_at <= ", counting.as_of), (" AND recorded_at <= ", counting.as_known_at)];
    for (text, time) in bounds.into_iter().chain(until) {
        if let Some(time) = time {
            sql = sql.text(text).bind(time.as_micros());
        }
    }
    if let Some(role_type) = &counting.role_type {
        sql = sql.text(" AND role_type = ").bind(role_type.as_str());
    }
    sql = match counting.as_known_at {
        None => sql.text(" AND retracted_at IS NULL"),
        Some(at) => sql.text(" AND (retracted_at IS NULL OR retracted_at > ").bind(at.as_micros()).text(")"),
    };
    let rows = sql.text(" GROUP BY score ORDER BY score").all(db).await?;
    let counts = rows.iter().map(|row| {
        let count: i64 = row.try_get_by_index(1)?;
        Ok((row.try_get_by_index(0)?, u64::try_from(count).unwrap_or_default()))
    });
    counts.collect()
}
