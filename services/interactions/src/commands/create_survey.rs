use async_trait::async_trait;
use rapport_store::{Command, Item, Outbox, StoreError, Tx};
use rapport_types::Uuid;
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{Survey, SurveyName};
use crate::events;
use crate::store::{SurveyRow, survey_insert};

/// Creates a survey.
pub(crate) struct CreateSurvey {
    /// The survey's id, given by the server.
    pub(crate) id: Uuid,
    /// What is asked.
    pub(crate) survey: Survey,
}

/// What the server gave a new survey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Created {
    /// The id.
    pub(crate) id: Uuid,
    /// When it was recorded.
    pub(crate) recorded_at: Timestamp,
}

#[async_trait]
impl Command for CreateSurvey {
    type State = Vec<SurveyRow>;
    type Reply = Created;

    async fn load(_tx: &Tx, items: &[Item<Self>]) -> Result<Vec<SurveyRow>, StoreError> {
        Ok(Vec::with_capacity(items.len()))
    }

    fn decide(item: &Item<Self>, state: &mut Vec<SurveyRow>, out: &mut Outbox) -> Result<Created, Error> {
        let CreateSurvey { id, survey } = &item.command;
        let tenant = &item.scope.tenant;
        let row = SurveyRow { tenant: tenant.clone(), id: *id, survey: survey.clone(), recorded_at: item.now };
        out.event(tenant, SurveyName::new(*id), 1, item.now, &events::survey_created(&row));
        state.push(row);
        Ok(Created { id: *id, recorded_at: item.now })
    }

    async fn apply(tx: &Tx, state: Vec<SurveyRow>) -> Result<(), StoreError> {
        survey_insert(tx, &state).await?;
        Ok(())
    }
}
