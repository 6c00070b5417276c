use rapport_types::Uuid;
use rapport_types::time::Timestamp;

use super::interaction::MAX_BODY;
use super::{
    Amendment, Channel, Direction, Disposition, Effort, Function, MAX_TOPICS, Medium, Named, NewInteraction,
    Participant, Provenance, Slug, Told, Valence,
};

/// A leg of a conversation that has ended, as far as it counts for what is recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EndedLeg {
    /// The call's id, which decides where nothing else does.
    pub(crate) id: Uuid,
    /// What was told of it.
    pub(crate) told: Told,
    /// When it ended.
    pub(crate) ended_at: Timestamp,
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
    /// The type of the role that the other side acted in.
    pub(crate) role_type: Option<Slug>,
}

/// What a conversation comes to, from all its legs that have ended: the same in whatever order they are told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// The kind of the interaction.
    pub(crate) kind: Slug,
    /// The way it went.
    pub(crate) channel: Channel,
    /// Who called whom.
    pub(crate) direction: Direction,
    /// What it was about.
    pub(crate) topics: Vec<Slug>,
    /// What it was about, in one line.
    pub(crate) subject_line: String,
    /// What was said, leg by leg.
    pub(crate) body: String,
    /// How good or bad it was.
    pub(crate) valence: Option<Valence>,
    /// How much effort it cost.
    pub(crate) effort: Option<Effort>,
    /// When it began, as far as anybody said.
    pub(crate) occurred_at: Timestamp,
    /// The type of the role that the other side acted in.
    pub(crate) role_type: Option<Slug>,
    /// Where the record comes from.
    pub(crate) provenance: Provenance,
}

impl Outcome {
    /// What these legs come to; nothing without any. Legs count by when they ended, then by their name; those in which
    /// nobody spoke come first, and the last one that says something says it for all. How it began is for the leg that
    /// began first to say.
    pub(crate) fn of(mut legs: Vec<EndedLeg>) -> Option<Outcome> {
        legs.sort_by(|one, other| one.order().cmp(&other.order()));
        let last = legs.last()?;
        let first = legs.iter().min_by_key(|leg| leg.beginning())?;
        let mut topics: Vec<Slug> = Vec::new();
        for topic in legs.iter().flat_map(|leg| &leg.topics) {
            if !topics.contains(topic) && topics.len() < MAX_TOPICS {
                topics.push(topic.clone());
            }
        }
        let newest = || legs.iter().rev();
        let subject_line = newest().map(|leg| &leg.subject_line).find(|text| !text.is_empty());
        let mut provenance = first.told.provenance.clone();
        if provenance.actor.is_empty() {
            provenance.actor.clone_from(first.told.agent.expose());
        }
        Some(Outcome {
            kind: Slug::own(last.disposition.kind()),
            channel: Channel::new(first.told.medium.unwrap_or(Medium::Phone), None),
            direction: first.told.direction.unwrap_or(Direction::Inbound),
            topics,
            subject_line: subject_line.cloned().unwrap_or_default(),
            body: legs.iter().fold(String::new(), |body, leg| under(&body, &leg.wrap_up)),
            valence: newest().find_map(|leg| leg.valence),
            effort: newest().find_map(|leg| leg.effort),
            occurred_at: first.beginning().0,
            role_type: newest().find_map(|leg| leg.role_type.clone()),
            provenance,
        })
    }

    /// What a party at the other side does in it.
    pub(crate) fn function(&self) -> Function {
        if self.direction == Direction::Outbound { Function::Recipient } else { Function::Initiator }
    }

    /// The interaction that it becomes, with `named` at the other side.
    pub(crate) fn interaction(&self, named: Named) -> NewInteraction {
        let other = Participant { named, role_type: self.role_type.clone(), function: self.function() };
        NewInteraction {
            kind: self.kind.clone(),
            channel: self.channel,
            direction: self.direction,
            participants: vec![other],
            topics: self.topics.clone(),
            subject_line: self.subject_line.clone(),
            body: self.body.clone(),
            valence: self.valence,
            effort: self.effort,
            amount: None,
            occurred_at: self.occurred_at,
            provenance: self.provenance.clone(),
        }
    }

    /// What changes where this takes the place of `before`. What somebody amended by hand meanwhile stays, where nothing
    /// new is said of it.
    pub(crate) fn since(&self, before: &Outcome) -> Amendment {
        fn changed<T: PartialEq + Clone>(now: &T, before: &T) -> Option<T> {
            (now != before).then(|| now.clone())
        }
        Amendment {
            kind: changed(&self.kind, &before.kind),
            channel: changed(&self.channel, &before.channel),
            direction: changed(&self.direction, &before.direction),
            topics: changed(&self.topics, &before.topics),
            subject_line: changed(&self.subject_line, &before.subject_line),
            body: changed(&self.body, &before.body),
            valence: changed(&self.valence, &before.valence),
            effort: changed(&self.effort, &before.effort),
            amount: None,
            occurred_at: changed(&self.occurred_at, &before.occurred_at),
        }
    }
}

/// One text under another, as long as a body may be.
pub(crate) fn under(above: &str, below: &str) -> String {
    let both = match (above, below) {
        ("", text) | (text, "") => text.to_owned(),
        (above, below) => format!("{above}\n\n{below}"),
    };
    match both.char_indices().nth(MAX_BODY) {
        Some((end, _)) => both.get(..end).unwrap_or_default().to_owned(),
        None => both,
    }
}

impl EndedLeg {
    /// Its place among the legs that have ended.
    fn order(&self) -> (bool, Timestamp, &str, Uuid) {
        (self.disposition != Disposition::Missed, self.ended_at, self.told.leg.expose(), self.id)
    }

    /// When it began, as far as anybody said.
    fn beginning(&self) -> (Timestamp, String, Uuid) {
        (self.told.started_at.unwrap_or(self.ended_at), self.told.leg.expose().clone(), self.id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;
    use rapport_types::Pii;

    use super::*;

    fn leg(name: &str, started: Option<i64>, ended: i64, disposition: Disposition) -> EndedLeg {
        EndedLeg {
            id: Uuid::from_u128(name.bytes().map(u128::from).sum()),
            told: Told {
                call_id: Pii::new("1".to_owned()),
                leg: Pii::new(name.to_owned()),
                direction: Some(Direction::Outbound),
                identifier: None,
                dialled: Pii::new(String::new()),
                medium: None,
                agent: Pii::new(format!("agent {name}")),
                started_at: started.map(Timestamp::from_micros),
                provenance: Provenance::default(),
            },
            ended_at: Timestamp::from_micros(ended),
            disposition,
            subject_line: String::new(),
            wrap_up: format!("said on {name}"),
            valence: None,
            effort: None,
            topics: vec![Slug::own("delivery")],
            role_type: None,
        }
    }

    #[test]
    fn the_leg_that_ended_last_says_of_what_kind_it_was() {
        let outcome = Outcome::of(vec![
            leg("b", Some(5), 9, Disposition::Complaint),
            leg("a", Some(1), 4, Disposition::Handled),
            // Nobody spoke: it says nothing, however late it ended.
            leg("c", Some(0), 99, Disposition::Missed),
        ]);
        let outcome = outcome.unwrap();
        assert_eq!((outcome.kind.as_str(), outcome.occurred_at.as_micros()), ("complaint", 0));
        assert_eq!(outcome.body, "said on c\n\nsaid on a\n\nsaid on b");
        assert_eq!((outcome.topics.len(), outcome.provenance.actor.as_str()), (1, "agent c"));
        assert_eq!(outcome.function(), Function::Recipient);
        // At the same instant the name of the leg decides.
        let tied = [leg("a", None, 4, Disposition::Complaint), leg("b", None, 4, Disposition::Handled)];
        assert_eq!(Outcome::of(tied.to_vec()).unwrap().kind.as_str(), "call");
        assert_eq!(Outcome::of(Vec::new()), None);
    }

    #[test]
    fn what_is_new_is_amended_and_nothing_else() {
        let first = leg("a", Some(1), 4, Disposition::Handled);
        let before = Outcome::of(vec![first.clone()]).unwrap();
        let silent = EndedLeg { wrap_up: String::new(), ..leg("b", Some(2), 3, Disposition::Handled) };
        let same = Outcome::of(vec![first.clone(), silent]).unwrap();
        assert!(same.since(&before).is_empty());
        let more = EndedLeg { effort: Some(Effort::parse(3).unwrap()), ..leg("b", Some(2), 9, Disposition::Complaint) };
        let amendment = Outcome::of(vec![first, more]).unwrap().since(&before);
        assert_eq!(amendment.kind.as_ref().unwrap().as_str(), "complaint");
        assert_eq!(amendment.body.as_deref(), Some("said on a\n\nsaid on b"));
        assert!(amendment.effort.is_some() && amendment.topics.is_none() && amendment.occurred_at.is_none());
    }

    #[test]
    fn a_body_has_its_limit() {
        let long = "ä".repeat(MAX_BODY - 3);
        let both = under(&long, "abc");
        assert_eq!(both.chars().count(), MAX_BODY);
        assert!(both.ends_with("\n\na"));
        assert_eq!((under("", "b"), under("a", "")), ("b".to_owned(), "a".to_owned()));
    }

    proptest! {
        /// The order in which legs are told is nothing to what they come to.
        #[test]
        fn legs_come_to_the_same_in_any_order(
            legs in proptest::collection::vec((0..4u8, proptest::option::of(0..5i64), 0..5i64, 1..6i64), 1..5),
            rotation in 0..5usize,
        ) {
            let mut legs: Vec<EndedLeg> = legs
                .into_iter()
                .enumerate()
                .map(|(at, (name, started, ended, disposition))| EndedLeg {
                    id: Uuid::from_u128(at as u128),
                    ..leg(&format!("{name}"), started, ended, Disposition::from_code(disposition).unwrap())
                })
                .collect();
            let one = Outcome::of(legs.clone());
            legs.reverse();
            prop_assert_eq!(&one, &Outcome::of(legs.clone()));
            let by = rotation % legs.len();
            legs.rotate_left(by);
            prop_assert_eq!(&one, &Outcome::of(legs));
        }
    }
}
