use async_trait::async_trait;
use rapport_proto::scoring::v1 as proto;
use rapport_proto::scoring::v1::score_service_server::{ScoreService, ScoreServiceServer};
use rapport_rpc::{Reply, handle, reply_stream};
use rapport_server::Context;
use rapport_store::{Binding, Pages};
use rapport_types::PageSize;
use rapport_types::error::Collector;
use tonic::codegen::BoxStream;
use tonic::{Request, Response};

use super::{convert, convert_batch, convert_history, watch};
use crate::domain::Definition;
use crate::options::ScoringOptions;
use crate::queries::Scores;

/// The score service.
#[derive(Clone, Debug)]
pub(crate) struct ScoreApi {
    cx: Context,
    scores: Scores,
    pages: Pages,
}

impl ScoreApi {
    /// The service over a store and its feed.
    pub(crate) fn server(cx: &Context, options: ScoringOptions) -> ScoreServiceServer<ScoreApi> {
        let scores = Scores::new(cx.store.clone(), options);
        let api = ScoreApi { cx: cx.clone(), scores, pages: cx.store.pages().clone() };
        rapport_rpc::sized!(ScoreServiceServer::new(api))
    }
}

#[async_trait]
impl ScoreService for ScoreApi {
    async fn get_scores(&self, request: Request<proto::GetScoresRequest>) -> Reply<proto::GetScoresResponse> {
        handle(request, |call, request| async move {
            let asked = convert::get_scores(&request)?;
            let scores = self.scores.get(call.tenant(), asked.party, &asked.definitions, asked.when).await?;
            Ok(Response::new(proto::GetScoresResponse { scores: scores.iter().map(convert::to_score).collect() }))
        })
        .await
    }

    async fn explain_score(&self, request: Request<proto::ExplainScoreRequest>) -> Reply<proto::ExplainScoreResponse> {
        handle(request, |call, request| async move {
            let asked = convert::explain_score(&request)?;
            let explained =
                self.scores.explain(call.tenant(), asked.party, asked.definition, asked.when, asked.lines).await?;
            Ok(Response::new(convert::to_explanation(&explained)))
        })
        .await
    }

    async fn batch_get_scores(
        &self,
        request: Request<proto::BatchGetScoresRequest>,
    ) -> Reply<proto::BatchGetScoresResponse> {
        handle(request, |call, request| async move {
            let asked = convert_batch::batch_get_scores(&request)?;
            let found = self
                .scores
                .summaries(call.tenant(), &asked.parties, &asked.definitions, asked.as_of, asked.details)
                .await?;
            Ok(Response::new(convert_batch::to_batch(request.parties, &found)))
        })
        .await
    }

    async fn list_score_history(
        &self,
        request: Request<proto::ListScoreHistoryRequest>,
    ) -> Reply<proto::ListScoreHistoryResponse> {
        handle(request, |call, request| async move {
            let binding = convert_history::binding(&call, &request);
            let page = convert_history::page(&self.pages, &binding, &request);
            let asked = convert_history::list_score_history(&request, page, self.scores.now())?;
            let history = self
                .scores
                .history(
                    call.tenant(),
                    asked.party,
                    asked.definition,
                    asked.known_at,
                    &asked.line,
                    (asked.after, asked.limit),
                )
                .await?;
            Ok(Response::new(convert_history::to_history(&self.pages, &binding, &asked, &history)?))
        })
        .await
    }

    type WatchScoresStream = BoxStream<proto::WatchScoresResponse>;

    async fn watch_scores(&self, request: Request<proto::WatchScoresRequest>) -> Reply<Self::WatchScoresStream> {
        handle(request, |call, request| async move {
            let moves = watch::moves(&self.cx, &self.scores, call.tenant().clone(), &request).await?;
            Ok(Response::new(reply_stream(moves)))
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
