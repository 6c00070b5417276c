//! Identifiers in the form in which they are compared: numbers in E.164, addresses and handles case-folded, registers
//! without marks.
//!
//! Who writes an identifier and who looks one up must read it alike, or a caller is a stranger: so this is the one place
//! that reads them, for every service.
#![forbid(unsafe_code)]

mod normal;
mod phone;
pub mod scheme;

use rapport_types::error::FieldError;

pub use normal::{Lookup, MAX_NORMALIZED, MAX_VALUE, lookup, normalize, role_mailbox};
pub use phone::{warm, withheld};

/// A refusal with its reason.
fn refuse<T>(reason: &'static str, description: impl Into<String>) -> Result<T, FieldError> {
    Err(FieldError { reason, description: description.into() })
}
