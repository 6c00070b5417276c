//! Write use cases. Most of what scoring writes comes from the feed.

mod fit_clv_model;
mod record_contributions;
mod record_orders;
mod record_relationships;

pub(crate) use fit_clv_model::{FIT, FitClvModel, KeepClvModel};
pub(crate) use record_contributions::{Arrival, Change, record_contributions};
pub(crate) use record_orders::{OrderNews, record_orders};
pub(crate) use record_relationships::record_relationships;
