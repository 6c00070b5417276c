use rapport_types::error::FieldError;
use rapport_types::time::Timestamp;
use rapport_types::{Uuid, reason};

use super::wording::block;
use super::{
    Channel, Direction, Effort, Function, Named, NewInteraction, Participant, Provenance, Slug, Valence, ValenceMethod,
    coded,
};

/// The most characters of a question.
pub(crate) const MAX_QUESTION: usize = 1_000;
/// The kind of the interaction that a response is.
const KIND: &str = "survey-response";

coded! {
    /// What a survey measures.
    Measure {
        /// Net promoter score, 0 to 10.
        Nps = 1 "nps",
        /// Customer satisfaction, 1 to 5.
        Csat = 2 "csat",
        /// Customer effort score 2.0, 1 to 7.
        Ces = 3 "ces",
    }
}

coded! {
    /// What an answer makes of the one who gave it.
    Category {
        /// NPS 9 or 10.
        Promoter = 1 "promoter",
        /// NPS 7 or 8.
        Passive = 2 "passive",
        /// NPS 0 to 6.
        Detractor = 3 "detractor",
        /// CSAT 4 or 5.
        Satisfied = 4 "satisfied",
        /// CSAT 1 to 3.
        NotSatisfied = 5 "not_satisfied",
        /// CES 5 to 7.
        Easy = 6 "easy",
        /// CES 1 to 4.
        NotEasy = 7 "not_easy",
    }
}

impl Measure {
    /// The lowest and the highest answer.
    pub(crate) fn scale(self) -> (i16, i16) {
        match self {
            Measure::Nps => (0, 10),
            Measure::Csat => (1, 5),
            Measure::Ces => (1, 7),
        }
    }
}

/// A survey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Survey {
    /// What it measures.
    pub(crate) measure: Measure,
    /// The question as it is put.
    pub(crate) question: String,
    /// The language of the question; empty when not said.
    pub(crate) language: String,
    /// What it is for.
    pub(crate) purpose: Option<Slug>,
}

impl Survey {
    /// A checked question.
    pub(crate) fn question(text: &str) -> Result<String, FieldError> {
        block(text, 1, MAX_QUESTION)
    }
}

/// An answer on the scale of its survey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Score {
    measure: Measure,
    value: i16,
}

impl Score {
    /// A checked answer.
    pub(crate) fn parse(measure: Measure, value: i32) -> Result<Score, FieldError> {
        let (low, high) = measure.scale();
        match i16::try_from(value) {
            Ok(value) if (low..=high).contains(&value) => Ok(Score { measure, value }),
            _ => Err(FieldError::new(reason::OUT_OF_RANGE, format!("must be from {low} to {high} for this survey"))),
        }
    }

    /// The answer.
    pub(crate) fn value(self) -> i16 {
        self.value
    }

    /// What it makes of the respondent.
    pub(crate) fn category(self) -> Category {
        match (self.measure, self.value) {
            (Measure::Nps, 9..) => Category::Promoter,
            (Measure::Nps, 7..) => Category::Passive,
            (Measure::Nps, _) => Category::Detractor,
            (Measure::Csat, 4..) => Category::Satisfied,
            (Measure::Csat, _) => Category::NotSatisfied,
            (Measure::Ces, 5..) => Category::Easy,
            (Measure::Ces, _) => Category::NotEasy,
        }
    }

    /// How good the contact was for the respondent, who says so. The sign is that of the category, the ends of a scale
    /// are the ends of the valence, and a better answer is never worse.
    pub(crate) fn valence(self) -> Valence {
        let answer = f64::from(self.value);
        let value = match (self.measure, self.category()) {
            (Measure::Nps, Category::Promoter) => (answer - 8.0) / 2.0,
            (Measure::Nps, Category::Detractor) => (answer - 7.0) / 7.0,
            (Measure::Nps, _) => 0.0,
            (Measure::Csat, _) => (answer - 3.0) / 2.0,
            (Measure::Ces, _) => (answer - 4.0) / 3.0,
        };
        Valence { value, method: ValenceMethod::Stated, confidence: 1.0 }
    }

    /// What a CES answer says of the effort: the scale of agreement the other way round.
    pub(crate) fn effort(self) -> Option<Effort> {
        match self.measure {
            Measure::Ces => Effort::parse(8 - i32::from(self.value)).ok(),
            Measure::Nps | Measure::Csat => None,
        }
    }
}

/// A checked response that is to be recorded. Whether its score is on the scale, its survey knows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewResponse {
    /// Who answered.
    pub(crate) named: Named,
    /// The type of the role that they acted in.
    pub(crate) role_type: Option<Slug>,
    /// The answer.
    pub(crate) score: i32,
    /// What was said beside it; empty when nothing was.
    pub(crate) comment: String,
    /// The way it came.
    pub(crate) channel: Channel,
    /// The case that the survey asked about.
    pub(crate) case: Option<Uuid>,
    /// The interaction that the survey asked about.
    pub(crate) about: Option<Uuid>,
    /// When it was answered.
    pub(crate) occurred_at: Timestamp,
    /// Where the record comes from.
    pub(crate) provenance: Provenance,
}

impl NewResponse {
    /// The interaction that the response is.
    pub(crate) fn interaction(&self, survey: &Survey, score: Score) -> NewInteraction {
        NewInteraction {
            kind: Slug::own(KIND),
            channel: self.channel,
            direction: Direction::Inbound,
            participants: vec![Participant {
                named: self.named.clone(),
                role_type: self.role_type.clone(),
                function: Function::Initiator,
            }],
            topics: survey.purpose.iter().cloned().collect(),
            subject_line: String::new(),
            body: self.comment.clone(),
            valence: Some(score.valence()),
            effort: score.effort(),
            amount: None,
            occurred_at: self.occurred_at,
            provenance: self.provenance.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn all(measure: Measure) -> Vec<Score> {
        let (low, high) = measure.scale();
        (low..=high).map(|value| Score::parse(measure, value.into()).unwrap()).collect()
    }

    #[test]
    fn answers_keep_to_their_scale() {
        for (measure, _, _) in Measure::ALL {
            let (low, high) = measure.scale();
            assert_eq!(all(*measure).len(), usize::try_from(high - low).unwrap() + 1);
            for bad in [i32::from(low) - 1, i32::from(high) + 1, i32::MIN, i32::MAX, 65_536] {
                assert_eq!(Score::parse(*measure, bad).unwrap_err().reason, reason::OUT_OF_RANGE);
            }
        }
    }

    #[test]
    fn categories_begin_where_the_literature_says() {
        let words = |measure| -> Vec<&str> {
            all(measure).iter().map(|score| Category::ALL[score.category() as usize].2).collect()
        };
        let nps = [vec!["detractor"; 7], vec!["passive"; 2], vec!["promoter"; 2]].concat();
        assert_eq!(words(Measure::Nps), nps);
        assert_eq!(words(Measure::Csat), [vec!["not_satisfied"; 3], vec!["satisfied"; 2]].concat());
        assert_eq!(words(Measure::Ces), [vec!["not_easy"; 4], vec!["easy"; 3]].concat());
    }

    #[test]
    fn a_better_answer_is_never_worse_and_its_sign_is_that_of_the_category() {
        for (measure, _, _) in Measure::ALL {
            let scores = all(*measure);
            let valences: Vec<f64> = scores.iter().map(|score| score.valence().value).collect();
            assert!(valences.windows(2).all(|two| two[0] <= two[1]), "{valences:?}");
            assert_eq!((valences[0], valences[valences.len() - 1]), (-1.0, 1.0));
            for (score, valence) in scores.iter().zip(valences) {
                assert!(Valence::value(valence).is_ok());
                match score.category() {
                    Category::Promoter | Category::Satisfied | Category::Easy => assert!(valence > 0.0, "{score:?}"),
                    Category::Passive => assert_eq!(valence, 0.0),
                    Category::Detractor => assert!(valence < 0.0, "{score:?}"),
                    Category::NotSatisfied | Category::NotEasy => assert!(valence <= 0.0, "{score:?}"),
                }
            }
        }
    }

    #[test]
    fn an_easy_contact_cost_little_effort() {
        let efforts: Vec<i16> = all(Measure::Ces).iter().map(|score| score.effort().unwrap().get()).collect();
        assert_eq!(efforts, [7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(all(Measure::Nps)[0].effort(), None);
    }

    #[test]
    fn questions_are_checked() {
        assert_eq!(Survey::question("").unwrap_err().reason, reason::REQUIRED);
        assert!(Survey::question(&"ä".repeat(MAX_QUESTION)).is_ok());
        assert_eq!(Survey::question(&"ä".repeat(MAX_QUESTION + 1)).unwrap_err().reason, reason::TOO_LONG);
    }
}
