use rapport_types::error::FieldError;
use rapport_types::reason;

use super::coded;

coded! {
    /// Who or what judged a valence.
    ValenceMethod {
        /// The other side said so.
        Stated = 1 "stated",
        /// A person of the tenant judged it.
        Agent = 2 "agent",
        /// A program read it from words or voice.
        Model = 3 "model",
        /// A rule set it by the kind of the interaction.
        Rule = 4 "rule",
    }
}

/// How good or bad an interaction was for the other side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Valence {
    /// From -1 to 1; never -0.
    pub(crate) value: f64,
    /// Who or what judged.
    pub(crate) method: ValenceMethod,
    /// From 0 to 1; never -0.
    pub(crate) confidence: f64,
}

/// A number within a closed range. Minus zero becomes zero, so that equal numbers have equal bits.
pub(crate) fn within(value: f64, low: f64, high: f64) -> Result<f64, FieldError> {
    if !value.is_finite() {
        return Err(FieldError { reason: reason::NOT_FINITE, description: "must be a finite number".to_owned() });
    }
    if value < low || value > high {
        return Err(FieldError { reason: reason::OUT_OF_RANGE, description: format!("must be from {low} to {high}") });
    }
    Ok(if value == 0.0 { 0.0 } else { value })
}

impl Valence {
    /// A value from -1 to 1.
    pub(crate) fn value(value: f64) -> Result<f64, FieldError> {
        within(value, -1.0, 1.0)
    }

    /// A confidence from 0 to 1; certain when nothing is said.
    pub(crate) fn confidence(confidence: Option<f64>) -> Result<f64, FieldError> {
        confidence.map_or(Ok(1.0), |confidence| within(confidence, 0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_passes_unchanged_exactly_when_it_lies_in_the_range(value in proptest::num::f64::ANY) {
            let answer = Valence::value(value);
            if value.is_finite() && (-1.0..=1.0).contains(&value) {
                prop_assert_eq!(answer.unwrap(), value);
            } else if value.is_finite() {
                prop_assert_eq!(answer.unwrap_err().reason, reason::OUT_OF_RANGE);
            } else {
                prop_assert_eq!(answer.unwrap_err().reason, reason::NOT_FINITE);
            }
        }

        #[test]
        fn a_confidence_is_from_zero_to_one(confidence in proptest::option::of(-3.0..3.0f64)) {
            let answer = Valence::confidence(confidence);
            match confidence {
                None => prop_assert_eq!(answer.unwrap(), 1.0),
                Some(c) if (0.0..=1.0).contains(&c) => prop_assert_eq!(answer.unwrap(), c),
                Some(_) => prop_assert_eq!(answer.unwrap_err().reason, reason::OUT_OF_RANGE),
            }
        }
    }

    #[test]
    fn edges() {
        for good in [-1.0, 1.0, 0.0, -0.0, f64::MIN_POSITIVE] {
            Valence::value(good).unwrap();
        }
        assert!(Valence::value(-0.0).unwrap().is_sign_positive());
        for bad in [1.0f64.next_up(), (-1.0f64).next_down(), f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            Valence::value(bad).unwrap_err();
        }
    }
}
