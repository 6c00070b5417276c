//! What the process says of itself: `table` says which metrics there are, `text` writes them, `sample` gathers them.

mod sample;
mod table;
mod text;

pub use table::{METRICS, Metric, When, page as metrics_page};

pub(crate) use sample::{Sample, StoreSample};
