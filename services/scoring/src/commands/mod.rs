//! Write use cases. Scoring has no write RPC yet: all it writes comes from the feed.

mod record_contributions;

pub(crate) use record_contributions::{Arrival, Change, record_contributions};
