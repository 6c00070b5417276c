//! The rows of this service and the statements over them. Everything is set-based: one statement for as many items as
//! a batch has, and the same text on both stores.
//!
//! Every function takes tenants with its ids: no statement runs without one.

pub mod consent;
pub mod history;
pub mod identifier;
pub mod party;
pub mod party_list;
pub mod party_set;
pub mod relationship;
pub mod role;
mod row;
pub mod tie_set;

use rapport_types::TenantId;
use uuid::Uuid;

/// A row's tenant and id.
pub type Key = (TenantId, Uuid);
