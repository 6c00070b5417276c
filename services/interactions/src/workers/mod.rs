//! What runs beside the calls.

mod due_commitments;
mod keep_sections;
mod refresh_sections;

pub(crate) use due_commitments::due_commitments;
#[cfg(test)]
pub(crate) use due_commitments::fall_due;
pub(crate) use keep_sections::Keeper;
pub(crate) use refresh_sections::refresh_sections;
