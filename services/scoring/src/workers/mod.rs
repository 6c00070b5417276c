//! What runs beside the calls.

mod fit;

pub(crate) use fit::FitJob;
