use async_trait::async_trait;
use rapport_store::{Command, Effect, Item, NewOperation, Operation, Outbox, StoreError, Subject, Tx};
use rapport_types::Uuid;
use rapport_types::error::Error;

use crate::domain::{ClvModel, ClvModelName, FitOrder, FittedModel};
use crate::{events, store};

/// The method whose operations these are.
pub(crate) const FIT: &str = "rapport.scoring.v1.ValueService.FitClvModel";

/// Begins the fit of a model.
pub(crate) struct FitClvModel {
    /// The operation's id, given by the server.
    pub(crate) id: Uuid,
    /// The service, which is part of the operation's name.
    pub(crate) service: &'static str,
    /// What is to be fitted.
    pub(crate) order: FitOrder,
}

#[async_trait]
impl Command for FitClvModel {
    type State = Vec<NewOperation>;
    type Reply = Operation;

    async fn load(_: &Tx, items: &[Item<Self>]) -> Result<Vec<NewOperation>, StoreError> {
        Ok(Vec::with_capacity(items.len()))
    }

    fn decide(item: &Item<Self>, state: &mut Vec<NewOperation>, out: &mut Outbox) -> Result<Operation, Error> {
        let FitClvModel { id, service, order } = &item.command;
        let input = serde_json::to_vec(order).map_err(Error::internal)?;
        let operation = Operation::begin(service, &item.scope, *id, FIT, item.now, out);
        state.push(NewOperation { operation: operation.clone(), input, subject: Subject::tenant(&item.scope.tenant) });
        Ok(operation)
    }

    async fn apply(tx: &Tx, state: Vec<NewOperation>) -> Result<(), StoreError> {
        tx.operation_insert(state).await
    }
}

/// Keeps what came out of a fit.
pub(crate) struct KeepClvModel {
    /// The model's id.
    pub(crate) id: Uuid,
    /// What came out.
    pub(crate) fitted: FittedModel,
}

#[async_trait]
impl Effect for KeepClvModel {
    async fn write(&self, tx: &Tx, operation: &Operation, out: &mut Outbox) -> Result<Option<String>, StoreError> {
        let tenant = &operation.tenant;
        // Two fits that end at once: the second meets the unique version and is run again.
        let version = store::clv_model_version(tx.db(), tenant).await?.saturating_add(1);
        let model = ClvModel {
            id: self.id,
            version,
            operation: operation.id,
            created_at: tx.now(),
            fitted: self.fitted.clone(),
        };
        store::clv_model_insert(tx.db(), tenant, &model).await?;
        let name = ClvModelName::new(self.id);
        out.event(tenant, name, 1, tx.now(), &events::clv_model_fitted(&model));
        Ok(Some(name.to_string()))
    }
}
