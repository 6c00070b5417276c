use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rapport_proto::operations::v1 as proto;
use rapport_proto::operations::v1::operation_service_server::{OperationService as Service, OperationServiceServer};
use rapport_store::{Binding, Operation, OperationList, OperationState, Store};
use rapport_types::error::{Collector, Error, FieldError, Kind};
use rapport_types::page::PageSize;
use rapport_types::tenant::TenantId;
use rapport_types::{name, reason};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, async_trait};
use uuid::Uuid;

use crate::{Call, Reply, handle, wire, written};

/// How often a waiter looks for itself: what another replica did is not told to this one.
const POLL: Duration = Duration::from_millis(100);
/// How soon a waiter looks again at most: a busy store moves all the time.
const PAUSE: Duration = Duration::from_millis(10);

/// `OperationService`, once per process for all services it hosts: names tell them apart.
#[derive(Clone, Debug)]
pub struct OperationService {
    stores: Arc<BTreeMap<&'static str, Store>>,
    stopping: CancellationToken,
}

impl OperationService {
    /// Serves the operations in these stores; waiters are answered at once when `stopping`.
    pub fn new(stores: impl IntoIterator<Item = Store>, stopping: CancellationToken) -> OperationService {
        let stores = stores.into_iter().map(|store| (store.service(), store)).collect();
        OperationService { stores: Arc::new(stores), stopping }
    }

    /// The generated server, with its message limits.
    pub fn server(self) -> OperationServiceServer<OperationService> {
        crate::sized!(OperationServiceServer::new(self))
    }

    fn store(&self, service: &str) -> Result<&Store, Error> {
        self.stores.get(service).ok_or_else(|| {
            Error::new(Kind::NotFound, reason::SERVICE_NOT_HOSTED, format!("this process does not host {service}"))
                .with("source", service)
        })
    }

    async fn get(&self, tenant: &TenantId, name: &Name) -> Result<(&Store, Operation), Error> {
        let store = self.store(&name.service)?;
        let found = store.operation(tenant, name.id).await?;
        Ok((store, found.ok_or_else(|| Error::not_found(name.text()))?))
    }

    async fn wait(&self, call: &Call, name: &Name, timeout: Option<Duration>) -> Result<proto::Operation, Error> {
        let until = Instant::now() + timeout.unwrap_or(Duration::MAX).min(patience(call.remaining()));
        let mut position = self.store(&name.service)?.position();
        loop {
            position.mark_unchanged();
            let (store, operation) = self.get(call.tenant(), name).await?;
            let left = until.saturating_duration_since(Instant::now());
            if operation.state.has_ended() || left.is_zero() || self.stopping.is_cancelled() {
                return Ok(to_operation(store.service(), &operation));
            }
            tokio::time::sleep(PAUSE.min(left)).await;
            tokio::select! {
                _ = position.changed() => {}
                () = tokio::time::sleep(POLL.min(left)) => {}
                () = self.stopping.cancelled() => {}
            }
        }
    }

    async fn list(
        &self,
        call: &Call,
        request: proto::ListOperationsRequest,
    ) -> Result<proto::ListOperationsResponse, Error> {
        let fields = Collector::new();
        let service = fields.check("parent", parent(&request.parent));
        let state = fields.check("state", wire::any_value::<proto::OperationState>(request.state));
        let size = fields.check("page_size", PageSize::parse(request.page_size)).unwrap_or_default();
        fields.finish()?;
        let (Some(service), Some(state)) = (service, state) else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        let store = self.store(service)?;
        let binding = Binding::new(call.tenant(), call.method, &format!("{service}|{}", request.state), "name desc");
        let before: Option<Uuid> = store.pages().open(&binding, &request.page_token)?;
        let list = OperationList { state: OperationState::from_code(state.into()), before, limit: size.probe() };
        let mut operations = store.operation_list(call.tenant(), list).await?;
        let more = operations.len() > size.get();
        operations.truncate(size.get());
        let next_page_token = match operations.last().filter(|_| more) {
            Some(last) => store.pages().seal(&binding, &last.id)?,
            None => String::new(),
        };
        let operations = operations.iter().map(|operation| to_operation(store.service(), operation)).collect();
        Ok(proto::ListOperationsResponse { operations, next_page_token })
    }
}

/// A part of the time that is left stays for the answer itself.
fn patience(left: Duration) -> Duration {
    let margin = (left / 10).clamp(Duration::from_millis(10), Duration::from_millis(250));
    left.saturating_sub(margin)
}

#[async_trait]
impl Service for OperationService {
    async fn get_operation(&self, request: Request<proto::GetOperationRequest>) -> Reply<proto::Operation> {
        handle(request, |call, request| async move {
            let name = Name::parse(&request.name).map_err(|wrong| wrong.at("name"))?;
            let (store, operation) = self.get(call.tenant(), &name).await?;
            Ok(Response::new(to_operation(store.service(), &operation)))
        })
        .await
    }

    async fn list_operations(
        &self,
        request: Request<proto::ListOperationsRequest>,
    ) -> Reply<proto::ListOperationsResponse> {
        handle(request, async |call, request| self.list(&call, request).await.map(Response::new)).await
    }

    async fn wait_operation(&self, request: Request<proto::WaitOperationRequest>) -> Reply<proto::Operation> {
        handle(request, |call, request| async move {
            let fields = Collector::new();
            let name = fields.check("name", Name::parse(&request.name));
            let timeout = request.timeout.as_ref().and_then(|span| fields.check("timeout", wire::duration(span)));
            fields.finish()?;
            let name = name.ok_or_else(|| Error::bug("a request was refused without a reason"))?;
            self.wait(&call, &name, timeout).await.map(Response::new)
        })
        .await
    }

    async fn cancel_operation(&self, request: Request<proto::CancelOperationRequest>) -> Reply<proto::Operation> {
        handle(request, |call, request| async move {
            let fields = Collector::new();
            let name = fields.check("name", Name::parse(&request.name));
            fields.check("request_id", wire::request_id(&request.request_id));
            fields.finish()?;
            let name = name.ok_or_else(|| Error::bug("a request was refused without a reason"))?;
            let store = self.store(&name.service)?;
            let scope = call.scope(call.method, &request.request_id, &request)?;
            let committed = store.operation_cancel(scope, name.id).await?;
            Ok(written(store.service(), committed, |operation| to_operation(store.service(), &operation)))
        })
        .await
    }
}

/// `services/{service}/operations/{id}`.
#[derive(Debug)]
struct Name {
    service: String,
    id: Uuid,
}

impl Name {
    fn parse(text: &str) -> Result<Name, FieldError> {
        let wrong =
            || FieldError::new(reason::MALFORMED_NAME, "must be a name of the form services/{service}/operations/{id}");
        if text.is_empty() {
            return Err(FieldError::required());
        }
        let (service, rest) = text.strip_prefix("services/").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let [id] = name::parse_ids(rest, ["operations"]).map_err(|_| wrong())?;
        Ok(Name { service: slug(service).ok_or_else(wrong)?.to_owned(), id })
    }

    fn text(&self) -> String {
        format!("services/{}/operations/{}", self.service, self.id)
    }
}

fn parent(text: &str) -> Result<&str, FieldError> {
    if text.is_empty() {
        return Err(FieldError::required());
    }
    text.strip_prefix("services/")
        .and_then(slug)
        .ok_or_else(|| FieldError::new(reason::MALFORMED_NAME, "must be a name of the form services/{service}"))
}

fn slug(text: &str) -> Option<&str> {
    ((1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase())).then_some(text)
}

/// An operation of a service for the wire.
pub fn to_operation(service: &str, operation: &Operation) -> proto::Operation {
    proto::Operation {
        name: operation.name(service),
        method: operation.method.clone(),
        state: operation.state.code().into(),
        progress: Some(proto::OperationProgress {
            done: operation.progress.done,
            total: operation.progress.total,
            note: operation.progress.note.clone(),
        }),
        result: operation.result.clone().unwrap_or_default(),
        error: operation.failure.as_ref().map(|failure| proto::OperationError {
            code: failure.code.clone(),
            reason: failure.reason.clone(),
            message: failure.message.clone(),
            metadata: failure.metadata.clone(),
        }),
        cancel_requested: operation.cancel_asked,
        principal: operation.principal.clone(),
        create_time: Some(wire::to_timestamp(operation.created_at)),
        start_time: operation.started_at.map(wire::to_timestamp),
        end_time: operation.ended_at.map(wire::to_timestamp),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        let text = "services/scoring/operations/0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1";
        assert_eq!(Name::parse(text).unwrap().text(), text);
        assert_eq!(Name::parse("").unwrap_err().reason, reason::REQUIRED);
        for junk in
            ["operations/1", "services//operations/1", "services/a/b/operations/1", "services/scoring/operations/7"]
        {
            assert_eq!(Name::parse(junk).unwrap_err().reason, reason::MALFORMED_NAME, "{junk}");
        }
        assert_eq!(parent("services/scoring").unwrap(), "scoring");
        for junk in ["scoring", "services/", "services/A", "services/a/b"] {
            assert_eq!(parent(junk).unwrap_err().reason, reason::MALFORMED_NAME, "{junk}");
        }
    }

    #[test]
    fn a_waiter_answers_before_its_deadline() {
        for (left, most) in [(10_000, 9_750), (1_000, 900), (50, 40), (5, 0)] {
            assert_eq!(patience(Duration::from_millis(left)), Duration::from_millis(most));
        }
    }

    #[test]
    fn states_have_the_codes_of_the_contract() {
        for state in 1..=5 {
            assert!(OperationState::from_code(state).is_some() && proto::OperationState::try_from(state).is_ok());
        }
        assert_eq!(i32::from(OperationState::Cancelled.code()), i32::from(proto::OperationState::Cancelled));
        assert_eq!(i32::from(OperationState::Pending.code()), i32::from(proto::OperationState::Pending));
        assert!(OperationState::from_code(0).is_none());
    }
}
