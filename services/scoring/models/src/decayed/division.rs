//! Products too wide for 128 bits, divided exactly.

/// `factor * numerator / denominator` rounded down, and the remainder (from 0 to just below `denominator`), for
/// `|numerator| <= denominator` and a positive denominator below 2^126. Long multiplication and division at once, a bit
/// of the factor at a time.
pub(super) fn scale(numerator: i128, factor: u32, denominator: i128) -> (i64, i128) {
    debug_assert!(denominator > 0 && denominator < 1 << 126 && numerator.abs() <= denominator);
    let magnitude = numerator.abs();
    let (mut quotient, mut remainder) = (0_i64, 0_i128);
    for bit in (0..u32::BITS).rev() {
        quotient *= 2;
        remainder *= 2;
        if factor >> bit & 1 == 1 {
            remainder += magnitude;
        }
        // The remainder was below the denominator, so doubled plus the magnitude it is below three of them.
        while remainder >= denominator {
            remainder -= denominator;
            quotient += 1;
        }
    }
    match (numerator < 0, remainder) {
        (false, _) => (quotient, remainder),
        (true, 0) => (-quotient, 0),
        (true, _) => (-quotient - 1, denominator - remainder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_plain_arithmetic(numerator in -(1_i128 << 90)..1 << 90, more in 1_i128..1 << 80, factor in any::<u32>()) {
            let denominator = numerator.abs() + more;
            let product = numerator * i128::from(factor);
            let expected = (product.div_euclid(denominator) as i64, product.rem_euclid(denominator));
            prop_assert_eq!(scale(numerator, factor, denominator), expected);
        }
    }

    #[test]
    fn reaches_the_bounds() {
        let widest = (1_i128 << 126) - 1;
        assert_eq!(scale(widest, u32::MAX, widest), (i64::from(u32::MAX), 0));
        assert_eq!(scale(-widest, 100_000_000, widest), (-100_000_000, 0));
        assert_eq!(scale(-1, 1, widest), (-1, widest - 1));
    }
}
