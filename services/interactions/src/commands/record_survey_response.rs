use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use rapport_store::{Command, Item, Outbox, StoreError, Subject, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};
use serde::{Deserialize, Serialize};

use super::Recorded;
use crate::domain::{
    CaseName, Held, InteractionName, NewInteraction, NewResponse, Origin, Route, Score, Survey, SurveyName,
    SurveyResponseName,
};
use crate::events;
use crate::store::{
    ResponseRow, SurveyRow, case_known, identifier_find, interaction_insert_of, interaction_known, response_insert,
    sealing, survey_find,
};

/// Records an answer to a survey, and the interaction that it is.
pub(crate) struct RecordSurveyResponse {
    /// The survey that was answered.
    pub(crate) survey: Uuid,
    /// The response's id, given by the server.
    pub(crate) id: Uuid,
    /// The id of its interaction, given by the server.
    pub(crate) interaction: Uuid,
    /// What was answered.
    pub(crate) response: NewResponse,
    /// How the origin of the respondent is found.
    pub(crate) route: Route,
}

/// Which response was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    /// The response.
    pub(crate) response: SurveyResponseName,
}

/// What a group of responses needs and leaves.
pub(crate) struct State {
    /// The surveys that exist.
    surveys: HashMap<(TenantId, Uuid), SurveyRow>,
    /// What is known of the identifiers that stand alone.
    held: HashMap<(TenantId, Uuid), Held>,
    /// Those of the cases asked about that exist.
    cases: HashSet<(TenantId, Uuid)>,
    /// Those of the interactions asked about that exist.
    interactions: HashSet<(TenantId, Uuid)>,
    /// The keys of the origins under which something is sealed.
    keys: SubjectKeys,
    /// What is to be written.
    rows: Vec<ResponseRow>,
    /// The interactions that they are.
    recorded: Vec<Recorded>,
}

#[async_trait]
impl Command for RecordSurveyResponse {
    type State = State;
    type Reply = Answered;

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let (mut surveys, mut indexes) = (HashSet::new(), HashSet::new());
        let (mut cases, mut interactions) = (HashSet::new(), HashSet::new());
        for Item { scope, command, .. } in items {
            let of = |id: Uuid| (scope.tenant.clone(), id);
            surveys.insert(of(command.survey));
            indexes.extend(command.route.index().map(of));
            cases.extend(command.response.case.map(of));
            interactions.extend(command.response.about.map(of));
        }
        let surveys = survey_find(tx.db(), &surveys).await?;
        let held = identifier_find(tx.db(), &indexes).await?;
        let cases = case_known(tx.db(), &cases).await?;
        let interactions = interaction_known(tx.db(), &interactions).await?;
        let mut subjects = Vec::new();
        for item in items {
            let origin = resolve(&item.scope.tenant, item.command.route, &held);
            if let Some(survey) = surveys.get(&(item.scope.tenant.clone(), item.command.survey))
                && let Ok((_, interaction)) = interaction(&item.command.response, &survey.survey)
            {
                sealing::subjects(&item.scope.tenant, &interaction, &[origin], &mut subjects);
            }
        }
        let keys = tx.keys(&subjects).await?;
        Ok(State { surveys, held, cases, interactions, keys, rows: Vec::new(), recorded: Vec::new() })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<Answered, Error> {
        let RecordSurveyResponse { survey, id, interaction: interaction_id, response, route } = &item.command;
        let tenant = &item.scope.tenant;
        let of = |id: Uuid| (tenant.clone(), id);
        let survey_name = SurveyName::new(*survey);
        let known = &state.surveys.get(&of(*survey)).ok_or_else(|| Error::not_found(survey_name))?.survey;
        let (score, interaction) = interaction(response, known)?;
        if let Some(case) = response.case.filter(|case| !state.cases.contains(&of(*case))) {
            return Err(Error::not_found(CaseName::new(case)));
        }
        if let Some(about) = response.about.filter(|about| !state.interactions.contains(&of(*about))) {
            return Err(Error::not_found(InteractionName::new(about)));
        }
        let origin = resolve(tenant, *route, &state.held);
        let mut subjects: Vec<Subject> = Vec::new();
        sealing::subjects(tenant, &interaction, &[origin], &mut subjects);
        sealing::refuse_erased(&state.keys, &subjects)?;

        let name = SurveyResponseName::new(survey_name, *id);
        let row = ResponseRow {
            tenant: tenant.clone(),
            survey: *survey,
            id: *id,
            interaction: *interaction_id,
            score: score.value(),
            category: score.category().code(),
            origin: origin.id,
            role_type: response.role_type.as_ref().map(ToString::to_string).unwrap_or_default(),
            case: response.case,
            about: response.about,
            occurred_at: response.occurred_at,
            recorded_at: item.now,
            retracted_at: None,
        };
        out.event(
            tenant,
            InteractionName::new(*interaction_id),
            1,
            response.occurred_at,
            &events::interaction_recorded(*interaction_id, &interaction, &[origin], item.now),
        );
        out.event(
            tenant,
            name,
            1,
            response.occurred_at,
            &events::survey_response_recorded(&row, known.measure, origin),
        );
        state.rows.push(row);
        state.recorded.push(Recorded {
            tenant: tenant.clone(),
            id: *interaction_id,
            interaction: Arc::new(interaction),
            origins: vec![origin],
            recorded_at: item.now,
        });
        Ok(Answered { response: name })
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        let name = |row: &ResponseRow| SurveyResponseName::new(SurveyName::new(row.survey), row.id);
        let responses = state.rows.iter().map(|row| (row.interaction, name(row))).collect();
        interaction_insert_of(tx, &state.recorded, &state.keys, &responses).await?;
        response_insert(tx, &state.rows).await?;
        Ok(())
    }
}

/// The interaction that a response is, if its score is on the scale of the survey.
fn interaction(response: &NewResponse, survey: &Survey) -> Result<(Score, NewInteraction), Error> {
    let score = Score::parse(survey.measure, response.score).map_err(|error| error.at("response.score"))?;
    Ok((score, response.interaction(survey, score)))
}

fn resolve(tenant: &TenantId, route: Route, held: &HashMap<(TenantId, Uuid), Held>) -> Origin {
    route.resolve(route.index().and_then(|index| held.get(&(tenant.clone(), index)).copied()))
}
