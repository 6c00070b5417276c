//! What runs beside the calls.

mod keep_sections;

pub(crate) use keep_sections::Keeper;
