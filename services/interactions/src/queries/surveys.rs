use std::collections::{HashMap, HashSet};

use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use super::{InteractionView, find_interactions};
use crate::domain::{Confidence, Figures, SurveyName, SurveyResponseName, Tally};
use crate::store::{
    ByTime, Counting, ResponsePage, ResponseRow, SurveyRow, origins_of, response_count, response_find, response_list,
    survey_find, survey_list,
};

/// One survey.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn get_survey(store: &Store, tenant: &TenantId, name: SurveyName) -> Result<SurveyRow, Error> {
    let wanted = HashSet::from([(tenant.clone(), name.uuid())]);
    let found = survey_find(store.reader(), &wanted).await.map_err(read_error)?;
    found.into_values().next().ok_or_else(|| Error::not_found(name))
}

/// Surveys, newest first, after a place: recorded_at in microseconds, id.
///
/// # Errors
/// Unavailable.
pub(crate) async fn list_surveys(
    store: &Store,
    tenant: &TenantId,
    after: Option<(i64, Uuid)>,
    limit: usize,
) -> Result<Vec<SurveyRow>, Error> {
    let newest = ByTime { after, descending: true, limit };
    survey_list(store.reader(), tenant, newest).await.map_err(read_error)
}

/// A response with the interaction that it is.
#[derive(Debug)]
pub(crate) struct ResponseView {
    /// The row.
    pub(crate) row: ResponseRow,
    /// The interaction: who answered, how, and what was said.
    pub(crate) interaction: InteractionView,
}

/// One response.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn get_response(
    store: &Store,
    tenant: &TenantId,
    name: SurveyResponseName,
) -> Result<ResponseView, Error> {
    let found = response_find(store.reader(), tenant, name.parent().uuid(), name.uuid()).await.map_err(read_error)?;
    let row = found.ok_or_else(|| Error::not_found(name))?;
    let mut shown = show(store, tenant, vec![row]).await?;
    shown.pop().ok_or_else(|| Error::bug("a survey response has no interaction"))
}

/// What a page of responses is asked for by.
pub(crate) struct ResponseList {
    /// Only those to this survey.
    pub(crate) survey: Option<SurveyName>,
    /// Only those of this party.
    pub(crate) party: Option<Uuid>,
    /// Those too that were retracted.
    pub(crate) include_retracted: bool,
    /// The place after which the page begins: occurred_at in microseconds, id.
    pub(crate) after: Option<(i64, Uuid)>,
    /// How many at most.
    pub(crate) limit: usize,
}

/// Responses by the time they were given, newest first. A party's are those under its own id and those under every
/// origin that belongs to it.
///
/// # Errors
/// NotFound when there is no such survey; Unavailable.
pub(crate) async fn list_responses(
    store: &Store,
    tenant: &TenantId,
    list: &ResponseList,
) -> Result<Vec<ResponseView>, Error> {
    let db = store.reader();
    let origins = origins_of(db, tenant, list.party).await.map_err(read_error)?;
    let page = ResponsePage {
        survey: list.survey.map(|name| name.uuid()),
        origins: origins.as_deref(),
        include_retracted: list.include_retracted,
        by_answer: ByTime { after: list.after, descending: true, limit: list.limit },
    };
    let rows = response_list(db, tenant, &page).await.map_err(read_error)?;
    if let (true, Some(survey)) = (rows.is_empty(), list.survey) {
        get_survey(store, tenant, survey).await?;
    }
    show(store, tenant, rows).await
}

/// Puts each response together with its interaction, in their order.
async fn show(store: &Store, tenant: &TenantId, rows: Vec<ResponseRow>) -> Result<Vec<ResponseView>, Error> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.interaction).collect();
    let found = find_interactions(store, tenant, &ids).await?;
    let mut by_id: HashMap<Uuid, InteractionView> = found.into_iter().map(|view| (view.row.id, view)).collect();
    let views = rows.into_iter().map(|row| {
        let interaction = by_id.remove(&row.interaction);
        let interaction = interaction.ok_or_else(|| Error::bug("a survey response has no interaction"))?;
        Ok(ResponseView { row, interaction })
    });
    views.collect()
}

/// What a survey says.
#[derive(Debug)]
pub(crate) struct SurveyStats {
    /// The survey.
    pub(crate) survey: SurveyRow,
    /// How often each answer was given.
    pub(crate) tally: Tally,
    /// The figures; none when nobody answered.
    pub(crate) figures: Option<Figures>,
}

/// The figures of a survey.
///
/// # Errors
/// NotFound, Unavailable.
pub(crate) async fn get_survey_stats(
    store: &Store,
    tenant: &TenantId,
    name: SurveyName,
    counting: &Counting,
    confidence: Confidence,
) -> Result<SurveyStats, Error> {
    let survey = get_survey(store, tenant, name).await?;
    let counts = response_count(store.reader(), tenant, name.uuid(), counting).await.map_err(read_error)?;
    let tally = Tally::new(survey.survey.measure, counts);
    let figures = tally.figures(confidence);
    Ok(SurveyStats { survey, tally, figures })
}
