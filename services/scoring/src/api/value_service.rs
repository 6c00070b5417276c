use async_trait::async_trait;
use rapport_proto::operations::v1::Operation;
use rapport_proto::scoring::v1 as proto;
use rapport_proto::scoring::v1::value_service_server::{ValueService, ValueServiceServer};
use rapport_rpc::{Call, Reply, handle, to_operation, written};
use rapport_store::{Binding, Store};
use rapport_types::PageSize;
use rapport_types::error::{Collector, Error};
use tonic::{Request, Response};

use super::convert_value as convert;
use crate::commands::FitClvModel;
use crate::domain::ClvModelName;
use crate::options::ScoringOptions;
use crate::queries::Values;

/// The value service.
#[derive(Clone, Debug)]
pub(crate) struct ValueApi {
    store: Store,
    values: Values,
}

impl ValueApi {
    /// The service over a store.
    pub(crate) fn server(store: &Store, options: &ScoringOptions) -> ValueServiceServer<ValueApi> {
        let api = ValueApi { values: Values::new(store.clone(), options.zone()), store: store.clone() };
        rapport_rpc::sized!(ValueServiceServer::new(api))
    }

    async fn list(
        &self,
        call: Call,
        request: proto::ListClvModelsRequest,
    ) -> Result<Response<proto::ListClvModelsResponse>, Error> {
        let fields = Collector::new();
        let size = fields.check("page_size", PageSize::parse(request.page_size)).unwrap_or_default();
        fields.finish()?;
        let binding = Binding::new(call.tenant(), call.method, "", "version desc");
        let before: Option<i32> = self.store.pages().open(&binding, &request.page_token)?;
        let mut models = self.values.models(call.tenant(), before, size.probe()).await?;
        let more = models.len() > size.get();
        models.truncate(size.get());
        let next_page_token = match models.last().filter(|_| more) {
            Some(last) => self.store.pages().seal(&binding, &last.version)?,
            None => String::new(),
        };
        let clv_models = models.iter().map(|model| convert::to_model(self.store.service(), model)).collect();
        Ok(Response::new(proto::ListClvModelsResponse { clv_models, next_page_token }))
    }
}

#[async_trait]
impl ValueService for ValueApi {
    async fn fit_clv_model(&self, request: Request<proto::FitClvModelRequest>) -> Reply<Operation> {
        handle(request, |call, request| async move {
            let order = convert::fit_order(&request, self.values.today())?;
            let scope = call.scope(call.method, &request.request_id, &request)?;
            let service = self.store.service();
            let command = FitClvModel { id: self.store.world().next_id(), service, order };
            let committed = self.store.submit(scope, command).await?;
            Ok(written(service, committed, |operation| to_operation(service, &operation)))
        })
        .await
    }

    async fn get_clv_model(&self, request: Request<proto::GetClvModelRequest>) -> Reply<proto::ClvModel> {
        handle(request, |call, request| async move {
            let name = ClvModelName::parse(&request.name).map_err(|wrong| wrong.at("name"))?;
            let model = self.values.model(call.tenant(), name.uuid()).await?;
            Ok(Response::new(convert::to_model(self.store.service(), &model)))
        })
        .await
    }

    async fn list_clv_models(
        &self,
        request: Request<proto::ListClvModelsRequest>,
    ) -> Reply<proto::ListClvModelsResponse> {
        handle(request, |call, request| self.list(call, request)).await
    }

    async fn get_clv(&self, request: Request<proto::GetClvRequest>) -> Reply<proto::Clv> {
        handle(request, |call, request| async move {
            let asked = convert::question(&request)?;
            let answer = self.values.answer(call.tenant(), asked.question).await?;
            Ok(Response::new(convert::to_clv(&answer, &asked)))
        })
        .await
    }
}
