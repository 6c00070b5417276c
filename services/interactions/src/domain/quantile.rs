/// How sure an interval is: the share of repetitions of a survey whose interval would hold the true figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Confidence(f64);

impl Confidence {
    /// A checked level; 0.95 when nothing is said.
    pub(crate) fn parse(level: Option<f64>) -> Result<Confidence, rapport_types::error::FieldError> {
        level.map_or(Ok(0.95), |level| super::valence::within(level, 0.5, 0.999)).map(Confidence)
    }

    /// From 0.5 to 0.999.
    pub(crate) fn level(self) -> f64 {
        self.0
    }

    /// How many standard errors lie on each side of the figure: the quantile of the normal distribution that leaves
    /// half of the rest above it.
    pub(crate) fn z(self) -> f64 {
        quantile(0.5 + self.0 / 2.0)
    }
}

/// The quantile of the standard normal distribution for a probability from 0.5 to 0.9999: Wichura's AS 241 (1988,
/// Applied Statistics 37(3)), exact to 16 digits. Its branch for the far tail is left out, since no level leads there.
fn quantile(probability: f64) -> f64 {
    const NEAR: [[f64; 8]; 2] = [
        [
            2.509_080_928_730_122_7e3,
            3.343_057_558_358_813e4,
            6.726_577_092_700_87e4,
            4.592_195_393_154_987e4,
            1.373_169_376_550_946e4,
            1.971_590_950_306_551_3e3,
            1.331_416_678_917_843_8e2,
            3.387_132_872_796_366_5,
        ],
        [
            5.226_495_278_852_854e3,
            2.872_908_573_572_194_3e4,
            3.930_789_580_009_271e4,
            2.121_379_430_158_659_7e4,
            5.394_196_021_424_751e3,
            6.871_870_074_920_579e2,
            4.231_333_070_160_091e1,
            1.0,
        ],
    ];
    const TAIL: [[f64; 8]; 2] = [
        [
            7.745_450_142_783_414e-4,
            2.272_384_498_926_918_4e-2,
            2.417_807_251_774_506e-1,
            1.270_458_252_452_368_4,
            3.647_848_324_763_204_5,
            5.769_497_221_460_691,
            4.630_337_846_156_546,
            1.423_437_110_749_683_5,
        ],
        [
            1.050_750_071_644_416_9e-9,
            5.475_938_084_995_345e-4,
            1.519_866_656_361_645_7e-2,
            1.481_039_764_274_800_8e-1,
            6.897_673_349_851e-1,
            1.676_384_830_183_803_8,
            2.053_191_626_637_759,
            1.0,
        ],
    ];
    let ratio = |[top, bottom]: [[f64; 8]; 2], at: f64| polynomial(top, at) / polynomial(bottom, at);
    let from_middle = probability - 0.5;
    if from_middle <= 0.425 {
        from_middle * ratio(NEAR, 0.180_625 - from_middle * from_middle)
    } else {
        ratio(TAIL, (-(1.0 - probability).ln()).sqrt() - 1.6)
    }
}

/// A polynomial by Horner's rule, the highest power first.
fn polynomial(coefficients: [f64; 8], at: f64) -> f64 {
    coefficients.into_iter().fold(0.0, |sum, coefficient| sum * at + coefficient)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;
    use rapport_types::reason;

    use super::*;

    #[test]
    fn the_tables_quantiles_come_out() {
        for (level, z) in [
            (0.5, 0.674_489_750_196_081_7),
            (0.8, 1.281_551_565_544_600_4),
            (0.9, 1.644_853_626_951_472_2),
            (0.95, 1.959_963_984_540_054),
            (0.99, 2.575_829_303_548_900_4),
            (0.999, 3.290_526_731_491_926),
        ] {
            let found = Confidence::parse(Some(level)).unwrap().z();
            assert!((found - z).abs() < 1e-12, "{level}: {found} is not {z}");
        }
        assert_eq!(Confidence::parse(None).unwrap().level(), 0.95);
    }

    #[test]
    fn levels_have_their_bounds() {
        for bad in [0.0, 0.499, 0.9991, 1.0, -0.95, 95.0] {
            assert_eq!(Confidence::parse(Some(bad)).unwrap_err().reason, reason::OUT_OF_RANGE, "{bad}");
        }
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Confidence::parse(Some(bad)).unwrap_err().reason, reason::NOT_FINITE);
        }
    }

    /// The share of a normal distribution below `z`, by Simpson's rule from 0 on.
    fn below(z: f64) -> f64 {
        let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let steps = 2_000;
        let width = z / f64::from(steps);
        let sum: f64 = (1..steps).map(|at| density(f64::from(at) * width) * if at % 2 == 0 { 2.0 } else { 4.0 }).sum();
        0.5 + width / 3.0 * (density(0.0) + sum + density(z))
    }

    proptest! {
        #[test]
        fn the_quantile_turns_the_distribution_around(level in 0.5f64..=0.999) {
            let z = Confidence::parse(Some(level)).unwrap().z();
            prop_assert!((below(z) - (0.5 + level / 2.0)).abs() < 1e-11, "{} at {}", z, level);
        }

        #[test]
        fn surer_is_wider(one in 0.5f64..=0.999, other in 0.5f64..=0.999) {
            let z = |level| Confidence::parse(Some(level)).unwrap().z();
            prop_assert_eq!(one < other, z(one) < z(other));
        }
    }
}
