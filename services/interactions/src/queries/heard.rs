use std::time::Instant;

use prost::Message;
use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;
use rapport_types::error::{Error, Kind};
use rapport_types::time::Timestamp;

use super::ask::Asking;
use crate::domain::SectionKind;
use crate::store::{Held, Known};

/// What came of asking another service.
pub(crate) enum Heard<T> {
    /// It said this.
    Said(T),
    /// It said this, and that it has not seen everything that it should have.
    Behind(T),
    /// It said that there is nothing.
    Nothing(&'static str),
    /// It refused, or is not there.
    Failed(Error),
    /// It did not answer in time.
    Late,
    /// The caller may not know.
    Forbidden(&'static str),
    /// There is nobody to ask about.
    Nobody,
}

/// Why a service is not asked at all.
pub(crate) enum Unasked {
    /// The caller may not know.
    Forbidden(&'static str),
    /// There is nobody to ask about.
    Nobody,
}

impl<T> From<Unasked> for Heard<T> {
    fn from(unasked: Unasked) -> Heard<T> {
        match unasked {
            Unasked::Forbidden(permission) => Heard::Forbidden(permission),
            Unasked::Nobody => Heard::Nobody,
        }
    }
}

impl<T> Heard<T> {
    /// The same answer as something else; what there is nothing of is said in a sentence.
    pub(crate) fn and<U>(self, then: impl FnOnce(T) -> Result<U, &'static str>) -> Heard<U> {
        let told = |answer: Result<U, &'static str>, as_it_is: fn(U) -> Heard<U>| match answer {
            Ok(said) => as_it_is(said),
            Err(nothing) => Heard::Nothing(nothing),
        };
        match self {
            Heard::Said(said) => told(then(said), Heard::Said),
            Heard::Behind(said) => told(then(said), Heard::Behind),
            Heard::Nothing(why) => Heard::Nothing(why),
            Heard::Failed(error) => Heard::Failed(error),
            Heard::Late => Heard::Late,
            Heard::Forbidden(permission) => Heard::Forbidden(permission),
            Heard::Nobody => Heard::Nobody,
        }
    }
}

/// Waits for an answer until `until`.
pub(crate) async fn hear<T>(
    until: Instant,
    asking: &Asking<'_>,
    answer: impl Future<Output = Result<T, Error>>,
) -> Heard<T> {
    match tokio::time::timeout_at(until.into(), answer).await {
        Ok(Ok(said)) if asking.behind() => Heard::Behind(said),
        Ok(Ok(said)) => Heard::Said(said),
        // Whichever side noticed first that the time was up.
        Ok(Err(error)) if matches!(error.kind, Kind::Deadline | Kind::Cancelled) => Heard::Late,
        Ok(Err(error)) => Heard::Failed(error),
        Err(_) => Heard::Late,
    }
}

/// Why nothing fresh came, in a sentence.
pub(crate) fn why<T>(heard: &Heard<T>, source: &str) -> String {
    match heard {
        Heard::Said(_) => String::new(),
        Heard::Behind(_) => format!("{source} has not seen everything that was asked for"),
        Heard::Nothing(why) => (*why).to_owned(),
        Heard::Failed(error) if error.kind == Kind::Unavailable => format!("{source} is not there"),
        Heard::Failed(error) if error.kind == Kind::Unimplemented => format!("{source} does not offer it"),
        Heard::Failed(_) => format!("{source} refused to answer"),
        Heard::Late => format!("{source} did not answer in time"),
        Heard::Forbidden(permission) => format!("it takes the permission {permission}"),
        Heard::Nobody => "it is not known who it is about".to_owned(),
    }
}

/// A section that another service says, and that the desk keeps.
pub(crate) trait Section: Message + Default + Clone {
    /// Its sort.
    const KIND: SectionKind;
    /// The service that says it.
    const SOURCE: &'static str;
    /// What it takes to read it.
    const PERMISSION: &'static str;

    /// Where its status stands.
    fn status(&mut self) -> &mut Option<proto::SectionStatus>;
}

macro_rules! sections {
    ($($message:ident is $kind:ident of $source:literal by $permission:literal;)+) => {
        $(
            impl Section for proto::$message {
                const KIND: SectionKind = SectionKind::$kind;
                const SOURCE: &'static str = $source;
                const PERMISSION: &'static str = $permission;

                fn status(&mut self) -> &mut Option<proto::SectionStatus> {
                    &mut self.status
                }
            }
        )+
    };
}

sections! {
    CardSection is Card of "stakeholders" by "stakeholders.parties.read";
    ScoreSection is Scores of "scoring" by "scoring.scores.read";
    ValueSection is Value of "scoring" by "scoring.values.read";
    LoyaltySection is Loyalty of "loyalty" by "loyalty.members.read";
    ConsentSection is Consents of "stakeholders" by "stakeholders.consents.read";
    NetworkSection is Near of "stakeholders" by "stakeholders.relationships.read";
}

/// When a question was asked, and how far the source's feed was known then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// When.
    pub(crate) at: Timestamp,
    /// Everything of the feed up to here was there already.
    pub(crate) position: i64,
}

/// The status of a section.
pub(crate) fn section_status(
    source: &str,
    state: proto::SectionState,
    reason: String,
    said: Option<Asked>,
) -> proto::SectionStatus {
    proto::SectionStatus {
        source: source.to_owned(),
        position: said.map_or(0, |said| said.position),
        state: state.into(),
        reason,
        as_of_time: said.map(|said| wire::to_timestamp(said.at)),
        age: None,
        next_change_time: None,
    }
}

/// A status that also says when the section changes by itself, as what was said or kept of it says.
pub(crate) fn turning(status: proto::SectionStatus, said: Option<&proto::SectionStatus>) -> proto::SectionStatus {
    proto::SectionStatus { next_change_time: said.and_then(|said| said.next_change_time), ..status }
}

/// What is shown of a section, and what is to be kept of it: the answer where there is one, else the last that was
/// known, else a mark. Something that speaks of everybody was told up to `floor`.
pub(crate) fn settle<S: Section>(heard: Heard<S>, asked: Asked, held: Option<&Held>, floor: i64) -> (S, Option<Known>) {
    use proto::SectionState::{Fresh, Missing, Pending, Redacted, Stale};
    let known = held.and_then(|held| held.known.as_ref());
    let reason = why(&heard, S::SOURCE);
    let lacks = held.is_none_or(|held| held.lacks(floor));
    let mut keep = None;
    let (mut section, status) = match heard {
        Heard::Said(mut said) => {
            keep = worth_keeping(said.encode_to_vec(), S::KIND, asked, known.filter(|_| !lacks));
            let status = section_status(S::SOURCE, Fresh, reason, Some(asked));
            let status = turning(status, said.status().take().as_ref());
            (said, status)
        }
        Heard::Behind(mut said) => {
            let status = section_status(S::SOURCE, Stale, reason, Some(asked));
            let status = turning(status, said.status().take().as_ref());
            (said, status)
        }
        Heard::Nothing(_) => {
            let status = section_status(S::SOURCE, Missing, reason, Some(asked));
            if matches!(S::KIND, SectionKind::Value | SectionKind::Influence) {
                let plain = nothing::<S>(&status.reason).encode_to_vec();
                keep = worth_keeping(plain, S::KIND, asked, known.filter(|_| !lacks));
            }
            (S::default(), status)
        }
        Heard::Forbidden(_) => (S::default(), section_status(S::SOURCE, Redacted, reason, None)),
        Heard::Nobody => (S::default(), section_status(S::SOURCE, Missing, reason, None)),
        Heard::Failed(_) | Heard::Late => {
            match known.and_then(|known| Some((S::decode(known.plain.as_slice()).ok()?, known))) {
                Some((mut last, known)) => {
                    let said = Asked { at: known.as_of, position: known.position };
                    *last.status() = None;
                    let state = if lacks { Pending } else { Stale };
                    (last, section_status(S::SOURCE, state, reason, Some(said)))
                }
                None => (S::default(), section_status(S::SOURCE, Pending, reason, None)),
            }
        }
    };
    *section.status() = Some(status);
    (section, keep)
}

/// How old what is kept may become before the same is kept again.
const KEPT_MICROS: i64 = 60_000_000;

/// That there is nothing, as it is kept.
pub(crate) fn nothing<S: Section>(reason: &str) -> S {
    let mut section = S::default();
    *section.status() = Some(section_status(S::SOURCE, proto::SectionState::Missing, reason.to_owned(), None));
    section
}

/// What was said, where it says more than what is known already and lacks nothing.
fn worth_keeping(plain: Vec<u8>, kind: SectionKind, asked: Asked, known: Option<&Known>) -> Option<Known> {
    let old = known.is_none_or(|known| asked.at.micros_since(known.as_of) > KEPT_MICROS);
    // Scores and values move with every moment: those are worth a write now and then alone.
    let moves = matches!(kind, SectionKind::Scores | SectionKind::Value);
    let differs = !moves && known.is_some_and(|known| known.plain != plain);
    (old || differs).then_some(Known { position: asked.position, as_of: asked.at, plain })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::reason;

    use super::*;

    fn asked(seconds: i64) -> Asked {
        Asked { at: Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000), position: 7 }
    }

    fn card(name: &str) -> proto::CardSection {
        proto::CardSection { display_name: name.to_owned(), ..proto::CardSection::default() }
    }

    fn known(name: &str) -> Held {
        let known = Known { position: 3, as_of: asked(0).at, plain: card(name).encode_to_vec() };
        Held { known: Some(known), wanted: 3 }
    }

    fn state(section: &proto::CardSection) -> (proto::SectionState, i64) {
        let status = section.status.as_ref().unwrap();
        (status.state(), status.position)
    }

    #[test]
    fn an_answer_is_fresh_and_kept_when_it_says_something_new() {
        let (section, keep) = settle(Heard::Said(card("Ana")), asked(1), Some(&known("Anna")), 0);
        assert_eq!((section.display_name.as_str(), state(&section)), ("Ana", (proto::SectionState::Fresh, 7)));
        assert_eq!(keep.unwrap().as_of, asked(1).at);
        assert!(settle(Heard::Said(card("Ana")), asked(1), Some(&known("Ana")), 0).1.is_none());
        assert!(settle(Heard::Said(card("Ana")), asked(61), Some(&known("Ana")), 0).1.is_some());
        assert!(settle(Heard::Said(card("Ana")), asked(1), None, 0).1.is_some());
    }

    #[test]
    fn that_there_is_nothing_is_no_answer_once_everybody_was_spoken_of() {
        let worth = |orders| proto::ValueSection { expected_purchases: Some(orders), ..Default::default() };
        let plain = nothing::<proto::ValueSection>("no model was fitted yet").encode_to_vec();
        let held = Held { known: Some(Known { position: 3, as_of: asked(0).at, plain }), wanted: 3 };
        let late = |floor| settle(Heard::<proto::ValueSection>::Late, asked(1), Some(&held), floor).0.status.unwrap();
        assert_eq!((late(3).state(), late(3).position), (proto::SectionState::Stale, 3));
        assert_eq!((late(4).state(), late(4).position), (proto::SectionState::Pending, 3));
        // And what is said then is kept, though such figures move with every moment.
        let kept = settle(Heard::Said(worth(2.0)), asked(1), Some(&held), 4).1.unwrap();
        let held = Held { known: Some(kept), wanted: 3 };
        assert!(settle(Heard::Said(worth(1.9)), asked(2), Some(&held), 4).1.is_none());
    }

    #[test]
    fn without_an_answer_the_last_known_is_stale_and_nothing_known_is_pending() {
        let down =
            || Heard::<proto::CardSection>::Failed(Error::new(Kind::Unavailable, reason::PEER_UNAVAILABLE, "gone"));
        let (section, keep) = settle(down(), asked(9), Some(&known("Ana")), 0);
        assert_eq!((section.display_name.as_str(), state(&section)), ("Ana", (proto::SectionState::Stale, 3)));
        assert_eq!(section.status.unwrap().reason, "stakeholders is not there");
        assert!(keep.is_none());
        let (section, _) = settle(Heard::<proto::CardSection>::Late, asked(9), None, 0);
        assert_eq!(state(&section), (proto::SectionState::Pending, 0));
        let (section, _) = settle(Heard::<proto::CardSection>::Forbidden("a.b.read"), asked(9), Some(&known("Ana")), 0);
        assert_eq!((section.display_name.as_str(), state(&section).0), ("", proto::SectionState::Redacted));
    }
}
