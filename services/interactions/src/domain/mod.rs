//! The rules of interactions and cases. Nothing here knows of a wire, a database or a clock.

mod amendment;
mod amount;
mod assignee;
mod attribution;
mod call;
mod case;
mod caution;
mod channel;
mod commitment;
mod conversation;
mod identifier;
mod interaction;
mod name;
mod neighbor;
mod next_action;
mod origin;
mod participant;
mod provenance;
mod quantile;
mod role_conflict;
mod section;
mod survey;
mod survey_stats;
mod tie_conflict;
mod valence;
mod watermark;
mod wording;

pub(crate) use amendment::{Amendment, Standing};
pub(crate) use amount::{Amount, AmountKind};
pub(crate) use assignee::{Assignee, AssigneeKind};
pub(crate) use attribution::{Held, Holder, next};
pub(crate) use call::{
    CALL, Candidate, Disposition, Ending, Handover, MAX_CANDIDATES, Match, Opening, Resolution, SAID_SO, Told,
};
pub(crate) use case::{Case, CasePriority, CaseStatus, MAX_LINKED, NewCase};
pub(crate) use caution::{Signs, cautions};
pub(crate) use channel::{Channel, Direction, Medium};
pub(crate) use commitment::{Commitment, CommitmentEnd, CommitmentState, NewCommitment, Side};
pub(crate) use conversation::{EndedLeg, Outcome, under};
pub(crate) use identifier::Identifier;
pub(crate) use interaction::{Effort, MAX_PARTICIPANTS, MAX_TOPICS, NewInteraction};
pub(crate) use name::{CallName, CaseName, CommitmentName, InteractionName, PartyName, SurveyName, SurveyResponseName};
pub(crate) use neighbor::{LEAST_NETWORK, Matters, Neighbor, choose};
pub(crate) use next_action::{Expiry, Facts, Health, consider};
pub(crate) use origin::{Origin, Route};
pub(crate) use participant::{Function, Named, Participant};
pub(crate) use provenance::Provenance;
pub(crate) use quantile::Confidence;
pub(crate) use rapport_types::Slug;
pub(crate) use section::SectionKind;
pub(crate) use survey::{Category, Measure, NewResponse, Score, Survey};
pub(crate) use survey_stats::{Figures, Interval, Tally};
pub(crate) use tie_conflict::{BINDING, Bond};
pub(crate) use valence::{Valence, ValenceMethod};
pub(crate) use watermark::{OutOfOrder, Watermark};

/// An enum that is stored as a small number, written on the wire as the same number and in filters as a word.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum $name { $($(#[$vdoc])* $variant,)+ }

        // Not every enum is read in every way.
        #[allow(dead_code)]
        impl $name {
            /// Every value with its code and its word, in the order of the codes.
            pub(crate) const ALL: &'static [($name, i16, &'static str)] = &[$(($name::$variant, $code, $word),)+];

            /// The number that is stored and sent.
            pub(crate) fn code(self) -> i16 {
                match self { $($name::$variant => $code,)+ }
            }

            /// The value with this code; `None` for 0 (not said) and for what this version does not know.
            pub(crate) fn from_code(code: i64) -> Option<$name> {
                $name::ALL.iter().find(|(_, c, _)| i64::from(*c) == code).map(|(value, _, _)| *value)
            }

            /// The value from a request, where 0 means that it was not said.
            pub(crate) fn parse(code: i32) -> Result<$name, rapport_types::error::FieldError> {
                $name::from_code(i64::from(code)).ok_or_else(|| crate::domain::unknown_code(code))
            }
        }
    };
}
pub(crate) use coded;

/// What is wrong with an enum's number.
fn unknown_code(code: i32) -> rapport_types::error::FieldError {
    use rapport_types::{error::FieldError, reason};
    if code == 0 {
        FieldError { reason: reason::REQUIRED, description: "must be given".to_owned() }
    } else {
        FieldError { reason: reason::UNKNOWN_ENUM_VALUE, description: format!("{code} is not a value of this enum") }
    }
}
