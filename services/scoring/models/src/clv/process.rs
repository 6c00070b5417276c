//! The form of every model: buying, and a death that nobody sees.

use super::histories::Histories;

/// A model with `N` parameters, as its likelihood needs it.
pub(super) trait Process<const N: usize>: Copy {
    /// What depends on the number of repeats alone, computed once for all who share it.
    type OfRepeats;

    /// The process with these parameters.
    fn of(parameters: [f64; N]) -> Self;

    /// What is shared by the customers with so many repeats.
    fn of_repeats(&self, repeats: u32) -> Self::OfRepeats;

    /// The log-likelihood of one history and its derivatives by the parameters.
    fn likelihood(&self, of: &Self::OfRepeats, last: f64, age: f64) -> (f64, [f64; N]);

    /// The logarithm of the odds that the customer is dead; minus infinity where nobody dies.
    fn odds_of_death(&self, of: &Self::OfRepeats, last: f64, age: f64) -> f64;
}

/// The log-likelihood of all histories and its derivatives by the parameters.
pub(super) fn likelihood<const N: usize, P: Process<N>>(process: P, histories: &Histories) -> (f64, [f64; N]) {
    let mut sum = 0.0;
    let mut slopes = [0.0; N];
    for (repeats, rows) in histories.groups() {
        let of = process.of_repeats(repeats);
        // Summed by group first: shorter sums round less.
        let mut part = 0.0;
        let mut parts = [0.0; N];
        for row in rows {
            let (ln, by) = process.likelihood(&of, row.last, row.age);
            part += row.count * ln;
            for (sum, slope) in parts.iter_mut().zip(by) {
                *sum += row.count * slope;
            }
        }
        sum += part;
        for (sum, slope) in slopes.iter_mut().zip(parts) {
            *sum += slope;
        }
    }
    (sum, slopes)
}
