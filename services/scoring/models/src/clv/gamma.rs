//! Logarithms of rising factorials, and their derivatives, without the cancellation of two great logarithms of gamma
//! functions: fits walk along ridges on which parameters pass a million.

use libm::{lgamma, log, log1p};

/// Up to here a rising factorial is multiplied out.
const FACTORS: u32 = 32;

/// From here Stirling's series gives every digit.
const STIRLING: f64 = 20.0;

/// `ln(z (z+1) ... (z+n-1))`, which is `ln Gamma(z+n) - ln Gamma(z)`, for `z > 0`.
pub(super) fn ln_rising(z: f64, n: u32) -> f64 {
    if n <= FACTORS {
        let mut sum = 0.0;
        let mut product = 1.0;
        for j in 0..n {
            product *= z + f64::from(j);
            // Eight factors of at most 1e9 + 32 or at least 1e-9 are far from the ends of a double.
            if j % 8 == 7 {
                sum += log(product);
                product = 1.0;
            }
        }
        return sum + log(product);
    }
    let n = f64::from(n);
    if z < STIRLING {
        return lgamma(z + n) - lgamma(z);
    }
    n * log(z + n) + (z - 0.5) * log1p(n / z) - n + stirling(z + n) - stirling(z)
}

/// The derivative of [`ln_rising`] by `z`: `1/z + 1/(z+1) + ... + 1/(z+n-1)`.
pub(super) fn harmonic(z: f64, n: u32) -> f64 {
    if n <= FACTORS {
        return (0..n).map(|j| 1.0 / (z + f64::from(j))).sum();
    }
    let n = f64::from(n);
    if z < STIRLING {
        return digamma(z + n) - digamma(z);
    }
    log1p(n / z) - (0.5 / (z + n) - 0.5 / z) - (digamma_tail(z + n) - digamma_tail(z))
}

/// The derivative of `ln Gamma`, for `z > 0`.
pub(super) fn digamma(z: f64) -> f64 {
    let mut sum = 0.0;
    let mut z = z;
    while z < STIRLING {
        sum -= 1.0 / z;
        z += 1.0;
    }
    sum + log(z) - 0.5 / z - digamma_tail(z)
}

/// What Stirling's formula leaves of `ln Gamma(z)`.
fn stirling(z: f64) -> f64 {
    let i = 1.0 / z;
    let s = i * i;
    i * (1.0 / 12.0 - s * (1.0 / 360.0 - s * (1.0 / 1260.0 - s * (1.0 / 1680.0 - s / 1188.0))))
}

/// What `ln z - 1/(2z)` has too much of `digamma(z)`.
fn digamma_tail(z: f64) -> f64 {
    let s = 1.0 / (z * z);
    s * (1.0 / 12.0 - s * (1.0 / 120.0 - s * (1.0 / 252.0 - s * (1.0 / 240.0 - s / 132.0))))
}

/// `ln(1 + e^u)`, whatever `u`.
pub(super) fn softplus(u: f64) -> f64 {
    if u > 0.0 { u + log1p(libm::exp(-u)) } else { log1p(libm::exp(u)) }
}

/// `1 / (1 + e^-u)`, whatever `u`.
pub(super) fn logistic(u: f64) -> f64 {
    if u > 0.0 {
        1.0 / (1.0 + libm::exp(-u))
    } else {
        let e = libm::exp(u);
        e / (1.0 + e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(got: f64, want: f64, tolerance: f64) {
        assert!((got - want).abs() <= tolerance * want.abs(), "{got} is not {want}");
    }

    /// Computed with fifty digits.
    #[test]
    fn values_to_the_last_digits() {
        near(ln_rising(0.25, 3), -0.352_220_593_589_352_1, 1e-14);
        near(ln_rising(0.25, 60), 184.267_827_820_824_55, 1e-14);
        near(ln_rising(1e6, 50), 690.776_752_878_001_7, 1e-15);
        near(ln_rising(25.5, 1000), 6_025.288_819_100_901_5, 1e-15);
        near(harmonic(0.25, 60), 8.317_634_394_746_74, 1e-14);
        near(harmonic(1e6, 50), 0.000_049_998_775_040_423_5, 1e-13);
        near(harmonic(25.5, 1000), 3.713_505_458_347_515_6, 1e-14);
        near(digamma(1.0), -0.577_215_664_901_532_9, 1e-14);
        near(digamma(0.001), -1_000.575_571_931_810_3, 1e-15);
        near(digamma(12_345.6), 9.421_014_502_465_397, 1e-15);
    }

    #[test]
    fn both_ways_meet() {
        for z in [0.3, 1.0, 7.0, 19.99, 20.0, 1e5] {
            let product: f64 = (0..=FACTORS).map(|j| log(z + f64::from(j))).sum();
            near(ln_rising(z, FACTORS + 1), product, 1e-14);
            let sum: f64 = (0..=FACTORS).map(|j| 1.0 / (z + f64::from(j))).sum();
            near(harmonic(z, FACTORS + 1), sum, 1e-12);
        }
    }

    #[test]
    fn nothing_overflows() {
        for u in [-1e300, -800.0, 0.0, 800.0, 1e300, f64::NEG_INFINITY] {
            assert!((0.0..=1.0).contains(&logistic(u)) && softplus(u) >= 0.0, "{u}");
        }
        assert!(ln_rising(1e8, u32::MAX).is_finite() && harmonic(1e-8, u32::MAX).is_finite());
    }
}
