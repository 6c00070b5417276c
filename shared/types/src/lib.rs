//! The values that every service shares, and nothing else: time and clocks, ids, resource names, tenants, money,
//! text, etags, page sizes, errors and their reasons. Pure: no I/O, no async, no wire formats.
//!
//! The law of this crate is *parse, don't validate*: a value whose constructor succeeded is right wherever it turns
//! up later. Constructors return a [`error::FieldError`]; a [`error::Collector`] gathers them with the paths of
//! their fields, so that a caller hears of every mistake at once.

pub mod error;
pub mod etag;
pub mod id;
pub mod money;
pub mod name;
pub mod page;
pub mod pii;
pub mod reason;
pub mod slug;
pub mod tenant;
pub mod text;
pub mod time;

pub use error::{Collector, Error, FieldError, Kind, Violation};
pub use etag::Etag;
pub use id::World;
pub use money::{Currency, Money};
pub use page::PageSize;
pub use pii::Pii;
pub use slug::Slug;
pub use tenant::{Principal, TenantId};
pub use time::{Clock, Timestamp};
#[doc(no_inline)]
pub use uuid::Uuid;
