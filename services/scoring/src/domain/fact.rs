use rapport_scoring_models::decayed::MICROS;
use rapport_types::{FieldError, Timestamp, Uuid, reason};

/// An interaction as scoring learned of it, with those participants who get a contribution.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fact {
    /// The interaction's id.
    pub(crate) interaction: Uuid,
    /// Its version.
    pub(crate) version: i64,
    /// How this version came to be.
    pub(crate) revision: Revision,
    /// The interaction it takes the place of.
    pub(crate) supersedes: Option<Uuid>,
    /// What happened, as a slug.
    pub(crate) kind: String,
    /// Who spoke to whom.
    pub(crate) direction: Direction,
    /// How good or bad it was for the other side, if anything says so.
    pub(crate) valence: Option<Valence>,
    /// When it happened.
    pub(crate) occurred_at: Timestamp,
    /// When it was recorded.
    pub(crate) recorded_at: Timestamp,
    /// Who began it, received it or was spoken about; each origin once. Nobody in a retraction.
    pub(crate) participants: Vec<Participation>,
}

/// How a version of an interaction came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revision {
    /// It is the first of the interaction.
    First,
    /// An earlier version was put right.
    Amended,
    /// The interaction never should have been recorded.
    Retracted,
}

/// One origin that took part, and whose it was at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Participation {
    /// The id the fact keeps for ever.
    pub(crate) origin: Uuid,
    /// The party it belonged to.
    pub(crate) party: Option<Uuid>,
}

/// Who spoke to whom. The codes are stored and are those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// They came to us.
    Inbound,
    /// We went to them.
    Outbound,
    /// Both sides met.
    Mutual,
    /// Others spoke about us.
    ThirdParty,
}

impl Direction {
    const ALL: [Direction; 4] = [Direction::Inbound, Direction::Outbound, Direction::Mutual, Direction::ThirdParty];

    /// The number stored and sent.
    pub(crate) const fn code(self) -> i16 {
        match self {
            Direction::Inbound => 1,
            Direction::Outbound => 2,
            Direction::Mutual => 3,
            Direction::ThirdParty => 4,
        }
    }

    /// The direction with this code.
    pub(crate) fn from_code(code: i32) -> Option<Direction> {
        Direction::ALL.into_iter().find(|direction| i32::from(direction.code()) == code)
    }

    /// The word for answers.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
            Direction::Mutual => "mutual",
            Direction::ThirdParty => "third-party",
        }
    }
}

/// A judgement of how good or bad an interaction was, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Valence {
    /// From -1000000 to 1000000.
    pub(crate) value: i32,
    /// From 0 to 1000000.
    pub(crate) confidence: u32,
}

impl Valence {
    /// Rounds a valence and its confidence to millionths, the last time that they are floating point.
    ///
    /// # Errors
    /// `NOT_FINITE` or `OUT_OF_RANGE`.
    pub(crate) fn parse(value: f64, confidence: f64) -> Result<Valence, FieldError> {
        if !value.is_finite() || !confidence.is_finite() {
            return Err(FieldError::new(reason::NOT_FINITE, "must be a finite number"));
        }
        if !(-1.0..=1.0).contains(&value) || !(0.0..=1.0).contains(&confidence) {
            return Err(FieldError::new(reason::OUT_OF_RANGE, "must be from -1 to 1, its confidence from 0 to 1"));
        }
        let micros = f64::from(MICROS);
        // Multiplication and rounding of finite doubles are exact operations of IEEE 754: the same everywhere.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(Valence { value: (value * micros).round() as i32, confidence: (confidence * micros).round() as u32 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_valence_is_finite_and_in_range() {
        assert_eq!(Valence::parse(-0.8, 1.0).unwrap(), Valence { value: -800_000, confidence: 1_000_000 });
        for (value, confidence) in
            [(f64::NAN, 1.0), (1.1, 1.0), (-1.1, 1.0), (0.0, f64::INFINITY), (0.0, 1.5), (0.0, -0.1)]
        {
            assert!(Valence::parse(value, confidence).is_err());
        }
    }

    #[test]
    fn directions_keep_their_codes() {
        for direction in Direction::ALL {
            assert_eq!(Direction::from_code(i32::from(direction.code())), Some(direction));
        }
        assert_eq!(Direction::from_code(0), None);
    }
}
