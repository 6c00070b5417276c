//! Long jobs as rows: acknowledged in a write, worked on outside any transaction, ended in one.
//!
//! A command begins an operation by inserting its row. Whichever process is there *claims* it: a lease in the row, and a count of
//! claims that fences whoever held it before. The holder renews the lease while it works; one that a process left behind is
//! claimed again. The effect is written in the transaction that ends the operation, which compares the count of claims: so it
//! takes effect once, however many processes worked on it.

mod cancel;
mod claim;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use rapport_proto::operations::v1 as proto;
use rapport_types::Uuid;
use rapport_types::error::Error;
use rapport_types::tenant::TenantId;
use rapport_types::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::command::Scope;
use crate::keys::Subject;
use crate::outbox::Outbox;

pub use claim::{Claim, Effect, Ending};
pub use table::OperationList;

/// How long a claim holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(10);
/// How often an operation may be left behind by a process that stopped before it is given up.
const MOST_LOST: i32 = 5;
/// How long operations are kept after they ended.
const KEEP: Duration = Duration::from_secs(90 * 86_400);

/// A long job as callers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: Uuid,
    /// The method that began it, `rapport.scoring.v1.ValueService.FitClvModel`.
    pub method: String,
    /// Who began it.
    pub principal: String,
    /// Where it stands.
    pub state: OperationState,
    /// How far it is.
    pub progress: Progress,
    /// The name of the resource it made.
    pub result: Option<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Whether it was asked to stop.
    pub cancel_asked: bool,
    /// When it was acknowledged.
    pub created_at: Timestamp,
    /// When it was claimed first.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Where an operation stands. The codes are stored and are those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationState {
    /// Nobody works on it.
    Pending,
    /// Somebody does.
    Running,
    /// Done.
    Succeeded,
    /// Ended without an effect.
    Failed,
    /// Ended without an effect, as asked for.
    Cancelled,
}

impl OperationState {
    const ALL: [OperationState; 5] = [
        OperationState::Pending,
        OperationState::Running,
        OperationState::Succeeded,
        OperationState::Failed,
        OperationState::Cancelled,
    ];

    /// The number stored and sent.
    pub const fn code(self) -> i16 {
        match self {
            OperationState::Pending => 1,
            OperationState::Running => 2,
            OperationState::Succeeded => 3,
            OperationState::Failed => 4,
            OperationState::Cancelled => 5,
        }
    }

    /// The state with this number.
    pub fn from_code(code: i32) -> Option<OperationState> {
        OperationState::ALL.into_iter().find(|state| i32::from(state.code()) == code)
    }

    /// Whether nothing will happen any more.
    pub const fn has_ended(self) -> bool {
        matches!(self, OperationState::Succeeded | OperationState::Failed | OperationState::Cancelled)
    }
}

/// How far an operation is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// How much is done.
    pub done: i64,
    /// How much there is to do; 0 while that is unknown.
    pub total: i64,
    /// What it is at: a few words without personal data.
    pub note: String,
}

/// Why an operation failed: an error without its cause, which the log has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The canonical code.
    pub code: String,
    /// The reason.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Every value of the sentence.
    pub metadata: BTreeMap<String, String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Failure {
        Failure {
            code: error.kind.code().to_owned(),
            reason: error.reason.to_owned(),
            message: error.message.clone(),
            metadata: error.metadata.clone(),
        }
    }
}

type Key<'a> = (&'a TenantId, Uuid);

fn name(service: &str, id: Uuid) -> String {
    format!("services/{service}/operations/{id}")
}

fn tell(tenant: &TenantId, ended: &proto::OperationEnded, now: Timestamp, out: &mut Outbox) {
    out.event(tenant, &ended.operation, 2, now, ended);
}

impl Operation {
    /// A new operation of whoever asks, and the event that tells of it.
    pub fn begin(service: &str, scope: &Scope, id: Uuid, method: &str, now: Timestamp, out: &mut Outbox) -> Operation {
        let operation = Operation {
            tenant: scope.tenant.clone(),
            id,
            method: method.to_owned(),
            principal: scope.principal.clone(),
            state: OperationState::Pending,
            progress: Progress::default(),
            result: None,
            failure: None,
            cancel_asked: false,
            created_at: now,
            started_at: None,
            ended_at: None,
        };
        let name = operation.name(service);
        let began = proto::OperationBegan { operation: name.clone(), method: method.to_owned() };
        out.event(&scope.tenant, name, 1, now, &began);
        operation
    }

    /// `services/{service}/operations/{id}`.
    pub fn name(&self, service: &str) -> String {
        name(service, self.id)
    }

    /// Its key in the table.
    fn key(&self) -> Key<'_> {
        (&self.tenant, self.id)
    }

    /// Tells that it ended.
    fn tell_end(&self, service: &str, now: Timestamp, out: &mut Outbox) {
        let ended = proto::OperationEnded {
            operation: self.name(service),
            method: self.method.clone(),
            state: self.state.code().into(),
            result: self.result.clone().unwrap_or_default(),
        };
        tell(&self.tenant, &ended, now, out);
    }
}

/// An operation to be kept, with what it is to work on.
#[derive(Clone, Debug)]
pub struct NewOperation {
    /// The operation.
    pub operation: Operation,
    /// What it works on, for its job to read. Sealed.
    pub input: Vec<u8>,
    /// Whose key seals the input; the tenant's own for what belongs to no subject.
    pub subject: Subject,
}
