//! Powers of two with a fractional exponent, in integers: a floating-point `exp2` may differ in its last bit from one
//! libm to the next, and a score must not.

/// Fraction bits of the mantissas below.
pub(super) const FRACTION_BITS: u32 = 62;

/// `ROOTS[i]` = 2^(2^-(i+1)), with [`FRACTION_BITS`] fraction bits, rounded down: each the square root of the one before.
const ROOTS: [u64; 64] = roots();

#[allow(clippy::cast_possible_truncation)]
const fn roots() -> [u64; 64] {
    let mut roots = [0; 64];
    let mut root: u128 = 2 << FRACTION_BITS;
    let mut index = 0;
    while index < roots.len() {
        root = (root << FRACTION_BITS).isqrt();
        roots[index] = root as u64;
        index += 1;
    }
    roots
}

/// 2^(fraction / 2^64), with [`FRACTION_BITS`] fraction bits: from 2^62 to just below 2^63, relative error below 2^-55.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn exp2(fraction: u64) -> u64 {
    let mut product = 1_u64 << FRACTION_BITS;
    let mut rest = fraction;
    while rest != 0 {
        // The highest bit set stands for 2^-(zeros + 1).
        let zeros = rest.leading_zeros();
        product = ((u128::from(product) * u128::from(ROOTS[zeros as usize])) >> FRACTION_BITS) as u64;
        rest &= !(1_u64 << (63 - zeros));
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_powers() {
        let one = 1_u64 << FRACTION_BITS;
        assert_eq!(exp2(0), one);
        // floor(sqrt(2) * 2^62)
        assert_eq!(exp2(1 << 63), 6_521_908_912_666_391_106);
        assert!(exp2(u64::MAX) < 2 * one);
    }

    proptest! {
        #[test]
        fn agrees_with_libm(fraction in any::<u64>()) {
            let expected = libm::exp2(fraction as f64 / 2_f64.powi(64));
            let found = exp2(fraction) as f64 / 2_f64.powi(FRACTION_BITS as i32);
            prop_assert!((found / expected - 1.0).abs() < 1e-15, "{found} {expected}");
        }
    }
}
