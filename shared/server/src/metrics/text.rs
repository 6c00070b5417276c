use std::fmt::{Display, Write};

use super::table::Metric;

/// Prometheus' text format.
pub(super) struct Text {
    out: String,
}

impl Text {
    pub(super) fn new() -> Text {
        Text { out: String::with_capacity(16 << 10) }
    }

    // Writing to a String does not fail.
    pub(super) fn head(&mut self, metric: &Metric) {
        let _ok = writeln!(self.out, "# HELP {} {}\n# TYPE {} {}", metric.name, metric.help, metric.name, metric.kind);
    }

    /// One series: the values of the metric's labels, in their order.
    pub(super) fn line(&mut self, metric: &Metric, labels: &[&str], value: impl Display) {
        self.series(metric, "", labels, None, value);
    }

    /// One series of a histogram: its `_bucket` up to a bound, its `_sum`, its `_count`.
    pub(super) fn part(
        &mut self,
        metric: &Metric,
        part: &str,
        labels: &[&str],
        bound: Option<&str>,
        value: impl Display,
    ) {
        self.series(metric, part, labels, bound, value);
    }

    fn series(&mut self, metric: &Metric, part: &str, labels: &[&str], bound: Option<&str>, value: impl Display) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "labels of {}", metric.name);
        let pairs = metric.labels.iter().copied().zip(labels.iter().copied()).chain(bound.map(|bound| ("le", bound)));
        let _ok = write!(self.out, "{}{part}", metric.name);
        let mut open = '{';
        for (label, value) in pairs {
            let _ok = write!(self.out, "{open}{label}=\"{value}\"");
            open = ',';
        }
        let close = if open == ',' { "}" } else { "" };
        let _ok = writeln!(self.out, "{close} {value}");
    }

    /// A metric of one series without labels.
    pub(super) fn one(&mut self, metric: &Metric, value: impl Display) {
        self.head(metric);
        self.line(metric, &[], value);
    }

    pub(super) fn finish(self) -> String {
        self.out
    }
}
