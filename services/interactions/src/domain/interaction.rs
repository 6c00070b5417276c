use rapport_types::error::FieldError;
use rapport_types::reason;
use rapport_types::time::Timestamp;

use super::wording::{block, line};
use super::{Amount, Channel, Direction, Participant, Provenance, Slug, Valence};

/// The most participants of an interaction.
pub(crate) const MAX_PARTICIPANTS: usize = 32;
/// The most topics of an interaction.
pub(crate) const MAX_TOPICS: usize = 32;
/// The most characters of a subject line.
pub(crate) const MAX_SUBJECT_LINE: usize = 300;
/// The most characters of a body.
pub(crate) const MAX_BODY: usize = 20_000;
/// A checked interaction that is to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewInteraction {
    /// What happened.
    pub(crate) kind: Slug,
    /// The way it went.
    pub(crate) channel: Channel,
    /// Who spoke to whom.
    pub(crate) direction: Direction,
    /// Those who took part; the first is the primary one. Never empty.
    pub(crate) participants: Vec<Participant>,
    /// What it was about.
    pub(crate) topics: Vec<Slug>,
    /// One line that says what it was about; empty when there is none.
    pub(crate) subject_line: String,
    /// What was said or written; empty when there is none.
    pub(crate) body: String,
    /// How good or bad it was.
    pub(crate) valence: Option<Valence>,
    /// How much effort it cost, 1 to 7.
    pub(crate) effort: Option<Effort>,
    /// Money that moved by it.
    pub(crate) amount: Option<Amount>,
    /// When it happened.
    pub(crate) occurred_at: Timestamp,
    /// Where the record comes from.
    pub(crate) provenance: Provenance,
}

impl NewInteraction {
    /// A checked subject line.
    pub(crate) fn subject_line(text: &str) -> Result<String, FieldError> {
        line(text, 0, MAX_SUBJECT_LINE)
    }

    /// A checked body.
    pub(crate) fn body(text: &str) -> Result<String, FieldError> {
        block(text, 0, MAX_BODY)
    }
}

/// How much effort an interaction cost the other side: 1 (very easy) to 7 (very hard).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effort(i16);

impl Effort {
    /// A checked effort.
    pub(crate) fn parse(effort: i32) -> Result<Effort, FieldError> {
        match i16::try_from(effort) {
            Ok(effort @ 1..=7) => Ok(Effort(effort)),
            _ => Err(FieldError { reason: reason::OUT_OF_RANGE, description: "must be from 1 to 7".to_owned() }),
        }
    }

    /// From 1 to 7.
    pub(crate) fn get(self) -> i16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn effort_is_from_one_to_seven() {
        for effort in 1..=7 {
            assert_eq!(i32::from(Effort::parse(effort).unwrap().get()), effort);
        }
        for effort in [0, 8, -1, i32::MAX, i32::MIN, 65_537] {
            assert_eq!(Effort::parse(effort).unwrap_err().reason, reason::OUT_OF_RANGE);
        }
    }

    #[test]
    fn texts_have_their_limits() {
        assert_eq!(NewInteraction::subject_line("").unwrap(), "");
        assert!(NewInteraction::subject_line(&"ä".repeat(MAX_SUBJECT_LINE)).is_ok());
        assert_eq!(
            NewInteraction::subject_line(&"ä".repeat(MAX_SUBJECT_LINE + 1)).unwrap_err().reason,
            reason::TOO_LONG
        );
        assert_eq!(NewInteraction::subject_line("a\nb").unwrap_err().reason, reason::CONTROL_CHARACTER);
        assert_eq!(NewInteraction::body("a\n\tb").unwrap(), "a\n\tb");
        assert_eq!(NewInteraction::body("a\0b").unwrap_err().reason, reason::CONTROL_CHARACTER);
    }
}
