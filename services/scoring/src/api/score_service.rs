use async_trait::async_trait;
use rapport_proto::scoring::v1 as proto;
use rapport_proto::scoring::v1::score_service_server::{ScoreService, ScoreServiceServer};
use rapport_rpc::{Reply, handle};
use rapport_store::{Binding, Pages, Store};
use rapport_types::PageSize;
use rapport_types::error::Collector;
use tonic::{Request, Response};

use super::convert;
use crate::domain::Definition;
use crate::options::ScoringOptions;
use crate::queries::Scores;

/// The score service.
#[derive(Clone, Debug)]
pub(crate) struct ScoreApi {
    scores: Scores,
    pages: Pages,
}

impl ScoreApi {
    /// The service over a store.
    pub(crate) fn server(store: &Store, options: ScoringOptions) -> ScoreServiceServer<ScoreApi> {
        let api = ScoreApi { scores: Scores::new(store.clone(), options), pages: store.pages().clone() };
        rapport_rpc::sized!(ScoreServiceServer::new(api))
    }
}

#[async_trait]
impl ScoreService for ScoreApi {
    async fn get_scores(&self, request: Request<proto::GetScoresRequest>) -> Reply<proto::GetScoresResponse> {
        handle(request, |call, request| async move {
            let asked = convert::get_scores(&request)?;
            let scores = self.scores.get(call.tenant(), asked.party, &asked.definitions, asked.as_of).await?;
            Ok(Response::new(proto::GetScoresResponse { scores: scores.iter().map(convert::to_score).collect() }))
        })
        .await
    }

    async fn explain_score(&self, request: Request<proto::ExplainScoreRequest>) -> Reply<proto::ExplainScoreResponse> {
        handle(request, |call, request| async move {
            let asked = convert::explain_score(&request)?;
            let explained =
                self.scores.explain(call.tenant(), asked.party, asked.definition, asked.as_of, asked.lines).await?;
            Ok(Response::new(convert::to_explanation(&explained)))
        })
        .await
    }

    async fn list_score_definitions(
        &self,
        request: Request<proto::ListScoreDefinitionsRequest>,
    ) -> Reply<proto::ListScoreDefinitionsResponse> {
        handle(request, |call, request| async move {
            let fields = Collector::new();
            let size = fields.check("page_size", PageSize::parse(request.page_size)).unwrap_or_default();
            fields.finish()?;
            let binding = Binding::new(call.tenant(), call.method, "", "name");
            let after: Option<String> = self.pages.open(&binding, &request.page_token)?;
            let mut rest = Definition::all()
                .iter()
                .filter(|definition| after.as_deref().is_none_or(|after| definition.slug > after))
                .peekable();
            let page: Vec<&Definition> = rest.by_ref().take(size.get()).collect();
            let next_page_token = match (rest.peek(), page.last()) {
                (Some(_), Some(last)) => self.pages.seal(&binding, &last.slug)?,
                _ => String::new(),
            };
            let score_definitions = page.into_iter().map(convert::to_definition).collect();
            Ok(Response::new(proto::ListScoreDefinitionsResponse { score_definitions, next_page_token }))
        })
        .await
    }
}
