use rapport_types::error::Error;
use rapport_types::reason;
use rapport_types::time::Timestamp;

use super::{Amount, Channel, Direction, Effort, InteractionName, Slug, Valence};

/// What changes in an interaction: a field that is `None` stays as it is. Who took part is reassigned, never amended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Amendment {
    /// What happened.
    pub(crate) kind: Option<Slug>,
    /// The way it went.
    pub(crate) channel: Option<Channel>,
    /// Who spoke to whom.
    pub(crate) direction: Option<Direction>,
    /// What it was about.
    pub(crate) topics: Option<Vec<Slug>>,
    /// One line that says what it was about.
    pub(crate) subject_line: Option<String>,
    /// What was said or written.
    pub(crate) body: Option<String>,
    /// How good or bad it was; the inner `None` says that nothing tells.
    pub(crate) valence: Option<Option<Valence>>,
    /// How much effort it cost; the inner `None` says that nothing tells.
    pub(crate) effort: Option<Option<Effort>>,
    /// Money that moved by it; the inner `None` says that none did.
    pub(crate) amount: Option<Option<Amount>>,
    /// When it happened.
    pub(crate) occurred_at: Option<Timestamp>,
}

impl Amendment {
    /// Whether nothing changes.
    pub(crate) fn is_empty(&self) -> bool {
        let Amendment { kind, channel, direction, topics, subject_line, body, valence, effort, amount, occurred_at } =
            self;
        kind.is_none()
            && channel.is_none()
            && direction.is_none()
            && topics.is_none()
            && subject_line.is_none()
            && body.is_none()
            && valence.is_none()
            && effort.is_none()
            && amount.is_none()
            && occurred_at.is_none()
    }

    /// The fields of the contract that can be amended.
    pub(crate) const FIELDS: &'static [&'static str] = &[
        "kind",
        "channel",
        "direction",
        "topics",
        "subject_line",
        "body",
        "valence",
        "effort",
        "amount",
        "occurred_time",
    ];
    /// The fields that are the server's.
    pub(crate) const OUTPUT_ONLY: &'static [&'static str] = &[
        "name",
        "recorded_time",
        "version",
        "supersedes",
        "etag",
        "retracted_time",
        "version_reason",
        "survey_response",
    ];
    /// The fields that are the record's for ever.
    pub(crate) const IMMUTABLE: &'static [&'static str] = &["participants", "provenance"];
}

/// How an interaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// It counts for nothing.
    pub(crate) retracted: bool,
    /// It is the record of a survey response.
    pub(crate) response: bool,
}

impl Standing {
    /// Refuses to amend what was retracted, and the record of a response: the answer itself stands in its survey.
    ///
    /// # Errors
    /// Precondition `INVALID_TRANSITION`.
    pub(crate) fn amend(self, name: InteractionName) -> Result<(), Error> {
        self.retract(name)?;
        if self.response {
            let text = "is the record of a survey response: retract it and record the response again";
            return Err(impossible(name, text));
        }
        Ok(())
    }

    /// Refuses to retract twice.
    ///
    /// # Errors
    /// Precondition `INVALID_TRANSITION`.
    pub(crate) fn retract(self, name: InteractionName) -> Result<(), Error> {
        if self.retracted { Err(impossible(name, "is retracted, which is final")) } else { Ok(()) }
    }
}

fn impossible(name: InteractionName, text: &str) -> Error {
    Error::precondition(reason::INVALID_TRANSITION, format!("{name} {text}")).with("name", name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::Uuid;

    use super::*;

    #[test]
    fn what_is_retracted_stays_and_a_response_is_not_amended() {
        let name = InteractionName::new(Uuid::from_u128(1));
        for (retracted, response, amend, retract) in [
            (false, false, true, true),
            (false, true, false, true),
            (true, false, false, false),
            (true, true, false, false),
        ] {
            let standing = Standing { retracted, response };
            assert_eq!((standing.amend(name).is_ok(), standing.retract(name).is_ok()), (amend, retract));
            if !amend {
                assert_eq!(standing.amend(name).unwrap_err().reason, reason::INVALID_TRANSITION);
            }
        }
    }
}
