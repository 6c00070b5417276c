//! What of the projection is shown as it is, without asking anybody.

use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;
use rapport_types::time::Timestamp;

use super::heard::{Asked, Section, section_status, turning};
use crate::store::Held;

/// What was said longer ago is asked for again, if the service is there: scores decay, consents and points expire.
pub(super) const OLD_MICROS: i64 = 3_600_000_000;

/// How a consumer of another service's feed stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// Everything of the feed up to here is applied.
    pub(crate) position: i64,
    /// Nothing is consumed here: what is kept may be of any age.
    pub(crate) unknown: bool,
    /// Why the feed cannot be reached, in a sentence; empty when it is heard.
    pub(crate) away: String,
    /// There is more of the feed than was applied, and has been for a while, or some of it was set aside.
    pub(crate) lagging: bool,
    /// Everything that the caller has seen is applied, as far as one can know.
    pub(crate) reached: bool,
}

/// The section that is kept, as it is shown; none where its service has to be asked first.
pub(crate) fn serve<S: Section>(held: Option<&Held>, floor: i64, standing: &Standing, now: Timestamp) -> Option<S> {
    use proto::SectionState::{Fresh, Missing, Pending, Stale};
    let held = held?;
    let known = held.known.as_ref()?;
    // Whoever names what they have seen waits for it, also where its service seems to be away.
    if standing.unknown || !standing.reached {
        return None;
    }
    let mut section = S::decode(known.plain.as_slice()).ok()?;
    let turned = section.status().as_ref().and_then(|status| status.next_change_time.as_ref()).is_some_and(|time| {
        // What cannot be read is taken for past: its service is asked.
        wire::timestamp(time).map_or(true, |turn| turn <= now)
    });
    let behind = held.lacks(floor) || turned;
    let old = now.micros_since(known.as_of) > OLD_MICROS;
    let (state, reason) = if !standing.away.is_empty() {
        // Nobody waits for a service that is known to be away.
        (Stale, standing.away.clone())
    } else if behind || old {
        return None;
    } else if standing.lagging {
        (Pending, format!("what {} tells is not all applied yet", S::SOURCE))
    } else {
        (Fresh, String::new())
    };
    // Nothing of the feed since then spoke of it, so it holds all that was applied.
    let position = if behind { known.position } else { known.position.max(standing.position) };
    let said = Some(Asked { at: known.as_of, position });
    let kept = section.status().take();
    let status = match &kept {
        // That there is nothing is said without a mark only where that is sure too.
        Some(nothing) if (state, nothing.state()) == (Fresh, Missing) => {
            section_status(S::SOURCE, Missing, nothing.reason.clone(), said)
        }
        _ => section_status(S::SOURCE, state, reason, said),
    };
    *section.status() = Some(turning(status, kept.as_ref()));
    Some(section)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use prost::Message;
    use proto::SectionState::{Fresh, Missing, Pending, Stale};

    use super::super::heard::nothing;
    use super::*;
    use crate::store::Known;

    const NOW: i64 = 1_700_000_000_000_000;

    fn standing() -> Standing {
        Standing { position: 9, unknown: false, away: String::new(), lagging: false, reached: true }
    }

    fn held(position: i64, wanted: i64, age_micros: i64) -> Held {
        let card = proto::CardSection { display_name: "Ana".to_owned(), ..proto::CardSection::default() };
        let as_of = Timestamp::from_micros(NOW - age_micros);
        Held { known: Some(Known { position, as_of, plain: card.encode_to_vec() }), wanted }
    }

    fn shown(held: &Held, floor: i64, standing: &Standing) -> Option<(proto::SectionState, i64)> {
        let section: proto::CardSection = serve(Some(held), floor, standing, Timestamp::from_micros(NOW))?;
        assert_eq!(section.display_name, "Ana");
        let status = section.status.unwrap();
        assert_eq!(status.reason.is_empty(), status.state() == Fresh);
        Some((status.state(), status.position))
    }

    #[test]
    fn what_nothing_was_told_of_since_is_as_fresh_as_the_feed() {
        assert_eq!(shown(&held(3, 3, 0), 0, &standing()), Some((Fresh, 9)));
        assert_eq!(shown(&held(11, 3, 0), 0, &standing()), Some((Fresh, 11)));
        assert_eq!(shown(&held(3, 3, 0), 0, &Standing { lagging: true, ..standing() }), Some((Pending, 9)));
        let away = Standing { away: "gone".to_owned(), ..standing() };
        assert_eq!(shown(&held(3, 3, OLD_MICROS * 9), 0, &away), Some((Stale, 9)));
        assert_eq!(shown(&held(3, 4, 0), 0, &away), Some((Stale, 3)));
        assert_eq!(shown(&held(3, 3, 0), 0, &Standing { reached: false, ..away }), None);
    }

    #[test]
    fn what_may_lack_something_is_asked_for() {
        assert_eq!(shown(&held(3, 4, 0), 0, &standing()), None);
        assert_eq!(shown(&held(3, 3, 0), 4, &standing()), None);
        assert_eq!(shown(&held(3, 3, OLD_MICROS + 1), 0, &standing()), None);
        assert_eq!(shown(&held(3, 3, 0), 0, &Standing { reached: false, ..standing() }), None);
        assert_eq!(shown(&held(3, 3, 0), 0, &Standing { unknown: true, ..standing() }), None);
        assert_eq!(shown(&Held { known: None, wanted: 3 }, 0, &standing()), None);
    }

    #[test]
    fn what_turned_by_itself_is_asked_for() {
        let turn = |micros| {
            let next = Some(wire::to_timestamp(Timestamp::from_micros(NOW + micros)));
            let status = proto::SectionStatus { next_change_time: next, ..proto::SectionStatus::default() };
            let card =
                proto::CardSection { display_name: "Ana".to_owned(), status: Some(status), ..Default::default() };
            let known = Known { position: 3, as_of: Timestamp::from_micros(NOW), plain: card.encode_to_vec() };
            Held { known: Some(known), wanted: 3 }
        };
        assert_eq!(shown(&turn(1), 0, &standing()), Some((Fresh, 9)));
        assert_eq!(shown(&turn(0), 0, &standing()), None);
        let away = Standing { away: "gone".to_owned(), ..standing() };
        assert_eq!(shown(&turn(0), 0, &away), Some((Stale, 3)), "nobody can be asked: it is as old as it is");
    }

    #[test]
    fn that_there_is_nothing_is_kept_too() {
        let plain = nothing::<proto::LoyaltySection>("the party is no member").encode_to_vec();
        let known = Known { position: 1, as_of: Timestamp::from_micros(NOW), plain };
        let held = Held { known: Some(known), wanted: 0 };
        let section: proto::LoyaltySection = serve(Some(&held), 0, &standing(), Timestamp::from_micros(NOW)).unwrap();
        let status = section.status.unwrap();
        assert_eq!((status.state(), status.position), (Missing, 9));
        assert_eq!(status.reason, "the party is no member");
        // Whoever is away may know of something by now.
        let away = Standing { away: "gone".to_owned(), ..standing() };
        let section: proto::LoyaltySection = serve(Some(&held), 0, &away, Timestamp::from_micros(NOW)).unwrap();
        let status = section.status.unwrap();
        assert_eq!((status.state(), status.reason.as_str()), (Stale, "gone"));
    }

    #[test]
    fn worth_is_shown_as_it_is_kept_until_a_model_is_fitted() {
        let known = |plain| Known { position: 3, as_of: Timestamp::from_micros(NOW), plain };
        let held = Held { known: Some(known(proto::ValueSection::default().encode_to_vec())), wanted: 3 };
        let now = Timestamp::from_micros(NOW);
        let section = serve::<proto::ValueSection>(Some(&held), 3, &standing(), now).unwrap();
        assert_eq!(section.status.unwrap().state(), Fresh);
        // What was said before the newest model is asked for again, while anybody can say.
        assert!(serve::<proto::ValueSection>(Some(&held), 4, &standing(), now).is_none());
        let away = Standing { away: "gone".to_owned(), ..standing() };
        let section = serve::<proto::ValueSection>(Some(&held), 4, &away, now).unwrap();
        assert_eq!(section.status.unwrap().state(), Stale);
    }
}
