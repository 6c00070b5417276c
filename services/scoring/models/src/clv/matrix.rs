//! Symmetric matrices of a few rows: what curvature is made of.

/// A square matrix.
pub(super) type Matrix<const N: usize> = [[f64; N]; N];

/// `scale` on the diagonal.
pub(super) fn identity<const N: usize>(scale: f64) -> Matrix<N> {
    std::array::from_fn(|i| std::array::from_fn(|j| if i == j { scale } else { 0.0 }))
}

pub(super) fn times<const N: usize>(matrix: &Matrix<N>, vector: &[f64; N]) -> [f64; N] {
    std::array::from_fn(|i| matrix[i].iter().zip(vector).map(|(a, b)| a * b).sum())
}

/// The eigenvalues and, in columns, the eigenvectors of a symmetric matrix, by Jacobi's rotations.
pub(super) struct Axes<const N: usize> {
    pub(super) values: [f64; N],
    pub(super) vectors: Matrix<N>,
}

impl<const N: usize> Axes<N> {
    pub(super) fn of(mut matrix: Matrix<N>) -> Self {
        let mut vectors = identity(1.0);
        // Rotations converge quadratically: five sweeps do, thirty are a bound.
        for _ in 0..30 {
            let mut rotated = false;
            for p in 0..N {
                for q in p + 1..N {
                    rotated |= rotate(&mut matrix, &mut vectors, p, q);
                }
            }
            if !rotated {
                break;
            }
        }
        Self { values: std::array::from_fn(|i| matrix[i][i]), vectors }
    }

    /// The matrix made of these axes with other values along them.
    pub(super) fn with(&self, of: impl Fn(f64) -> f64) -> Matrix<N> {
        let values = self.values.map(of);
        std::array::from_fn(|i| {
            std::array::from_fn(|j| (0..N).map(|k| self.vectors[i][k] * values[k] * self.vectors[j][k]).sum())
        })
    }
}

fn rotate<const N: usize>(matrix: &mut Matrix<N>, vectors: &mut Matrix<N>, p: usize, q: usize) -> bool {
    let between = matrix[p][q];
    if between.is_nan() || between.abs() <= 1e-17 * (matrix[p][p].abs() + matrix[q][q].abs()) {
        return false;
    }
    let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * between);
    let tangent = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
    let sine = tangent * cosine;
    let turn = |rows: &mut Matrix<N>| {
        for row in rows {
            let (a, b) = (row[p], row[q]);
            row[p] = cosine * a - sine * b;
            row[q] = sine * a + cosine * b;
        }
    };
    turn(matrix);
    turn(vectors);
    let (above, below) = (matrix[p], matrix[q]);
    matrix[p] = std::array::from_fn(|k| cosine * above[k] - sine * below[k]);
    matrix[q] = std::array::from_fn(|k| sine * above[k] + cosine * below[k]);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_turn_back_into_their_matrix() {
        let matrix = [[4.0, 1.0, -2.0], [1.0, 3.0, 0.5], [-2.0, 0.5, 1e-3]];
        let axes = Axes::of(matrix);
        let again = axes.with(|value| value);
        let inverse = axes.with(|value| 1.0 / value);
        for i in 0..3 {
            for j in 0..3 {
                assert!((again[i][j] - matrix[i][j]).abs() < 1e-14);
                let one: f64 = (0..3).map(|k| matrix[i][k] * inverse[k][j]).sum();
                assert!((one - if i == j { 1.0 } else { 0.0 }).abs() < 1e-13);
            }
        }
    }
}
