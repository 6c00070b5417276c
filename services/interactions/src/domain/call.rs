use rapport_types::error::FieldError;
use rapport_types::reason;
use rapport_types::time::Timestamp;
use rapport_types::{Pii, Uuid};
use serde::{Deserialize, Serialize};

use super::wording::{block, line};
use super::{CasePriority, Direction, Effort, Identifier, Medium, Named, NewCase, Provenance, Slug, Valence, coded};

/// The most characters of what the telephony calls a call.
const MAX_CALL_ID: usize = 200;
/// The most characters of a leg, and of a dialled number.
const MAX_LEG: usize = 100;
/// The most characters of an agent.
const MAX_AGENT: usize = 200;
/// The most characters of what is noted for whoever takes a call over.
const MAX_NOTE: usize = 2_000;
/// The scheme of an identifier that is a conversation's own.
pub(crate) const CALL: &str = "call";
/// Why a party is taken for the other side when an agent found out.
pub(crate) const SAID_SO: &str = "the agent said so";
/// The most candidates that are kept.
pub(crate) const MAX_CANDIDATES: usize = 10;

coded! {
    /// How a call ended.
    Disposition {
        /// What was wanted was done.
        Handled = 1 "handled",
        /// Something is left to do.
        Unresolved = 2 "unresolved",
        /// They complained.
        Complaint = 3 "complaint",
        /// Nobody spoke.
        Missed = 4 "missed",
        /// They wanted somebody else.
        Misdialled = 5 "misdialled",
    }
}

impl Disposition {
    /// The kind of the interaction that the call becomes.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Disposition::Complaint => "complaint",
            Disposition::Handled | Disposition::Unresolved | Disposition::Missed | Disposition::Misdialled => "call",
        }
    }
}

coded! {
    /// How the search for the other side of a call ended.
    Match {
        /// One party, safely.
        Resolved = 1 "resolved",
        /// Somebody has to choose.
        Candidates = 2 "candidates",
        /// Nobody is known by the identifier.
        Unknown = 3 "unknown",
        /// The identifier was withheld.
        Withheld = 4 "withheld",
        /// Nobody is known here, and nobody else answered in time.
        Pending = 5 "pending",
    }
}

/// A party that may be the other side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    /// The party.
    pub(crate) party: Uuid,
    /// How sure the match is, in thousandths.
    pub(crate) confidence: i32,
    /// Why, the strongest reason first; no personal data.
    pub(crate) reasons: Vec<String>,
}

/// Who the other side is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resolution {
    /// The code of the [`Match`].
    matched: i16,
    /// The party, where one is safe to assume.
    pub(crate) party: Option<Uuid>,
    /// Why; no personal data.
    pub(crate) reason: String,
    /// Everybody who comes into question, the likeliest first.
    pub(crate) candidates: Vec<Candidate>,
}

impl Resolution {
    /// How a search ended.
    pub(crate) fn new(matched: Match, reason: impl Into<String>, mut candidates: Vec<Candidate>) -> Resolution {
        candidates.truncate(MAX_CANDIDATES);
        let party = match matched {
            Match::Resolved => candidates.first().map(|candidate| candidate.party),
            _ => None,
        };
        Resolution { matched: matched.code(), party, reason: reason.into(), candidates }
    }

    /// One party, safely.
    pub(crate) fn resolved(party: Uuid, reason: &str) -> Resolution {
        let candidate = Candidate { party, confidence: 1_000, reasons: vec![reason.to_owned()] };
        Resolution::new(Match::Resolved, reason, vec![candidate])
    }

    /// One party, who claimed the identifier while the call went on or after it.
    pub(crate) fn claimed(party: Uuid) -> Resolution {
        Resolution::resolved(party, "the identifier was claimed since the call began")
    }

    /// How the search ended.
    pub(crate) fn matched(&self) -> Match {
        Match::from_code(i64::from(self.matched)).unwrap_or(Match::Unknown)
    }
}

/// What was said of a call, when it began or when it ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// What the telephony calls it.
    pub(crate) call_id: Pii<String>,
    /// Which leg.
    pub(crate) leg: Pii<String>,
    /// Who called whom: inbound or outbound.
    pub(crate) direction: Option<Direction>,
    /// The identifier of the other side; none when it was withheld or not said.
    pub(crate) identifier: Option<Identifier>,
    /// The number of ours.
    pub(crate) dialled: Pii<String>,
    /// What carries it.
    pub(crate) medium: Option<Medium>,
    /// Who of ours takes it.
    pub(crate) agent: Pii<String>,
    /// When it began.
    pub(crate) started_at: Option<Timestamp>,
    /// Where the record comes from.
    pub(crate) provenance: Provenance,
}

impl Told {
    /// A checked call id.
    pub(crate) fn call_id(text: &str) -> Result<Pii<String>, FieldError> {
        line(text, 1, MAX_CALL_ID).map(Pii::new)
    }

    /// A checked leg.
    pub(crate) fn leg(text: &str) -> Result<Pii<String>, FieldError> {
        line(text, 0, MAX_LEG).map(Pii::new)
    }

    /// A checked number of ours.
    pub(crate) fn dialled(text: &str) -> Result<Pii<String>, FieldError> {
        line(text, 0, MAX_LEG).map(Pii::new)
    }

    /// A checked agent.
    pub(crate) fn agent(text: &str) -> Result<Pii<String>, FieldError> {
        line(text, 0, MAX_AGENT).map(Pii::new)
    }

    /// A checked direction of a call; none when it was not said.
    pub(crate) fn direction(code: i32) -> Result<Option<Direction>, FieldError> {
        match code {
            0 => Ok(None),
            code => match Direction::parse(code)? {
                one @ (Direction::Inbound | Direction::Outbound) => Ok(Some(one)),
                _ => Err(FieldError::new(reason::OUT_OF_RANGE, "must be inbound or outbound")),
            },
        }
    }

    /// A checked country: two letters; empty when it was not said.
    pub(crate) fn country(text: &str) -> Result<String, FieldError> {
        match text.as_bytes() {
            [] => Ok(String::new()),
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => Ok(text.to_ascii_uppercase()),
            _ => Err(FieldError::new(reason::UNKNOWN_COUNTRY, "must be two letters of ISO 3166-1")),
        }
    }

    /// What the blind index of the call is taken of: equal for equal calls, whatever else is told.
    pub(crate) fn key(&self) -> String {
        format!("{}\u{0}{}", self.call_id.expose(), self.leg.expose())
    }

    /// What the blind index of the conversation is taken of: equal for all legs of one.
    pub(crate) fn talk_key(&self) -> &str {
        self.call_id.expose()
    }

    /// A call of which nothing is known but what it is called.
    pub(crate) fn bare(call_id: Pii<String>, leg: Pii<String>) -> Told {
        Told {
            call_id,
            leg,
            direction: None,
            identifier: None,
            dialled: Pii::new(String::new()),
            medium: None,
            agent: Pii::new(String::new()),
            started_at: None,
            provenance: Provenance::default(),
        }
    }

    /// What this says, and where it says nothing what `later` says: the first to say something counts.
    pub(crate) fn or(self, later: &Told) -> Told {
        let text =
            |first: Pii<String>, later: &Pii<String>| if first.expose().is_empty() { later.clone() } else { first };
        Told {
            call_id: self.call_id,
            leg: self.leg,
            direction: self.direction.or(later.direction),
            identifier: self.identifier.or_else(|| later.identifier.clone()),
            dialled: text(self.dialled, &later.dialled),
            medium: self.medium.or(later.medium),
            agent: text(self.agent, &later.agent),
            started_at: self.started_at.or(later.started_at),
            provenance: if self.provenance == Provenance::default() {
                later.provenance.clone()
            } else {
                self.provenance
            },
        }
    }

    /// Who takes part at the other side, as a record names them: `party` where it is to name one, else the identifier. One
    /// that withheld its number, or of whom nothing was said, is known by the conversation alone: that stands for nobody.
    pub(crate) fn named(&self, party: Option<Uuid>) -> Named {
        match (party, &self.identifier) {
            (Some(party), identifier) => Named::Party(party, identifier.clone()),
            (None, Some(identifier)) => Named::Identifier(identifier.clone()),
            (None, None) => Named::Identifier(Identifier::known(CALL, self.call_id.expose().clone())),
        }
    }
}

/// How a call ended, as it was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ending {
    /// How it ended.
    pub(crate) disposition: Disposition,
    /// What it was about, in one line.
    pub(crate) subject_line: String,
    /// What was said.
    pub(crate) wrap_up: String,
    /// How good or bad it was.
    pub(crate) valence: Option<Valence>,
    /// How much effort it cost.
    pub(crate) effort: Option<Effort>,
    /// What it was about.
    pub(crate) topics: Vec<Slug>,
    /// When it ended.
    pub(crate) ended_at: Option<Timestamp>,
    /// Whom the agent found the other side to be.
    pub(crate) party: Option<Uuid>,
    /// The type of the role that the other side acted in.
    pub(crate) role_type: Option<Slug>,
    /// A case to open with it.
    pub(crate) case: Option<Opening>,
}

/// A case that is opened when a call ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Opening {
    /// What it is.
    pub(crate) kind: Slug,
    /// One line that says what it is.
    pub(crate) title: String,
    /// What it is about.
    pub(crate) description: String,
    /// How urgent it is.
    pub(crate) priority: CasePriority,
}

impl Ending {
    /// A checked wrap-up.
    pub(crate) fn wrap_up(text: &str) -> Result<String, FieldError> {
        block(text, 0, super::interaction::MAX_BODY)
    }

    /// The case that is opened with it for `named`, about `interaction`.
    pub(crate) fn case(&self, told: &Told, named: Named, interaction: Uuid, ended_at: Timestamp) -> Option<NewCase> {
        let opening = self.case.as_ref()?;
        Some(NewCase {
            named,
            role_type: self.role_type.clone(),
            kind: opening.kind.clone(),
            priority: opening.priority,
            title: opening.title.clone(),
            description: opening.description.clone(),
            interactions: vec![interaction],
            opened_at: Some(ended_at),
            provenance: told.provenance.clone(),
        })
    }
}

/// A call that is handed on, as it was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Handover {
    /// Who takes it.
    pub(crate) to_agent: Pii<String>,
    /// The leg that goes on; empty when the same one does.
    pub(crate) to_leg: Pii<String>,
    /// What they have to know.
    pub(crate) note: Pii<String>,
    /// When; none when nobody said.
    pub(crate) at: Option<Timestamp>,
}

impl Handover {
    /// A checked agent or queue.
    pub(crate) fn to_agent(text: &str) -> Result<Pii<String>, FieldError> {
        line(text, 1, MAX_AGENT).map(Pii::new)
    }

    /// A checked note.
    pub(crate) fn note(text: &str) -> Result<Pii<String>, FieldError> {
        block(text, 0, MAX_NOTE).map(Pii::new)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn told(call_id: &str, leg: &str) -> Told {
        Told::bare(Told::call_id(call_id).unwrap(), Told::leg(leg).unwrap())
    }

    #[test]
    fn a_call_and_a_leg_are_one_key() {
        assert_eq!(told("a", "b").key(), told("a", "b").key());
        assert_ne!(told("a", "b").key(), told("ab", "").key());
    }

    #[test]
    fn the_first_to_say_something_counts() {
        let number = |value: &str| Identifier::new("tel".to_owned(), value.to_owned()).unwrap();
        let mut first = told("a", "");
        first.identifier = Some(number("+351912345678"));
        let mut later = told("a", "");
        later.identifier = Some(number("+351999999999"));
        later.direction = Some(Direction::Outbound);
        later.agent = Told::agent("maria").unwrap();
        let both = first.clone().or(&later);
        assert_eq!(both.identifier, first.identifier);
        assert_eq!((both.direction, both.agent.expose().as_str()), (Some(Direction::Outbound), "maria"));
    }

    #[test]
    fn who_is_not_known_is_known_by_the_conversation() {
        let mut call = told("a", "1");
        let Named::Identifier(bare) = call.named(None) else { panic!("nobody is named") };
        assert_eq!((bare.scheme_name(), bare.given()), ("call", "a"));
        assert_eq!(call.talk_key(), told("a", "2").talk_key());
        let party = Uuid::from_u128(7);
        assert_eq!(call.named(Some(party)), Named::Party(party, None));
        call.identifier = Some(Identifier::new("tel".to_owned(), "+351912345678".to_owned()).unwrap());
        assert_eq!(call.named(Some(party)), Named::Party(party, call.identifier.clone()));
        assert_eq!((Disposition::Complaint.kind(), Disposition::Missed.kind()), ("complaint", "call"));
    }

    #[test]
    fn only_two_directions_are_those_of_a_call() {
        assert_eq!(Told::direction(0).unwrap(), None);
        assert_eq!(Told::direction(1).unwrap(), Some(Direction::Inbound));
        assert_eq!(Told::direction(3).unwrap_err().reason, reason::OUT_OF_RANGE);
        assert_eq!(Told::direction(9).unwrap_err().reason, reason::UNKNOWN_ENUM_VALUE);
        assert_eq!(Told::country("pt").unwrap(), "PT");
        assert_eq!(Told::country("P").unwrap_err().reason, reason::UNKNOWN_COUNTRY);
    }

    #[test]
    fn a_resolution_names_its_party_only_when_it_is_safe() {
        let one = Candidate { party: Uuid::from_u128(1), confidence: 500, reasons: Vec::new() };
        assert_eq!(Resolution::new(Match::Candidates, "", vec![one.clone()]).party, None);
        assert_eq!(Resolution::new(Match::Resolved, "", vec![one]).party, Some(Uuid::from_u128(1)));
        let many = (0..30).map(|id| Candidate { party: Uuid::from_u128(id), confidence: 1, reasons: Vec::new() });
        assert_eq!(Resolution::new(Match::Candidates, "", many.collect()).candidates.len(), MAX_CANDIDATES);
    }
}
