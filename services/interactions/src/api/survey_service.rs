use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::survey_service_server::SurveyService;
use rapport_rpc::{Call, Reply, handle, wire, written};
use rapport_server::Context;
use rapport_store::{Binding, Committed};
use rapport_types::error::{Collector, Error};
use rapport_types::page::PageSize;
use rapport_types::reason;
use rapport_types::time::Timestamp;
use tonic::{Request, Response};

use super::convert_survey::{response, survey, to_kept, to_response, to_stats, to_survey};
use super::paging::{Place, cut};
use super::recording::route;
use crate::commands::{Answered, CreateSurvey, RecordSurveyResponse};
use crate::domain::{Confidence, PartyName, Slug, SurveyName, SurveyResponseName};
use crate::queries::{ResponseList, get_response, get_survey, get_survey_stats, list_responses, list_surveys};
use crate::store::Counting;

/// `rapport.interactions.v1.SurveyService`.
#[derive(Clone)]
pub(crate) struct Surveys {
    cx: Context,
}

impl Surveys {
    /// The service over its parts.
    pub(crate) fn new(cx: Context) -> Surveys {
        Surveys { cx }
    }
}

#[tonic::async_trait]
impl SurveyService for Surveys {
    async fn create_survey(&self, request: Request<proto::CreateSurveyRequest>) -> Reply<proto::Survey> {
        handle(request, |call, request| self.create(call, request)).await
    }

    async fn get_survey(&self, request: Request<proto::GetSurveyRequest>) -> Reply<proto::Survey> {
        handle(request, |call, request| async move {
            let name = SurveyName::parse(&request.name).map_err(|error| error.at("name"))?;
            let row = get_survey(&self.cx.store, call.tenant(), name).await?;
            Ok(Response::new(to_kept(&row)))
        })
        .await
    }

    async fn list_surveys(&self, request: Request<proto::ListSurveysRequest>) -> Reply<proto::ListSurveysResponse> {
        handle(request, |call, request| self.list(call, request)).await
    }

    async fn record_survey_response(
        &self,
        request: Request<proto::RecordSurveyResponseRequest>,
    ) -> Reply<proto::SurveyResponse> {
        handle(request, |call, request| self.record(call, request)).await
    }

    async fn get_survey_response(
        &self,
        request: Request<proto::GetSurveyResponseRequest>,
    ) -> Reply<proto::SurveyResponse> {
        handle(request, |call, request| async move {
            let name = SurveyResponseName::parse(&request.name).map_err(|error| error.at("name"))?;
            let view = get_response(&self.cx.store, call.tenant(), name).await?;
            Ok(Response::new(to_response(view)))
        })
        .await
    }

    async fn list_survey_responses(
        &self,
        request: Request<proto::ListSurveyResponsesRequest>,
    ) -> Reply<proto::ListSurveyResponsesResponse> {
        handle(request, |call, request| self.list_responses(call, request)).await
    }

    async fn get_survey_stats(&self, request: Request<proto::GetSurveyStatsRequest>) -> Reply<proto::SurveyStats> {
        handle(request, |call, request| self.stats(call, request)).await
    }
}

/// What stands where a request was refused and nothing was said.
fn unsaid() -> Error {
    Error::bug("a request was refused without a reason")
}

impl Surveys {
    async fn create(&self, call: Call, request: proto::CreateSurveyRequest) -> Result<Response<proto::Survey>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let new = fields
            .required("survey", request.survey.as_ref())
            .and_then(|message| survey(&fields.at("survey"), message));
        fields.finish()?;
        let new = new.ok_or_else(unsaid)?;
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let command = CreateSurvey { id: store.world().next_id(), survey: new.clone() };
        let committed = store.submit(scope, command).await?;
        Ok(written(store.service(), committed, |created| to_survey(created.id, &new, created.recorded_at)))
    }

    async fn list(
        &self,
        call: Call,
        request: proto::ListSurveysRequest,
    ) -> Result<Response<proto::ListSurveysResponse>, Error> {
        let store = &self.cx.store;
        let size = PageSize::parse(request.page_size).map_err(|error| error.at("page_size"))?;
        let binding = Binding::new(call.tenant(), call.method, "", "");
        let after: Option<Place> = store.pages().open(&binding, &request.page_token)?;
        let rows = list_surveys(store, call.tenant(), after, size.probe()).await?;
        let places = rows.iter().map(|row| ((row.recorded_at.as_micros(), row.id), to_kept(row))).collect();
        let (surveys, next_page_token) = cut(store, &binding, size, places)?;
        Ok(Response::new(proto::ListSurveysResponse { surveys, next_page_token }))
    }

    async fn record(
        &self,
        call: Call,
        request: proto::RecordSurveyResponseRequest,
    ) -> Result<Response<proto::SurveyResponse>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let survey = fields.check("survey", SurveyName::parse(&request.survey));
        let new = fields
            .required("response", request.response.as_ref())
            .and_then(|message| response(&fields.at("response"), message, store.world().now()));
        fields.finish()?;
        let (survey, new) = (survey.ok_or_else(unsaid)?, new.ok_or_else(unsaid)?);
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let command = RecordSurveyResponse {
            survey: survey.uuid(),
            id: store.world().next_id(),
            interaction: store.world().next_id(),
            route: route(store, call.tenant(), &new.named),
            response: new,
        };
        let Committed { reply: Answered { response }, position, replayed } = store.submit(scope, command).await?;
        let reply = get_response(store, call.tenant(), response).await?;
        Ok(written(store.service(), Committed { reply, position, replayed }, to_response))
    }

    async fn list_responses(
        &self,
        call: Call,
        request: proto::ListSurveyResponsesRequest,
    ) -> Result<Response<proto::ListSurveyResponsesResponse>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        let survey = match request.survey.as_str() {
            "" if request.party.is_empty() => {
                fields.push("survey", reason::REQUIRED, "must be given when party is not");
                None
            }
            "" => None,
            survey => fields.check("survey", SurveyName::parse(survey)),
        };
        let party = match request.party.as_str() {
            "" => None,
            party => fields.check("party", PartyName::parse(party)),
        };
        let size = fields.check("page_size", PageSize::parse(request.page_size));
        fields.finish()?;
        let size = size.ok_or_else(unsaid)?;
        let bound = format!("{}|{}|{}", request.survey, request.party, request.include_retracted);
        let binding = Binding::new(call.tenant(), call.method, &bound, "");
        let after: Option<Place> = store.pages().open(&binding, &request.page_token)?;
        let list = ResponseList {
            survey,
            party: party.map(|party| party.uuid()),
            include_retracted: request.include_retracted,
            after,
            limit: size.probe(),
        };
        let views = list_responses(store, call.tenant(), &list).await?;
        let place = |view: &crate::queries::ResponseView| (view.row.occurred_at.as_micros(), view.row.id);
        let places = views.into_iter().map(|view| (place(&view), to_response(view))).collect();
        let (responses, next_page_token) = cut(store, &binding, size, places)?;
        Ok(Response::new(proto::ListSurveyResponsesResponse { responses, next_page_token }))
    }

    async fn stats(
        &self,
        call: Call,
        request: proto::GetSurveyStatsRequest,
    ) -> Result<Response<proto::SurveyStats>, Error> {
        let fields = Collector::new();
        let survey = fields.check("survey", SurveyName::parse(&request.survey));
        let time = |field: &str, time: &Option<prost_types::Timestamp>| -> Option<Timestamp> {
            time.as_ref().and_then(|time| fields.check(field, wire::timestamp(time)))
        };
        let from = time("start_time", &request.start_time);
        let to = time("end_time", &request.end_time);
        if let (Some(from), Some(to)) = (from, to)
            && to <= from
        {
            fields.push("end_time", reason::END_BEFORE_START, "must be after start_time");
        }
        let as_of = time("as_of", &request.as_of);
        let as_known_at = time("as_known_at", &request.as_known_at);
        let role_type = fields.check("role_type", Slug::parse_optional(&request.role_type));
        let confidence = fields.check("confidence_level", Confidence::parse(request.confidence_level));
        fields.finish()?;
        let survey = survey.ok_or_else(unsaid)?;
        let (role_type, confidence) = (role_type.ok_or_else(unsaid)?, confidence.ok_or_else(unsaid)?);
        let counting = Counting { from, to, role_type, as_of, as_known_at };
        let stats = get_survey_stats(&self.cx.store, call.tenant(), survey, &counting, confidence).await?;
        Ok(Response::new(to_stats(stats, confidence)))
    }
}
